"""The engine: lifecycle, fetcher, inbox and store wired together, with a start and a bounded stop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import filterfalse

from pws_soap import lifecycle
from pws_soap.client import PwsClient
from pws_soap.errors import PwsError
from pws_soap.lifecycle import FailureKind, Kind, State
from pws_soap.models import MAX_CONTACTS_PER_REQUEST, Notification, Secret
from service.core.clock import Clock
from service.core.engine import (
    NoSuchEndUser,
    NoSuchNode,
    NotAvailable,
    NotificationCounters,
    PartialFailure,
    PresenceToSet,
    RefreshReport,
    Status,
    Watched,
)
from service.core.meter import NO_METER, Meter, NotificationOutcome
from service.core.presence.freshness import Level
from service.core.presence.store import Store
from service.core.tracing import ID_TRACER, Tracer
from service.core.wakeup import EndableWaits, in_turns
from service.sync import status as reporting
from service.sync.canary import Canary
from service.sync.commands import Credentials
from service.sync.driver import LifecycleDriver
from service.sync.fetch_context import FetchContext
from service.sync.fetcher import Fetcher
from service.sync.inbox import Inbox, SubscriptionRef
from service.sync.poller import Poller
from service.sync.presence_setter import ServerPresence
from service.sync.read_through import ReadThrough
from service.sync.session_memory import Released, SessionMemory
from service.sync.silence import Silence
from service.sync.store_follower import StoreFollower
from service.sync.subscription_events import Publish, Publisher
from service.sync.subscriptions import FetchSettings, SubscriptionGone, Subscriptions, TrackedSubscription, feed_of
from service.sync.tracker import SubscriptionTracker
from service.sync.watchlist import Reloaded, Watchlist

log = logging.getLogger("pws.service")

STOPPING = "the service is stopping"
STEP = 1000
"""Contacts that come, and that go, in one step of a reload."""
READY_GRACE = 5.0
"""Seconds for which a service that was live may have nothing live and is still called ready: a fetch and its retry."""


class SyncEngine:
    """Keeps the store up to date with the server; `service.core.engine.Engine` is what others see of it.

    `bound` is how long a state counts as live without being confirmed, `patience` how long an answer that reads through
    may wait for the server, both in seconds. `publish` is called with each event of a subscription, `hide` with each
    new session key, which no log must show.
    """

    def __init__(
        self,
        *,
        settings: lifecycle.Settings,
        fetch_settings: FetchSettings,
        credentials: Credentials,
        connect: Callable[[str], PwsClient],
        store: Store,
        clock: Clock,
        memory: SessionMemory,
        bound: float,
        patience: float = 30.0,
        publish: Publish = lambda _name, _data, _keys: None,
        meter: Meter = NO_METER,
        tracer: Tracer = ID_TRACER,
        hide: Callable[[Secret], object] = lambda _secret: None,
    ) -> None:
        self._clock = clock
        self._store = store
        self._bound = bound
        self._meter = meter
        self._inbox = Inbox()
        self._tracer = tracer
        self._rejected = 0
        self.driver = LifecycleDriver(settings, credentials, connect, clock, memory, self._changed, meter, hide=hide)
        self._server_presence = ServerPresence(self.driver, hide)
        self.subscriptions = Subscriptions()
        self._publisher = Publisher(store, publish)
        context = FetchContext(
            fetch_settings, self.subscriptions, self.driver, store, self._inbox, clock, meter, tracer
        )
        silence = Silence(context, self._publisher.missed)
        poller = Poller(context, silence)
        self._tracker = SubscriptionTracker(context, silence)
        self.fetcher = Fetcher(context, silence, poller)
        self._watchlist = Watchlist({})
        self._read_through = ReadThrough(self.refresh, patience)
        self._follower = StoreFollower(store)
        self._requests = EndableWaits()
        self._tasks: list[asyncio.Task[None]] = []
        self.canary: Canary | None = None
        """Started and stopped with the engine, where there is one."""
        self.refused: asyncio.Event = asyncio.Event()
        """Set when the very first login is refused, or the server is not trusted: only the operator can mend it."""
        self.refusal = ""
        """Why, in words; kept, since the stop that follows forgets everything else."""

    def start(
        self,
        contacts: Mapping[str, Sequence[str]],
        *,
        added: Mapping[str, Sequence[str]] | None = None,
        removed: Sequence[str] = (),
    ) -> None:
        """Begin to watch `contacts`, by end user, with what was `added` to them and `removed` while another process did
        so."""
        self._watchlist = Watchlist(contacts)
        for user, more in (added or {}).items():
            self._watchlist.add(more, user)
        self._watchlist.remove(removed)
        self.driver.want(self._watchlist.wanted())
        self._follow()
        self._tasks = [
            asyncio.create_task(self._forever("lifecycle", self.driver.run), name="lifecycle"),
            asyncio.create_task(self._forever("fetches", self.fetcher.run), name="fetches"),
        ]
        if self.canary is not None:
            self.canary.start()

    async def reload(self, contacts: Mapping[str, Sequence[str]]) -> Reloaded:
        """The configuration was read again: watch these contacts, by end user, beside those that the API added. Many
        are taken in by steps, with a turn of the event loop in between."""
        changes = await in_turns(self._watchlist.reload(contacts))
        await in_turns(self._take_in(changes))
        return changes

    def _take_in(self, changes: Reloaded) -> Generator[None, None, None]:
        """As many go as come at each step, so that no subscription is emptied and filled again, or overflows. Those who
        change their end user go and come in one step, so that nobody forgets them meanwhile."""
        left, came, moved = changes.left, changes.came, changes.moved
        for start in range(0, max(len(left), len(came), len(moved)), STEP):
            part = slice(start, start + STEP)
            old, new = [each for each, _ in moved[part]], [each for _, each in moved[part]]
            # Between the steps the API may have added and removed some of them.
            self._adjust(
                add=filter(self._watchlist.has, [*new, *came[part]]),
                drop=filterfalse(self._watchlist.has, [*old, *left[part]]),
            )
            yield

    def let_go(self) -> None:
        """The service is about to stop: requests that wait for the server are refused now."""
        self._requests.end()

    async def stop(self, limit: float) -> None:
        """Unsubscribe, unregister and log out, for `limit` seconds at most."""
        if self.canary is not None:
            await self.canary.stop()
        clean = await self.driver.stop(limit)
        await self._end()
        if clean:
            log.info("stopped; nothing of ours is left on the server", extra={"event": "service.stopped"})
        else:
            log.warning(
                "stopped (%(limit).0f s at most); what is left on the server is removed at the next start",
                {"limit": limit},
                extra={"event": "service.stopped-dirty"},
            )

    async def release(self, limit: float) -> Released:
        """Ask the server for nothing more, and wait for what is under way, for `limit` seconds at most: what may be
        gone on with. Nothing, where it is not known how a request has ended."""
        self._requests.end()
        if self.canary is not None:
            await self.canary.stop()
        await self._cancel()
        self.driver.hold_back()
        finishing = asyncio.ensure_future(self._finish())
        waiting = asyncio.ensure_future(self._clock.sleep(limit))
        try:
            await asyncio.wait({finishing, waiting}, return_when=asyncio.FIRST_COMPLETED)
            return self.driver.released() if finishing.done() else Released()
        finally:
            finishing.cancel()
            waiting.cancel()

    async def _finish(self) -> None:
        await self.fetcher.finish()
        await self.driver.finish()

    def feeds_to_adopt(self) -> set[str]:
        """The feeds that another process kept true, and that may be gone on with."""
        return {feed_of(key) for key in self.driver.adoptable()}

    async def abandon(self) -> None:
        """End at once, and send nothing more: what is at the server belongs to another process now, or will."""
        self._requests.end()
        if self.canary is not None:
            await self.canary.abandon()
        await self._end()

    async def _end(self) -> None:
        await self._follower.close()
        await self._cancel()
        await self.fetcher.close()
        await self.driver.close()

    async def _cancel(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _changed(self, old: State, new: State) -> None:
        # First the cause, then its consequences: contacts become stale behind this event.
        try:
            self._publisher.changed(old, new)
        except Exception:  # a bug in the events must not keep us from following the lifecycle
            log.exception("subscription events: unexpected error, going on", extra={"event": "internal.error"})
        self._tracker.sync()
        if not self.driver.ever_logged_in and not self.refused.is_set():
            errors = [each.error for each in new.resources.values() if each.key.kind is Kind.APPLICATION]
            refusals = [error.text for error in errors if error is not None and error.kind is FailureKind.REFUSED]
            if refusals and len(refusals) == len(errors):
                self.refusal = refusals[0]
                self.refused.set()

    # What others see

    def notified(self, notification: Notification, node: str) -> None:
        """See Engine."""
        ref = SubscriptionRef(node, notification.subscription_id)
        with self._tracer.span("notification", self._inbox.trace(ref), subscription=ref.id, node=node):
            log.debug(
                "notification for subscription %(subscription)d%(_of_node)s",
                {"subscription": ref.id, "node": node, "_of_node": f" of {node}" if node else ""},
                extra={"event": "notification.came"},
            )
            self._tracker.notified(ref.id, node)

    def rejected(self) -> None:
        """See Engine."""
        self._rejected += 1
        self._meter.notification_came(NotificationOutcome.REJECTED)

    async def refresh(self, contacts: Sequence[str] | None) -> RefreshReport:
        """See Engine."""
        subscriptions = list(self.subscriptions)
        if self.driver.state.stopping:
            raise NotAvailable(STOPPING)
        if not subscriptions:
            raise NotAvailable("no subscription is live", self._retry_after())
        work = self._fetch(subscriptions) if contacts is None else self._poll(subscriptions, contacts)
        return await self._requests.wait(work, NotAvailable(STOPPING))

    async def read(self, contacts: Sequence[str]) -> RefreshReport:
        """See Engine."""
        return await self._read_through.read(contacts)

    def watched(self) -> Sequence[Watched]:
        """See Engine."""
        return self._watchlist.all()

    def watch(self, contacts: Sequence[str], end_user: str | None) -> Sequence[str]:
        """See Engine."""
        added = self._watchlist.add(contacts, end_user)
        self._adjust(add=added.values())
        return list(added)

    def unwatch(self, contacts: Sequence[str]) -> Sequence[str]:
        """See Engine."""
        gone = self._watchlist.remove(contacts)
        self._adjust(drop=gone)
        return [watched.contact for watched in gone]

    async def set_presence(self, end_user: str, wanted: PresenceToSet) -> None:
        """See PresenceSetter."""
        if self.driver.state.stopping:
            raise NotAvailable(STOPPING)
        await self._requests.wait(self._server_presence.set_presence(end_user, wanted), NotAvailable(STOPPING))

    async def followed(self) -> None:
        """See Engine."""
        await self._follower.followed()

    def status(self, *, problems: bool = True) -> Status:
        """See Engine."""
        received = self._inbox.counters()
        counters = NotificationCounters(received.received, received.unknown, self._rejected)
        levels = self._levels()
        parts = self.driver, self.subscriptions, self._store, levels
        status = reporting.status(*parts, counters, self._clock, with_problems=problems)
        canary = self.canary.status() if self.canary is not None else None
        return replace(status, ready=self._is_ready(levels), canary=canary)

    def ready(self) -> tuple[bool, str]:
        """See Engine. One failed fetch does not count: what was live is given a moment to be so again."""
        if self.driver.state.stopping:
            return False, STOPPING
        levels = self._levels()
        if _is_live(levels):
            return True, "live"
        found = reporting.problems(self.driver, self.subscriptions, self._store, levels, self._clock)
        reason = "; ".join(each.what for each in list(found)[:3]) or "nothing has been read yet"
        return self._is_ready(levels), reason

    def move(self, node: str, end_user: str | None) -> str:
        """See Engine."""
        state = self.driver.state
        known = dict.fromkeys((*state.settings.nodes, *state.nodes, *(each.node for each in state.users.values())))
        target = node if node in known else lifecycle.resolve(node, state.settings.nodes[0], state.settings)
        if target not in known or target is None:
            raise NoSuchNode(node, list(known))
        if end_user is not None and end_user not in state.users:
            raise NoSuchEndUser(end_user, state.users)
        self.driver.post(lifecycle.Move(target, end_user))
        return target

    # Inside

    def _is_ready(self, levels: Mapping[Level, int]) -> bool:
        """Without a look at any contact, and without the reason."""
        if self.driver.state.stopping or _is_live(levels):
            return not self.driver.state.stopping
        doubts = [feed.doubt for feed in self._store.feeds().values()]
        latest = max((doubt.since.monotonic for doubt in doubts if doubt is not None), default=0.0)
        read = self._store.summary().read
        return bool(read and all(doubts) and self._clock.monotonic() - latest < READY_GRACE)

    def _adjust(self, *, add: Iterable[Watched] = (), drop: Iterable[Watched] = ()) -> None:
        """Let the lifecycle and the store follow what was added to or taken from what is wanted."""
        changes: dict[str, tuple[set[str], set[str]]] = {}
        for which, watched in enumerate((add, drop)):
            for each in watched:
                changes.setdefault(each.end_user, (set(), set()))[which].add(each.contact)
        for user, (more, fewer) in changes.items():
            self.driver.post(lifecycle.Adjust(user, frozenset(more), frozenset(fewer)))
        if changes:
            self._follow()

    def _follow(self) -> None:
        """Let the store follow the subscriptions that are wanted."""
        users = self.driver.state.users.items()
        self._follower.follow(
            {
                feed_of(lifecycle.Key(Kind.SUBSCRIPTION, "", user, slot)): contacts
                for user, each in users
                for slot, contacts in enumerate(each.slots)
            }
        )
        self.subscriptions.wake()

    def _levels(self) -> Mapping[Level, int]:
        return self._store.levels(self._bound)

    def _retry_after(self) -> float | None:
        due = lifecycle.next_due(self.driver.state)
        return None if due is None else max(1.0, due - self._clock.monotonic())

    async def _fetch(self, subscriptions: list[TrackedSubscription]) -> RefreshReport:
        results = await asyncio.gather(
            *(self.fetcher.fetch(tracked) for tracked in subscriptions), return_exceptions=True
        )
        changed, failures = 0, []
        for tracked, result in zip(subscriptions, results, strict=True):
            if isinstance(result, int):
                changed += result
            elif isinstance(result, PwsError | SubscriptionGone):
                failures.append(
                    PartialFailure(f"subscription {tracked.subscription.id} of {tracked.feed}", str(result))
                )
            else:
                raise result
        if failures and len(failures) == len(subscriptions):
            raise NotAvailable("; ".join(each.reason for each in failures), self._retry_after())
        return RefreshReport(changed, changed, tuple(failures))

    async def _poll(self, subscriptions: list[TrackedSubscription], contacts: Sequence[str]) -> RefreshReport:
        """Poll contacts through their subscriptions. A node that does not answer is not asked a second time."""
        changed = polled = 0
        failures: list[PartialFailure] = []
        for tracked in subscriptions:
            mine = []
            for contact in contacts:
                record = self._store.get(contact)
                if record is not None and record.feed == tracked.feed:
                    mine.append(record.contact)
            for start in range(0, len(mine), MAX_CONTACTS_PER_REQUEST):
                part = mine[start : start + MAX_CONTACTS_PER_REQUEST]
                try:
                    report = await self.fetcher.poll(tracked, part)
                except PwsError as error:
                    failures.append(PartialFailure(", ".join(part[:5]), str(error)))
                    break
                polled += len(part)
                changed += len(report.changes)
        if not polled and contacts:
            reason = "; ".join(each.reason for each in failures) or "the subscription of these contacts is not live"
            raise NotAvailable(reason, self._retry_after())
        return RefreshReport(polled, changed, tuple(failures))

    async def _forever(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run what must not end. A bug in it is logged and costs a second; then it runs again."""
        while True:
            try:
                await work()
            except Exception:
                log.exception("%(part)s: unexpected error, going on", {"part": name}, extra={"event": "internal.error"})
                await self._clock.sleep(1)
            else:
                return


def _is_live(levels: Mapping[Level, int]) -> bool:
    """Whether somebody is live, or nobody is watched."""
    return bool(levels.get(Level.LIVE)) or not sum(levels.values())
