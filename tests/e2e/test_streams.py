"""Streams over real sockets: clients that come and go, one that never reads, an end, a restart, and what happens."""

from __future__ import annotations

import asyncio
import gc
import http.client
import random
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiohttp
import pytest
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.access.authentication import Authenticator
from service.access.stream_slots import ConnectionSlots
from service.api.sse.response import STALLED
from service.api.sse.resume import MOST_NOTICES
from service.api.sse.subscriber import PIECE, Subscriber
from service.core.clock import ManualClock
from service.runtime.server import listen, serve
from tests.e2e.processes import PATIENCE, Site
from tests.e2e.simulated import Server, Service, configure
from tests.support.bare_service import AVAILABLE, AWAY, BUSY, BareService, presence
from tests.support.sse import Board, Reader, Sse

NAMES: Final = tuple(f"p{number:02d}@example.com" for number in range(30))
STATES: Final = (AVAILABLE, BUSY, AWAY)
DONE: Final = "noted.done"


@dataclass
class Served:
    """A service on a socket, filled by the test. Time stands still; the network does not."""

    slots: ConnectionSlots = field(default_factory=lambda: ConnectionSlots(500, 500))
    clock: ManualClock = field(default_factory=ManualClock)

    def __post_init__(self) -> None:
        groups = {"first": NAMES[:10], "rest": NAMES[10:]}
        self.office = BareService(groups, self.clock, authenticator=Authenticator(self.slots))
        self.log = self.office.core.log
        self.office.watch(*NAMES)
        self.office.read([presence(name) for name in NAMES])
        self.dice = random.Random(5)  # noqa: S311  # the same story every time
        self.port = 0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Served]:
        """Listen on a free port. The kernel keeps little of what nobody reads."""
        listening = listen("127.0.0.1", 0)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 * 1024)
        self.port = listening.getsockname()[1]
        stop = asyncio.Event()
        running = asyncio.create_task(serve(self.office.app, listening, stop, closing=self.log.close))
        try:
            yield self
        finally:
            stop.set()
            await running

    def change(self) -> None:
        """Somebody's presence changes."""
        name = self.dice.choice(NAMES)
        record = self.office.store.get(name)
        assert record is not None
        self.office.read([presence(name, self.dice.choice([each for each in STATES if each is not record.state]))])

    async def changes(self, count: int, at_once: int = 20) -> None:
        """So many of them, with turns for everybody else in between."""
        for number in range(count):
            self.change()
            if number % at_once == 0:
                await asyncio.sleep(0)

    def url(self, query: str = "") -> str:
        return f"http://127.0.0.1:{self.port}/v1/events?{query}"

    async def known(self, query: str = "") -> dict[str, object]:
        """What a query says."""
        answer = (await self.office.get(f"/v1/presence?limit=1000&{query}")).json()
        return {each["contact"]: {**each, "as_of": None} for each in answer["contacts"]}

    async def until(self, what: str, taken: int) -> None:
        """So many slots are taken."""
        async with asyncio.timeout(PATIENCE):
            while self.slots.taken != taken:  # noqa: ASYNC110  # the kernel takes its time, and tells nobody
                await asyncio.sleep(0.01)
        assert what


async def events_of(session: aiohttp.ClientSession, url: str, last_id: str | None) -> AsyncIterator[Sse]:
    """Follow a stream until it ends, or until nobody asks for more."""
    reader = Reader()
    headers = {} if last_id is None else {"Last-Event-ID": last_id}
    async with session.get(url, headers=headers) as response:
        assert response.status == 200, await response.text()
        async for piece in response.content.iter_any():
            for event in reader.feed(piece):
                yield event


class Client:
    """One that loses its connection now and then, and comes back."""

    def __init__(self, query: str, seed: int) -> None:
        self.query = query
        self.board = Board()
        self.snapshots: list[str] = []
        self.connections = 0
        self._dice = random.Random(seed)  # noqa: S311  # the same story every time

    async def follow(self, service: Served, session: aiohttp.ClientSession) -> None:
        """Until the news that all is done."""
        while True:
            self.connections += 1
            last = self.board.last_id if self.board.ids else None
            patience = self._dice.randrange(1, 800)
            stream = events_of(session, service.url(self.query), last)
            async for event in stream:
                self.board.take(event)
                if event.name == "snapshot":
                    self.snapshots.append(event.data["reason"])
                if event.name == DONE:
                    await stream.aclose()  # type: ignore[attr-defined]  # it is a generator
                    return
                patience -= 1
                if not patience:
                    break
            await stream.aclose()  # type: ignore[attr-defined]

    def state(self) -> dict[str, object]:
        return {uri: {**each, "as_of": None} for uri, each in self.board.contacts.items()}


@pytest.mark.long(ci=True)
async def test_ten_thousand_changes_and_clients_that_come_and_go() -> None:
    """Each ends with everybody's final state; nothing out of order (the board checks), nothing twice or missing."""
    clients = [
        Client(query, seed) for seed, query in enumerate(["", "", "", "state=BUSY", "group=first&available=true"])
    ]
    async with Served().serving() as service, aiohttp.ClientSession() as session:
        begun = service.log.last
        following = [asyncio.create_task(client.follow(service, session)) for client in clients]
        await service.until("everybody is there", len(clients))
        await service.changes(10_000)
        service.log.tell(DONE)
        async with asyncio.timeout(60):
            await asyncio.gather(*following)
        events = service.log.since(begun)
        assert events is not None
        assert len(events) == 10_001
        for client in clients:
            assert client.state() == await service.known(client.query)
            assert client.snapshots == ["start"], "whatever it missed was kept for it"
            assert client.connections > 1
        exact = [client for client in clients[:3] if not any("." in each for each in client.board.ids)]
        for client in exact:
            ids = [int(each) for each in client.board.ids]
            assert ids[1:] == [event.id for event in events if event.id > ids[0]]
        assert exact, "some client keeps up"


@contextmanager
def stuck(port: int) -> Iterator[socket.socket]:
    """A connection that asks for a stream and never reads."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", port))
        connection.sendall(b"GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        yield connection


def held() -> tuple[int, int]:
    """The most that any connection of this process has yet to send, in bytes; the most events that wait in a stream."""
    found = gc.get_objects()
    connections = [each.transport for each in found if isinstance(each, HttpToolsProtocol)]
    waiting = [each.get_write_buffer_size() for each in connections if each is not None]
    return max(waiting, default=0), max((len(each._rest) for each in found if isinstance(each, Subscriber)), default=0)


async def test_one_that_never_reads_holds_nobody_up_and_costs_no_memory() -> None:
    """The other gets every event; what the service holds for the first does not grow; in the end it is given up."""
    service = Served()
    service.log._size = 200
    async with service.serving(), aiohttp.ClientSession() as session:
        with stuck(service.port):
            await service.until("it is there", 1)
            heard = 0
            stream = events_of(session, service.url("state=BUSY"), None)
            assert (await anext(stream)).name == "snapshot"

            async def round_of(count: int) -> None:
                nonlocal heard
                for _ in range(count):
                    await service.changes(100, at_once=10)
                    service.log.tell(DONE)
                    async for event in stream:
                        heard += 1
                        if event.name == DONE:
                            break

            await round_of(10)
            before = held()
            await round_of(20)  # about a megabyte and a half
            assert heard > 30 * 30
            assert before[0] > 16 * 1024, "it is stuck"
            assert held()[0] <= HIGH_WATER_LIMIT + 2 * PIECE
            assert held()[1] <= len(NAMES) + MOST_NOTICES
            assert service.slots.taken == 2
            await stream.aclose()  # type: ignore[attr-defined]
            await service.until("the quick one has gone", 1)
            await service.clock.run(STALLED + 15)
            await service.until("the one that never reads is given up", 0)


async def test_connections_that_break_give_their_slots_back() -> None:
    """Without a word: the network is gone from one moment to the next."""
    async with Served().serving() as service:
        connections = []
        for _ in range(20):
            connection = socket.create_connection(("127.0.0.1", service.port))
            connection.sendall(b"GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            connections.append(connection)
        await service.until("all are there", 20)
        for connection in connections:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
        await service.until("all have gone", 0)


async def test_a_stop_ends_streams_at_once_and_whole() -> None:
    """Their clients see the end of the answer, not a broken connection."""
    async with aiohttp.ClientSession() as session:
        service = Served()
        async with service.serving():
            stream = events_of(session, service.url(), None)
            assert (await anext(stream)).name == "snapshot"
        assert [event async for event in stream] == []


# --- with a server behind it


@contextmanager
def stream_of(site: Site, last_id: str | None = None, *, service: Service | None = None) -> Iterator[Iterator[Sse]]:
    """The events of a service that runs as a process, once that is ready."""
    if service is not None:
        service.ready()
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=PATIENCE)
    connection.request("GET", "/v1/events", headers={} if last_id is None else {"Last-Event-ID": last_id})
    response = connection.getresponse()
    assert response.status == 200

    def events() -> Iterator[Sse]:
        reader = Reader()
        while piece := response.read1(65536):
            yield from reader.feed(piece)

    try:
        yield events()
    finally:
        connection.close()


@pytest.mark.long(ci=True)
def test_a_stop_lets_go_of_streams_and_a_restart_knows_that_an_id_is_not_its_own(
    server: Server, tmp_path: Path
) -> None:
    """The service does not wait for its streams; anybody who comes back is told to start over."""
    site = configure(tmp_path, server.port)
    with Service(tmp_path, site) as service:
        service.ready()
        with stream_of(site) as events:
            first = next(events)
            assert (first.name, len(first.data["contacts"])) == ("snapshot", 3)
            server.put("ann@example.com", state="BUSY")
            change = next(event for event in events if event.name == "change" and event.data["state"] == "BUSY")
            assert service.stop() == 0
            assert "graceful" not in service.output
            last = [change, *events][-1]
    with Service(tmp_path, site) as service:
        service.ready()
        with stream_of(site, last.id) as events:
            again = next(events)
            assert (again.name, again.data["reason"]) == ("snapshot", "not-kept")
            assert again.data["revision"] > int(last.id)
        assert service.stop() == 0


def test_a_lost_session_is_told_of_and_so_is_its_end(server: Server, tmp_path: Path) -> None:
    """Lost, then made anew, with the reason; whatever was stale in between is live again afterwards."""
    site = configure(tmp_path, server.port)
    with Service(tmp_path, site) as service, stream_of(site, service=service) as events:
        assert server.control.ask("POST", "/control/sessions/kill", {}).status == 200
        server.control.ask("POST", "/control/forget", {"what": "everything"})
        assert site.ask("POST", "/v1/refresh", {}).status in {200, 503}
        news = (event for event in events if event.name.startswith("subscription."))
        lost, recreated = next(news), next(news)
        assert (lost.name, recreated.name) == ("subscription.lost", "subscription.recreated")
        assert lost.data["end_user"] == recreated.data["end_user"] == "dispatcher"
        assert lost.data["reason"]
        service.sees("ann@example.com", freshness="live")
        assert service.stop() == 0
