"""What the rule of a group says of its members at this moment: the only thing that picking goes by.

Each time as of this very moment: the last event of the log may be a tick old, and is taken only where the log is
certain that the same would be said now.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple, Protocol

from service.core.claims.model import Person
from service.core.events.log import EventLog
from service.core.presence.availability import AvailabilityVerdict
from service.core.presence.query import Reader
from service.core.presence.store import Store


class MemberOpinion(NamedTuple):
    """A member of a group, and what that group's rule says now. Claims are left aside."""

    person: Person
    verdict: AvailabilityVerdict


class MemberLookup(Protocol):
    """Looks at groups."""

    def members(self, group: str) -> frozenset[str]:
        """The keys of a group's people, watched or not. KeyError: there is no such group."""
        ...

    def is_watched(self, key: str) -> bool:
        """Whether this contact is watched."""
        ...

    def at(self, group: str, key: str) -> MemberOpinion | None:
        """A member; None when it is not watched."""
        ...

    def uncertain(self, group: str) -> Collection[str]:
        """The members of whom something else may be said now than when the log last told of them."""
        ...


class ReaderMembers:
    """Looks through the reader and its log."""

    def __init__(self, store: Store, reader: Reader, log: EventLog) -> None:
        self._store = store
        self._reader = reader
        self._log = log

    def members(self, group: str) -> frozenset[str]:
        return self._reader.groups[group]

    def is_watched(self, key: str) -> bool:
        return self._store.get(key) is not None

    def uncertain(self, group: str) -> Collection[str]:
        return self._log.uncertain(self._reader.groups[group])

    def at(self, group: str, key: str) -> MemberOpinion | None:
        record = self._store.get(key)
        if record is None:
            return None
        for opinion in self._log.as_now(record).opinions:
            if opinion.group == group:
                return MemberOpinion(Person(record.key, record.contact), opinion.verdict)
        return None
