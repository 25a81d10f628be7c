"""What a state that was told over SOAP must have been, and whether it was.

PWS has no word for "as of", so a program knows only when it asked and when the reply came. What can be proved to it
follows from the service's own promise: a state is told only while it is live, which means that it was so at some
moment since its `as_of`, and `as_of` is at most the bound of freshness old when the reply is made. A fetch that says
nothing of a contact says that it is as it was told last; where the façade cannot say that, it refuses the fetch. So a
contact was in the state that a program takes it to be in, at some moment between the reply and

- the request, less the bound: for a state in the reply, and one of an earlier reply of which a fetch says nothing;
- the `as_of` that the service itself showed before the request, where it is later, for the same.

And between now and now less the bound and `unsure_after`, where the program has not fetched since: as far as
notifications arrive, since what has not been live for `unsure_after` seconds is notified and told as UNKNOWN.

UNKNOWN claims nothing. The presence server itself promises the same with a bound of 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from benchmarks.truth import ROUNDING, Truth

UNKNOWN: Final = "UNKNOWN"
SLACK: Final = 5.0
"""Seconds by which a contact may be given up late: the service looks once a second, and may be stopped meanwhile."""


@dataclass(frozen=True)
class Promise:
    """How old what is told may be, in seconds: a state that is told, and one of which nothing is said."""

    bound: float = 0.0
    unsure_after: float = 0.0

    @property
    def without_fetch(self) -> float:
        """How old a state may be of which no notification has come."""
        return self.bound + self.unsure_after + SLACK


@dataclass(frozen=True)
class Reply:
    """States by contact, when they were asked for and had come; `as_of` of those that were seen live before that."""

    states: Sequence[tuple[str, str]]
    asked: float
    arrived: float
    as_of: Mapping[str, float] = field(default_factory=dict)


@dataclass
class ToldFigures:
    """What programs were told: states that were checked, and what is wrong with them."""

    states: int = 0
    by_as_of: int = 0
    """Those of them that were checked against the service's own `as_of`."""
    unknown: int = 0
    unsaid: int = 0
    """States that a fetch has confirmed by not naming the contact."""
    oldest: float = 0.0
    """The greatest age, in seconds, of a state that was over when it was told."""
    wrong: list[str] = field(default_factory=list)


class Listener:
    """Holds what one program is told against the truth. `promise` is the server's."""

    def __init__(self, name: str, truth: Truth, promise: Promise, figures: ToldFigures) -> None:
        self._name = name
        self._truth = truth
        self._promise = promise
        self._figures = figures

    def polled(self, contacts: Iterable[str], reply: Reply) -> None:
        """A poll of these contacts was answered: each is named once, and was so."""
        named = sorted(contact.lower() for contact, _ in reply.states)
        if named != sorted(contacts):
            self._figures.wrong.append(f"{self._name}: a poll of {sorted(contacts)} was answered with {named}")
        for contact, state in reply.states:
            self._told(contact.lower(), state, reply)

    def fetched(self, picture: dict[str, str], reply: Reply) -> None:
        """A fetch was answered. `picture` is what the program knows of its subscription, which moves on with it."""
        for contact, state in reply.states:
            self._told(contact.lower(), state, reply)
            picture[contact.lower()] = state
        named = {contact.lower() for contact, _ in reply.states}
        for contact, state in picture.items():
            if contact not in named and state != UNKNOWN:
                self._figures.unsaid += 1
                self._hold(contact, state, self._since(contact, reply), reply.arrived, "is not named by a fetch and so")

    def waits(self, picture: Mapping[str, str], now: float) -> None:
        """No notification has come that was not followed by a fetch."""
        for contact, state in picture.items():
            if state != UNKNOWN:
                self._hold(contact, state, now - self._promise.without_fetch, now, "was not notified of and so")

    def _told(self, contact: str, state: str, reply: Reply) -> None:
        if state == UNKNOWN:
            self._figures.unknown += 1
            return
        self._figures.states += 1
        if self._hold(contact, state, self._since(contact, reply), reply.arrived, "was told as"):
            self._figures.oldest = max(self._figures.oldest, self._truth.over_since(contact, state, reply.asked))

    def _since(self, contact: str, reply: Reply) -> float:
        """The earliest moment at which the contact must have been as the reply says."""
        since = reply.asked - self._promise.bound
        as_of = reply.as_of.get(contact, since)
        self._figures.by_as_of += as_of > since
        return max(since, as_of)

    def _hold(self, contact: str, state: str, since: float, until: float, words: str) -> bool:
        """Whether the contact was in that state at some moment from `since` to `until`."""
        held = self._truth.held(contact, since - ROUNDING, until)
        if any(change.state == state for change in held):
            return True
        was = ", ".join(f"{change.state} from {until - change.begun:.3f} s ago" for change in held)
        self._figures.wrong.append(
            f"{self._name}: {contact} {words} {state}; since {until - since:.3f} s ago it was {was}"
        )
        return False
