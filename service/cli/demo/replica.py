"""One replica of `pws demo --replicas`: the service as `pws serve` runs it, in a process of its own.

The demo starts it as a module. It is told its configuration over standard input, says there how it is doing, and passes
on what visitors of its page want to play with. It ends when the demo is gone, however that ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import socket
import sys
from collections.abc import Sequence
from typing import Final

from pws_soap.models import PresenceState
from service.api.routes.demo import Trick
from service.cli.demo.channel import Channel, Message
from service.cli.shared.quiet import quietly
from service.cli.shared.signals import stop_at_signals
from service.config import load
from service.core.clock import SystemClock
from service.core.engine import EngineState
from service.logs import configuration as logs
from service.runtime.assembly import Assembly, assemble
from service.runtime.server import CannotStart, listen, serve

HOST: Final = "127.0.0.1"
SAYS: Final = 0.25
"""Seconds between two reports of how it is doing."""


class RemotePlayground:
    """`service.api.routes.demo.Playground` in the process of the demo."""

    def __init__(self, channel: Channel, tricks: Sequence[Trick]) -> None:
        self.tricks = tuple(tricks)
        self._channel = channel
        self._numbers = itertools.count(1)
        self._asked: dict[int, asyncio.Future[bool]] = {}

    async def change(self, contact: str, state: PresenceState, *, on_the_phone: bool, note: str | None) -> bool:
        """See Playground."""
        return await self._ask({"do": "change", "of": [contact, state, on_the_phone, note]})

    async def play(self, name: str) -> None:
        """See Playground."""
        await self._ask({"do": "play", "of": [name]})

    async def mend(self) -> None:
        """See Playground."""
        await self._ask({"do": "mend", "of": []})

    async def _ask(self, message: Message) -> bool:
        number = next(self._numbers)
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        self._channel.send({"ask": number, **message})
        try:
            return await answer
        finally:
            del self._asked[number]

    def answered(self, message: Message) -> None:
        """The demo has answered."""
        answer = self._asked.get(message["answer"])
        if answer is not None and not answer.done():
            answer.set_result(bool(message["done"]))


async def _main() -> int:
    with stop_at_signals() as stop:
        channel = await Channel.of(socket.socket(fileno=sys.stdin.fileno()))
        try:
            begin = await channel.receive()
            return 0 if begin is None else await _run(begin, channel, stop)
        finally:
            await channel.close()


async def _run(begin: Message, channel: Channel, stop: asyncio.Event) -> int:
    try:
        listening = listen(HOST, begin["port"])
    except CannotStart as error:
        channel.send({"failed": str(error)})
        return 1
    playground = RemotePlayground(channel, [Trick(**each) for each in begin["tricks"]])
    assembly = assemble(load(None, begin["values"]), SystemClock(), playground)

    async def hear() -> None:
        while (message := await channel.receive()) is not None:
            playground.answered(message)
        os._exit(1)  # the simulated server is gone with the demo, and so is the engine: there is nothing to leave

    hearing = asyncio.create_task(hear(), name="demo")
    saying = asyncio.create_task(_say(assembly, channel), name="says")
    try:
        with quietly():
            await serve(assembly.served, listening, stop, closing=assembly.let_go)
    finally:
        for task in (hearing, saying):
            task.cancel()
        await asyncio.gather(hearing, saying, return_exceptions=True)
    return 0


async def _say(assembly: Assembly, channel: Channel) -> None:
    """Say how it is doing, for ever."""
    while True:
        status = assembly.engine.status()
        if status.cluster is not None:
            ready, _ = assembly.engine.ready()
            channel.send(
                {
                    "role": status.cluster.role,
                    "epoch": status.cluster.epoch,
                    "ready": ready,
                    "live": status.state is EngineState.LIVE,
                }
            )
        await asyncio.sleep(SAYS)


def main() -> int:
    """The exit code."""
    logs.configure("warning")
    logging.getLogger("pws.cluster").setLevel(logging.INFO)  # who owns, and why
    with logs.catch_the_rest(), contextlib.suppress(KeyboardInterrupt):
        return asyncio.run(_main())
    return 1


if __name__ == "__main__":
    sys.exit(main())
