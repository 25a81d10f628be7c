"""Giving way: sleeping until something wants attention or a time has passed, and long work done in many turns.

And waiting for others that can be ended from outside, as when the service stops.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Generator
from typing import TypeVar, overload

from service.core.clock import Clock

T = TypeVar("T")


async def sleep_until_woken(woken: asyncio.Event, clock: Clock, seconds: float | None) -> None:
    """Return when `woken` is set, or after `seconds` of the clock, which sets it; None: only then. Clearing it is the
    caller's."""
    if woken.is_set():
        await asyncio.sleep(0)
        return
    if seconds is None:
        await woken.wait()
        return

    def time_is_over(_: object) -> None:
        woken.set()

    timer = asyncio.ensure_future(clock.sleep(seconds))
    timer.add_done_callback(time_is_over)
    try:
        await woken.wait()
    finally:
        timer.remove_done_callback(time_is_over)
        timer.cancel()


class Alarm:
    """Sets `woken` when a moment of the clock has come.

    A moment that is put off does not move it: it rings at the earlier one, once too often, which costs less than a new
    timer each time. To be used by one task, which cancels it in the end.
    """

    def __init__(self, woken: asyncio.Event, clock: Clock) -> None:
        self._woken = woken
        self._clock = clock
        self._due = math.inf
        self._timer: asyncio.Task[None] | None = None

    def set(self, due: float | None) -> None:
        """Ring at the monotonic moment `due` at the latest, or a millisecond from now where that is later."""
        if due is None:
            return
        if due >= self._due > self._clock.monotonic():  # else it is late: no timer runs while a machine is suspended
            return
        self.cancel()
        self._due = due
        self._timer = asyncio.create_task(self._ring(max(0.001, due - self._clock.monotonic())))

    def cancel(self) -> None:
        """Do not ring."""
        self._due = math.inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _ring(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._due, self._timer = math.inf, None
        self._woken.set()


@overload
async def in_turns(steps: Generator[None, None, T]) -> T: ...
@overload
async def in_turns(steps: Generator[None, None, T], goes_on: Callable[[], bool]) -> T | None: ...
async def in_turns(steps: Generator[None, None, T], goes_on: Callable[[], bool] = lambda: True) -> T | None:
    """Take the steps, each in a turn of the event loop; their result. None where it did not go on after one of them."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            result: T = done.value
            return result
        await asyncio.sleep(0)
        if not goes_on():
            steps.close()
            return None


class EndableWaits:
    """Whatever requests wait for here ends as soon as `end` is called, and at once from then on."""

    def __init__(self) -> None:
        self._open: set[asyncio.Timeout] = set()
        self._ended = False

    async def wait(self, work: Awaitable[T], error: Exception) -> T:
        """What `work` returns. Raises `error` where the waits were ended first; `work` is cancelled then."""
        try:
            async with asyncio.timeout(0 if self._ended else None) as limit:
                self._open.add(limit)
                return await work
        except TimeoutError:
            if not limit.expired():  # another one, of the work
                raise
            raise error from None
        finally:
            self._open.discard(limit)

    def end(self) -> None:
        """Let everybody go who waits."""
        self._ended = True
        for limit in self._open:
            limit.reschedule(asyncio.get_running_loop().time())
