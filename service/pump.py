"""Fetches what has news, one request in flight per subscription, and reads again what may have been lost.

The rules (docs/protocol.md, Fetching):

- A mark means: fetch. It is cleared only by a successful fetch that began after it.
- A fetch whose outcome is unknown may have taken changes with it: the contacts are in doubt until they are polled.
- A fetch that timed out may be carried out later, and take later changes along: for a while after it a fetch confirms
  nothing, and all contacts are polled after it.
- Without any notification each subscription is fetched once in a safety interval. One that brings a change nobody
  announced says that notifications are being lost: the interval is halved until they come again.
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

from pws_soap.errors import OutcomeUnknown, PwsError, TimedOut
from pws_soap.lifecycle import LOST_OF, Key, failure_of
from pws_soap.models import Presence
from service.callback_url import token_of
from service.clock import Clock, Moment
from service.inbox import Inbox, SubscriptionRef
from service.keeper import Keeper, Live
from service.lines import Counters, Line, LineLost, PumpSettings, feed_of
from service.poller import Poller
from service.records import PutReport, Reading, Source
from service.store import Store

log = logging.getLogger("pws.fetch")

_GRACE = 2.0
"""Seconds that a notification may lag behind the change it announces."""
_SHORTEST = 15.0
"""A safety interval is never halved below this many seconds."""


class Pump:
    """Owns the fetches. It is driven by `sync` (the lifecycle changed), `notified`, and time."""

    def __init__(
        self,
        settings: PumpSettings,
        keeper: Keeper,
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
        self._missed = missed
        self._random = random.Random()  # noqa: S311  # spreads retries, guards nothing
        self._woken = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._under_way: Counter[SubscriptionRef] = Counter()
        self.lines: dict[Key, Line] = {}
        """In the order in which they were opened."""
        self.counters = Counters()
        self._poller = Poller(settings, keeper, store, inbox, clock, self.lines, self.counters, self._woken.set)

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
                line.last_announced = moment.monotonic
                line.last_notification = moment
                line.notifications += 1
                line.interval = self._settings.safety_interval
                line.missed, line.missed_since = 0, 0.0
                if not line.fetch_failures:
                    line.fetch_due = min(line.fetch_due, moment.monotonic + line.interval)
        self._woken.set()

    def wake(self) -> None:
        """Something is due that was not."""
        self._woken.set()

    async def poll(self, line: Line, contacts: Iterable[str]) -> PutReport:
        """See Poller."""
        return await self._poller.poll(line, contacts)

    async def fetch(self, line: Line) -> int:
        """Fetch a subscription now; how many contacts changed. A fetch that has not begun yet serves many callers.

        Raises LineLost when the subscription is no longer there, or the error of the fetch; while it is backing off
        after one, LineLost with that error, so that nobody can make us hammer.
        """
        if self.lines.get(line.live.key) is not line:
            raise LineLost("it was lost meanwhile")
        if line.fetch_failures and line.fetch_due > self._clock.monotonic():
            raise LineLost(line.last_error or "backing off")
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
            waits: list[asyncio.Future[object]] = [asyncio.ensure_future(self._woken.wait())]
            if due is not None:
                waits.append(asyncio.ensure_future(self._clock.sleep(max(0.001, due - self._clock.monotonic()))))
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for each in waits:
                    each.cancel()

    async def close(self) -> None:
        """End all fetches."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self) -> float | None:
        """Start all that is due and may run now; when to look again."""
        now = self._clock.monotonic()
        later: list[float] = []
        running = sum(line.fetching for line in self.lines.values())
        order = {ref: place for place, ref in enumerate(self._inbox.dirty())}
        for line in sorted(self.lines.values(), key=lambda each: order.get(each.ref, len(order))):
            if not line.fetching:
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

    async def _fetch(self, line: Line) -> None:
        ticket = self._inbox.begin(line.ref)
        reading = self._store.begin()
        waiters, line.waiters = line.waiters, []
        missed = line.missed
        expected = line.announced or line.fetches == 0 or bool(waiters)
        line.announced = False
        self.counters.fetches += 1
        self._under_way[line.ref] += 1
        failed: Exception = LineLost("it was lost meanwhile")
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
            self._under_way[line.ref] -= 1
            self._overtaken(line, failed)
            for each in waiters:
                if each.done():
                    continue
                if changed is not None:
                    each.set_result(changed)
                else:
                    each.set_exception(failed)
        # The first change that nobody announced: does the server still know where to?
        unheard = changed is not None and bool(line.missed) and not missed
        if unheard:
            self._missed(line.live.key)
        self._poller.report(line, failure_of(failed) if isinstance(failed, PwsError) else None, unheard=unheard)

    def _fetched(self, line: Line, presences: list[Presence], reading: Reading, expected: bool) -> int:
        report = self._poller.take(line, presences, reading, Source.SUBSCRIBED)
        if self._leads(line):
            if not line.shaky_until:
                self._store.confirm(line.feed, reading)
            self._store.trust(line.feed)
        line.fetches += 1
        line.fetch_failures = 0
        line.last_error = None
        line.last_fetch = reading.at
        if line.shaky_until:
            if reading.at.monotonic >= line.shaky_until:
                line.shaky_until = 0.0
            line.sweep_left, line.sweep_counts = sorted(line.live.contacts), False
            line.poll_due = 0.0
        self._pace(line, reading.at.monotonic, len(report.changes), expected)
        return len(report.changes)

    def _pace(self, line: Line, began: float, changes: int, expected: bool) -> None:
        """When to fetch next without a notification; sooner where one has been missed."""
        lately = line.last_announced and self._clock.monotonic() - line.last_announced < _GRACE
        if changes and not expected and not lately:
            line.missed_since = line.missed_since or self._clock.monotonic()
            line.missed += 1
            self.counters.missed_notifications += 1
            floor = min(_SHORTEST, self._settings.safety_interval)
            line.interval = max(floor, line.interval / 2)
            log.warning("%s: a change came without a notification: fetching every %.0f s", line.feed, line.interval)
        line.fetch_due = began + line.interval
        if line.shaky_until:
            line.fetch_due = min(line.fetch_due, line.shaky_until)

    def _failed(self, line: Line, error: Exception) -> None:
        now = self._clock.monotonic()
        unknown = not isinstance(error, PwsError) or isinstance(error, OutcomeUnknown)
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
            if isinstance(error, TimedOut):
                line.shaky_until = now + self._settings.late
            self._store.doubt_contacts(line.live.contacts, f"the reply to a fetch was lost: {line.last_error}")
        if self._leads(line):
            # Something may have changed, and we cannot learn what: nothing of this feed is sure until a fetch succeeds.
            self._store.doubt(line.feed, f"cannot be fetched: {line.last_error}")

    def _overtaken(self, line: Line, failed: Exception) -> None:
        """A fetch that outlived its subscription may have taken changes of the one that bears its id now."""
        if self.lines.get(line.live.key) is line:
            return
        for other in self.lines.values():
            if other.ref == line.ref:
                self._store.doubt_contacts(other.live.contacts, "a fetch of an older subscription came in between")
                if isinstance(failed, TimedOut):
                    other.shaky_until = self._clock.monotonic() + self._settings.late
                other.poll_due = 0.0

    # Lines

    def _leads(self, line: Line) -> bool:
        """Whether this is the newest subscription of its feed: after a move the old one lives on for a while."""
        newest = next((each for each in reversed(self.lines.values()) if each.feed == line.feed), None)
        return newest is line

    def _open(self, key: Key, live: Live) -> None:
        now = self._clock.monotonic()
        sweep = self._settings.reconcile_interval
        line = Line(
            live,
            SubscriptionRef(token_of(key.node), live.id),
            feed_of(key),
            self._settings.safety_interval,
            fetch_due=now,
            sweep_due=now + sweep * (0.5 + 0.5 * self._random.random()),
        )
        if self._under_way[line.ref] > 0:  # an older fetch of the same id may yet take changes of this one
            line.shaky_until = now + self._settings.late
        self.lines[key] = line
        self._inbox.known(line.ref, dirty=True)
        # Changes before this moment may have gone to an older subscription: only what is read from now on counts.
        self._store.trust(line.feed, anew=self._store.begin())
        self._store.doubt(line.feed, "subscribed anew, not fetched yet")

    def _close(self, key: Key, line: Line) -> None:
        led = self._leads(line)
        del self.lines[key]
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
                each.set_exception(LineLost("it was lost meanwhile"))
