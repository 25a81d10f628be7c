"""The HTTP API of several replicas in one process: programs that pass requests on to each other, under virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pws_soap.models import Secret
from service.access.audit import AuditEntry
from service.access.authentication import Authenticator
from service.api.app import create_app
from service.core.events.event import EventData
from service.core.meter import NO_METER
from service.runtime.forwarding import Forwarding
from service.runtime.owners_shelf import OwnersShelf
from service.runtime.webhooks import OwnersDeliveries, StreamView, leftovers
from service.webhooks.deliveries import Deliveries
from service.webhooks.sender import PostResult
from service.webhooks.settings import WebhookSettings
from service.webhooks.target import Surroundings
from tests.support.asgi import Answer
from tests.support.peers import Client, MemoryPeers
from tests.support.virtual_cluster import NAMES, Process, VirtualCluster

SECRET = Secret("a secret of the replicas")
CRM = WebhookSettings(
    "crm", Secret("https://crm.example.com/"), (Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="),)
)
MAX_BODY = 10_000
HEALS = 30.0


class RecordedAudit:
    """Keeps all entries."""

    def __init__(self) -> None:
        self.entries: list[AuditEntry] = []

    def record(self, entry: AuditEntry) -> None:
        """See AuditLog."""
        self.entries.append(entry)


class VirtualApis:
    """A cluster, and the API of each of its processes."""

    def __init__(self, cluster: VirtualCluster) -> None:
        self.cluster = cluster
        self.receiver: Receiver | None = None
        """The target of webhooks, if there is one."""
        self.programs: dict[str, ASGIApp] = {}
        self.audits: dict[str, RecordedAudit] = {}
        self._cut: set[str] = set()
        self._peers = MemoryPeers(self.programs, self._cut, set())

    def start(self, name: str, authenticator: Authenticator | None = None) -> Process:
        """Start a process, with its API."""
        process = self.cluster.start(name)
        let_in, audit = authenticator or Authenticator(), RecordedAudit()
        process.core.reader.name_replica(name)
        targets = None
        if self.receiver is not None:
            targets = process.replica.ownership.beside = OwnersDeliveries(
                partial(self._deliveries, process), process.core
            )
        app = create_app(
            process.routes,
            process.core,
            callback_secret=None,
            version="1.0",
            authenticator=let_in,
            max_body=MAX_BODY,
            audit=audit,
            replays=process.replica.ownership.replays,
            targets=targets,
        )
        forwarding = Forwarding(app, process.replica, self._peers, SECRET, let_in, max_body=MAX_BODY)
        self.programs[f"http://{name}"] = _gated(forwarding, process)
        self.audits[name] = audit
        self._cut.discard(f"http://{name}")
        return process

    def _deliveries(self, process: Process, shelf: OwnersShelf) -> Deliveries:
        """As `service.runtime.webhooks` makes them."""
        core, receiver = process.core, self.receiver
        assert receiver is not None

        def tell(name: str, data: EventData, keys: Iterable[str]) -> None:
            if not core.log.follows:
                core.log.tell(name, data, keys)

        view = StreamView(core.reader, core.store, CRM)
        around = Surroundings(process.clock, "http://10.0.0.5:8080", NO_METER, lambda: 0.5, tell)
        return Deliveries(
            [(CRM, view)], core.log, around, lambda _: _Way(receiver, process.clock.going), leftovers(shelf)
        )

    async def kill(self, name: str) -> None:
        """SIGKILL: also what is under way there ends without an answer."""
        self._cut.add(f"http://{name}")
        await self.cluster.kill(name)

    @property
    def owner(self) -> str:
        """The name of the owner."""
        owner = self.cluster.owner
        assert owner is not None
        return owner.name

    @property
    def followers(self) -> list[str]:
        """The names of the others."""
        return [name for name in self.cluster.processes if name != self.owner]

    async def ask(self, name: str, method: str, target: str, **more: Any) -> Answer:
        """A client's request at a replica, and its answer."""
        answer = await Client(method, target, **more).ask(self.programs[f"http://{name}"])
        assert answer is not None
        return answer

    async def claim(self, name: str, key: str | None = None, wait: int | None = None, seconds: int = 100) -> Answer:
        """Ask a replica for somebody."""
        headers = {"content-type": "application/json"}
        headers |= {} if key is None else {"idempotency-key": key}
        headers |= {} if wait is None else {"prefer": f"wait={wait}"}
        body = b'{"group":"support","lease_seconds":%d}' % seconds
        return await self.ask(name, "POST", "/v1/claims", headers=headers, body=body)

    async def claim_until_answered(self, name: str, key: str) -> Answer:
        """The same again and again, as a client does that is told to come back."""
        while (answer := await self.claim(name, key)).status in {409, 503}:
            await self.cluster.pass_time(float(answer.headers["retry-after"]))
        return answer

    async def until(self, asking: asyncio.Task[Answer]) -> Answer:
        """The answer to a request that is under way."""
        while not asking.done():
            await self.cluster.pass_time(0.05)
        return asking.result()

    async def wait_for_an_owner(self) -> None:
        """Until somebody owns and everything is live."""
        while self.cluster.owner is None:
            await self.cluster.pass_time(0.1)
        await self.cluster.heal(HEALS)


@dataclass
class Receiver:
    """A target of webhooks, which reads them as docs/webhooks.md says: what it knows, and all that it got."""

    got: list[tuple[str, str]] = field(default_factory=list)
    """Id and kind of each message."""
    known: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Of each contact the newest id since the last reset, and the state."""
    resets: int = 0
    is_down: bool = False
    claims: list[str] = field(default_factory=list)
    """The kinds of what came of claims, each message once."""

    def take(self, headers: Mapping[str, str], body: bytes) -> None:
        """One message."""
        event = json.loads(body)
        kind, number = event["type"].removeprefix("pws.presence."), int(event["id"])
        is_known = any(each == headers["webhook-id"] for each, _ in self.got)
        self.got.append((headers["webhook-id"], kind))
        if is_known:
            return
        if kind.startswith("pws.claim."):
            self.claims.append(kind.removeprefix("pws."))
        elif kind == "reset":
            self.resets += 1
            self.known.clear()
        elif kind == "change" and number > self.known.get(event["subject"], (0, ""))[0]:
            self.known[event["subject"]] = (number, event["data"]["state"])
        elif kind == "removed":
            self.known.pop(event["subject"], None)


class _Way:
    """The way to a receiver, of a process that may stand still."""

    def __init__(self, receiver: Receiver, going: asyncio.Event) -> None:
        self._receiver = receiver
        self._going = going

    async def post(self, body: bytes, headers: Mapping[str, str]) -> PostResult:
        """See Sender."""
        await self._going.wait()
        await asyncio.sleep(0.001)
        await self._going.wait()
        if self._receiver.is_down:
            return PostResult(503)
        self._receiver.take(headers, body)
        return PostResult(204)

    async def close(self) -> None:
        """Nothing is open."""


def _gated(app: ASGIApp, process: Process) -> ASGIApp:
    """A program that stands still with its process."""
    going = process.clock.going

    async def gated(scope: Scope, receive: Receive, send: Send) -> None:
        async def sent(message: Message) -> None:
            await going.wait()
            await send(message)

        await going.wait()
        await app(scope, receive, sent)

    return gated


@asynccontextmanager
async def replica_apis(
    contacts: Sequence[str], count: int = 3, receiver: Receiver | None = None
) -> AsyncIterator[VirtualApis]:
    """So many replicas, all of them live; they send webhooks to `receiver`."""
    cluster = VirtualCluster(contacts)
    apis = VirtualApis(cluster)
    apis.receiver = receiver
    try:
        for name in NAMES[:count]:
            apis.start(name)
        await apis.wait_for_an_owner()
        yield apis
    finally:
        await cluster.close()
        await asyncio.sleep(0)
