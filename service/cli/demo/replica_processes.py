"""The replicas of `pws demo --replicas`, each a process of its own, started and ended here.

Nothing is written to disk: the replicas are told their configuration over their standard input. Whatever ends, and
however, the others end with it or are ended: a replica hears that the demo is gone, and the engine's guard does.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Final

from service.api.routes.demo import Trick
from service.cli.demo.channel import Channel, Message
from service.cli.demo.loopback import HOST
from service.cli.shared.output import CommandFailed

START: Final = 60.0
"""Seconds that the replicas may take until they answer; they take some three."""
STOP: Final = 15.0
"""Seconds that a replica may take to end; then it is killed."""
SILENT: Final = 2.0
"""Seconds without a report after which a replica is taken for one that stands still."""
KEPT_LINES: Final = 20
"""Lines of a replica's log that are kept, to say why it has ended."""


@dataclass(slots=True)
class ReplicaProcess:
    """A replica: where it is, and its process while there is one."""

    number: int
    port: int
    process: asyncio.subprocess.Process | None = None
    channel: Channel | None = None
    health: Message = field(default_factory=dict)
    """What it has reported last; empty until it answers."""
    heard: float = 0.0
    failure: str = ""
    said: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT_LINES))
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """As people call it."""
        return f"replica {self.number}"

    @property
    def url(self) -> str:
        """Its dashboard and API."""
        return f"http://{HOST}:{self.port}"

    @property
    def runs(self) -> bool:
        """Whether its process is there."""
        return self.process is not None and self.process.returncode is None

    def is_heard(self, now: float) -> bool:
        """Whether it has reported a moment ago: a process that stands still does not."""
        return self.runs and bool(self.health) and now - self.heard < SILENT

    def signal(self, number: signal.Signals) -> None:
        """Send its process a signal."""
        if self.process is not None and self.runs:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)


class ReplicaProcesses:
    """All of them. `asked` is called with what the page of a replica asks for, and the way to answer it."""

    def __init__(
        self,
        ports: Sequence[int],
        values: Callable[[ReplicaProcess], Mapping[str, str]],
        tricks: Sequence[Trick],
        say: Callable[[str], None],
        relay: Callable[[str], None],
    ) -> None:
        """`values` is the configuration of a replica, `tricks` are the buttons of their pages. `say` is called with
        what happens to the processes, `relay` with what the replicas log."""
        self.all = [ReplicaProcess(number, port) for number, port in enumerate(ports, 1)]
        self.asked: Callable[[Channel, Message], None] = _ignore
        self._values = values
        self._tricks = tricks
        self._say = say
        self._relay = relay
        self._changed = asyncio.Event()
        self._ends_are_expected = False

    @property
    def owner(self) -> ReplicaProcess | None:
        """The one that owns the sessions, as far as is heard."""
        now = asyncio.get_running_loop().time()
        owners = [each for each in self.all if each.is_heard(now) and each.health["role"] == "owner"]
        return max(owners, key=lambda each: int(each.health["epoch"]), default=None)

    @property
    def ended(self) -> list[ReplicaProcess]:
        """Those that do not run."""
        return [each for each in self.all if not each.runs]

    def ports(self, turn: int) -> list[int]:
        """Those that are ready, each in its turn; then the others that answer, since a stale answer beats none."""
        now = asyncio.get_running_loop().time()
        heard = [each for each in self.all if each.is_heard(now)]
        turned = heard[turn % len(heard) :] + heard[: turn % len(heard)] if heard else []
        return [each.port for each in sorted(turned, key=lambda each: not each.health["ready"])]

    async def start(self) -> None:
        """Start all, and wait until they answer. Raises CommandFailed with the reason of one that does not."""
        await asyncio.gather(*map(self._start, self.all))
        deadline = asyncio.get_running_loop().time() + START
        while not all(each.health for each in self.all):
            for replica in self.all:
                if not replica.runs:
                    last = next((line for line in reversed(replica.said) if line.strip()), "it says nothing")
                    raise CommandFailed(f"{replica.name} does not start: {replica.failure or last}")
            if asyncio.get_running_loop().time() > deadline:
                raise CommandFailed(f"the replicas do not answer within {START:g} s")
            await self.news(1.0)

    async def news(self, seconds: float) -> None:
        """Wait until a replica has reported something, or has ended."""
        self._changed.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), seconds)

    async def _start(self, replica: ReplicaProcess) -> None:
        ours, theirs = socket.socketpair()
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PWS_")}
        with theirs:
            replica.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "service.cli.demo.replica",
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=environment,
                start_new_session=True,  # Ctrl-C is the demo's alone, which ends them in their order
            )
        replica.channel = await Channel.of(ours)
        replica.health = {}
        replica.failure = ""
        replica.said.clear()
        tricks = [asdict(trick) for trick in self._tricks]
        replica.channel.send({"port": replica.port, "values": dict(self._values(replica)), "tricks": tricks})
        process, channel = replica.process, replica.channel
        replica.tasks = [
            asyncio.create_task(self._hear(replica, channel), name=f"{replica.name}: messages"),
            asyncio.create_task(self._log_of(replica, process), name=f"{replica.name}: log"),
            asyncio.create_task(self._end_of(replica, process), name=f"{replica.name}: end"),
        ]

    async def _hear(self, replica: ReplicaProcess, channel: Channel) -> None:
        while (message := await channel.receive()) is not None:
            if "ask" in message:
                self.asked(channel, message)
            elif "failed" in message:
                replica.failure = message["failed"]
            else:
                replica.health = message
                replica.heard = asyncio.get_running_loop().time()
            self._changed.set()

    async def _log_of(self, replica: ReplicaProcess, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None  # noqa: S101  it is a pipe
        with contextlib.suppress(ValueError):  # a line without end
            async for line in process.stderr:
                text = line.decode("utf-8", "replace").rstrip()
                replica.said.append(text)
                self._relay(f"{replica.name}: {text}")

    async def _end_of(self, replica: ReplicaProcess, process: asyncio.subprocess.Process) -> None:
        code = await process.wait()
        replica.health = {}
        if not self._ends_are_expected:
            how = (
                "was killed" if code == -signal.SIGKILL else f"has ended with exit code {code}" if code else "has ended"
            )
            self._say(f"{replica.name} {how}")
        self._changed.set()

    async def start_ended(self) -> None:
        """Start those that do not run."""
        for replica in self.ended:
            await self._ended(replica)
            await self._start(replica)
            self._say(f"{replica.name} is started again")

    async def the_owner(self) -> ReplicaProcess:
        """The owner, as soon as there is one."""
        while (owner := self.owner) is None:
            await self.news(1.0)
        return owner

    async def _ended(self, replica: ReplicaProcess) -> None:
        """Its end, and that of all that belongs to it."""
        if replica.process is not None:
            await replica.process.wait()
        await asyncio.gather(*replica.tasks, return_exceptions=True)
        if replica.channel is not None:
            await replica.channel.close()
        replica.tasks, replica.process, replica.channel = [], None, None

    def expect_ends(self) -> None:
        """Say nothing any more of a replica that ends."""
        self._ends_are_expected = True

    def wake(self) -> None:
        """Those that stand still go on."""
        for replica in self.all:
            replica.signal(signal.SIGCONT)

    async def stop(self) -> None:
        """End all. The owner comes last, so that it finds nobody to hand over to and leaves nothing at the server."""
        owner = self.owner
        self.wake()
        await asyncio.gather(*(self._stop(replica) for replica in self.all if replica is not owner))
        if owner is not None:
            await self._stop(owner)

    async def _stop(self, replica: ReplicaProcess) -> None:
        replica.signal(signal.SIGTERM)
        if replica.process is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(replica.process.wait(), STOP)
        replica.signal(signal.SIGKILL)
        await self._ended(replica)


def _ignore(_channel: Channel, _message: Message) -> None:
    """Nobody answers yet."""
