"""Counts contacts by what they are, as the event log tells of each change: nobody is looked at when somebody asks.

They are as of the last event of each contact, as streams have them: at most a tick later than a query would say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from pws_soap.models import PresenceState
from service.core.events.event import Event
from service.core.presence.freshness import Level
from service.core.presence.snapshot import GroupedSnapshot


class _Kind(NamedTuple):
    """All that a contact is counted by; `is_free` with claims counted."""

    level: Level
    state: PresenceState
    is_on_the_phone: bool
    is_free: bool


class ContactCounts:
    """A follower of the log, which must have told nothing yet. `groups`: the names of all."""

    def __init__(self, groups: Iterable[str]) -> None:
        self._all: Counter[_Kind] = Counter()
        self._groups: dict[str, Counter[_Kind]] = {name: Counter() for name in groups}

    def follow(self, events: Sequence[Event]) -> None:
        """Count what changed."""
        for event in events:
            if event.before is not None:
                self._add(event.before, -1)
            if event.after is not None:
                self._add(event.after, 1)

    def by_freshness(self, group: str | None = None) -> Mapping[Level, int]:
        """How many are live, stale and unknown, of all or of a group."""
        found = dict.fromkeys(Level, 0)
        for kind, number in self._of(group).items():
            found[kind.level] += number
        return found

    def by_state(self) -> Mapping[PresenceState, int]:
        """How many are in which state, as it was last known."""
        found = dict.fromkeys(PresenceState, 0)
        for kind, number in self._all.items():
            found[kind.state] += number
        return found

    def free(self, group: str | None = None) -> int:
        """How many are available, of a group by its own rule."""
        return sum(number for kind, number in self._of(group).items() if kind.is_free)

    def on_the_phone(self, group: str | None = None) -> int:
        """How many are on the phone, as far as anybody says."""
        return sum(number for kind, number in self._of(group).items() if kind.is_on_the_phone)

    def _of(self, group: str | None) -> Mapping[_Kind, int]:
        return self._all if group is None else self._groups[group]

    def _add(self, snapshot: GroupedSnapshot, number: int) -> None:
        contact = snapshot.contact
        presence = contact.record.presence
        is_on_the_phone = presence is not None and presence.on_the_phone is True
        kind = _Kind(contact.freshness.level, contact.record.state, is_on_the_phone, contact.verdict.available)
        self._all[kind] += number
        for group, is_free in snapshot.available_by_group():
            if group in self._groups:
                self._groups[group][kind._replace(is_free=is_free)] += number
