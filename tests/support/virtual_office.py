"""Service and simulator in one process, without sockets, and the promise that is checked all the time.

The promise: whatever faults happen, no answer says `live` about what is not confirmed within its bound; and once the
server works again, every contact is live and equal to the server's truth within a bounded time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from pws_soap import lifecycle, notification
from pws_soap.client import PwsClient
from pws_soap.errors import Disconnected, PwsError, TimedOut, Unreachable
from pws_soap.memory import MemoryTransport, SentRequest
from pws_soap.models import Presence, Secret
from pws_soap.simulator import ConnectionAborted, NodeDown, Options, Simulator
from pws_soap.simulator import State as Wire
from pws_soap.transport import Reply
from service.core.meter import NO_METER, Meter
from service.core.presence.freshness import Level, assess, default_bound
from service.core.presence.memory_store import MemoryStore
from service.core.presence.records import PutReport, ReadingStart, Source
from service.sync import attribution
from service.sync.budget import BudgetedTransport, RequestBudget
from service.sync.commands import Credentials
from service.sync.engine import SyncEngine
from service.sync.state_file import StateFile
from service.sync.subscriptions import FetchSettings, TrackedSubscription
from tests.support.virtual_time import LoopClock

SAFETY = 60.0
BOUND = default_bound(SAFETY)
READ_TIMEOUT = 10.0
HEALED = 420.0
"""Seconds after the last fault within which all is live: a node's pause, the longest back-off, a login and a fetch."""
STATES = (Wire.AVAILABLE, Wire.BUSY, Wire.AWAY, Wire.DND, Wire.UNAVAILABLE)


def _check_attribution(office: VirtualOffice, engine: SyncEngine) -> None:
    """A reply that is known to be about the subscription's contacts is still so when it is looked through."""
    poller = engine.fetcher._poller
    take_in_steps = poller.take_in_steps

    def checked(
        tracked: TrackedSubscription, presences: Sequence[Presence], reading: ReadingStart, source: Source
    ) -> Generator[None, None, PutReport]:
        if presences is tracked.attributed:
            tracked.attributed = ()
            assert not attribution.unattributed(tracked, presences)
            assert not poller._others(tracked, presences)
            tracked.attributed = presences
            office.repeated += 1
        return take_in_steps(tracked, presences, reading, source)

    poller.take_in_steps = checked  # type: ignore[method-assign]


@dataclass
class VirtualOffice:
    """The simulator, and one service at a time in front of it."""

    contacts: tuple[str, ...]
    nodes: tuple[str, ...] = ("imp1",)
    state_file: Path | None = None
    options: Options | None = None
    users: tuple[str, ...] = ("dispatcher",)
    rich: bool = False
    safety: float = SAFETY
    reconcile: float = 600.0
    heartbeat: float = 0.0
    rate: float = 50.0
    bound: float = BOUND
    keeps_documents: bool = False
    clock: LoopClock = field(default_factory=LoopClock)
    meter: Meter = NO_METER

    def __post_init__(self) -> None:
        self.simulator = Simulator(
            self.options, nodes=self.nodes, clock=self.clock.now, notify=self._notify, sleep=asyncio.sleep, seed=7
        )
        self.truth: dict[str, list[tuple[float, str]]] = {}
        for contact in self.contacts:
            self.simulator.change(contact, state=Wire.AVAILABLE)
            self.truth[contact] = [(0.0, "AVAILABLE")]
        self.engine: SyncEngine | None = None
        self.store = MemoryStore(self.clock)
        self.requests = 0
        self.repeated = 0
        """Replies that were taken in as those before them, without a look at their contacts."""

    # The service

    def follow_store(self) -> None:
        """Begin what follows the store from its start on, before anybody is watched: nothing here."""

    def start(self) -> SyncEngine:
        """Start a service with an empty store."""
        self.store = MemoryStore(self.clock)
        self.follow_store()
        self.engine = SyncEngine(
            settings=lifecycle.Settings(nodes=tuple(f"http://{name}:8082" for name in self.nodes), seed=3),
            fetch_settings=FetchSettings(
                safety_interval=self.safety,
                reconcile_interval=self.reconcile,
                heartbeat_interval=self.heartbeat,
                rich=frozenset(self.users if self.rich else ()),
            ),
            credentials=Credentials("pwsapp", Secret("secret"), Secret("http://127.0.0.1:8080/pws/path")),
            connect=self._connect,
            store=self.store,
            clock=self.clock,
            memory=StateFile(self.state_file),
            bound=self.bound,
            meter=self.meter,
        )
        _check_attribution(self, self.engine)
        self.built(self.engine)
        share = {user: self.contacts[number :: len(self.users)] for number, user in enumerate(self.users)}
        self.engine.start(share)
        return self.engine

    def built(self, engine: SyncEngine) -> None:
        """Called once store and engine are there, before anything begins."""

    async def kill(self) -> None:
        """End the service as SIGKILL does: nothing is sent any more."""
        engine = self.engine
        assert engine is not None
        self.engine = None
        for task in [*engine._tasks, *engine.driver._tasks, *engine.fetcher._tasks]:
            task.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def stop(self, limit: float = 60.0) -> None:
        """Stop the service as SIGTERM does."""
        assert self.engine is not None
        engine, self.engine = self.engine, None
        await engine.stop(limit)

    # The network between them

    def _connect(self, node: str) -> PwsClient:
        transport = BudgetedTransport(MemoryTransport(self._post), RequestBudget(self.rate, self.clock), self.meter)
        return PwsClient(
            node,
            transport=transport,
            now=lambda: datetime.fromtimestamp(self.clock.now(), UTC),
            keeps_documents=self.keeps_documents,
        )

    async def _post(self, sent: SentRequest) -> Reply | PwsError:
        self.requests += 1
        name = urlsplit(sent.url).hostname or ""
        try:
            async with asyncio.timeout(READ_TIMEOUT):
                reply = await self.simulator.post(
                    name, {**sent.headers, "Content-Length": str(len(sent.body))}, sent.body
                )
        except NodeDown:
            return Unreachable("nobody listens", node=name, operation=sent.operation)
        except ConnectionAborted:
            return Disconnected("the connection broke", node=name, operation=sent.operation)
        except TimeoutError:
            return TimedOut("no reply", node=name, operation=sent.operation)
        if reply.cut is not None:
            return Disconnected("the connection broke", node=name, operation=sent.operation)
        return Reply(reply.status, reply.body)

    async def _notify(self, url: str) -> bool:
        parts = urlsplit(url)
        if self.engine is None:
            return False
        self.engine.notified(notification.read(parts.query), parts.path.rsplit("/", 1)[-1])
        return True

    # The promise

    def change(self, contact: str, state: Wire) -> None:
        """Somebody's presence changes."""
        self.simulator.change(contact, state=state)
        self.truth[contact].append((self.clock.monotonic(), str(state)))

    def check(self) -> int:
        """No live answer is wrong; how many are live."""
        now, feeds = self.clock.monotonic(), self.store.feeds()
        live = 0
        for record in self.store.records():
            fresh = assess(record, feeds[record.feed], now, self.bound)
            if fresh.level is not Level.LIVE:
                continue
            live += 1
            assert fresh.as_of is not None
            since = fresh.as_of.monotonic
            assert now - since <= self.bound
            held = self._held(record.contact, since)
            assert str(record.state) in held, (
                f"{record.contact} is shown {record.state}, was {held} since {now - since} s"
            )
        return live

    def _held(self, contact: str, since: float) -> list[str]:
        """The states that a contact had at some time from `since` on; at the very moment of a change, both."""
        history = self.truth[contact.lower()]
        before = [state for at, state in history if at < since]
        return [*before[-1:], *(state for at, state in history if at >= since)]

    def wrong(self) -> list[str]:
        """What is not live, or not the truth."""
        now, feeds = self.clock.monotonic(), self.store.feeds()
        found = []
        for record in self.store.records():
            fresh = assess(record, feeds[record.feed], now, self.bound)
            if fresh.level is not Level.LIVE:
                found.append(f"{record.contact}: {fresh.level} ({fresh.reason})")
            elif str(record.state) != self.truth[record.contact.lower()][-1][1]:
                found.append(f"{record.contact}: {record.state} instead of {self.truth[record.contact.lower()][-1][1]}")
        return found

    async def pass_time(self, seconds: float, step: float = 1.0) -> None:
        """Let time pass, checking all along."""
        end = self.clock.monotonic() + seconds
        while (left := end - self.clock.monotonic()) > 0:
            await asyncio.sleep(min(step, left))
            self.check()

    async def heal(self, limit: float = HEALED) -> float:
        """Wait until everything is live and true; how long it took."""
        began = self.clock.monotonic()
        while problems := self.wrong():
            took = self.clock.monotonic() - began
            assert took < limit, f"not healed after {took:.0f} s: {problems[:5]}; {self._story()}"
            await asyncio.sleep(0.5)
            self.check()
        return self.clock.monotonic() - began

    def _story(self) -> str:
        assert self.engine is not None
        status = self.engine.status()
        return "; ".join([*(each.what for each in status.problems), *(f"{s}" for s in status.subscriptions)])

    def left(self) -> list[str]:
        """What is left on the server."""
        found = []
        for name, place in self.simulator.places.items():
            registry = place.node.registry
            found += [f"{name}: session of {each.user}" for each in registry.sessions.values()]
            found += [f"{name}: endpoint {number}" for number in registry.endpoints]
            found += [f"{name}: subscription {number}" for number in registry.subscriptions]
        return found


def names(count: int) -> tuple[str, ...]:
    """Contacts, numbered."""
    return tuple(f"p{number:04d}@example.com" for number in range(count))


def all_faults() -> Iterable[str]:
    """Kinds of faults between client and server."""
    return (
        "lose-reply",
        "truncate-reply",
        "garble-reply",
        "empty-reply",
        "html-reply",
        "abort-request",
        "delay-request",
        "slow-reply",
        "http-503",
        "delay-reply",
        "drop-notification",
        "delay-notification",
        "duplicate-notification",
        "reorder-notification",
    )
