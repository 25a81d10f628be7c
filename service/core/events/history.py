"""The last transitions of each contact: what it was before, to see how a day went.

Off unless the configuration turns it on: a list of when somebody was on the phone is about a person, and who keeps none
has none to give away. It is in memory alone, bounded for each contact by number and by age, and forgotten with the
watch. A transition is a change of state, activities, phone, freshness or availability; a note or a device is none.

Memory: at most `per_contact` transitions of each contact, some 400 bytes each.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from pws_soap.models import PresenceState
from service.core.clock import Clock, Moment
from service.core.events.event import CHANGE, REMOVED, Event
from service.core.events.log import EventLog
from service.core.presence.freshness import Level
from service.core.presence.snapshot import GroupedSnapshot

DEFAULT_AGE: Final = 86400.0


class HistoryOff(Exception):
    """No history is kept."""


class Transition(NamedTuple):
    """What a contact became, and when that was learned. `revision` is that of the event."""

    at: Moment
    state: PresenceState
    activities: tuple[str, ...]
    on_the_phone: bool | None
    freshness: Level
    available: bool
    revision: int

    def says_the_same(self, other: Transition) -> bool:
        """Whether only the time and the revision differ."""
        return self._replace(at=other.at, revision=other.revision) == other


class Past(NamedTuple):
    """Transitions, the newest first. Not `complete`: there were older ones."""

    transitions: tuple[Transition, ...]
    complete: bool


class _Kept(NamedTuple):
    """A transition for clients of any limits: whether the contact is available depends on the groups that one sees."""

    transition: Transition
    available: tuple[tuple[str | None, bool], ...]
    """By group, claims counted."""

    def visible_to(self, within: frozenset[str] | None) -> Transition:
        if within is None:
            return self.transition
        available = [is_available for group, is_available in self.available if group in within]
        return self.transition._replace(available=bool(available) and all(available))

    def says_the_same(self, other: _Kept) -> bool:
        return self.transition.says_the_same(other.transition) and self.available == other.available


@dataclass(slots=True)
class _Contact:
    kept: deque[_Kept] = field(default_factory=deque)
    dropped: bool = False

    def trim(self, most: int, oldest: float) -> None:
        while self.kept and (len(self.kept) > most or self.kept[0].transition.at.monotonic < oldest):
            self.kept.popleft()
            self.dropped = True


class History:
    """Follows a log. `per_contact`: how many transitions are kept of each, 0 for none; `max_age` in seconds."""

    def __init__(self, clock: Clock, per_contact: int = 0, max_age: float = DEFAULT_AGE) -> None:
        self._clock = clock
        self._most = per_contact
        self._max_age = max_age
        self._contacts: dict[str, _Contact] = {}

    def __repr__(self) -> str:
        return f"<History of {len(self._contacts)} contacts>"

    @property
    def kept(self) -> int:
        """Transitions of all contacts together."""
        return sum(len(each.kept) for each in self._contacts.values())

    @property
    def is_on(self) -> bool:
        """Whether anything is kept."""
        return self._most > 0

    def follow(self, log: EventLog) -> Callable[[], None]:
        """Keep what the log tells from now on; call what is returned to stop."""
        return log.follow(self._take) if self.is_on else lambda: None

    def of(self, key: str, limit: int, within: frozenset[str] | None = None) -> Past:
        """The past of a contact, as a client sees it that may see the groups `within`. Raises HistoryOff."""
        if not self.is_on:
            raise HistoryOff
        contact = self._contacts.get(key)
        if contact is None:
            return Past((), complete=True)
        contact.trim(self._most, self._clock.monotonic() - self._max_age)
        rows: list[Transition] = []
        for kept in contact.kept:
            row = kept.visible_to(within)
            if not rows or not rows[-1].says_the_same(row):  # a transition by another group's rule is none here
                rows.append(row)
        rows.reverse()
        return Past(tuple(rows[:limit]), complete=not contact.dropped and len(rows) <= limit)

    def _take(self, events: Sequence[Event]) -> None:
        for event in events:
            if event.key is None:
                continue
            if event.name == REMOVED:
                self._contacts.pop(event.key, None)
            elif event.name == CHANGE and event.after is not None and event.before is not None:
                kept = _kept(event, event.after)
                if kept.says_the_same(_kept(event, event.before)):
                    continue
                contact = self._contacts.setdefault(event.key, _Contact())
                contact.kept.append(kept)
                contact.trim(self._most, self._clock.monotonic() - self._max_age)


def _kept(event: Event, snapshot: GroupedSnapshot) -> _Kept:
    contact = snapshot.contact
    record, freshness, verdict = contact.record, contact.freshness, contact.verdict
    presence = record.presence
    transition = Transition(
        event.at,
        record.state,
        presence.activities if presence is not None else (),
        presence.on_the_phone if presence is not None else None,
        freshness.level,
        verdict.available,
        event.id,
    )
    return _Kept(transition, tuple(snapshot.available_by_group()))
