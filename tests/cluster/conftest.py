"""The engines that a contract is tried with."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import AsyncIterator, Iterator

import pytest
import redis

from service.cluster import redis_connections, redis_engine
from service.cluster.engine import LEASE, ClusterEngine
from service.cluster.memory import MemoryEngine, MemoryServer
from service.cluster.redis_engine import RedisEngine
from service.core.clock import ManualClock, SystemClock
from tests.cluster.servers import KINDS, EngineServer, StoredData, binary, keys_of, required, running

_UNITS = itertools.count(1)
PATIENCE = 60.0
"""Seconds for what does come: a busy machine may stop for longer than the service would wait."""


class Backend:
    """One kind of engine, and what can befall it."""

    def engine(self, kept: int = 10_000) -> ClusterEngine:
        """A replica's way to it."""
        raise NotImplementedError

    def expire(self) -> None:
        """The time of a lease goes by."""
        raise NotImplementedError

    def keep(self) -> None:
        """Remember all data as they are."""
        raise NotImplementedError

    def rewind(self) -> None:
        """Go back to what was remembered."""
        raise NotImplementedError

    def lose_all(self) -> None:
        """Lose all data."""
        raise NotImplementedError

    def fill(self, *, full: bool) -> None:
        """Have no memory left, or again some."""
        raise NotImplementedError

    async def close(self) -> None:
        """Let everything go."""


class MemoryBackend(Backend):
    """The twin."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.server = MemoryServer(self.clock, 10_000)
        self.image = self.server.image()

    def engine(self, kept: int = 10_000) -> ClusterEngine:
        self.server.kept = kept
        return MemoryEngine(self.server, SystemClock())

    def expire(self) -> None:
        self.clock.advance(LEASE)

    def keep(self) -> None:
        self.image = self.server.image()

    def rewind(self) -> None:
        self.server.rewind(self.image)
        self.clock.advance(0.001)

    def lose_all(self) -> None:
        self.server.rewind()
        self.clock.advance(0.001)  # what comes later has other epochs

    def fill(self, *, full: bool) -> None:
        self.server.full = full


class RealBackend(Backend):
    """A server's process, with a unit for each test."""

    def __init__(self, server: EngineServer) -> None:
        self.server = server
        self.unit = f"unit{next(_UNITS)}"
        self.keys = keys_of(self.unit)
        self.client: redis.Redis = server.client()
        self.client.flushall()
        self.made: list[RedisEngine] = []
        self.data = StoredData(self.client)

    def engine(self, kept: int = 10_000) -> ClusterEngine:
        engine = RedisEngine(self.server.address, self.unit, kept=kept, timeout=PATIENCE)
        self.made.append(engine)
        return engine

    def expire(self) -> None:
        self.client.delete(self.keys["lease"])

    def keep(self) -> None:
        self.data = StoredData(self.client)

    def rewind(self) -> None:
        self.data.restore()

    def lose_all(self) -> None:
        self.client.flushall()

    def fill(self, *, full: bool) -> None:
        self.client.config_set("maxmemory", "1" if full else "0")

    async def close(self) -> None:
        self.fill(full=False)
        self.client.close()
        for engine in self.made:
            await engine.close()


@pytest.fixture(autouse=True)
def slow_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No lease ends and no connection is given up by the time that a busy machine takes for a test. A lease that is to
    end is removed (`Backend.expire`), or its life is shortened by the test."""
    monkeypatch.setattr(redis_engine, "_LIFETIME", "600000")
    monkeypatch.setattr(redis_connections, "TIMEOUT", PATIENCE)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, EngineServer]]:
    """One server of each kind that is there, for a whole module."""
    with contextlib.ExitStack() as opened:
        there = [kind for kind in KINDS if binary(kind) is not None]
        yield {kind: opened.enter_context(running(kind, tmp_path_factory.mktemp(kind))) for kind in there}


def server_of(servers: dict[str, EngineServer], kind: str) -> EngineServer:
    """The server, or the reason why there is none."""
    required(kind)
    return servers[kind]


@pytest.fixture(params=["memory", *KINDS])
async def backend(request: pytest.FixtureRequest, servers: dict[str, EngineServer]) -> AsyncIterator[Backend]:
    """Each kind of engine in its turn."""
    made = MemoryBackend() if request.param == "memory" else RealBackend(server_of(servers, request.param))
    yield made
    await made.close()


@pytest.fixture(params=KINDS)
async def real(request: pytest.FixtureRequest, servers: dict[str, EngineServer]) -> AsyncIterator[RealBackend]:
    """Each engine with a process in its turn."""
    made = RealBackend(server_of(servers, request.param))
    yield made
    await made.close()
