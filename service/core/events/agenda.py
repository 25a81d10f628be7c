"""Whom the log has to look at: those of whom it is not certain that the same would be said now.

A contact comes up when its record was replaced, when its own next moment has come, or when its feed's phase has
changed. All others are left alone, so that a look costs what has happened and not how many are watched. Time is an
argument.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from math import inf
from typing import Final

from msgspec import Struct

from service.core.events.moments import Moments
from service.core.events.validity import FeedOutlook, FeedPhase, feed_outlook, is_aged
from service.core.presence.boundaries import SLACK
from service.core.presence.records import Feed
from service.core.presence.snapshot import GroupedSnapshot

_SPARE: Final = 64
"""Entries of past moments that are left in the heap in any case."""


class _SeenFeed(Struct):
    """A feed as it was when it was last looked at. `aged`: those of its contacts that a confirmation makes live.

    `contacts` counts those that were seen to be its own.
    """

    feed: Feed
    outlook: FeedOutlook
    aged: set[str]
    contacts: int = 0


class Agenda:
    """The contacts as they were last seen, and who of them is to be looked at.

    `bound` as for the reader. `keys_of` tells the keys of a feed's contacts as they are now: those that have joined or
    left it since it was looked at come up by themselves.
    """

    def __init__(self, bound: float, keys_of: Callable[[str], Iterable[str]]) -> None:
        self._bound = bound
        self._keys_of = keys_of
        self._contacts: dict[str, GroupedSnapshot] = {}
        self._feeds: dict[str, _SeenFeed] = {}
        self._own_moments: dict[str, float] = {}
        """Of the contacts that have one coming: when. Most have none of their own."""
        self._moments = Moments()
        self._suspects: dict[str, None] = {}

    def __repr__(self) -> str:
        return f"<Agenda {len(self._suspects)} of {len(self._contacts)} to look at, {self._moments!r}>"

    # --- reading

    def snapshot(self, key: str) -> GroupedSnapshot | None:
        """The contact as it was last seen; None when it is not watched."""
        return self._contacts.get(key)

    def snapshots(self, keys: Iterable[str]) -> Iterator[GroupedSnapshot]:
        """Those of some contacts, all of which have been seen."""
        return map(self._contacts.__getitem__, keys)

    def seen_keys(self) -> Collection[str]:
        """Those of all contacts that have been seen: a view."""
        return self._contacts.keys()

    def due(self, now: float, feeds: Mapping[str, Feed], among: Collection[str] | None = None) -> list[str]:
        """Whom to look at now, in the order of their keys. Each stays due until it is `seen`, `cleared` or `forgotten`.

        `among`: of these keys only.
        """
        self.refresh(now, feeds)
        if not self._suspects:
            self._suspects = {}  # one that held thousands is as long as it was, also to go through
            return []
        return sorted(self.suspected(among))

    def suspected(self, among: Collection[str] | None) -> list[str]:
        """Those who were due at the time of the last `refresh`, or came up since, in no order. `among` as for `due`."""
        suspects = self._suspects
        if among is None:
            return list(suspects)
        if len(among) < len(suspects):
            return [key for key in among if key in suspects]
        return [key for key in suspects if key in among]

    def certain(self, key: str) -> GroupedSnapshot | None:
        """The contact as it was last seen, where it would be the same at the time of the last `refresh`; else None."""
        return None if key in self._suspects else self.snapshot(key)

    @property
    def next_moment(self) -> float:
        """Until when time alone adds nobody to those who are due, since the last `refresh`."""
        untils = (seen.outlook.until for seen in self._feeds.values())
        return min(self._moments.next_moment, min(untils, default=inf))

    # --- writing

    def refresh(self, now: float, feeds: Mapping[str, Feed]) -> None:
        """Add those who are due by now."""
        for seen in self._feeds.values():
            self._follow(seen, feeds[seen.feed.name], now)
        for moment, keys in self._moments.come(now + SLACK):
            for key in keys:
                if self._own_moments.get(key) == moment:
                    del self._own_moments[key]
                    self._suspects[key] = None
            if not self._own_moments:
                self._own_moments = {}  # one that held thousands keeps the room of all

    def suspect(self, keys: Iterable[str]) -> None:
        """Something happened to these that was not told as an event."""
        self._suspects.update(dict.fromkeys(keys))

    def suspect_aged(self) -> None:
        """Some contacts were read again, and are as they were: those that only their age made stale may be live."""
        for seen in self._feeds.values():
            self._suspects.update(dict.fromkeys(seen.aged))

    def cleared(self, key: str) -> None:
        """It was looked at, and is as it was."""
        self._suspects.pop(key, None)

    def seen(self, key: str, snapshot: GroupedSnapshot, feed: Feed, moment: float, now: float) -> None:
        """It was looked at, with its feed as it is: this is what is said of it, until `moment` by time alone."""
        before = self._contacts.get(key)
        left = None if before is None else before.contact.record.feed
        if left is not None and left != feed.name:
            self._leave(key, left)
        self._contacts[key] = snapshot
        self._enter(key, snapshot, feed, now, is_new=left != feed.name)
        self._suspects.pop(key, None)
        if moment < self._own_moments.get(key, inf):
            self._own_moments[key] = moment
            self._moments.enter(key, moment)
            if len(self._moments) > _SPARE + 2 * len(self._contacts):
                self._moments.rebuild(self._own_moments.items())

    def forget(self, key: str) -> None:
        """It is watched no longer."""
        snapshot = self._contacts.pop(key, None)
        self._suspects.pop(key, None)
        self._own_moments.pop(key, None)
        if snapshot is not None:
            self._leave(key, snapshot.contact.record.feed)

    # --- inside

    def _enter(self, key: str, snapshot: GroupedSnapshot, feed: Feed, now: float, *, is_new: bool) -> None:
        seen = self._feeds.get(feed.name)
        if seen is None:
            outlook = feed_outlook(feed, self._bound, now)
            seen = self._feeds[feed.name] = _SeenFeed(feed, outlook, set())
        elif seen.feed is not feed:
            self._follow(seen, feed, now)
        seen.contacts += is_new
        if is_aged(snapshot, feed):
            seen.aged.add(key)
        else:
            seen.aged.discard(key)

    def _leave(self, key: str, feed: str) -> None:
        seen = self._feeds[feed]
        seen.contacts -= 1
        seen.aged.discard(key)
        if not seen.contacts:
            del self._feeds[feed]

    def _follow(self, seen: _SeenFeed, feed: Feed, now: float) -> None:
        """Suspect all of whom the feed may say something else by now."""
        was, before = seen.feed, seen.outlook
        if feed is was and now + SLACK < before.until:
            return
        seen.feed, seen.outlook = feed, feed_outlook(feed, self._bound, now)
        phase = seen.outlook.phase
        boundary = before.until <= now + SLACK or now - SLACK < seen.outlook.until <= now + SLACK
        if phase is before.phase and feed.bound == was.bound and not boundary:
            return
        confirmed = phase is FeedPhase.LIVE and before.phase in (FeedPhase.UNCONFIRMED, FeedPhase.LAPSED)
        if confirmed and feed.bound == was.bound and not boundary:
            self._suspects.update(dict.fromkeys(seen.aged))
        else:
            self._suspects.update(dict.fromkeys(self._keys_of(feed.name)))
