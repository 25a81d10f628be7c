"""Who waits for somebody to be free, and who of them is next.

First come, first served, and nobody is passed by: as long as an asker waits, all people of its group are kept for it.
So one who wants three is not starved by those who want one, and a person of several groups goes to whoever asked first.
The price is that somebody may be free while others wait for several: that is told in the reasons.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from service.claims.model import Ask, Outcome
from service.claims.order import Picking


@dataclass(slots=True, eq=False)
class Ticket:
    """One asker. `until` is the monotonic end of its patience; `outcome` is None as long as it waits; `picking` is what
    serving it did to the order."""

    number: int
    ask: Ask
    until: float
    outcome: Outcome | None = None
    picking: Picking | None = None


class Queue:
    """Those who wait, in the order in which they came."""

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
        """The moment at which the next one's patience ends."""
        return min((ticket.until for ticket in self._tickets.values()), default=None)

    def add(self, ask: Ask, until: float) -> Ticket:
        """One more, behind all others."""
        self._number += 1
        ticket = self._tickets[self._number] = Ticket(self._number, ask, until)
        return ticket

    def settle(self, ticket: Ticket, outcome: Outcome) -> None:
        """It has waited long enough, one way or the other."""
        if self._tickets.pop(ticket.number, None) is not None:
            ticket.outcome = outcome

    def leave(self, ticket: Ticket) -> bool:
        """It went away; whether it was here."""
        return self._tickets.pop(ticket.number, None) is not None
