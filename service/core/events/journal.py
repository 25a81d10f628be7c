"""What a mirror needs to know beside the events: records that were replaced without one, and feeds.

A contact that is put in doubt while its feed is in doubt is stale before and after, so that no event tells of it. Once
the feed is trusted again, a mirror without that doubt would call it live. So whatever replaced a record goes to the
mirrors before a feed that has changed since: entries of the log that no client sees.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from service.core.events.commits import Commits, FeedChange, RecordChange
from service.core.events.event import Event
from service.core.events.log import EventLog
from service.core.presence.records import Feed
from service.core.presence.store import Store


class FeedsAt(NamedTuple):
    """How the feeds were at a moment, and the id of the newest entry then. What they confirm counts once a mirror has
    that entry."""

    id: int
    feeds: Sequence[Feed]


class Journal:
    """Follows a store whose log leads. Make it right behind the log, before anything else listens to the store."""

    def __init__(self, store: Store, log: EventLog, commits: Commits) -> None:
        self._store = store
        self._log = log
        self._commits = commits
        self._replaced: dict[str, None] = {}
        self._feeds: dict[str, Feed] = {}
        """As mirrors know them."""
        store.changes.listen_for_replaced(self._note)
        store.changes.listen_for_doubts(self._doubted)
        log.follow(self._told_by, immediate=True)

    def __repr__(self) -> str:
        return f"<Journal: {len(self._replaced)} records to offer>"

    def begin(self, feeds: Mapping[str, Feed], replaced: Iterable[str] = ()) -> None:
        """The log leads from now on; mirrors know these feeds, and perhaps not the records of `replaced`."""
        self._replaced = dict.fromkeys(replaced)
        self._feeds = dict(feeds)

    def flush(self) -> None:
        """Offer all that no event has told of."""
        if self._log.follows:
            return
        replaced, self._replaced = self._replaced, {}
        records = (self._store.get(key) for key in replaced)
        entries: list[FeedChange | RecordChange] = [
            RecordChange(self._log.stamp(), record) for record in records if record is not None
        ]
        for feed in self._changed_feeds():
            self._feeds[feed.name] = feed
            entries.append(FeedChange(self._log.stamp(), feed))
        if entries:
            self._commits.offer(entries)

    def cover(self, key: str) -> None:
        """Offer an entry above all ids that were taken so far, which says of this contact what it is anyway."""
        self._note([key])
        self.flush()

    def state(self) -> FeedsAt:
        """The feeds now, for a beat, after `flush`."""
        self.flush()
        return FeedsAt(self._log.newest_entry, tuple(self._store.feeds().values()))

    # --- inside

    def _changed_feeds(self) -> list[Feed]:
        return [feed for feed in self._store.feeds().values() if not _is_known(feed, self._feeds.get(feed.name))]

    def _note(self, keys: Collection[str]) -> None:
        if not self._log.follows:
            self._replaced.update(dict.fromkeys(keys))

    def _doubted(self) -> None:
        if not self._log.follows and self._changed_feeds():
            self.flush()

    def _told_by(self, events: Sequence[Event]) -> None:
        """A follower that gets an event gets its record."""
        if not self._replaced:
            return
        for event in events:
            key = event.key
            if key in self._replaced and (
                event.after is None or event.after.contact.record is self._store.get(key or "")
            ):
                del self._replaced[key or ""]


def _is_known(feed: Feed, known: Feed | None) -> bool:
    """Whether a mirror needs nothing but a confirmation, which comes with a beat."""
    return known is not None and feed.doubt == known.doubt and feed.bound == known.bound
