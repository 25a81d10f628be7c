"""Whom the log has to look at: those of whom it is not certain that the same would be said now.

A contact comes up when its record was replaced, when its own next moment has come, or when its feed's phase has
changed. All others are left alone, so that a look costs what has happened and not how many are watched. Time is an
argument.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from math import inf
from operator import attrgetter
from typing import Final

from msgspec import Struct

from service.core.events.moments import Moments
from service.core.events.validity import FeedOutlook, FeedPhase, feed_outlook, is_aged
from service.core.presence.boundaries import SLACK
from service.core.presence.records import Feed
from service.core.presence.snapshot import GroupedSnapshot

_SNAPSHOT: Final = attrgetter("snapshot")
_SPARE: Final = 64
"""Entries of past moments that are left in the heap in any case."""


class SeenContact(Struct, gc=False):
    """A contact as of its last event, and the moment at which it comes up; infinity: at none."""

    snapshot: GroupedSnapshot
    moment: float = inf


class _SeenFeed(Struct):
    """A feed as it was when it was last looked at, and its contacts. `aged`: those that a confirmation makes live."""

    feed: Feed
    outlook: FeedOutlook
    keys: dict[str, None]
    aged: set[str]


class Agenda:
    """The contacts as they were last seen, and who of them is to be looked at. `bound` as for the reader."""

    def __init__(self, bound: float) -> None:
        self._bound = bound
        self._contacts: dict[str, SeenContact] = {}
        self._feeds: dict[str, _SeenFeed] = {}
        self._moments = Moments()
        self._suspects: dict[str, None] = {}

    def __repr__(self) -> str:
        return f"<Agenda {len(self._suspects)} of {len(self._contacts)} to look at, {self._moments!r}>"

    # --- reading

    def snapshot(self, key: str) -> GroupedSnapshot | None:
        """The contact as it was last seen; None when it is not watched."""
        found = self._contacts.get(key)
        return None if found is None else found.snapshot

    def snapshots(self, keys: Iterable[str]) -> Iterator[GroupedSnapshot]:
        """Those of some contacts, all of which have been seen."""
        return map(_SNAPSHOT, map(self._contacts.__getitem__, keys))

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
                contact = self._contacts.get(key)
                if contact is not None and contact.moment == moment:
                    contact.moment = inf
                    self._suspects[key] = None

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
        contact = self._contacts.get(key)
        if contact is None:
            contact = self._contacts[key] = SeenContact(snapshot)
        else:
            left = contact.snapshot.contact.record.feed
            if left != feed.name:
                self._leave(key, left)
            contact.snapshot = snapshot
        self._enter(key, snapshot, feed, now)
        self._suspects.pop(key, None)
        if moment < contact.moment:
            contact.moment = moment
            self._moments.enter(key, moment)
            if len(self._moments) > _SPARE + 2 * len(self._contacts):
                self._moments.rebuild((key, contact.moment) for key, contact in self._contacts.items())

    def forget(self, key: str) -> None:
        """It is watched no longer."""
        contact = self._contacts.pop(key, None)
        self._suspects.pop(key, None)
        if contact is not None:
            self._leave(key, contact.snapshot.contact.record.feed)

    # --- inside

    def _enter(self, key: str, snapshot: GroupedSnapshot, feed: Feed, now: float) -> None:
        seen = self._feeds.get(feed.name)
        if seen is None:
            outlook = feed_outlook(feed, self._bound, now)
            seen = self._feeds[feed.name] = _SeenFeed(feed, outlook, {}, set())
        elif seen.feed is not feed:
            self._follow(seen, feed, now)
        seen.keys[key] = None
        if is_aged(snapshot, feed):
            seen.aged.add(key)
        else:
            seen.aged.discard(key)

    def _leave(self, key: str, feed: str) -> None:
        seen = self._feeds[feed]
        del seen.keys[key]
        seen.aged.discard(key)
        if not seen.keys:
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
            self._suspects.update(seen.keys)
