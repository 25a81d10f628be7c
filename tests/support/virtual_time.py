"""An event loop whose time jumps: when nothing is ready, it goes at once to the next timer.

A day of time-outs passes in the time that its work takes. Where nothing is ready and no timer is set, nothing can ever
happen again, and the loop says so.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

EPOCH = 1_800_000_000.0
_RESOLUTION = 1e-9
"""Seconds by which asyncio calls a timer too early."""


class Stuck(AssertionError):
    """Everybody waits, and for nothing."""


class _Selector(selectors.SelectSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            raise Stuck("nothing is ready and no timer is set")
        self._loop.skip(timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """See the module."""

    def __init__(self) -> None:
        self._virtual = 1000.0
        super().__init__(_Selector(self))

    def time(self) -> float:
        return self._virtual

    def skip(self, seconds: float) -> None:
        # A hair more than asked for: a timer compares with `<`, and rounding must not make the loop spin.
        self._virtual += seconds + _RESOLUTION


async def pass_time(seconds: float) -> None:
    """Sleep on a virtual loop: so long at least. Who sleeps until a moment and is called too early would sleep for next
    to nothing, for which no time passes, for ever."""
    await asyncio.sleep(seconds + 2 * _RESOLUTION if seconds > 0.0 else 0.0)


class LoopClock:
    """A `service.core.clock.Clock` on the running loop's time."""

    def now(self) -> float:
        return EPOCH + self.monotonic()

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await pass_time(seconds)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end on a virtual loop."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)
