"""Whether a group has as many free people as it should: one event when it has not, and one when it has again.

Free are those whom the group's rule calls free and nobody holds, as the event log has them. Before the service has
read a group's presence it has nothing to say: a group counts from the moment at which each of its watched people has
been live once. One who is never read (the server refuses some) must not keep it silent for ever, so that a minute after
the first of them it counts anyway.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from service.core.events.event import EventData
from service.core.presence.freshness import Level
from service.core.presence.snapshot import GroupedSnapshot

PATIENCE: Final = 60.0
"""Seconds after the first live presence of a group in which the others should come."""


@dataclass(frozen=True, slots=True)
class CoverageChange(EventData):
    """A group has too few free people (`is_low`), or enough again."""

    group: str
    is_low: bool
    free: int
    min_free: int


@dataclass(slots=True)
class _Group:
    members: frozenset[str]
    min_free: int
    watched: set[str] = field(default_factory=set)
    free: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)
    first: float | None = None
    counts: bool = False
    is_low: bool = False


class Coverage:
    """Follows the log for the groups that have a floor."""

    def __init__(self, members: Mapping[str, frozenset[str]], floors: Mapping[str, int]) -> None:
        self._groups = {
            name: _Group(members[name], floor) for name, floor in floors.items() if floor > 0 and name in members
        }
        self._touched: set[str] = set()

    @property
    def next_due(self) -> float | None:
        """The moment at which a group counts although not all of its people were seen."""
        begun = (group.first for group in self._groups.values() if not group.counts)
        return min((first + PATIENCE for first in begun if first is not None), default=None)

    def observe(self, key: str, snapshot: GroupedSnapshot, at: float) -> None:
        """A contact, as the log has it now."""
        available = dict(snapshot.available_by_group())
        for name in available.keys() & self._groups.keys():
            assert name is not None  # noqa: S101  no group of ours has no name
            group = self._groups[name]
            group.watched.add(key)
            if available[name]:
                group.free.add(key)
            else:
                group.free.discard(key)
            if not group.counts and snapshot.contact.freshness.level is Level.LIVE:
                group.seen.add(key)
                group.first = at if group.first is None else group.first
            self._touched.add(name)

    def mirror(self, change: CoverageChange) -> None:
        """Another process has told this."""
        group = self._groups.get(change.group)
        if group is not None:
            group.is_low, group.counts = change.is_low, True
            group.seen.clear()

    def removed(self, key: str) -> None:
        """A contact is no longer watched."""
        for name, group in self._groups.items():
            if key in group.members:
                for keys in (group.watched, group.free, group.seen):
                    keys.discard(key)
                self._touched.add(name)

    def changes(self, now: float) -> list[CoverageChange]:
        """What has changed since the last call."""
        touched, self._touched = self._touched, set()
        due = {
            name
            for name, group in self._groups.items()
            if not group.counts and group.first is not None and now >= group.first + PATIENCE
        }
        return list(self._judged(sorted(touched | due), due))

    def _judged(self, names: Iterable[str], due: set[str]) -> Iterable[CoverageChange]:
        for name in names:
            group = self._groups[name]
            if not group.counts:
                group.counts = name in due or (bool(group.seen) and group.watched <= group.seen)
                if not group.counts:
                    continue
                group.seen.clear()
            is_low = len(group.free) < group.min_free
            if is_low is not group.is_low:
                group.is_low = is_low
                yield CoverageChange(name, is_low, len(group.free), group.min_free)
