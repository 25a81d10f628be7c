"""Notifications that should have come: what their absence proves, and what follows.

The server notifies a new subscription at once, and then every change (protocol section 2, Notifications). Where the
first notification does not come, none will. Where a change is found that nobody announced, notifications are being
lost; the one that is merely late has two seconds. Either way there are more fetches, and what is called live follows
from them (`Feed.bound`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from pws_soap import lifecycle
from pws_soap.lifecycle import Key
from service.core.presence.freshness import default_bound
from service.core.presence.records import PutReport
from service.sync.fetch_context import FetchContext
from service.sync.subscriptions import TrackedSubscription

log = logging.getLogger("pws.fetch")

LATE: Final = 2.0
"""Seconds that a notification may lag behind the change it announces."""
SHORTEST: Final = 15.0
"""Without notifications a subscription is fetched so often, in seconds, unless the safety interval is shorter."""
UNANNOUNCED: Final = "a poll told of a change of which no notification has told"


class Silence:
    """Notices which notifications did not come.

    `missed` is called for the first change that came without a notification, once in each series of them.
    """

    def __init__(self, context: FetchContext, missed: Callable[[Key], None] = lambda _key: None) -> None:
        self._settings, self._subscriptions, self._driver = context.settings, context.subscriptions, context.driver
        self._store, self._clock = context.store, context.clock
        self._missed = missed

    def expect_first(self, tracked: TrackedSubscription, now: float) -> None:
        """The subscription is new, and its first notification has not come yet."""
        tracked.first_notification_due = now + self._settings.first_notification

    def broken(self, tracked: TrackedSubscription) -> None:
        """A notification has come."""
        tracked.missed, tracked.missed_since = 0, 0.0
        tracked.first_notification_due, tracked.suspected_at = None, None
        if tracked.silent_since:
            log.info(
                "%(feed)s: its first notification has come",
                {"feed": tracked.feed},
                extra={"event": "notification.came-at-last"},
            )
            tracked.silent_since = 0.0
        self._set_interval(tracked, self._settings.safety_interval)

    def suspect(self, tracked: TrackedSubscription, report: PutReport, *, fetched: bool = False) -> None:
        """A change was found that is not known to have been announced: its notification may just be late.

        `fetched`: by a fetch that has just ended; a poll says nothing while one is under way.
        """
        settled = not tracked.announced and (fetched or not tracked.fetching)
        if not report.changes or not settled:
            return
        if not fetched:
            # A change that is real is still to be fetched; until then nothing says that this reply was of this moment.
            self._store.doubt_contacts([each.record.contact for each in report.changes], UNANNOUNCED)
            if not tracked.fetch_failures:
                tracked.fetch_due = 0.0
        if tracked.suspected_at is None:
            tracked.suspected_at = self._clock.monotonic()
        self._subscriptions.wake()

    def look(self, tracked: TrackedSubscription, now: float) -> list[float]:
        """Notice what did not come in time; when to look again."""
        later = []
        if tracked.first_notification_due is not None:
            if tracked.first_notification_due <= now:
                self._is_silent(tracked, now)
            else:
                later.append(tracked.first_notification_due)
        if tracked.suspected_at is not None:
            due = tracked.suspected_at + LATE
            if due <= now:
                tracked.suspected_at = None
                self._was_missed(tracked, now)
            else:
                later.append(due)
        return later

    def _is_silent(self, tracked: TrackedSubscription, now: float) -> None:
        tracked.first_notification_due, tracked.silent_since = None, now
        self._set_interval(tracked, self._shortest)
        tracked.fetch_due = min(tracked.fetch_due, now + tracked.interval)
        log.warning(
            "%(feed)s: subscription %(subscription)d was not notified when it was made: fetching every %(interval).0f "
            "s",
            {"feed": tracked.feed, "subscription": tracked.subscription.id, "interval": tracked.interval},
            extra={"event": "notification.none-came"},
        )

    def _was_missed(self, tracked: TrackedSubscription, now: float) -> None:
        """A change was found, and no notification announced it, before or shortly after."""
        first = not tracked.missed
        tracked.missed_since = tracked.missed_since or now
        tracked.missed += 1
        self._subscriptions.counters.missed_notifications += 1
        self._set_interval(tracked, max(self._shortest, tracked.interval / 2))
        tracked.fetch_due = min(tracked.fetch_due, now + tracked.interval)
        log.warning(
            "%(feed)s: a change came without a notification: fetching every %(interval).0f s",
            {"feed": tracked.feed, "interval": tracked.interval},
            extra={"event": "notification.missed"},
        )
        if first:  # does the server still know where to?
            self._missed(tracked.key)
            self._driver.post(lifecycle.CallReported(tracked.key, tracked.subscription.generation, unheard=True))

    @property
    def _shortest(self) -> float:
        return min(SHORTEST, self._settings.safety_interval)

    def _set_interval(self, tracked: TrackedSubscription, interval: float) -> None:
        if tracked.interval != interval:
            tracked.interval = interval
            if self._subscriptions.is_newest(tracked):
                shorter = interval < self._settings.safety_interval
                self._store.limit(tracked.feed, default_bound(interval) if shorter else None)
