"""Three replicas, the engine's twin and the simulator in one process, each replica with a clock of its own.

Each replica is the whole program: what clients ask goes through the forwarding and the routes, and from one replica to
another as between processes. `cluster_clients` asks; here is what must be true at any moment:

- what a replica calls live was so at some time since its `as_of`, and what its routes answer is the same
- an id means the same event everywhere, ids ascend, and nothing is told that the engine has not accepted
- nobody is in two claims that were answered, and the owner holds each of these until its end
- a stream gets what the owner told, entry for entry, at whichever replica it goes on
- nothing fails inside that only the log would tell of
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from starlette.types import Message, Receive, Scope, Send

from pws_soap import lifecycle, notification
from pws_soap.client import PwsClient
from pws_soap.errors import Disconnected, PwsError, TimedOut, Unreachable
from pws_soap.memory import MemoryTransport, SentRequest
from pws_soap.models import Secret
from pws_soap.simulator import ConnectionAborted, NodeDown, Simulator
from pws_soap.simulator import State as Wire
from pws_soap.transport import Reply
from service.access.authentication import Authenticator
from service.access.principal import READER
from service.api.app import create_app
from service.api.middleware.limits import MAX_BODY
from service.api.sse.view import FrameCache, SubscriberView
from service.api.writers.contact import ContactJson
from service.cluster import tables
from service.cluster.engine import MAX_ENTRIES, LogPosition, News, StoredEntry, Table
from service.cluster.memory import MemoryEngine, MemoryServer
from service.cluster.mirroring import Follower
from service.cluster.upstream import Upstream
from service.core.claims.service import ClaimRules
from service.core.clock import Clock
from service.core.events.event import Event
from service.core.presence.filters import Filter
from service.core.presence.freshness import Level, assess, default_bound
from service.core.presence.memory_store import MemoryStore
from service.core.wiring import Core
from service.runtime.committing import Committing
from service.runtime.forwarding import Forwarding
from service.runtime.hand_over import SessionDigests
from service.runtime.holding import ReplicaIdentity
from service.runtime.peer_requests import PeerReply, PeerRequest, PeerUnreachable
from service.runtime.replica import Replica
from service.runtime.replica_engine import ReplicaEngine
from service.sync.budget import BudgetedTransport, RequestBudget
from service.sync.commands import Credentials
from service.sync.engine import SyncEngine
from service.sync.session_memory import SessionMemory
from service.sync.subscriptions import FetchSettings
from tests.support.asgi import Answer
from tests.support.peers import Client
from tests.support.virtual_time import EPOCH, pass_time

SAFETY = 60.0
BOUND = default_bound(SAFETY)
READ_TIMEOUT = 10.0
NAMES = ("a", "b", "c")
GROUP = "support"
SECRET = Secret("a secret of the replicas")
CALLBACK = Secret("http://here:8080/pws/path")
SLACK = 0.05
"""Seconds by which a claim may seem shorter: a clock that is 0.05 % fast, for a minute and a half."""


class ReplicaClock(Clock):
    """A process's clock: `offset` seconds off, `drift` too fast. Who sleeps by it stands still while it is paused."""

    def __init__(self, offset: float, drift: float) -> None:
        self.offset = offset
        self.rate = 1 + drift
        self.wall = 0.0
        """Seconds by which the wall clock was put forward."""
        self.going = asyncio.Event()
        self.going.set()

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time() * self.rate + self.offset

    def now(self) -> float:
        return EPOCH + self.monotonic() + self.wall

    def true(self, monotonic: float) -> float:
        """The loop's time at a moment of this clock."""
        return (monotonic - self.offset) / self.rate

    async def sleep(self, seconds: float) -> None:
        await pass_time(seconds / self.rate)
        await self.going.wait()


class RecordingServer(MemoryServer):
    """Remembers every entry that it ever accepted, lost ones included, and which one was before it."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.before: dict[int, int] = {}

    def _append(self, entries: Sequence[StoredEntry]) -> None:
        super()._append(entries)
        self.before.update((entry.id, entry.previous) for entry in entries)


class GatedEngine(MemoryEngine):
    """A way to the engine of a process that may stand still: what was asked is carried out, and the answer waits."""

    def __init__(self, server: MemoryServer, clock: ReplicaClock, dice: random.Random, *, replicated: bool) -> None:
        super().__init__(server, clock, replicated=replicated)
        self._gate = clock.going
        self._dice = dice

    async def follow(self, after: LogPosition, wait: float, limit: int = MAX_ENTRIES) -> News:
        """Sometimes so few entries at a time that beats come before what they confirm."""
        return await super().follow(after, wait, self._dice.choice((1, 3, limit)))

    async def _ask(self, verb: Any) -> Any:
        await self._gate.wait()
        try:
            return await super()._ask(verb)
        finally:
            await self._gate.wait()


class Told(NamedTuple):
    """What an id means, and as what a client sees it; None: it sees nothing of it."""

    name: str
    key: str | None
    shown: tuple[str, bytes] | None
    by: str


class Configured(NamedTuple):
    """What a process is configured with: the contacts that are watched, and the hash of it."""

    contacts: tuple[str, ...]
    hash: str = "configuration"


@dataclass(eq=False)
class Process:
    """One replica's process."""

    cluster: VirtualCluster
    name: str
    clock: ReplicaClock
    configured: Configured
    number: int = 0
    is_cut_off: bool = False
    """Whether it cannot reach the presence server."""
    tasks: list[asyncio.Task[Any]] = field(default_factory=list)
    has_ended: bool = False

    def __post_init__(self) -> None:
        cluster = self.cluster
        self.address = f"http://{self.name}"
        self.identity = f"{self.name} {self.number}" if self.number else self.name
        """A process that is started anew is another replica."""
        self.dice = random.Random(f"{cluster.seed} {self.name} {self.number}")  # noqa: S311  # chooses a history
        self.engine = GatedEngine(cluster.server, self.clock, self.dice, replicated=cluster.replicated)
        self.store = MemoryStore(self.clock)
        self.committing = Committing(self.engine, self.clock)
        self.core = Core.of(
            self.store,
            self.clock,
            BOUND,
            {GROUP: cluster.contacts},
            events=500,
            rules=ClaimRules(reserve=0.0),
            commits=self.committing,
        )
        upstream = cluster.upstreams.get(self.name, frozenset())
        follower = Follower(self.core, self.store, self.identity, upstream)
        self.committing.bind(self.core.log.told, lambda entry, epoch: tables.puts_of(entry, epoch, self.core))
        identity = ReplicaIdentity(self.identity, self.address, "1.0", self.configured.hash, upstream)
        self.replica = Replica(
            identity,
            self.engine,
            self.clock,
            self.core,
            self.committing,
            follower,
            self._sync,
            {"dispatcher": self.configured.contacts},
            digests=SessionDigests(b"secret", CALLBACK),
            chance=self.dice.random,
        )
        self.routes = ReplicaEngine(self.replica, self.store, BOUND, self.clock)
        self.follower = follower
        self.view = SubscriberView(self.core.reader, self.store, ContactJson(), FrameCache(), Filter(), READER)
        self.noted = 0
        """Up to which id its events were looked at."""
        self.core.reader.name_replica(self.identity)
        authenticator, replays = Authenticator(), self.replica.ownership.replays
        app = create_app(
            self.routes,
            self.core,
            callback_secret=None,
            version="1.0",
            authenticator=authenticator,
            replays=replays,
            keep_alive=5.0,
        )
        self.served = Forwarding(app, self.replica, Peers(self), SECRET, authenticator, max_body=MAX_BODY)
        self.connections: set[asyncio.Task[Answer | None]] = set()

    def __repr__(self) -> str:
        ends = " has ended" if self.has_ended else ""
        return f"<Process {self.replica!r}{ends}{'' if self.is_going else ' stands still'}>"

    @property
    def is_going(self) -> bool:
        """Whether it stands still not."""
        return self.clock.going.is_set()

    def start(self) -> None:
        """As the service's lifespan does."""
        self.routes.start({"dispatcher": self.configured.contacts})
        self.tasks = [asyncio.create_task(self.core.log.run()), asyncio.create_task(self.core.claim_service.run())]

    async def kill(self) -> None:
        """SIGKILL: nothing is sent any more."""
        self._hang_up()
        self.clock.going.set()
        await self.replica.kill()
        await self._end()

    async def stop(self, limit: float = 10.0) -> None:
        """SIGTERM, as `assembly` and its lifespan do."""
        self.routes.let_go()
        self.core.claim_service.close()
        self.core.log.close()
        await self._end_tasks()
        await self.routes.stop(limit)
        self._hang_up()
        await self._end()

    def _hang_up(self) -> None:
        self.has_ended = True
        for connection in self.connections:
            connection.cancel()

    async def _end_tasks(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _end(self) -> None:
        await self._end_tasks()
        await asyncio.gather(*self.connections, return_exceptions=True)

    # --- its clients

    async def answer(self, client: Client) -> Answer | None:
        """Serve a client, who may be cancelled; None: the connection broke, or was never taken."""
        await self.clock.going.wait()  # until then the machine has the connection, and nobody reads from it
        if self.has_ended:
            return None
        asking = asyncio.create_task(client.ask(self._served), name=f"client of {self.name}")
        self.connections.add(asking)
        asking.add_done_callback(self.connections.discard)
        try:
            return await asyncio.shield(asking)
        except OSError:
            return None
        except asyncio.CancelledError:
            if not asking.cancelled():
                client.hang_up()
                await asyncio.gather(asking, return_exceptions=True)
                raise
            return None

    async def _served(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def gated(message: Message) -> None:
            await self.clock.going.wait()
            await send(message)

        await self.served(scope, receive, gated)

    # --- its ways

    def goes_to_engine(self, what: str) -> None:
        """From now on `requests` or `replies` are lost on its way to the engine, or all is late (`delay`), or all is
        well."""
        self.engine.loses_requests = what == "requests"
        self.engine.loses_replies = what == "replies"
        self.engine.delay = 0.4 if what == "delay" else 0.0

    def _sync(self, memory: SessionMemory) -> SyncEngine:
        def publish(name: str, data: Any, keys: Any) -> None:
            if not self.core.log.follows:
                self.core.log.tell(name, data, keys)

        return SyncEngine(
            settings=lifecycle.Settings(nodes=tuple(f"http://{name}:8082" for name in self.cluster.nodes), seed=3),
            fetch_settings=FetchSettings(safety_interval=SAFETY, reconcile_interval=600.0, heartbeat_interval=30.0),
            credentials=Credentials("pwsapp", Secret("secret"), CALLBACK),
            connect=self._connect,
            store=self.store,
            clock=self.clock,
            memory=memory,
            bound=BOUND,
            publish=publish,
        )

    def _connect(self, node: str) -> PwsClient:
        transport = MemoryTransport(self._post)
        budgeted = BudgetedTransport(transport, RequestBudget(50.0, self.clock), rights=self.replica)
        return PwsClient(node, transport=budgeted, now=lambda: datetime.fromtimestamp(self.clock.now(), UTC))

    async def _post(self, sent: SentRequest) -> Reply | PwsError:
        await self.clock.going.wait()
        try:
            return await self._posted(sent)
        finally:
            await self.clock.going.wait()

    async def _posted(self, sent: SentRequest) -> Reply | PwsError:
        name = urlsplit(sent.url).hostname or ""
        if self.is_cut_off:
            await self.clock.sleep(0.1)
            return Unreachable("cut off", node=name, operation=sent.operation)
        try:
            async with asyncio.timeout(READ_TIMEOUT):
                await asyncio.sleep(self.cluster.latency)
                reply = await self.cluster.simulator.post(
                    name, {**sent.headers, "Content-Length": str(len(sent.body))}, sent.body
                )
        except NodeDown:
            return Unreachable("nobody listens", node=name, operation=sent.operation)
        except ConnectionAborted:
            return Disconnected("the connection broke", node=name, operation=sent.operation)
        except TimeoutError:
            return TimedOut("no reply", node=name, operation=sent.operation)
        if reply.cut is not None or self.is_cut_off:
            return Disconnected("the connection broke", node=name, operation=sent.operation)
        return Reply(reply.status, reply.body)


class Peers:
    """A process's way to the other replicas (`service.runtime.peer_requests.Peers`)."""

    def __init__(self, process: Process) -> None:
        self._process = process

    @asynccontextmanager
    async def ask(self, address: str, request: PeerRequest) -> AsyncIterator[PeerReply]:
        """See Peers."""
        mine, cluster = self._process, self._process.cluster
        other = cluster.processes.get(urlsplit(address).hostname or "")
        if other is None or cluster.is_cut(mine, other):
            await mine.clock.sleep(0.01)
            raise PeerUnreachable(f"{address} takes no connection", may_have_acted=False)
        client = Client(request.method, request.target, body=request.body, client="192.0.2.1")
        length = [each for each in client.scope["headers"] if each[0] == b"content-length"]
        client.scope["headers"] = [*request.headers, *length]
        answer = await other.answer(client)
        await mine.clock.going.wait()
        if answer is None or cluster.is_cut(mine, other):
            raise PeerUnreachable("the connection broke", may_have_acted=True)
        yield PeerReply(answer.status, client.sent[0]["headers"], _whole(answer.body))

    async def close(self) -> None:
        """Nothing is open."""


async def _whole(body: bytes) -> AsyncIterator[bytes]:
    yield body


@dataclass(eq=False)
class Answered:
    """A claim that a client got: on whom, and until when at least, by the loop's time."""

    id: str
    keys: tuple[str, ...]
    began: float
    until: float
    answered: float = 0.0
    """When the client was told of it, or last that it goes on."""
    at_risk: bool = False
    """Whether the engine has lost it, so that only replicas that run know of it."""
    has_lost_key: bool = False
    """Whether the engine has lost its answer by key, which replicas do not mirror."""


class InternalErrors(logging.Handler):
    """Takes down what went wrong inside, and is only logged since the service goes on."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []
        self._lines = logging.Formatter()

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(record, "event", "") == "internal.error":
            self.found.append(self._lines.format(record))


class VirtualCluster:
    """Everything, and what must be true of it. `seed` is for what happens by chance, `replicated`: a claim counts only
    when the engine's copy has it."""

    def __init__(
        self,
        contacts: Sequence[str],
        nodes: tuple[str, ...] = ("imp1",),
        clocks: Sequence[tuple[float, float]] = (),
        *,
        seed: int = 0,
        replicated: bool = False,
    ) -> None:
        self.latency = 0.0
        """Seconds that a request takes to the presence server."""
        self.contacts = tuple(contacts)
        self.configured = {name: Configured(self.contacts) for name in NAMES}
        self.nodes = nodes
        self.seed = seed
        self.dice = random.Random(f"{seed} cluster")  # noqa: S311  # chooses a history
        self.replicated = replicated
        self.loop = asyncio.get_running_loop()
        self.server = RecordingServer(ReplicaClock(0.0, 0.0))
        self.simulator = Simulator(
            None, nodes=nodes, clock=lambda: EPOCH + self.loop.time(), notify=self._notify, sleep=asyncio.sleep, seed=7
        )
        self.truth: dict[str, list[tuple[float, str]]] = {}
        for contact in self.contacts:
            self.appears(contact)
        self.clocks = dict(zip(NAMES, clocks or ((0.0, 0.0), (500.0, 0.0004), (-300.0, -0.0004)), strict=False))
        self.processes: dict[str, Process] = {}
        self.told: dict[int, Told] = {}
        """What each id means."""
        self.claims: dict[str, Answered] = {}
        """Those that were answered and not asked to be let go, by id; some are over."""
        self.let_go: set[str] = set()
        """Those that somebody asked to let go of, or that were lost. A repeated request may be answered with one."""
        self.cuts: set[frozenset[str]] = set()
        """Between which processes nothing goes through."""
        self.done: Counter[str] = Counter()
        """How much was checked."""
        self.errors = InternalErrors()
        logging.getLogger("pws").addHandler(self.errors)
        self.works: set[asyncio.Task[Any]] = set()
        """What clients do meanwhile."""
        self._caught_up = self.loop.time()
        self.has_lost_notifications = False
        """Whether the server has notified a process that ended before it could pass that on."""
        self._lost_at = float("-inf")
        """When the engine has lost something last."""
        self._starts: Counter[str] = Counter()
        self.upstreams: dict[str, Upstream] = {}
        """What a process says it reads, where that is not the same at all."""

    # --- processes

    def start(self, name: str) -> Process:
        """Start a process, or start it anew."""
        self._forget_at_risk()
        clock = ReplicaClock(*self.clocks[name])
        process = self.processes[name] = Process(self, name, clock, self.configured[name], self._starts[name])
        self._starts[name] += 1
        process.start()
        return process

    async def kill(self, name: str) -> None:
        """SIGKILL."""
        process = self.processes.pop(name)
        await process.kill()
        self._note_lost(process)

    async def stop(self, name: str) -> None:
        """SIGTERM."""
        process = self.processes.pop(name)
        await process.stop()
        self._note_lost(process)

    def _note_lost(self, process: Process) -> None:
        """It has ended: what it was notified of, and did not pass on, the server says no more."""
        self.has_lost_notifications |= bool(process.replica._following._marks)

    async def close(self) -> None:
        """End all."""
        try:
            for work in list(self.works):
                work.cancel()
            await asyncio.gather(*self.works, return_exceptions=True)
            for name in list(self.processes):
                await self.kill(name)
            await self.simulator.aclose()
        finally:
            logging.getLogger("pws").removeHandler(self.errors)

    def do(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Have a client do something beside all else; `check` fails where it has failed."""
        task = asyncio.create_task(work)
        self.works.add(task)
        return task

    def is_cut(self, one: Process, other: Process) -> bool:
        """Whether nothing goes from one to the other."""
        return frozenset((one.name, other.name)) in self.cuts

    @property
    def owner(self) -> Process | None:
        """Who owns, and may say so."""
        found = [each for each in self.processes.values() if (owner := each.replica.owner()) and owner.is_self]
        return max(found, key=lambda process: process.replica.epoch, default=None)

    def any_process(self) -> Process | None:
        """Whom a load balancer chooses; it does not see at once who has gone or stands still."""
        return self.dice.choice(list(self.processes.values())) if self.processes else None

    # --- the presence server

    def appears(self, contact: str) -> None:
        """Somebody new is there."""
        self.simulator.change(contact, state=Wire.AVAILABLE)
        self.truth[contact] = [(0.0, "AVAILABLE")]

    def change(self, contact: str, state: Wire) -> None:
        """Somebody's presence changes."""
        self.simulator.change(contact, state=state)
        self.truth[contact].append((self.loop.time(), str(state)))

    async def _notify(self, url: str) -> bool:
        """To any replica, as a load balancer does; who stands still takes it when it goes on."""
        process = self.any_process()
        if process is None:
            return False
        await process.clock.going.wait()
        if process.has_ended:
            self.has_lost_notifications = True
            return False
        parts = urlsplit(url)
        process.routes.notified(notification.read(parts.query), parts.path.rsplit("/", 1)[-1])
        return True

    # --- the engine

    def engine_loses(self, since: float) -> None:
        """It has lost what was written from that moment on. Claims that only it and those knew that are gone are lost
        with it (durability = "local")."""
        self._lost_at = self.loop.time()
        for claim in list(self.claims.values()):
            if claim.answered >= since or claim.at_risk:
                self._has_lost(claim)

    def _has_lost(self, claim: Answered) -> None:
        """The engine has lost it."""
        running = list(self.processes.values())
        if running and all(process.core.claim_service.get(claim.id) is not None for process in running):
            claim.at_risk = claim.has_lost_key = True
        else:
            self.lets_go(claim.id)

    def _forget_at_risk(self) -> None:
        """A process that knows nothing may own next, and then they are lost."""
        holder = self.server.holder
        made_whole = self.server.snapshot().tables[Table.TENURE].get("whole")
        is_whole = holder is not None and made_whole == str(holder.epoch).encode()
        for id, claim in list(self.claims.items()):  # noqa: A001
            if not claim.at_risk:
                continue
            if is_whole and id in self.server.snapshot().tables[Table.CLAIMS]:
                claim.at_risk = False
            else:
                self.lets_go(id)

    # --- claims

    def lets_go(self, id: str) -> None:  # noqa: A002  # the claim's own word
        """From now on its people may be given to others."""
        self.claims.pop(id, None)
        self.let_go.add(id)

    async def claim(self, seconds: float = 20.0) -> Answered | None:
        """Ask the owner for somebody; None: the client was refused."""
        process = self.owner
        if process is None or not process.is_going:
            return None
        began, body = self.loop.time(), {"group": GROUP, "lease_seconds": seconds}
        answer = await process.answer(json_client("POST", "/v1/claims", body))
        return self.claimed(answer, began, seconds)

    async def release(self, claim: Answered) -> bool:
        """Let go of a claim at the owner."""
        process = self.owner
        if process is None:
            return False
        self.lets_go(claim.id)
        answer = await process.answer(Client("DELETE", f"/v1/claims/{claim.id}"))
        return answer is not None and answer.status == 204

    def claimed(self, answer: Answer | None, began: float, seconds: float) -> Answered | None:
        """A client has read the answer to a claim that it asked for from `began` on; None: it got none."""
        if answer is None or answer.status != 201:
            return None
        said = answer.json()
        keys = tuple(contact["contact"] for contact in said["contacts"])
        claim = Answered(said["id"], keys, began, began + seconds, self.loop.time())
        if claim.id in self.let_go or claim.until <= self.loop.time():
            return claim  # a repetition, so late that the claim is over
        known = self.claims.setdefault(claim.id, claim)
        self.done["claims answered"] += known is claim
        if known is claim and began <= self._lost_at:  # it may have been written before, and is answered after
            self._has_lost(claim)
        for key in keys:
            for other in self.claims.values():
                assert other is known or key not in other.keys or other.until - SLACK <= self.loop.time(), (
                    f"{key} is claimed twice: {other}, {claim}"
                )
        return known

    # --- the promise

    def check(self) -> dict[str, int]:
        """Nothing is wrong anywhere; how many are live, by process."""
        assert not self.errors.found, self.errors.found[0]
        for work in [work for work in self.works if work.done()]:
            self.works.discard(work)
            if not work.cancelled():
                work.result()
        if self.loop.time() >= self._caught_up + 1.0 and self.server.catch_up():
            self._caught_up = self.loop.time()
        self._check_held()
        return {name: self._check(process) for name, process in self.processes.items()}

    @property
    def caught_up(self) -> float:
        """Up to when the engine's copy has everything."""
        return self._caught_up

    def _check(self, process: Process) -> int:
        self.note(process)
        clock, store = process.clock, process.store
        if not process.is_going:
            return 0  # it answers nobody
        now, feeds = clock.monotonic(), store.feeds()
        live = 0
        for record in store.records():
            fresh = assess(record, feeds[record.feed], now, BOUND)
            if fresh.level is not Level.LIVE:
                continue
            live += 1
            assert fresh.as_of is not None
            assert now - fresh.as_of.monotonic <= BOUND
            since = clock.true(fresh.as_of.monotonic) - 1e-6  # sums of floats differ in their last places
            assert since <= self.loop.time(), f"{process.name}: {record.contact} is live as of a time to come"
            held = self._held(record.contact, since)
            assert str(record.state) in held, (
                f"{process.name}: {record.contact} is shown {record.state}, was {held} since {self.loop.time() - since}"
            )
        self.done["live answers"] += live
        return live

    def note(self, process: Process) -> None:
        """Look at what a process has told since the last time."""
        log = process.core.log
        if log.last == process.noted:
            return
        events = log.since(process.noted)
        for event in log.since(log.floor) or () if events is None else events:
            if event.id <= process.noted and events is not None:
                raise AssertionError("ids ascend")
            self._note(process, event)
        process.noted = log.last

    def _note(self, process: Process, event: Event) -> None:
        told = Told(event.name, event.key, process.view.rendered(event, event.before), process.name)
        known = self.told.setdefault(event.id, told)
        assert event.id in self.server.before, f"{process.name} tells {told}, and the engine has not accepted it"
        assert known[:3] == told[:3], f"{event.id} means {told}, and {known}"
        self.done["events"] += 1

    def _check_held(self) -> None:
        """The owner knows of each claim that was answered, until its end."""
        holder = self.server.holder
        for process in self.processes.values():
            owner = process.replica.owner()
            if owner is None or not owner.is_self or holder is None or holder.epoch != owner.epoch:
                continue
            if not process.is_going or process.engine.loses_replies or process.engine.loses_requests:
                continue
            now = self.loop.time()
            for id, claim in self.claims.items():  # noqa: A001
                if claim.until - SLACK > now:
                    assert process.core.claim_service.get(id) is not None, f"{process} knows nothing of {claim}"
                    self.done["claims looked for"] += 1

    def visible_before(self, id: int, known: int) -> int:  # noqa: A002  # the event's own word
        """The id of the event before this one that a client sees, or of an entry that is not above `known`."""
        before = self.server.before.get(id, 0)
        while before > known and ((told := self.told.get(before)) is None or told.shown is None):
            before = self.server.before.get(before, 0)
        return before

    def _held(self, contact: str, since: float) -> list[str]:
        history = self.truth[contact.lower()]
        before = [state for at, state in history if at < since]
        return [*before[-1:], *(state for at, state in history if at >= since)]

    async def look(self) -> None:
        """What the routes of each replica answer is what they know at that moment."""
        for process in list(self.processes.values()):
            if not process.is_going:
                continue
            client = _Looking(process)
            answer = await process.answer(client)
            if answer is None or process.has_ended:
                continue
            assert answer.status == 200, answer
            said = {each["contact"]: (each["state"], each["freshness"]) for each in answer.json()["contacts"]}
            assert said == client.known, f"{process.name} answers {said}, and knows {client.known}"
            self.done["answers"] += 1

    def wrong(self) -> list[str]:
        """What is not live, or not the truth."""
        found = []
        for name, process in self.processes.items():
            now, feeds = process.clock.monotonic(), process.store.feeds()
            known = {record.contact for record in process.store.records()}
            found += [f"{name}: {contact} is not there" for contact in self.contacts if contact not in known]
            for record in process.store.records():
                fresh = assess(record, feeds[record.feed], now, BOUND)
                true = self.truth[record.contact.lower()][-1][1]
                if fresh.level is not Level.LIVE or str(record.state) != true:
                    found.append(f"{name}: {record.contact} {record.state} {fresh.level} ({fresh.reason}), is {true}")
        return found

    def left(self) -> list[str]:
        """What is left at the presence server."""
        found = []
        for name, place in self.simulator.places.items():
            registry = place.node.registry
            found += [f"{name}: session of {each.user}" for each in registry.sessions.values()]
            found += [f"{name}: endpoint" for _ in registry.endpoints]
            found += [f"{name}: subscription" for _ in registry.subscriptions]
        return found

    async def pass_time(self, seconds: float, step: float = 0.1) -> None:
        """Let time pass, checking all along."""
        end = self.loop.time() + seconds
        while (left := end - self.loop.time()) > 0:
            await asyncio.sleep(min(step, left))
            self.check()

    async def heal(self, limit: float) -> float:
        """Wait until everything is live and true everywhere; how long it took."""
        began = self.loop.time()
        while problems := self.wrong():
            took = self.loop.time() - began
            assert took < limit, f"not healed after {took:.0f} s: {problems[:4]}; {self.processes}"
            await asyncio.sleep(0.1)
            self.check()
        return self.loop.time() - began

    async def until(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Wait for something, checking all along."""
        task = asyncio.ensure_future(work)
        while not task.done():
            await asyncio.sleep(0.05)
            self.check()
        return task.result()


class _Looking(Client):
    """Asks for all contacts, and looks at what the replica knows in the turn of its answer."""

    def __init__(self, process: Process) -> None:
        super().__init__("GET", "/v1/presence?limit=1000")
        self._process = process
        self.known: dict[str, tuple[str, str]] = {}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            now, store = self._process.clock.monotonic(), self._process.store
            feeds = store.feeds()
            levels = ((record, assess(record, feeds[record.feed], now, BOUND).level) for record in store.records())
            self.known = {record.contact: (str(record.state), str(level)) for record, level in levels}
        await super().send(message)


def json_client(method: str, target: str, body: object, headers: dict[str, str] | None = None) -> Client:
    """A client that sends JSON."""
    return Client(method, target, {"content-type": "application/json", **(headers or {})}, json.dumps(body).encode())
