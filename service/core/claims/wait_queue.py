"""The requests that wait until people are free, and which of them is next.

First come, first served, and a person of several groups goes to the first request. A request for more than are free
keeps those of its group who are, for a bounded time (see `service.core.claims.reserve`), so that one who wants three is
not starved by those who want one. The price is that a person may be free while requests for several wait: the reasons
say so. After that time those behind pass by, and it is served as soon as enough are free at one moment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from service.core.claims.model import ClaimRequest, Outcome
from service.core.claims.pick_order import Picking


@dataclass(slots=True, eq=False)
class Ticket:
    """A request in the queue. `until` is the monotonic end of its wait; `outcome` is None as long as it waits;
    `picking` is what serving it did to the order. `settled` is called in the turn in which a request gets its outcome
    that had to wait for it."""

    number: int
    request: ClaimRequest
    until: float
    outcome: Outcome | None = None
    picking: Picking | None = None
    settled: Callable[[], None] | None = None


@dataclass(slots=True)
class Walk:
    """One walk through the queue, from the first request to the last."""

    kept: set[str] = field(default_factory=set)
    """People who are kept for requests that were passed."""
    passed: set[str] = field(default_factory=set)
    """Groups with a waiting request that was not served."""
    most: dict[str, int] = field(default_factory=dict)
    """By group: no request for more than so many can be served any more."""
    free: dict[str, set[str]] = field(default_factory=dict)
    """By group with a request that was not served: who was free then, the kept ones included."""
    looked: dict[str, int] = field(default_factory=dict)
    """By group: for how many kept people the two below were found."""
    withheld: dict[str, set[str]] = field(default_factory=dict)
    """By group: who is free for it and kept for others."""
    could: dict[str, int] = field(default_factory=dict)
    """By group: how many could be had if none were kept."""


class Queue:
    """The waiting requests, in the order in which they came."""

    def __init__(self) -> None:
        self._tickets: dict[int, Ticket] = {}
        self._number = 0

    def __len__(self) -> int:
        return len(self._tickets)

    def __iter__(self) -> Iterator[Ticket]:
        return iter(tuple(self._tickets.values()))

    def __contains__(self, ticket: Ticket) -> bool:
        return ticket.number in self._tickets

    @property
    def next_due(self) -> float | None:
        """The moment at which the next wait ends."""
        return min((ticket.until for ticket in self._tickets.values()), default=None)

    def add(self, request: ClaimRequest, until: float) -> Ticket:
        """Add a request, behind all others."""
        self._number += 1
        ticket = self._tickets[self._number] = Ticket(self._number, request, until)
        return ticket

    def settle(self, ticket: Ticket, outcome: Outcome) -> None:
        """Take it out, with this outcome."""
        if self._tickets.pop(ticket.number, None) is not None:
            ticket.outcome = outcome

    def leave(self, ticket: Ticket) -> bool:
        """Take it out without one; whether it was here."""
        return self._tickets.pop(ticket.number, None) is not None
