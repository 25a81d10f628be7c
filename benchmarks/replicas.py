"""Three replicas as processes, each with a way of its own to the engine between them, and a simulator with two nodes.

The engine is a redis-server, or a Valkey where that is asked for, with an append-only file. Each replica reaches it
through a proxy, so that one can be cut off while the others are not.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from benchmarks.office import READ_TIMEOUT, SAFETY
from benchmarks.processes import PASSWORD, PATIENCE, Program, Server, Service
from tests.cluster.servers import binary
from tests.support.ports import free_port
from tests.support.tcp_proxy import TcpProxy, tcp_proxy

NEVER: Final = 300.0
"""Seconds after which nothing more is waited for. Many times what anything takes."""
USER: Final = "dispatcher"
_SECRET: Final = "a secret of the replicas of a benchmark"  # noqa: S105  of this run alone
MANY: Final = 1000
"""Contacts; of more than so many presence is BASIC, and the server has longer to answer."""
_LOOK: Final = 0.02


class Engine(Program):
    """The database that the replicas share. What it has written is there again when it starts again."""

    def __init__(self, kind: str, directory: Path) -> None:
        found = binary(kind)
        if found is None:
            raise FileNotFoundError(f"no {kind}-server here")
        self.port = free_port()
        self._data = directory / "engine"
        self._data.mkdir()
        words = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self._data), "--save", ""]
        words += ["--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy", "noeviction"]
        super().__init__(words, directory / "engine.log", str(found))

    async def listening(self) -> None:
        """Start it where it does not run, and wait until it takes connections."""
        if not self.runs:
            await self.start()
        await until(self._takes_connections)

    def lose_all(self) -> None:
        """Remove what it has written, while it does not run."""
        assert not self.runs
        shutil.rmtree(self._data)
        self._data.mkdir()

    def _takes_connections(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False


class Replica(Service):
    """One of them: its process, and its way to the engine. `stands_still`: a signal has stopped it."""

    def __init__(self, directory: Path, port: int, way: TcpProxy) -> None:
        super().__init__(directory, port)
        self.way = way
        self.stands_still = False

    def pause(self) -> None:
        """Stop it with a signal."""
        self.stands_still = True
        self.send(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on."""
        self.send(signal.SIGCONT)
        self.stands_still = False

    async def cluster(self) -> dict[str, Any] | None:  # Any: JSON
        """What it says of itself; None where it does not answer."""
        status = await self.get("/v1/status")
        found: dict[str, Any] | None = None if status is None else status.get("cluster")
        return found

    def cut_off(self) -> None:
        """Break off its connections to the engine; new ones are closed at once."""
        self.way.refuses = True
        self.way.cut()

    def stall(self) -> None:
        """Let nothing more through to the engine and back; nothing is closed."""
        self.way.there.stall()
        self.way.back.stall()

    def reconnect(self) -> None:
        """Mend its way to the engine. What was held back is broken off: a network forgets it as well."""
        self.way.refuses = False
        self.way.cut()
        self.way.there.go_on()
        self.way.back.go_on()


class LoadBalancer(TcpProxy):
    """What the server notifies: passes each connection on to the next of these services that runs."""

    def __init__(self, services: Sequence[Service]) -> None:
        super().__init__(0)
        self._services = services
        self._turn = 0

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        for _ in self._services:
            self._turn += 1
            service = self._services[self._turn % len(self._services)]
            if service.runs and not (isinstance(service, Replica) and service.stands_still):
                self.target = service.port
                break
        await super().pass_on(reader, writer)


@contextlib.asynccontextmanager
async def load_balancer(services: Sequence[Service]) -> AsyncIterator[str]:
    """Listen on a free port for as many services as there will be in this list; the URL."""
    balancer = LoadBalancer(services)
    server = await asyncio.start_server(balancer.pass_on, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await balancer.close()


@dataclass
class Replicas:
    """All of them, with what is around them."""

    server: Server
    engine: Engine
    all: list[Replica]
    contacts: Sequence[str]
    generation: dict[str, int] = field(default_factory=dict)
    """What one owner has at the server."""

    async def owner(self, among: Sequence[Replica] | None = None) -> Replica | None:
        """The one that owns, where exactly one says so and all of `among` name it."""
        asked = self.all if among is None else among
        said = await asyncio.gather(*(replica.cluster() for replica in asked))
        return agreed(asked, said)

    async def starts(self) -> None:
        """Start those that do not run."""
        for replica in self.all:
            if not replica.runs:
                await replica.start()

    async def live(self, replica: Replica) -> bool:
        """Whether it answers, and calls everybody live. Costs it little, however many there are."""
        found = await replica.get("/v1/summary")
        return found is not None and live_contacts(found) == len(self.contacts)

    async def well(self, within: float = NEVER) -> float:
        """Wait until all call everybody live and name one owner; the seconds that took."""

        async def all_well() -> bool:
            if await self.owner() is None:
                return False
            return all(await asyncio.gather(*map(self.live, self.all)))

        return await until_so(all_well, within)

    async def settled(self, within: float = NEVER) -> float:
        """Wait until the server holds what one owner has, and nothing else; the seconds that took."""

        async def holds_one() -> bool:
            return await self.server.holds() == self.generation

        return await until_so(holds_one, within)

    def bugs(self) -> list[str]:
        """What no program should have written."""
        return [line for program in (self.server, *self.all) for line in program.bugs()]


def live_contacts(summary: Mapping[str, Any]) -> int:  # Any: JSON
    """How many are live by an answer of /v1/summary."""
    count: int = summary["by_freshness"]["live"]
    return count


def agreed(replicas: Sequence[Replica], said: Sequence[Mapping[str, Any] | None]) -> Replica | None:  # Any: JSON
    """The owner, where exactly one says that it is, and all name it. `said` is what each says of itself."""
    owners = [replica for replica, each in zip(replicas, said, strict=True) if each and each["role"] == "owner"]
    if len(owners) != 1 or any(each is None or each["owner"] != owners[0].url for each in said):
        return None
    return owners[0]


async def until(condition: Callable[[], bool], within: float = PATIENCE) -> None:
    """Wait for it."""

    async def check() -> bool:
        return condition()

    await until_so(check, within)


async def until_so(condition: Any, within: float) -> float:  # Any: a coroutine function without parameters
    """Ask again until it is so; the seconds that took. TimeoutError where that is too long."""
    began = time.monotonic()
    while not await condition():
        if time.monotonic() > began + within:
            raise TimeoutError(f"not within {within:g} s: {condition.__qualname__}")
        await asyncio.sleep(_LOOK)
    return time.monotonic() - began


def sections(
    server: Server, service: Service, callback: str, support: Sequence[str], *, many: bool
) -> dict[str, dict[str, object]]:
    """The configuration of a service, but for whom it watches, and for [cluster].

    `callback` is where it is notified. With `many` contacts a reply takes its time.
    """
    return {
        "server": {
            "nodes": server.nodes,
            "tls": False,
            "connect_timeout": READ_TIMEOUT,
            "read_timeout": READ_TIMEOUT * (30 if many else 1),
        },
        "application": {"username": "pwsapp", "password": PASSWORD},
        "callback": {"url": callback},
        "http": {"host": "127.0.0.1", "port": service.port},
        "fetch": {"safety_interval": SAFETY, "reconcile_interval": 20},
        "limits": {"requests_per_second": 0},
        "lifecycle": {"requests_per_second": 10_000, "stop_timeout": 5},
        "groups.support": {"contacts": list(support)},
    }


def names(letter: str, count: int) -> list[str]:
    """So many contacts."""
    return [f"{letter}{number:05d}@example.com" for number in range(count)]


@contextlib.asynccontextmanager
async def three_replicas(
    directory: Path, kind: str, contacts: Sequence[str], support: Sequence[str] = (), words: Sequence[str] = ()
) -> AsyncIterator[Replicas]:
    """Start a simulator with these `words`, an engine of this kind and three replicas, and wait until all is well.

    Everybody is AVAILABLE; `support` are the contacts of the group of this name.
    """
    directory.mkdir()  # noqa: ASYNC240  nothing else is under way yet
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(Server(directory, ["--nodes", "2", *words]))
        people = [{"contact": contact, "state": "AVAILABLE"} for contact in contacts]
        await server.ask("POST", "/contacts", {"contacts": people})
        engine = await stack.enter_async_context(Engine(kind, directory))
        await engine.listening()
        made: list[Replica] = []
        callback = await stack.enter_async_context(load_balancer(made))
        for number in range(3):
            folder = directory / f"replica{number}"
            folder.mkdir()
            way = await stack.enter_async_context(tcp_proxy(engine.port))
            replica = await stack.enter_async_context(Replica(folder, free_port(), way))
            many = len(contacts) > MANY
            values = sections(server, replica, callback, support or contacts[:1], many=many)
            values["cluster"] = {
                "url": f"redis://127.0.0.1:{way.port}",
                "advertise": replica.url,
                "secret": _SECRET,
            }
            replica.configure(values, {USER: contacts}, rich=not many)
            made.append(replica)
        found = Replicas(server, engine, made, contacts)
        await found.starts()
        await found.well()
        found.generation = await server.holds()
        yield found
