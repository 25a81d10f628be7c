"""`pws serve` with its own configuration, and with somebody who watches how long its event loop is held.

    {"do": "watch"}     the longest turn is measured from now on
    {"do": "longest"}   it, and the longest collection of garbage, in seconds of CPU time, since `watch`, which ends
    {"do": "hangup"}    the process gets SIGHUP

Settings: `config`. From the first turn of the loop on it is watched as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from typing import Any

from benchmarks.rows.measure import Turns, watched_turns
from benchmarks.rows.programs import control
from service.cli import main as pws


class Watcher:
    """Obeys beside the service, on its event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._stack = contextlib.ExitStack()
        self._turns = Turns()
        self._tasks: list[asyncio.Task[None]] = []
        loop.call_soon(self._begin)

    def _begin(self) -> None:
        self._turns = self._stack.enter_context(watched_turns(self._loop))
        self._tasks.append(self._loop.create_task(self._obey()))

    async def _obey(self) -> None:
        commands = {"watch": self._watch, "longest": self._longest, "hangup": self._hangup}
        await control.obey(commands, {"watching": True})
        os.kill(os.getpid(), signal.SIGTERM)

    async def _watch(self, _words: dict[str, Any]) -> object:  # Any: JSON
        self._stack.close()
        self._turns = self._stack.enter_context(watched_turns(self._loop))
        return "watching"

    async def _longest(self, _words: dict[str, Any]) -> object:
        self._stack.close()
        return [self._turns.longest, self._turns.collection]

    async def _hangup(self, _words: dict[str, Any]) -> object:
        os.kill(os.getpid(), signal.SIGHUP)
        return "hung up"


def main() -> None:
    """Run the command; the loop that it asks uvloop for comes with a watcher."""
    import uvloop

    new_loop = uvloop.new_event_loop
    watchers: list[Watcher] = []

    def watched_loop() -> asyncio.AbstractEventLoop:
        loop = new_loop()
        watchers.append(Watcher(loop))
        return loop

    uvloop.new_event_loop = watched_loop  # type: ignore[assignment]  # it gives uvloop's own loop
    sys.argv = ["pws", "serve", "--config", json.loads(sys.argv[1])["config"], "--log-level", "error"]
    pws()


if __name__ == "__main__":
    main()
