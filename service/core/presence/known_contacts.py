"""What a store in memory knows, and all that can be asked of it; `memory_store` changes it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence, Set
from types import MappingProxyType

from pws_soap.models import Presence, same_contact
from service.core.clock import Clock
from service.core.presence.freshness import Level
from service.core.presence.intake import repeated_by
from service.core.presence.levels import count_levels
from service.core.presence.record_table import RecordTable
from service.core.presence.records import Feed, Record, StoreSummary


class KnownContacts:
    """The half of a store that answers; its methods are described by `Store`."""

    def __init__(self, clock: Clock, revision: int) -> None:
        self._clock = clock
        self._revision = revision
        self._version = 0
        self._table = RecordTable()
        self._feeds: dict[str, Feed] = {}
        self._read = 0
        self._strangers = self._contested = self._unreadable = 0

    def __repr__(self) -> str:
        return f"<MemoryStore {len(self._table)} contacts, revision {self._revision}>"

    @property
    def revision(self) -> int:
        return self._revision

    @property
    def version(self) -> int:
        return self._version

    def get(self, contact: str) -> Record | None:
        found = self._table.get(contact)  # mostly it is asked for by its key, which is its own form to compare
        return self._table.get(same_contact(contact)) if found is None else found

    def repeated(self, presences: Sequence[Presence]) -> Sequence[Presence] | None:
        return repeated_by(self._table, presences)

    def records(self, after: str = "") -> Sequence[Record]:
        return self._table.ordered(after)

    def ordered_keys(self) -> Sequence[str]:
        return self._table.keys

    def feeds(self) -> Mapping[str, Feed]:
        return MappingProxyType(self._feeds)

    def keys(self, feed: str) -> Collection[str]:
        return self._table.of_feed(feed)

    def unsettled(self, feed: str | None = None) -> list[str]:
        records = map(self._table.get, sorted(self._table.unsettled(feed)))
        return [record.contact for record in records if record is not None]

    def unsettled_keys(self, feed: str) -> Set[str]:
        return self._table.unsettled_of(feed)

    def unknown(self, feed: str) -> Collection[str]:
        return self._table.unknown(feed)

    def known(self, feed: str) -> int:
        return len(self._table.of_feed(feed)) - self._table.unread(feed) - len(self._table.unknown(feed))

    def levels(self, bound: float) -> Mapping[Level, int]:
        now = self._clock.monotonic()
        return sum((count_levels(self._table, feed, now, bound) for feed in self._feeds.values()), Counter())

    def summary(self) -> StoreSummary:
        odd = (self._strangers, self._contested, self._unreadable)
        return StoreSummary(len(self._table), self._read, self._revision, *odd)
