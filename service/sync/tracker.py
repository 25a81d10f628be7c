"""Takes up the subscriptions that the lifecycle has made, lets go of those that are lost, and hears notifications."""

from __future__ import annotations

import random
from typing import Final

from pws_soap.lifecycle import Key
from pws_soap.models import same_contact
from service.core.callback_url import token_of
from service.core.clock import Moment
from service.core.meter import NotificationOutcome
from service.core.tracing import current_trace
from service.sync.fetch_context import FetchContext
from service.sync.inbox import SubscriptionRef
from service.sync.silence import Silence
from service.sync.subscriptions import (
    LOST_MEANWHILE,
    FailingFeed,
    LiveSubscription,
    SubscriptionGone,
    TrackedSubscription,
    feed_of,
)

NOT_ADOPTED: Final = "what another replica has handed over is not there any more"


class SubscriptionTracker:
    """Keeps the subscriptions of a context equal to those of the lifecycle that can be fetched."""

    def __init__(self, context: FetchContext, silence: Silence) -> None:
        self._settings, self._subscriptions, self._driver = context.settings, context.subscriptions, context.driver
        self._store, self._inbox, self._clock = context.store, context.inbox, context.clock
        self._silence = silence
        self._meter = context.meter
        self._random = random.Random()  # noqa: S311  # spreads sweeps, guards nothing
        self._adoptable = context.driver.adoptable()

    def sync(self) -> None:
        """The lifecycle changed: take up what is new, let go of what is lost."""
        live = self._driver.live_subscriptions()
        for tracked in self._subscriptions:
            before, now = tracked.subscription, live.get(tracked.key)
            if now is None or now.generation != before.generation or now.id != before.id:
                self._close(tracked)
                continue
            if now is before:
                continue
            if now.contacts != before.contacts:
                # What joins is notified from now on, what leaves no longer: what was read of either does not count.
                self._store.doubt_contacts(now.contacts ^ before.contacts, "its subscription was just altered")
                tracked.poll_soon()
            tracked.subscription, tracked.attributed = now, ()
            gone = (before.contacts | before.perhaps) - now.contacts - now.perhaps
            tracked.once.update(map(same_contact, gone))
        for key, subscription in live.items():
            if self._subscriptions.get(key) is None:
                self._open(key, subscription, is_adopted=key in self._adoptable)
                self._adoptable.discard(key)
        if self._adoptable:
            self._give_up(self._adoptable - self._driver.adoptable())
        self._subscriptions.wake()

    def _give_up(self, keys: set[Key]) -> None:
        """These were handed over and cannot be gone on with: what the process before knew is kept true no longer."""
        for key in keys:
            self._adoptable.discard(key)
            self._store.doubt(feed_of(key), NOT_ADOPTED)

    def notified(self, id: int, node: str) -> None:  # noqa: A002  # the notification's own word
        """A notification came."""
        moment = Moment.of(self._clock)
        known = self._inbox.mark(id, node, current_trace())
        outcome = NotificationOutcome.COALESCED if known else NotificationOutcome.UNKNOWN
        for tracked in self._subscriptions:
            if tracked.ref.id == id and node in {"", tracked.ref.node}:
                if not tracked.announced:
                    outcome = NotificationOutcome.TAKEN
                tracked.announced = True
                tracked.lag.came(moment.monotonic)
                tracked.last_notification = moment
                tracked.notifications += 1
                self._silence.broken(tracked)
                if not tracked.fetch_failures:
                    tracked.fetch_due = min(tracked.fetch_due, moment.monotonic + tracked.interval)
        self._meter.notification_came(outcome)
        self._subscriptions.wake()

    def _open(self, key: Key, subscription: LiveSubscription, *, is_adopted: bool) -> None:
        """Take up a subscription. One that was adopted goes on as it was: what it has told of is known here, and what
        it has to tell is fetched now."""
        now = self._clock.monotonic()
        sweep = self._settings.reconcile_interval
        tracked = TrackedSubscription(
            subscription,
            SubscriptionRef(token_of(key.node), subscription.id),
            feed_of(key),
            self._settings.safety_interval,
            fetch_due=now,
            sweep_due=now + sweep * (0.5 + 0.5 * self._random.random()),
        )
        if not is_adopted and not self._inbox.has_early(tracked.ref):
            self._silence.expect_first(tracked, now)
        failing = self._subscriptions.failing.pop(tracked.feed, None)
        if failing is not None:
            tracked.fetch_failures, tracked.failing_since, tracked.last_error = failing[:3]
            tracked.poll_failures, tracked.polls_failing_since, tracked.poll_error, tracked.poll_due = failing[3:]
        tracked.lag = self._subscriptions.lags.setdefault(tracked.feed, tracked.lag)
        self._subscriptions.add(tracked)
        self._inbox.known(tracked.ref, dirty=True)
        self._store.limit(tracked.feed, None)
        if is_adopted:
            return
        # Changes before this moment may have gone to an older subscription: only what is read from now on counts.
        before = self._store.feeds()[tracked.feed].doubt
        self._store.trust(tracked.feed, anew=self._store.begin())
        since = before.since if before is not None else None
        self._store.doubt(tracked.feed, "subscribed anew, not fetched yet", since)

    def _close(self, tracked: TrackedSubscription) -> None:
        was_newest = self._subscriptions.is_newest(tracked)
        self._subscriptions.remove(tracked)
        tracked.lag.fetch_failed()
        if tracked.fetch_failures or tracked.poll_failures:
            self._subscriptions.failing[tracked.feed] = FailingFeed(
                tracked.fetch_failures,
                tracked.failing_since,
                tracked.last_error,
                tracked.poll_failures,
                tracked.polls_failing_since,
                tracked.poll_error,
                tracked.poll_due,
            )
        # A server that lost everything gives the same small ids again, perhaps to another of our subscriptions.
        if all(other.ref != tracked.ref for other in self._subscriptions):
            self._inbox.forget(tracked.ref)
        if was_newest:
            resource = self._driver.state.resources.get(tracked.key)
            why = resource.error.text if resource is not None and resource.error is not None else "subscription lost"
            self._store.doubt(tracked.feed, why)
            for other in self._subscriptions:
                if other.feed == tracked.feed:  # it is the newest now: one fetch, and it is sure again
                    self._inbox.mark(other.ref.id, other.ref.node, current_trace())
        for waiter in tracked.waiters:
            if not waiter.done():
                waiter.set_exception(SubscriptionGone(LOST_MEANWHILE))
