"""Fetches what has news, one request in flight per subscription, and reads again what may have been lost.

The rules (docs/protocol.md, Fetching):

- A mark means: fetch. It is cleared only by a successful fetch that began after it.
- A fetch whose outcome is unknown may have taken changes with it, and may still be waiting in the server to take later
  ones. The lifecycle ends its session, so that it cannot; nothing is fetched under a key and id that another request
  may still be using. That is two small calls more than polling everybody, and no guess at how long a server may take.
- A reply confirms those whom it does not name only if everything in it is about contacts that the subscription carries.
  Whatever else it names may be one of them under another name: all are in doubt until they are polled.
- Without any notification each subscription is fetched once in a safety interval, more often where notifications do not
  come (`service.sync.silence`).
- When no reply came from the server for a while, one contact is polled: an outage is noticed within the interval of
  this heartbeat, and what cannot be fetched then is no longer live.
- A slow sweep polls every contact, and counts what differs from what we had (the drift).
- Only what a subscription carries can stay true. Whatever else a reply names stays in doubt.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial

from pws_soap.errors import PwsError
from pws_soap.lifecycle import LOST_OF, Failure, FailureKind, failure_of
from pws_soap.models import Presence
from service.core.presence.records import PutReport, ReadingStart, Source
from service.core.tracing import Trace, current_trace
from service.core.wakeup import Alarm, in_turns
from service.sync import attribution
from service.sync.fetch_context import FetchContext
from service.sync.poller import Poller
from service.sync.schedule import Candidate, Limits, Work, decide
from service.sync.silence import Silence
from service.sync.subscriptions import (
    LOST_MEANWHILE,
    FetchTarget,
    SubscriptionGone,
    TrackedSubscription,
)

log = logging.getLogger("pws.fetch")


class Fetcher:
    """Fetches the subscriptions of a context as they come due, and has the poller read again what is in doubt."""

    def __init__(self, context: FetchContext, silence: Silence, poller: Poller) -> None:
        self._settings, self._subscriptions, self._driver = context.settings, context.subscriptions, context.driver
        self._store, self._inbox, self._clock = context.store, context.inbox, context.clock
        self._tracer = context.tracer
        self._silence = silence
        self._poller = poller
        self._meter = context.meter
        self._limits = Limits(
            self._settings.max_parallel,
            sweeps=self._settings.reconcile_interval > 0,
            heartbeats=self._settings.heartbeat_interval > 0,
        )
        self._tasks: dict[asyncio.Task[None], Work] = {}

    async def poll(self, tracked: TrackedSubscription, contacts: Iterable[str]) -> PutReport:
        """See Poller. What is found changed here was known a moment ago, so a notification should have announced it."""
        with self._tracer.span("poll", subscription=tracked.ref.id, node=tracked.key.node):
            report = await self._poller.poll(tracked, contacts)
        self._silence.suspect(tracked, report)
        return report

    def fetch(self, tracked: TrackedSubscription) -> asyncio.Future[int]:
        """Fetch a subscription now; how many contacts changed. A fetch that has not begun yet serves many callers.

        Fails with SubscriptionGone when the subscription is no longer there, or the error of the fetch; while it is
        backing off after one, SubscriptionGone with that error, so that nobody can make us hammer.
        """
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        if not self._subscriptions.holds(tracked):
            done.set_exception(SubscriptionGone(LOST_MEANWHILE))
        elif tracked.fetch_failures and tracked.fetch_due > self._clock.monotonic():
            done.set_exception(SubscriptionGone(tracked.last_error or "backing off"))
        else:
            tracked.waiters.append(done)
            self._inbox.mark(tracked.ref.id, tracked.ref.node, current_trace())
            self._subscriptions.wake()
        return done

    # Time

    async def run(self) -> None:
        """Start what is due, until cancelled."""
        woken = self._subscriptions.woken
        alarm = Alarm(woken, self._clock)
        try:
            while True:
                woken.clear()
                alarm.set(self._start())
                if woken.is_set():
                    await asyncio.sleep(0)
                else:
                    await woken.wait()
        finally:
            alarm.cancel()

    async def finish(self) -> None:
        """Wait for the fetches under way: each takes changes along. A poll takes none, and is broken off."""
        for task, work in list(self._tasks.items()):
            if work is not Work.FETCH:
                task.cancel()
        if self._tasks:
            await asyncio.wait(set(self._tasks))

    async def close(self) -> None:
        """End all fetches."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self) -> float | None:
        """Start all that is due and may run now; when to look again."""
        now = self._clock.monotonic()
        later: list[float] = []
        if (lapses := self._store.lapse()) is not None:
            later.append(lapses)
        for tracked in self._subscriptions:
            later += self._silence.look(tracked, now)
        dirty = set(self._inbox.dirty())
        by_key = {tracked.key: tracked for tracked in self._subscriptions}
        candidates = [self._candidate(tracked, tracked.ref in dirty) for tracked in by_key.values()]
        decision = decide(now, self._limits, candidates, self._subscriptions.in_flight)
        for key, work in decision.starts:
            self._begin(by_key[key], work)
        if decision.look_again is not None:
            later.append(decision.look_again)
        return min(later, default=None)

    def _candidate(self, tracked: TrackedSubscription, has_news: bool) -> Candidate:
        # Asking for what is in doubt costs time where it is much: only where the answer counts.
        may_poll = not (tracked.polling or tracked.fetching or tracked.sweep_left) and tracked.fetches > 0
        return Candidate(
            key=tracked.key,
            target=tracked.target,
            turn=tracked.turn,
            has_news=has_news,
            backs_off=tracked.fetch_failures > 0,
            fetching=tracked.fetching,
            polling=tracked.polling,
            in_doubt=may_poll and self._poller.has_unsettled(tracked),
            sweeping=bool(tracked.sweep_left),
            fetched=tracked.fetches > 0,
            has_contacts=bool(tracked.subscription.contacts),
            fetch_due=tracked.fetch_due,
            poll_due=tracked.poll_due,
            sweep_due=tracked.sweep_due,
            heartbeat_due=tracked.heartbeat_due,
        )

    def _begin(self, tracked: TrackedSubscription, work: Work) -> None:
        match work:
            case Work.FETCH:
                self._subscriptions.give_turn(tracked)
                self._spawn(work, tracked, self._fetch, self._inbox.trace(tracked.ref))
            case Work.SWEEP:
                tracked.sweep_left = sorted(tracked.subscription.contacts)
            case Work.READ_AGAIN:
                tracked.polling = True
                self._spawn(work, tracked, self._poller.read_again)
            case Work.HEARTBEAT:
                tracked.polling = True
                self._spawn(work, tracked, self._poller.heartbeat)

    def _spawn(
        self,
        work: Work,
        tracked: TrackedSubscription,
        carry_out: Callable[[TrackedSubscription], Awaitable[None]],
        trace: Trace | None = None,
    ) -> None:
        async def guarded() -> None:
            try:
                with self._tracer.span(work, trace, subscription=tracked.ref.id, node=tracked.key.node):
                    await carry_out(tracked)
            except Exception:  # one failed fetch must not end the others
                log.exception("unexpected error", extra={"event": "internal.error"})
            finally:
                self._subscriptions.wake()

        task = asyncio.create_task(guarded())
        self._tasks[task] = work
        task.add_done_callback(self._tasks.pop)

    # One fetch

    async def _fetch(self, tracked: TrackedSubscription) -> None:
        if not self._subscriptions.holds(tracked):
            return  # lost before this began, and perhaps made anew under the same key and id
        ticket = self._inbox.begin(tracked.ref)
        reading = self._store.begin()
        waiters, tracked.waiters = tracked.waiters, []
        expected = tracked.announced or tracked.fetches == 0 or bool(waiters)
        tracked.announced = False
        tracked.lag.fetch_begins()
        target = self._subscriptions.fetch_begins(tracked)
        log.debug("%(feed)s: fetch begins", {"feed": tracked.feed}, extra={"event": "fetch.begun"})
        failed: Exception = SubscriptionGone(LOST_MEANWHILE)
        changed = None
        try:
            client = self._driver.client(tracked.key.node)
            rich = tracked.key.user in self._settings.rich
            session, id_ = tracked.subscription.session, tracked.subscription.id
            presences = await client.get_subscribed_presence(session, id_, rich=rich)
            if self._subscriptions.holds(tracked):
                changed = await self._fetched(tracked, presences, reading, expected)
            if changed is not None:
                self._inbox.finish(ticket, ok=True)
                self._served(tracked)
                log.debug(
                    "%(feed)s: fetched, %(changed)d changed",
                    {"feed": tracked.feed, "changed": changed},
                    extra={"event": "fetch.done"},
                )
        except Exception as error:  # noqa: BLE001  # even a bug of ours must neither stop nor trust this subscription
            failed = error
            self._inbox.finish(ticket, ok=False)
            self._tracer.failed(error)
            self._failed(tracked, error)
        finally:
            self._subscriptions.fetch_ended(tracked, target)
            self._overtaken(tracked, target, failed)
            for waiter in waiters:
                if waiter.done():
                    continue
                if changed is not None:
                    waiter.set_result(changed)
                else:
                    waiter.set_exception(failed)
        failure: Failure | None = None
        if isinstance(failed, PwsError):
            failure = failure_of(failed)
        elif changed is None and not isinstance(failed, SubscriptionGone):
            # A bug of ours: whatever the reply said is lost.
            failure = Failure(FailureKind.SERVER, "the reply was not read", may_have_acted=True)
        self._poller.report(tracked, failure, consumes=True)

    async def _fetched(
        self, tracked: TrackedSubscription, presences: Sequence[Presence], reading: ReadingStart, expected: bool
    ) -> int | None:
        """Take a reply in; how many contacts changed. None where the subscription was lost on the way: the rest of the
        reply counts as little as one that comes after the loss, and what was taken in is doubted with the feed."""
        presences = self._store.repeated(presences) or presences
        unattributed = attribution.unattributed(tracked, presences)
        if unattributed:  # nothing of this reply is called live, not between two steps of it either
            self._doubt_all(tracked, unattributed)
        steps = self._poller.take_in_steps(tracked, presences, reading, Source.SUBSCRIBED)
        report = await in_turns(steps, partial(self._subscriptions.holds, tracked))
        if report is None:
            return None
        # A contact that the subscription does not carry is in doubt by now: such a reply is none that can be repeated.
        tracked.attributed = () if unattributed else self._store.repeated(presences) or ()
        is_newest = self._subscriptions.is_newest(tracked)
        if unattributed:
            self._found_unattributed(tracked, unattributed)
        elif is_newest:
            self._store.confirm(tracked.feed, reading)
            tracked.unattributed = 0
        if is_newest:
            self._store.trust(tracked.feed)
        tracked.fetches += 1
        tracked.fetch_failures = 0
        if not (unattributed or tracked.sweep_left or self._poller.has_unsettled(tracked)):  # nothing is left to poll
            tracked.poll_failures, tracked.poll_error = 0, None
        tracked.last_error = None
        tracked.last_fetch = reading.at
        if not expected:
            self._silence.suspect(tracked, report, fetched=True)
        tracked.fetch_due = reading.at.monotonic + tracked.interval
        return len(report.changes)

    def _served(self, tracked: TrackedSubscription) -> None:
        waited = tracked.lag.fetch_succeeded(self._clock.monotonic())
        if waited is not None:
            self._meter.notification_served(waited)

    def _found_unattributed(self, tracked: TrackedSubscription, unattributed: list[Presence]) -> None:
        """The reply names somebody whom the subscription does not carry: it may be any of its contacts."""
        what = attribution.described(unattributed)
        if not tracked.unattributed:
            tracked.unattributed_since = self._clock.monotonic()
            log.warning(
                "%(feed)s: a fetch returned %(what)s: all its contacts are polled",
                {"feed": tracked.feed, "what": what},
                extra={"event": "fetch.unattributed"},
            )
        tracked.unattributed += 1
        tracked.unattributed_entry = what
        self._subscriptions.counters.unattributed += len(unattributed)
        self._doubt_all(tracked, unattributed)
        tracked.poll_soon()

    def _doubt_all(self, tracked: TrackedSubscription, unattributed: list[Presence]) -> None:
        self._store.doubt_contacts(tracked.subscription.contacts, attribution.doubt(unattributed))

    def _failed(self, tracked: TrackedSubscription, error: Exception) -> None:
        now = self._clock.monotonic()
        tracked.lag.fetch_failed()
        unknown = not isinstance(error, PwsError) or error.may_have_acted
        self._subscriptions.counters.failures += 1
        self._subscriptions.counters.unknown_outcomes += unknown
        if not tracked.fetch_failures:
            tracked.failing_since = now
        tracked.fetch_failures += 1
        tracked.last_error = str(error) if isinstance(error, PwsError) else f"unexpected error: {type(error).__name__}"
        tracked.fetch_due = now + self._poller.pause(tracked.fetch_failures)
        if not isinstance(error, PwsError):
            log.error(
                "%(feed)s: unexpected error in a fetch",
                {"feed": tracked.feed},
                exc_info=error,
                extra={"event": "internal.error"},
            )
        elif tracked.fetch_failures == 1 and failure_of(error).kind not in LOST_OF:  # the driver logs what is lost
            log.warning(
                "%(feed)s: cannot be fetched: %(error)s",
                {"feed": tracked.feed, "error": error},
                extra={"event": "fetch.failed"},
            )
        if unknown:
            self._store.doubt_contacts(
                tracked.subscription.contacts, f"the reply to a fetch was lost: {tracked.last_error}"
            )
        if self._subscriptions.is_newest(tracked):
            # Something may have changed, and we cannot learn what: nothing of this feed is sure until a fetch succeeds.
            self._store.doubt(tracked.feed, f"cannot be fetched: {tracked.last_error}")

    def _overtaken(self, tracked: TrackedSubscription, target: FetchTarget, failed: Exception) -> None:
        """A fetch that outlived its subscription may have taken changes of the one that has its key and id now."""
        if self._subscriptions.holds(tracked) or (isinstance(failed, PwsError) and not failed.may_have_acted):
            return
        for other in self._subscriptions:
            if other.target == target:
                self._store.doubt_contacts(
                    other.subscription.contacts, "a fetch of an older subscription came in between"
                )
                other.poll_soon()
