"""The service without its HTTP: engine, store and event log, over real sockets against `programs.soap_server`."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, cast

from benchmarks.rich import Carrier
from benchmarks.rows.processes import Child
from benchmarks.rows.samples import OPERATION, Office
from pws_soap import lifecycle
from pws_soap.calls import PATH
from pws_soap.client import PwsClient
from pws_soap.codec import encode
from pws_soap.contract import bundled
from pws_soap.models import Notification, Secret
from pws_soap.transport import HttpTransport
from pws_soap.trust import Trust
from service.core.clock import SystemClock
from service.core.presence.freshness import default_bound
from service.core.presence.memory_store import MemoryStore
from service.core.wiring import Core
from service.sync.budget import BudgetedTransport, RequestBudget
from service.sync.commands import Credentials
from service.sync.engine import SyncEngine
from service.sync.state_file import StateFile
from service.sync.subscriptions import FetchSettings

USER: Final = "dispatcher"
_PATIENCE: Final = 60.0
_RATE: Final = 100_000.0
"""Requests a second that the budget allows: it must not be what is measured."""
_SAFETY: Final = 3600.0
"""Seconds without a notification until a fetch: none comes of itself."""


class CannedServer:
    """The server as a process; `reply` is what its next fetches are answered with."""

    def __init__(self, child: Child, directory: Path) -> None:
        self.child = child
        self._file = directory / "reply.xml"

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.child.port

    def change(self, states: Mapping[str, str]) -> None:
        """People of the simulator change."""
        assert self.child.ask("change", states=dict(states)) == len(states)

    def reply(self, body: bytes) -> None:
        """Answer all fetches so from now on."""
        self._file.write_bytes(body)
        assert self.child.ask("reply", file=str(self._file)) == len(body)


@contextlib.contextmanager
def canned_server() -> Iterator[CannedServer]:
    """Start the server, and end it."""
    with tempfile.TemporaryDirectory() as directory, Child("soap_server") as child:
        yield CannedServer(child, Path(directory))


class Synced:
    """One service that watches `contacts`."""

    def __init__(self, port: int, contacts: Sequence[str], *, rich: bool) -> None:
        clock = SystemClock()
        self.store = MemoryStore(clock, revision=int(clock.now() * 1e6))
        bound = default_bound(_SAFETY)
        self.core = Core.of(self.store, clock, bound, {"all": contacts})
        self._contacts = contacts

        def connect(node: str) -> PwsClient:
            transport = HttpTransport(Trust())
            return PwsClient(node, transport=BudgetedTransport(transport, RequestBudget(_RATE, clock)))

        self.engine = SyncEngine(
            settings=lifecycle.Settings(nodes=(f"http://127.0.0.1:{port}",), seed=1),
            fetch_settings=FetchSettings(
                safety_interval=_SAFETY,
                reconcile_interval=0.0,
                heartbeat_interval=0.0,
                rich=frozenset({USER} if rich else ()),
            ),
            credentials=Credentials("pwsapp", Secret("secret"), Secret("http://127.0.0.1:9/pws/a-secret-path")),
            connect=connect,
            store=self.store,
            clock=clock,
            memory=StateFile(None),
            bound=bound,
            publish=self.core.log.tell,
        )
        self._changed = asyncio.Event()
        self.store.changes.listen(lambda _changes: self._changed.set())

    async def start(self) -> None:
        """Begin, and wait for the first reading of everybody."""
        self.engine.start({USER: self._contacts})
        await self.until(lambda: self.store.summary().read == len(self._contacts))
        self.notify()  # else it would take the silence for lost notifications
        await self.until(lambda: self.engine.subscriptions.counters.fetches > 1)
        await self.engine.refresh(None)

    async def until(self, check: Callable[[], bool]) -> None:
        """Let the others go on until it is so."""
        async with asyncio.timeout(_PATIENCE):
            while not check():  # noqa: ASYNC110  # there is no event for most of what is waited for
                await asyncio.sleep(0.001)

    def notify(self) -> None:
        """The server says that there is something new."""
        (tracked,) = self.engine.subscriptions
        self.engine.notified(Notification(tracked.subscription.id, "PRESENCE_NOTIFICATION"), "")

    async def changed(self, begin: Callable[[], object]) -> None:
        """Do something, and wait until the store has told a change."""
        self._changed.clear()
        begin()
        async with asyncio.timeout(_PATIENCE):
            await self._changed.wait()

    def states(self) -> dict[str, str]:
        """What it knows."""
        return {record.contact: record.state.value for record in self.store.records()}


@contextlib.asynccontextmanager
async def synced(server: CannedServer, office: Office, carrier: Carrier | None) -> AsyncIterator[Synced]:
    """A service that has read everybody once; it is stopped in the end."""
    service = Synced(server.port, office.contacts, rich=carrier is not None)
    try:
        if carrier is not None:  # the simulator's people have neither names nor notes
            server.reply(office.reply(carrier))
        await service.start()
        yield service
    finally:
        await service.engine.stop(_PATIENCE)


class BareConnection(asyncio.Protocol):
    """As little as a client can do: sends bytes on a connection that is open, and collects the reply's."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._pieces: list[bytes] = []
        self._left = -1
        self._reply: asyncio.Future[bytes]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # that of a stream; uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        if self._left < 0:
            head, _, data = data.partition(b"\r\n\r\n")
            self._left = int(head.rpartition(b":")[2])
        self._pieces.append(data)
        self._left -= len(data)
        if not self._left:
            self._left = -1
            self._reply.set_result(b"".join(self._pieces))
            self._pieces = []

    def ask(self, request: bytes) -> Awaitable[bytes]:
        """Send; the body of the reply, whose head comes in one piece and ends with its length."""
        self._reply = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._reply

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()


def request(body: bytes, path: str = "/bare") -> bytes:
    """A POST as a client sends it."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/xml; charset=utf-8\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


BARE_REQUEST: Final = request(b"<e:Envelope>" + b"x" * 500 + b"</e:Envelope>")
"""About as long as a fetch; answered with what the next fetch gets."""


async def fetch_request(port: int, contacts: Sequence[str]) -> bytes:
    """The request that fetches a new subscription of another end user, for a client that sends it by itself."""
    async with PwsClient(f"http://127.0.0.1:{port}") as client:
        application = await client.login("pwsapp", "secret")
        user = await client.login_end_user(application, "supervisor")
        endpoint = await client.register_endpoint(application, "http://127.0.0.1:9/another-path")
        subscription = await client.subscribe(user, endpoint, contacts)
        await client.get_subscribed_presence(user, subscription)
    sent = {"subscriptionID": subscription.id, "presenceType": "BASIC_PRESENCE"}
    return request(encode(bundled("1.1"), OPERATION, sent, user.key).body, PATH)


@contextlib.asynccontextmanager
async def bare_connection(port: int) -> AsyncIterator[BareConnection]:
    """A connection that stays open."""
    _, connection = await asyncio.get_running_loop().create_connection(BareConnection, "127.0.0.1", port)
    try:
        yield connection
    finally:
        connection.close()
