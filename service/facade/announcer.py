"""Tells the programs that something has changed: from the event log to their notifications.

It follows the log, and does its work in a task of its own, a few contacts in a turn of the event loop. Three things are
news: a contact's presence, or its document, has changed; a contact that could not be told can be told again; and one
has not been live for so long that it is told as UNKNOWN from now on.

The log looks every second for what changes with time alone, and may miss a doubt that lasted for less. So each contact
that was once not told is looked at here as well, until it can be told.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from enum import IntEnum
from typing import Final

from pws_soap.server import PresenceWebService, Watcher
from pws_soap.server.node.registry import Subscription
from service.core.clock import Clock
from service.core.events.event import CHANGE, REMOVED, Event
from service.core.events.log import EventLog
from service.core.presence.freshness import Level
from service.core.presence.store import Store
from service.core.wakeup import sleep_until_woken
from service.facade.world import FacadeWorld

TICK: Final = 1.0
"""Seconds between two looks at those who were not told."""
STEP: Final = 50
"""Contacts in one turn of the event loop: each may be in the subscriptions of hundreds of programs."""

log = logging.getLogger("pws.facade")


class _News(IntEnum):
    """What is to be said of a contact; the greater word counts."""

    LOST = 1
    """It is not live any more: nothing is said before `unsure_after` seconds have passed."""
    REGAINED = 2
    """It is live again, as it was."""
    CHANGED = 3


class Announcer:
    """Begins with `run`, and ends when that is cancelled."""

    def __init__(
        self,
        world: FacadeWorld,
        service: PresenceWebService,
        store: Store,
        events: EventLog,
        clock: Clock,
    ) -> None:
        self._world = world
        self._service = service
        self._store = store
        self._clock = clock
        self._news: dict[str, _News] = {}
        self._woken = asyncio.Event()
        self._stop_following: Callable[[], None] = events.follow(self._follow)
        self._stop_listening: Callable[[], None] = store.changes.listen_for_replaced(self._replaced)

    def close(self) -> None:
        """Follow the log no longer."""
        self._stop_following()
        self._stop_listening()

    async def run(self) -> None:
        """For ever. A bug in it must not end it: the programs would hear of nothing any more."""
        while True:
            await sleep_until_woken(self._woken, self._clock, TICK)
            self._woken.clear()
            try:
                await self.tell()
                await self._look_again()
            except Exception:
                log.exception("unexpected error, going on", extra={"event": "internal.error"})
                await self._clock.sleep(TICK)

    # --- from the log

    def _follow(self, events: Sequence[Event]) -> None:
        """Remember of whom there is news (a follower of the log: quick, and it never raises)."""
        for event in events:
            if event.key is None or event.name not in (CHANGE, REMOVED):
                continue
            news = _news_in(event)
            if news is not None and news > self._news.get(event.key, 0):
                self._news[event.key] = news
        if self._news:
            self._woken.set()

    def _replaced(self, keys: Collection[str]) -> None:
        """Their records were replaced without a change of the presence (a listener of the store: as above)."""
        changed = self._world.replaced(keys)
        if changed:
            self._news.update(dict.fromkeys(changed, _News.CHANGED))
            self._woken.set()

    def catch_up(self, subscription: Subscription, watcher: Watcher) -> None:
        """Have all pending of which a subscription was not told yet: a fetch that does not name it would deny it."""
        contacts, news = subscription.contacts, self._news
        for key in news if len(news) <= len(contacts) else contacts:
            if key in contacts and news.get(key) is _News.CHANGED and self._world.may_see(key, watcher):
                subscription.pending[key] = None

    async def tell(self) -> None:
        """Let the programs know of all that the log has told."""
        while self._news:
            keys = list(self._news)[:STEP]
            self._tell_some({key: self._news.pop(key) for key in keys})
            await asyncio.sleep(0)

    def _tell_some(self, news: dict[str, _News]) -> None:
        changed: list[str] = []
        settled: list[str] = []
        unsure = self._world.unsure
        for key, what in news.items():
            record = self._store.get(key)
            if record is None:
                self._world.forget([key])
                changed.append(key)
            elif what is _News.LOST:
                if self._service.node.registry.is_watched(key):
                    unsure.wait_for(record)
            elif what is _News.CHANGED or unsure.was_unknown(key):
                changed.append(key)
            else:
                settled.append(key)
            if record is not None and self._world.is_live(record):
                unsure.is_sure(key)
        self._service.keys_changed(changed, self._world.may_see)
        self._service.keys_settled(settled)

    # --- those who were not told

    async def _look_again(self) -> None:
        """Who can be told by now, or is to be given up."""
        unsure = self._world.unsure
        for name in unsure.feeds():
            feed, now = self._store.feeds().get(name), self._clock.monotonic()
            keys = unsure.waiting(name)
            if feed is None or feed.doubt is None:
                keys += unsure.given_up(name)
            elif now < feed.doubt.since.monotonic + self._world.unsure_after and not self._store.unsettled_keys(name):
                continue  # nobody of them can be live, and nobody is to be given up
            for start in range(0, len(keys), STEP):
                self._look_at(name, keys[start : start + STEP])
                await asyncio.sleep(0)

    def _look_at(self, feed: str, keys: Sequence[str]) -> None:
        changed: list[str] = []
        settled: list[str] = []
        unsure = self._world.unsure
        for key in keys:
            record = self._store.get(key)
            is_watched = self._service.node.registry.is_watched(key)
            if record is None or record.feed != feed or not is_watched:
                unsure.leave(feed, key)
                if record is not None and is_watched:
                    unsure.wait_for(record)
            elif self._world.is_live(record):
                unsure.leave(feed, key)
                (changed if unsure.was_unknown(key) else settled).append(key)
                unsure.is_sure(key)
            elif self._world.is_given_up(record) and not unsure.is_given_up(feed, key):
                unsure.give_up(record)
                changed.append(key)
        self._service.keys_changed(changed, self._world.may_see)
        self._service.keys_settled(settled)


def _news_in(event: Event) -> _News | None:
    before, after = event.before, event.after
    if before is None or after is None or before.contact.record.revision != after.contact.record.revision:
        return _News.CHANGED
    was_live = before.contact.freshness.level is Level.LIVE
    is_live = after.contact.freshness.level is Level.LIVE
    if was_live is is_live:
        return None  # a claim, or what a rule makes of it
    return _News.REGAINED if is_live else _News.LOST
