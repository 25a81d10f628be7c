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
- When nothing was heard of the server for a while, one contact is polled: an outage is noticed within the interval of
  this heartbeat, and what cannot be fetched then is no longer live.
- A slow sweep polls every contact, and counts what differs from what we had (the drift).
- Only what a subscription carries can stay true. Whatever else a reply tells of stays in doubt.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from functools import partial

from pws_soap.errors import PwsError
from pws_soap.lifecycle import LOST_OF, Failure, FailureKind, Key, failure_of
from pws_soap.models import Presence, same_contact
from service.core.callback_url import token_of
from service.core.clock import Clock, Moment
from service.core.presence.records import PutReport, ReadingStart, Source
from service.core.presence.store import Store
from service.core.wakeup import sleep_until_woken
from service.sync.driver import LifecycleDriver
from service.sync.inbox import Inbox, SubscriptionRef
from service.sync.poller import Poller
from service.sync.silence import Silence
from service.sync.subscriptions import (
    FetcherCounters,
    FetchSettings,
    LiveSubscription,
    SubscriptionGone,
    TrackedSubscription,
    Use,
    feed_of,
)

log = logging.getLogger("pws.fetch")

_SHOWN = 60
"""Characters of a name that nobody knows that are shown."""


class Fetcher:
    """Owns the fetches. It is driven by `sync` (the lifecycle changed), `notified`, and time."""

    def __init__(
        self,
        settings: FetchSettings,
        keeper: LifecycleDriver,
        store: Store,
        inbox: Inbox,
        clock: Clock,
        missed: Callable[[Key], None] = lambda _key: None,
    ) -> None:
        """`missed` is told of the first change that nobody announced, in each series of them."""
        self._settings = settings
        self._keeper = keeper
        self._store = store
        self._inbox = inbox
        self._clock = clock
        self._random = random.Random()  # noqa: S311  # spreads retries, guards nothing
        self._woken = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._under_way: Counter[Use] = Counter()
        self.failing: dict[str, tuple[int, float, str | None]] = {}
        """Of feeds whose last fetch failed, and ended their subscription: how often, since when, why."""
        self.lines: dict[Key, TrackedSubscription] = {}
        """In the order in which they were opened."""
        self.counters = FetcherCounters()
        self._silence = Silence(settings, keeper, store, clock, self.counters, self._woken.set, missed, self._leads)
        self._poller = Poller(
            settings, keeper, store, inbox, clock, self.lines, self.counters, self._silence, self._woken.set
        )

    @property
    def safety_interval(self) -> float:
        """Seconds between two fetches without a notification, where none is being lost."""
        return self._settings.safety_interval

    # What happens

    def sync(self) -> None:
        """The lifecycle changed: take up what is new, let go of what is lost."""
        live = self._keeper.live()
        for key, line in list(self.lines.items()):
            now = live.get(key)
            if now is None or now.generation != line.live.generation or now.id != line.live.id:
                self._close(key, line)
            else:
                if now.contacts != line.live.contacts:
                    # What joins is told of from now on; what leaves no longer is. Neither counts as it was read before.
                    self._store.doubt_contacts(now.contacts ^ line.live.contacts, "its subscription was just altered")
                    line.poll_due = 0.0
                line.live = now
                line.carried.update(map(same_contact, now.contacts | now.perhaps))
        for key, each in live.items():
            if key not in self.lines:
                self._open(key, each)
        self._woken.set()

    def notified(self, id: int, node: str) -> None:  # noqa: A002  # the notification's own word
        """A notification came."""
        moment = Moment.of(self._clock)
        self._inbox.mark(id, node)
        for line in self.lines.values():
            if line.ref.id == id and node in {"", line.ref.node}:
                line.announced = True
                line.last_notification = moment
                line.notifications += 1
                self._silence.broken(line)
                if not line.fetch_failures:
                    line.fetch_due = min(line.fetch_due, moment.monotonic + line.interval)
        self._woken.set()

    def wake(self) -> None:
        """Something is due that was not."""
        self._woken.set()

    async def poll(self, line: TrackedSubscription, contacts: Iterable[str]) -> PutReport:
        """See Poller. What is found changed here was known a moment ago, so a notification should have told of it."""
        report = await self._poller.poll(line, contacts)
        self._silence.suspect(line, report)
        return report

    async def fetch(self, line: TrackedSubscription) -> int:
        """Fetch a subscription now; how many contacts changed. A fetch that has not begun yet serves many callers.

        Raises SubscriptionGone when the subscription is no longer there, or the error of the fetch; while it is backing
        off after one, SubscriptionGone with that error, so that nobody can make us hammer.
        """
        if self.lines.get(line.live.key) is not line:
            raise SubscriptionGone("it was lost meanwhile")
        if line.fetch_failures and line.fetch_due > self._clock.monotonic():
            raise SubscriptionGone(line.last_error or "backing off")
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        line.waiters.append(done)
        self._inbox.mark(line.ref.id, line.ref.node)
        self._woken.set()
        return await done

    # Time

    async def run(self) -> None:
        """Start what is due, until cancelled."""
        while True:
            self._woken.clear()
            due = self._start()
            pause = None if due is None else max(0.001, due - self._clock.monotonic())
            await sleep_until_woken(self._woken, self._clock, pause)

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
        for line in list(self.lines.values()):
            later += self._silence.look(line, now)
        running = sum(line.fetching for line in self.lines.values())
        order = {ref: place for place, ref in enumerate(self._inbox.dirty())}
        for line in sorted(self.lines.values(), key=lambda each: order.get(each.ref, len(order))):
            if not line.fetching and not self._under_way[line.use]:
                wanted = now if line.ref in order and not line.fetch_failures else line.fetch_due
                if wanted > now:
                    later.append(wanted)
                elif running < self._settings.max_parallel:
                    running += 1
                    line.fetching = True
                    self._spawn(partial(self._fetch, line))
            if not line.polling and not line.fetching:
                if self._settings.reconcile_interval and line.sweep_due <= now and not line.sweep_left:
                    line.sweep_left, line.sweep_counts = sorted(line.live.contacts), True
                wants = bool(line.sweep_left or (line.fetches and self._poller.unsettled(line)))
                if wants and line.poll_due <= now:
                    line.polling = True
                    self._spawn(partial(self._poller.read_again, line))
                elif wants:
                    later.append(line.poll_due)
                else:
                    if self._settings.reconcile_interval:
                        later.append(line.sweep_due)
                    if self._settings.heartbeat_interval and line.fetches and not line.fetch_failures:
                        if line.beat_due <= now:
                            line.polling = True
                            self._spawn(partial(self._poller.beat, line))
                        else:
                            later.append(line.beat_due)
        return min(later, default=None)

    def _spawn(self, work: Callable[[], Awaitable[None]]) -> None:
        async def guarded() -> None:
            try:
                await work()
            except Exception:  # one failed fetch must not end the pump
                log.exception("unexpected error")
            finally:
                self._woken.set()

        task = asyncio.create_task(guarded())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # One fetch

    async def _fetch(self, line: TrackedSubscription) -> None:
        ticket = self._inbox.begin(line.ref)
        reading = self._store.begin()
        waiters, line.waiters = line.waiters, []
        expected = line.announced or line.fetches == 0 or bool(waiters)
        line.announced = False
        self.counters.fetches += 1
        use = line.use
        self._under_way[use] += 1
        failed: Exception = SubscriptionGone("it was lost meanwhile")
        changed = None
        try:
            client = self._keeper.client(line.live.key.node)
            rich = line.live.key.user in self._settings.rich
            presences = await client.get_subscribed_presence(line.live.session, line.live.id, rich=rich)
            if self.lines.get(line.live.key) is line:
                changed = self._fetched(line, presences, reading, expected)
                self._inbox.finish(ticket, ok=True)
        except Exception as error:  # noqa: BLE001  # even a bug of ours must neither stop nor trust this subscription
            failed = error
            self._inbox.finish(ticket, ok=False)
            self._failed(line, error)
        finally:
            line.fetching = False
            self._under_way[use] -= 1
            if not self._under_way[use]:
                del self._under_way[use]
            self._overtaken(line, use, failed)
            for each in waiters:
                if each.done():
                    continue
                if changed is not None:
                    each.set_result(changed)
                else:
                    each.set_exception(failed)
        if isinstance(failed, PwsError):
            failure: Failure | None = failure_of(failed)
        elif changed is None and not isinstance(
            failed, SubscriptionGone
        ):  # a bug of ours: whatever the reply said is lost
            failure = Failure(FailureKind.SERVER, "the reply was not read", may_have_acted=True)
        else:
            failure = None
        self._poller.report(line, failure, consumes=True)

    def _fetched(
        self, line: TrackedSubscription, presences: list[Presence], reading: ReadingStart, expected: bool
    ) -> int:
        strange = [each for each in presences if not each.contact or same_contact(each.contact) not in line.carried]
        report = self._poller.take(line, presences, reading, Source.SUBSCRIBED)
        leads = self._leads(line)
        if strange:
            self._found_strange(line, strange)
        elif leads:
            self._store.confirm(line.feed, reading)
            line.strange = 0
        if leads:
            self._store.trust(line.feed)
        line.fetches += 1
        line.fetch_failures = 0
        line.last_error = None
        line.last_fetch = reading.at
        if not expected:
            self._silence.suspect(line, report, fetched=True)
        line.fetch_due = reading.at.monotonic + line.interval
        return len(report.changes)

    def _found_strange(self, line: TrackedSubscription, strange: list[Presence]) -> None:
        """Something in the reply is about nobody whom the subscription carries: it may be anyone of them."""
        named = next((each.contact for each in strange if each.contact), "")
        what = f"{named[:_SHOWN]!a}" if named else f"nobody that is named ({strange[0].problem})"
        if not line.strange:
            line.strange_since = self._clock.monotonic()
            log.warning("%s: a reply tells of %s, none of its contacts: all of them are polled", line.feed, what)
        line.strange += 1
        line.strange_what = what
        self.counters.unattributed += len(strange)
        self._store.doubt_contacts(
            line.live.contacts, f"a reply told of {what}, which may have been about this contact"
        )
        line.poll_due = 0.0

    def _failed(self, line: TrackedSubscription, error: Exception) -> None:
        now = self._clock.monotonic()
        unknown = not isinstance(error, PwsError) or error.may_have_acted
        self.counters.failures += 1
        self.counters.unknown_outcomes += unknown
        if not line.fetch_failures:
            line.failing_since = now
        line.fetch_failures += 1
        line.last_error = str(error) if isinstance(error, PwsError) else f"unexpected error: {type(error).__name__}"
        line.fetch_due = now + self._poller.pause(line.fetch_failures)
        if not isinstance(error, PwsError):
            log.error("%s: unexpected error in a fetch", line.feed, exc_info=error)
        elif line.fetch_failures == 1 and failure_of(error).trouble not in LOST_OF:  # that the keeper tells
            log.warning("%s: cannot be fetched: %s", line.feed, error)
        if unknown:
            self._store.doubt_contacts(line.live.contacts, f"the reply to a fetch was lost: {line.last_error}")
        if self._leads(line):
            # Something may have changed, and we cannot learn what: nothing of this feed is sure until a fetch succeeds.
            self._store.doubt(line.feed, f"cannot be fetched: {line.last_error}")

    def _overtaken(self, line: TrackedSubscription, use: Use, failed: Exception) -> None:
        """A fetch that outlived its subscription may have taken changes of the one that is fetched like it now."""
        if self.lines.get(line.live.key) is line or (isinstance(failed, PwsError) and not failed.may_have_acted):
            return
        for other in self.lines.values():
            if other.use == use:
                self._store.doubt_contacts(other.live.contacts, "a fetch of an older subscription came in between")
                other.poll_due = 0.0

    # Lines

    def _leads(self, line: TrackedSubscription) -> bool:
        """Whether this is the newest subscription of its feed: after a move the old one lives on for a while."""
        newest = next((each for each in reversed(self.lines.values()) if each.feed == line.feed), None)
        return newest is line

    def _open(self, key: Key, live: LiveSubscription) -> None:
        now = self._clock.monotonic()
        sweep = self._settings.reconcile_interval
        line = TrackedSubscription(
            live,
            SubscriptionRef(token_of(key.node), live.id),
            feed_of(key),
            self._settings.safety_interval,
            fetch_due=now,
            sweep_due=now + sweep * (0.5 + 0.5 * self._random.random()),
        )
        line.carried.update(map(same_contact, live.contacts | live.perhaps))
        if not self._inbox.has_early(line.ref):
            self._silence.expect_first(line, now)
        failing = self.failing.pop(line.feed, None)
        if failing is not None:
            line.fetch_failures, line.failing_since, line.last_error = failing
        self.lines[key] = line
        self._inbox.known(line.ref, dirty=True)
        self._store.limit(line.feed, None)
        # Changes before this moment may have gone to an older subscription: only what is read from now on counts.
        before = self._store.feeds()[line.feed].doubt
        self._store.trust(line.feed, anew=self._store.begin())
        since = before.since if before is not None else None
        self._store.doubt(line.feed, "subscribed anew, not fetched yet", since)

    def _close(self, key: Key, line: TrackedSubscription) -> None:
        led = self._leads(line)
        del self.lines[key]
        if line.fetch_failures:
            self.failing[line.feed] = line.fetch_failures, line.failing_since, line.last_error
        # A server that lost everything gives the same small ids again, perhaps to another of our subscriptions.
        if all(other.ref != line.ref for other in self.lines.values()):
            self._inbox.forget(line.ref)
        if led:
            resource = self._keeper.state.resources.get(key)
            why = resource.error.text if resource is not None and resource.error is not None else "subscription lost"
            self._store.doubt(line.feed, why)
            for other in self.lines.values():
                if other.feed == line.feed:  # it leads now: one fetch, and it is sure again
                    self._inbox.mark(other.ref.id, other.ref.node)
        for each in line.waiters:
            if not each.done():
                each.set_exception(SubscriptionGone("it was lost meanwhile"))
