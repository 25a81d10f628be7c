"""What the buttons of the pages of `pws demo --replicas` do: to the replicas' processes, and to their engine."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Coroutine
from typing import Final

from pws_soap.models import PresenceState
from service.api.routes.demo import Trick
from service.cli.demo.channel import Channel, Message
from service.cli.demo.engine_process import EngineProcess
from service.cli.demo.playground import SimulatorPlayground
from service.cli.demo.replica_processes import ReplicaProcesses
from service.cli.shared.output import CommandFailed

ANSWERED: Final = 0.3
"""Seconds until a process is killed, so that the page that asked for it has its answer."""
STILL: Final = 10.0
"""Seconds for which a process stands still."""
_FOR: Final = f", {STILL:g}\N{NO-BREAK SPACE}s"
TRICKS: Final = (
    Trick(
        "owner-killed",
        "Kill the owner",
        "The process of the replica that owns the sessions is killed, and its page loses its connection. On the other "
        "pages everybody is stale within three seconds. Then one of these replicas owns: it logs in anew, and "
        "everybody is live again. Health says which one it is.",
    ),
    Trick(
        "all-started",
        "Start it again",
        "What has ended is started. Its page connects by itself, and it follows the owner that there is now.",
    ),
    Trick(
        "owner-stopped",
        "Stop the owner",
        "The owner is asked to end, as at an update. It hands over before it ends, and nobody waits for a lease.",
    ),
    Trick(
        "owner-still",
        f"Owner stands still{_FOR}",
        "The owner's process is stopped and goes on later. Another replica owns meanwhile; when the first one wakes, "
        "it notices by itself that it owns no more.",
    ),
    Trick(
        "engine-still",
        f"Engine stands still{_FOR}",
        "The replicas do not hear each other. The owner goes on answering from what it fetches; the others are stale "
        "after three seconds. Nobody can be claimed.",
    ),
    Trick(
        "engine-empty",
        "Engine restarted, empty",
        "All that the engine knew is lost. The owner notices, one of the replicas owns anew, writes what it remembers, "
        "and streams begin with a snapshot.",
    ),
)


class ReplicaPlayground:
    """Does what visitors want of the processes (`TRICKS`); the rest is done in the simulator."""

    def __init__(
        self,
        simulated: SimulatorPlayground,
        engine: EngineProcess,
        processes: ReplicaProcesses,
        say: Callable[[str], None],
    ) -> None:
        """`say` is called with what happens. The replicas' pages are answered from now on."""
        self._simulated = simulated
        self._engine = engine
        self._processes = processes
        self._say = say
        self._doing: set[asyncio.Task[None]] = set()
        processes.asked = self._asked

    async def change(self, contact: str, state: PresenceState, *, on_the_phone: bool, note: str | None) -> bool:
        """Change the presence of a contact; whether there is such a one."""
        return await self._simulated.change(contact, state, on_the_phone=on_the_phone, note=note)

    async def play(self, name: str) -> None:
        """Do one of `TRICKS` or of the simulator's. The first happen a moment later, once the page has its answer."""
        tricks: dict[str, Callable[[], Awaitable[None]]] = {
            "owner-killed": lambda: self._signal_owner(signal.SIGKILL),
            "owner-stopped": lambda: self._signal_owner(signal.SIGTERM),
            "owner-still": self._owner_still,
            "engine-still": self._engine_still,
            "engine-empty": self._engine_empty,
            "all-started": self._start_ended,
        }
        trick = tricks.get(name)
        if trick is None:
            await self._simulated.play(name)
        else:
            self._do(_later(trick))

    async def mend(self) -> None:
        """End all that the tricks have done."""
        await self._simulated.mend()
        self._engine.stand_still(still=False)
        self._processes.wake()
        self._do(self._start_ended())

    async def give_up(self) -> None:
        """End what is under way."""
        for doing in self._doing:
            doing.cancel()
        await asyncio.gather(*self._doing, return_exceptions=True)

    def _asked(self, channel: Channel, message: Message) -> None:
        self._do(self._answer(channel, message))

    async def _answer(self, channel: Channel, message: Message) -> None:
        done = True
        if message["do"] == "change":
            contact, state, on_the_phone, note = message["of"]
            done = await self.change(contact, PresenceState(state), on_the_phone=on_the_phone, note=note)
        elif message["do"] == "play":
            await self.play(message["of"][0])
        else:
            await self.mend()
        channel.send({"answer": message["ask"], "done": done})

    def _do(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(self._told(work), name="demo")
        self._doing.add(task)
        task.add_done_callback(self._doing.discard)

    async def _told(self, work: Coroutine[None, None, None]) -> None:
        try:
            await work
        except CommandFailed as error:
            self._say(error.format_message())

    async def _signal_owner(self, number: signal.Signals) -> None:
        (await self._processes.the_owner()).signal(number)

    async def _owner_still(self) -> None:
        owner = await self._processes.the_owner()
        owner.signal(signal.SIGSTOP)
        self._say(f"{owner.name} stands still for {STILL:g} s")
        await asyncio.sleep(STILL)
        owner.signal(signal.SIGCONT)

    async def _engine_still(self) -> None:
        self._engine.stand_still(still=True)
        self._say(f"the engine stands still for {STILL:g} s")
        await asyncio.sleep(STILL)
        self._engine.stand_still(still=False)

    async def _engine_empty(self) -> None:
        await self._engine.stop()
        await self._engine.start()
        self._say("the engine was restarted, and knows nothing")

    async def _start_ended(self) -> None:
        if not self._engine.runs:
            await self._engine_empty()
        await self._processes.start_ended()


async def _later(trick: Callable[[], Awaitable[None]]) -> None:
    await asyncio.sleep(ANSWERED)
    await trick()
