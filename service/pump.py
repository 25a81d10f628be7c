"""Fetches what has news, one request in flight per subscription, and reads again what may have been lost.

The rules (docs/protocol.md, Fetching):

- A mark means: fetch. It is cleared only by a successful fetch that began after it.
- A fetch whose outcome is unknown may have taken changes with it: the contacts are in doubt until they are polled.
- A fetch that timed out may be carried out later, and take later changes along: for a while after it the contacts are
  polled after every fetch.
- Without any notification each subscription is fetched once in a safety interval. One that brings a change nobody
  announced says that notifications are being lost: the interval is halved until they come again.
- A slow sweep polls every contact, and counts what differs from what we had (the drift).
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterable
from functools import partial

from pws_soap import lifecycle
from pws_soap.errors import OutcomeUnknown, PwsError, TimedOut
from pws_soap.lifecycle import Failure, Key, Trouble, failure_of
from pws_soap.models import MAX_CONTACTS_PER_REQUEST, same_contact
from service.clock import Clock, Moment
from service.inbox import Inbox, SubscriptionRef
from service.keeper import Keeper, Live, token_of
from service.lines import Counters, Line, PumpSettings, feed_of
from service.records import PutReport, Source
from service.store import Store

log = logging.getLogger("pws.fetch")

_RETRY_FIRST = 0.5
_RETRY_MOST = 30.0
_GRACE = 2.0
"""Seconds that a notification may lag behind the change it announces."""
_SHORTEST = 15.0
"""A safety interval is never halved below this many seconds."""


class Pump:
    """Owns the fetches. It is driven by `sync` (the lifecycle changed), `notified`, and time."""

    def __init__(self, settings: PumpSettings, keeper: Keeper, store: Store, inbox: Inbox, clock: Clock) -> None:
        self._settings = settings
        self._keeper = keeper
        self._store = store
        self._inbox = inbox
        self._clock = clock
        self._random = random.Random()  # noqa: S311  # spreads retries, guards nothing
        self._woken = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self.lines: dict[Key, Line] = {}
        self.counters = Counters()

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
                if added := now.contacts - line.live.contacts:
                    # Their changes reach us from now on, and what was read before does not count.
                    self._store.doubt_contacts(added, "just added to the subscription")
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
                line.fetch_due = min(line.fetch_due, moment.monotonic + line.interval)
        self._woken.set()

    def wake(self) -> None:
        """Something is due that was not."""
        self._woken.set()

    async def fetch(self, line: Line) -> int:
        """Fetch a subscription now; how many contacts changed. A fetch that has not begun yet serves many callers."""
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        line.waiters.append(done)
        self._inbox.mark(line.ref.id, line.ref.node)
        line.fetch_failures = 0
        line.fetch_due = min(line.fetch_due, self._clock.monotonic())
        self._woken.set()
        return await done

    async def poll(self, line: Line, contacts: Iterable[str]) -> PutReport:
        """Read these contacts of a subscription with getPolledPresence. Raises PwsError."""
        reading = self._store.begin()
        self.counters.polls += 1
        try:
            client = self._keeper.client(line.live.key.node)
            rich = line.live.key.user in self._settings.rich
            presences = await client.get_polled_presence(line.live.session, contacts, rich=rich)
        except PwsError as error:
            self._report(line, failure_of(error), session=True)
            raise
        self._report(line, None)
        return self._store.put(presences, reading, source=Source.POLLED)

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
        dirty = set(self._inbox.dirty())
        later: list[float] = []
        running = sum(line.fetching for line in self.lines.values())
        order = {ref: place for place, ref in enumerate(self._inbox.dirty())}
        for line in sorted(self.lines.values(), key=lambda each: order.get(each.ref, len(order))):
            if not line.fetching:
                wanted = now if line.ref in dirty and not line.fetch_failures else line.fetch_due
                if wanted > now:
                    later.append(wanted)
                elif running < self._settings.max_parallel:
                    running += 1
                    line.fetching = True
                    self._spawn(partial(self._fetch, line))
            if not line.polling and not line.fetching:
                sweep = self._settings.reconcile_interval and line.sweep_due <= now
                unsettled = bool(not sweep and line.fetches and self._unsettled(line))
                if sweep or (unsettled and line.poll_due <= now):
                    line.polling = True
                    self._spawn(partial(self._read_again, line, bool(sweep)))
                elif unsettled:
                    later.append(line.poll_due)
                if self._settings.reconcile_interval:
                    later.append(line.sweep_due)
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

    # One fetch, one poll

    async def _fetch(self, line: Line) -> None:
        ticket = self._inbox.begin(line.ref)
        reading = self._store.begin()
        waiters, line.waiters = line.waiters, []
        expected = line.announced or line.fetches == 0 or bool(waiters)
        line.announced = False
        self.counters.fetches += 1
        try:
            client = self._keeper.client(line.live.key.node)
            rich = line.live.key.user in self._settings.rich
            presences = await client.get_subscribed_presence(line.live.session, line.live.id, rich=rich)
        except PwsError as error:
            line.fetching = False
            self._inbox.finish(ticket, ok=False)
            self._failed(line, error)
            for each in waiters:
                if not each.done():
                    each.set_exception(error)
            return
        except BaseException:
            for each in waiters:
                each.cancel()
            raise
        line.fetching = False
        if self.lines.get(line.live.key) is not line:
            for each in waiters:
                each.cancel()
            return  # the subscription was lost meanwhile: its feed is in doubt already
        report = self._store.put(presences, reading, source=Source.SUBSCRIBED)
        self._store.confirm(line.feed, reading)
        self._store.trust(line.feed)
        self._inbox.finish(ticket, ok=True)
        if line.shaky_until:
            if reading.at.monotonic >= line.shaky_until:
                line.shaky_until = 0.0
            self._store.doubt_contacts(line.live.contacts, "a fetch that timed out may have taken changes along")
        if line.fetch_failures:
            log.info("%s: fetched again", line.feed)
        log.debug("%s: fetched %d contacts, %d changed", line.feed, len(presences), len(report.changes))
        line.fetches += 1
        line.fetch_failures = 0
        line.last_error = None
        line.last_fetch = reading.at
        self._pace(line, reading.at.monotonic, len(report.changes), expected)
        self._report(line, None)
        for each in waiters:
            if not each.done():
                each.set_result(len(report.changes))

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

    def _failed(self, line: Line, error: PwsError) -> None:
        self.counters.failures += 1
        if not line.fetch_failures:
            line.failing_since = self._clock.monotonic()
        line.fetch_failures += 1
        if line.fetch_failures == 1:
            log.warning("%s: cannot be fetched: %s", line.feed, error)
        line.last_error = str(error)
        line.fetch_due = self._clock.monotonic() + self._pause(line.fetch_failures)
        if self.lines.get(line.live.key) is line:
            if isinstance(error, OutcomeUnknown):
                self.counters.unknown_outcomes += 1
                if isinstance(error, TimedOut):
                    line.shaky_until = self._clock.monotonic() + self._settings.late
                self._store.doubt_contacts(line.live.contacts, f"the reply to a fetch was lost: {error}")
            # Something may have changed, and we cannot learn what: nothing of this feed is sure until a fetch succeeds.
            self._store.doubt(line.feed, f"cannot be fetched: {error}")
        self._report(line, failure_of(error))

    def _unsettled(self, line: Line) -> list[str]:
        """What must be read again: in doubt, and in the subscription, so that what is read stays true."""
        mine = {same_contact(contact) for contact in line.live.contacts}
        return [contact for contact in self._store.unsettled(line.feed) if same_contact(contact) in mine]

    async def _read_again(self, line: Line, sweep: bool) -> None:
        """Poll what is in doubt, or everything, in lists as long as a request may be, each taken in as it comes."""
        contacts = sorted(line.live.contacts) if sweep else self._unsettled(line)
        try:
            for start in range(0, len(contacts), MAX_CONTACTS_PER_REQUEST):
                report = await self.poll(line, contacts[start : start + MAX_CONTACTS_PER_REQUEST])
                if sweep and report.changes and not line.announced and not line.shaky_until:
                    self.counters.drift += len(report.changes)
                    log.warning("%s: %d contacts differed from polled presence", line.feed, len(report.changes))
            line.poll_failures = 0
            # A document that stays unreadable is not polled for ever at full speed.
            line.poll_failures += not sweep and bool(self._unsettled(line))
        except PwsError as error:
            line.poll_failures += 1
            line.last_error = str(error)
        finally:
            now = self._clock.monotonic()
            line.poll_due = now + (self._pause(line.poll_failures) if line.poll_failures else 0.0)
            if sweep:
                line.sweep_due = now + self._settings.reconcile_interval
            line.polling = False

    def _pause(self, failures: int) -> float:
        full = min(_RETRY_MOST, _RETRY_FIRST * 2.0 ** min(failures - 1, 10))
        return full * (0.5 + 0.5 * self._random.random())

    def _report(self, line: Line, failure: Failure | None, *, session: bool = False) -> None:
        """Tell the lifecycle how a call through this subscription, or through its session alone, ended."""
        key, generation = line.live.key, line.live.generation
        if session and failure is not None and failure.trouble is Trouble.SUBSCRIPTION_LOST:
            failure = Failure(Trouble.SERVER, failure.text, failure.code)
        self._keeper.post(lifecycle.Used(key, generation, failure))

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
        self.lines[key] = line
        self._inbox.known(line.ref, dirty=True)
        # Changes before this moment may have gone to an older subscription: only what is read from now on counts.
        self._store.trust(line.feed, anew=self._store.begin())
        self._store.doubt(line.feed, "subscribed anew, not fetched yet")

    def _close(self, key: Key, line: Line) -> None:
        del self.lines[key]
        # A server that lost everything gives the same small ids again, perhaps to another of our subscriptions.
        if all(other.ref != line.ref for other in self.lines.values()):
            self._inbox.forget(line.ref)
        resource = self._keeper.state.resources.get(key)
        why = resource.error.text if resource is not None and resource.error is not None else "subscription lost"
        self._store.doubt(line.feed, why)
        for each in line.waiters:
            each.cancel()
