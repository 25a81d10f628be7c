"""What another process knows, kept in the store of this one: a replica that answers and does not read from the server.

The store is the same object as that of a process which reads, so that the routes ask it as ever. Whatever comes
here has its moments on our clock already, none of them later than it was.

A mirror may be behind, and must never be ahead: a feed's confirmation makes all contacts live that are in no doubt, so
it counts only once everything that happened before it has come. And where nobody is heard any more, everything is in
doubt.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from service.core.clock import Clock, Moment
from service.core.presence.memory_store import MemoryStore
from service.core.presence.records import Doubt, Feed, Record


class Mirror:
    """Writes into a store. `revision` is always that of the entry which says so."""

    def __init__(self, store: MemoryStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._feeds: dict[str, tuple[int, Feed]] = {}
        """As the other process has them, each with the revision of its last change."""
        self._silence: Doubt | None = None

    def __repr__(self) -> str:
        return f"<Mirror of {len(self._feeds)} feeds{' in silence' if self._silence else ''}>"

    @property
    def is_silent(self) -> bool:
        """Whether everything is in doubt, since nobody is heard."""
        return self._silence is not None

    def records(self, records: Sequence[Record], revision: int) -> None:
        """These are so now."""
        self._store.keep_as_it_is(records, revision)

    def removed(self, keys: Iterable[str], revision: int) -> None:
        """These are watched no longer."""
        self._store.forget_as_it_was(keys, revision)

    def feed(self, feed: Feed, revision: int) -> None:
        """The feed is another from here on."""
        self._feeds[feed.name] = (revision, feed)
        self._show(revision)

    def confirmed(self, feeds: Iterable[Feed], revision: int) -> None:
        """How the feeds were when the newest entry was `revision`, which has come: up to when they are confirmed.

        Of one that has changed since, it is not known whether this still holds.
        """
        for feed in feeds:
            changed, known = self._feeds.get(feed.name, (0, None))
            if known is None or changed > revision or feed.confirmed is None or known.doubt is not None:
                continue
            # Both are not later than the truth, so that the later one is the better.
            if known.confirmed is None or known.confirmed < feed.confirmed:
                self._feeds[feed.name] = (changed, replace(known, confirmed=feed.confirmed))
        self._show()

    def silent(self, reason: str) -> None:
        """Nobody is heard: nothing may be called live until `heard`."""
        self._silence = Doubt(reason, Moment.of(self._clock), 0)
        self._show()

    def heard(self) -> None:
        """The other process is heard again: what it said last counts."""
        if self._silence is not None:
            self._silence = None
            self._show()

    def begin_anew(self, feeds: Iterable[tuple[int, Feed]]) -> None:
        """Forget the feeds that there were; these are all, each with the revision of its last change."""
        self._feeds = {feed.name: (revision, feed) for revision, feed in feeds}
        self._show()

    def end(self) -> None:
        """This process reads itself from now on."""
        self._feeds, self._silence = {}, None

    def _show(self, revision: int = 0) -> None:
        silence = self._silence
        feeds = (
            feed if silence is None else Feed(feed.name, feed.confirmed, feed.doubt or silence, feed.bound)
            for _, feed in self._feeds.values()
        )
        self._store.keep_feeds(feeds, revision)
