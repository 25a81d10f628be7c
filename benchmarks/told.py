"""What a state that was told over SOAP must have been, and whether it was.

PWS has no word for "as of", so a program knows only when it asked and when the reply came. What can be proved to it
follows from the service's own promise: a state is told only while it is live, which means that it was so at some moment
since its `as_of`, and `as_of` is at most the bound of freshness old when the reply is made. So:

| the program has | so the contact was in that state at some moment between the reply and |
|---|---|
| a state in a reply, and saw the service call the contact live before it asked | that `as_of` |
| a state in a reply | its request, less the bound |
| an earlier state, and a fetch that says nothing of the contact | its request, less the bound and `unsure_after` |

The last row is what silence is worth. A fetch says nothing of a contact that is live and has not changed, nor of one
that is not live; but what has not been live for `unsure_after` seconds is told as UNKNOWN. UNKNOWN claims nothing.

The presence server itself promises the same with a bound of 0 and nothing unsure.
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
    def of_silence(self) -> float:
        """How old a state may be of which a fetch says nothing."""
        return self.bound + self.unsure_after + (SLACK if self.unsure_after else 0.0)


@dataclass(frozen=True)
class Reply:
    """States by contact, when they were asked for and had come; `as_of` of those that were seen live before that."""

    states: Sequence[tuple[str, str]]
    asked: float
    arrived: float
    as_of: Mapping[str, float] = field(default_factory=dict)


@dataclass
class ToldFigures:
    """What programs were told: states that were checked, pictures after a fetch, and what is wrong with them."""

    states: int = 0
    by_as_of: int = 0
    """Those of them that were checked against the service's own `as_of`."""
    unknown: int = 0
    pictures: int = 0
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
        for contact, state in picture.items():
            if state == UNKNOWN:
                continue
            self._figures.pictures += 1
            since = reply.asked - self._promise.of_silence
            held = self._truth.held(contact, since - ROUNDING, reply.arrived)
            if all(change.state != state for change in held):
                was = ", ".join(f"{change.state} from {reply.arrived - change.begun:.3f} s ago" for change in held)
                self._figures.wrong.append(
                    f"{self._name}: {contact} is still {state} for the program after a fetch; "
                    f"since {reply.arrived - since:.3f} s ago it was {was}"
                )

    def _told(self, contact: str, state: str, reply: Reply) -> None:
        if state == UNKNOWN:
            self._figures.unknown += 1
            return
        self._figures.states += 1
        since = reply.asked - self._promise.bound
        if (as_of := reply.as_of.get(contact)) is not None and as_of > since:
            since = as_of
            self._figures.by_as_of += 1
        held = self._truth.held(contact, since - ROUNDING, reply.arrived)
        if all(change.state != state for change in held):
            was = ", ".join(f"{change.state} from {reply.arrived - change.begun:.3f} s ago" for change in held)
            self._figures.wrong.append(
                f"{self._name}: {contact} was told as {state}; since {reply.arrived - since:.3f} s ago it was {was}"
            )
        else:
            self._figures.oldest = max(self._figures.oldest, self._truth.over_since(contact, state, reply.asked))
