"""An event loop in a thread of its own: the servers of the tests live there, whatever the tests themselves run in."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, Final, TypeVar

_Result = TypeVar("_Result")
_PATIENCE: Final = 60.0
"""Seconds after which a server that does not answer its own test fails it; on an idle machine it takes milliseconds."""


class LoopThread:
    """Runs functions and coroutines in its event loop, from the start of the object until `close`."""

    def __init__(self) -> None:
        self._loop: Future[asyncio.AbstractEventLoop] = Future()
        self._end = asyncio.Event()
        self._thread = threading.Thread(target=self._serve, name="pws-server", daemon=True)
        self._thread.start()
        self._running = self._loop.result(_PATIENCE)

    def _serve(self) -> None:
        async def until_the_end() -> None:
            self._loop.set_result(asyncio.get_running_loop())
            await self._end.wait()

        with asyncio.Runner() as runner:
            runner.run(until_the_end())

    def run(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """The result of a coroutine; raises what it raises."""
        return asyncio.run_coroutine_threadsafe(work, self._running).result(_PATIENCE)

    def call(self, function: Callable[[], _Result]) -> _Result:
        """The result of a function that does not wait; raises what it raises."""

        async def called() -> _Result:
            return function()

        return self.run(called())

    def close(self) -> None:
        """End the loop and its thread. A second time does nothing."""
        if self._thread.is_alive():
            self._running.call_soon_threadsafe(self._end.set)
            self._thread.join(_PATIENCE)
