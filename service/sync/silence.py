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
from service.core.clock import Clock
from service.core.presence.freshness import default_bound
from service.core.presence.records import PutReport
from service.core.presence.store import Store
from service.sync.driver import LifecycleDriver
from service.sync.subscriptions import FetcherCounters, FetchSettings, TrackedSubscription

log = logging.getLogger("pws.fetch")

LATE: Final = 2.0
"""Seconds that a notification may lag behind the change it announces."""
SHORTEST: Final = 15.0
"""Without notifications a subscription is fetched so often, in seconds, unless the safety interval is shorter."""
UNANNOUNCED: Final = "a poll told of a change of which no notification has told"


class Silence:
    """Notices what did not come, for the subscriptions of the pump.

    `missed` is told of the first change that nobody announced, in each series of them; `leads` says whether a
    subscription is the newest of its feed.
    """

    def __init__(
        self,
        settings: FetchSettings,
        keeper: LifecycleDriver,
        store: Store,
        clock: Clock,
        counters: FetcherCounters,
        wake: Callable[[], None],
        missed: Callable[[Key], None],
        leads: Callable[[TrackedSubscription], bool],
    ) -> None:
        self._settings = settings
        self._keeper = keeper
        self._store = store
        self._clock = clock
        self._counters = counters
        self._wake = wake
        self._missed = missed
        self._leads = leads

    def expect_first(self, line: TrackedSubscription, now: float) -> None:
        """The subscription is new, and its first notification has not come yet."""
        line.first_due = now + self._settings.first_notification

    def broken(self, line: TrackedSubscription) -> None:
        """A notification has come."""
        line.missed, line.missed_since = 0, 0.0
        line.first_due, line.suspected_at = None, None
        if line.silent_since:
            log.info("%s: its first notification has come", line.feed)
            line.silent_since = 0.0
        self._set_interval(line, self._settings.safety_interval)

    def suspect(self, line: TrackedSubscription, report: PutReport, *, fetched: bool = False) -> None:
        """A change was found that is not known to have been announced: its notification may just be late.

        `fetched`: by a fetch that has just ended; a poll says nothing while one is under way.
        """
        settled = not line.announced and (fetched or not line.fetching)
        if not report.changes or not settled:
            return
        if not fetched:
            # A change that is real is still to be fetched; until then nothing says that this reply was of this moment.
            self._store.doubt_contacts([each.record.contact for each in report.changes], UNANNOUNCED)
            if not line.fetch_failures:
                line.fetch_due = 0.0
        if line.suspected_at is None:
            line.suspected_at = self._clock.monotonic()
        self._wake()

    def look(self, line: TrackedSubscription, now: float) -> list[float]:
        """Notice what did not come in time; when to look again."""
        later = []
        if line.first_due is not None:
            if line.first_due <= now:
                self._is_silent(line, now)
            else:
                later.append(line.first_due)
        if line.suspected_at is not None:
            due = line.suspected_at + LATE
            if due <= now:
                line.suspected_at = None
                self._was_missed(line, now)
            else:
                later.append(due)
        return later

    def _is_silent(self, line: TrackedSubscription, now: float) -> None:
        line.first_due, line.silent_since = None, now
        self._set_interval(line, self._shortest)
        line.fetch_due = min(line.fetch_due, now + line.interval)
        message = "%s: subscription %d was not notified when it was made: fetching every %.0f s"
        log.warning(message, line.feed, line.live.id, line.interval)

    def _was_missed(self, line: TrackedSubscription, now: float) -> None:
        """A change was found, and no notification told of it, before or shortly after."""
        first = not line.missed
        line.missed_since = line.missed_since or now
        line.missed += 1
        self._counters.missed_notifications += 1
        self._set_interval(line, max(self._shortest, line.interval / 2))
        line.fetch_due = min(line.fetch_due, now + line.interval)
        log.warning("%s: a change came without a notification: fetching every %.0f s", line.feed, line.interval)
        if first:  # does the server still know where to?
            self._missed(line.live.key)
            self._keeper.post(lifecycle.CallReported(line.live.key, line.live.generation, unheard=True))

    @property
    def _shortest(self) -> float:
        return min(SHORTEST, self._settings.safety_interval)

    def _set_interval(self, line: TrackedSubscription, interval: float) -> None:
        if line.interval != interval:
            line.interval = interval
            if self._leads(line):
                shorter = interval < self._settings.safety_interval
                self._store.limit(line.feed, default_bound(interval) if shorter else None)
