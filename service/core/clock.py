"""What time it is: two readings that are never mixed.

Wall time (`now`) is for showing, monotonic time for ages and time-outs: the wall clock may be set back or forward at
any moment, and what was stale must not become live by it. Everything in the service that needs time takes a `Clock`.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from typing import Final, NamedTuple, Protocol

_BOOTTIME: Final[int | None] = getattr(time, "CLOCK_BOOTTIME", None)


class Clock(Protocol):
    """The one source of time."""

    def now(self) -> float:
        """Wall time, seconds since the epoch: for people, never for differences."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait; nothing or less gives way to others once."""
        ...


class Moment(NamedTuple):
    """One instant on both clocks. Moments compare by the monotonic one."""

    monotonic: float
    wall: float

    @classmethod
    def of(cls, clock: Clock) -> Moment:
        """Now."""
        return cls(clock.monotonic(), clock.now())


class SystemClock:
    """The machine's clocks.

    Where the system has it, monotonic time goes on while the machine is suspended: a service that slept through an
    hour must not take its memory for fresh.
    """

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic() if _BOOTTIME is None else time.clock_gettime(_BOOTTIME)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))


class ManualClock:
    """A clock that stands still until a test moves it.

    `advance` moves both clocks and wakes who is due, earliest first; `jump` sets the wall clock alone, as an operator
    or NTP does.
    """

    def __init__(self, now: float = 1_800_000_000.0, monotonic: float = 1000.0) -> None:
        self._now = now
        self._monotonic = monotonic
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def __repr__(self) -> str:
        return f"<ManualClock {self._monotonic:.3f}, {self.sleeping} sleeping>"

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    @property
    def sleeping(self) -> int:
        """How many wait for this clock."""
        return sum(not future.done() for _, _, future in self._sleepers)

    @property
    def next_wake(self) -> float | None:
        """Seconds until the first sleeper is due, or None when nobody sleeps."""
        while self._sleepers and self._sleepers[0][2].done():  # cancelled meanwhile
            heapq.heappop(self._sleepers)
        return max(0.0, self._sleepers[0][0] - self._monotonic) if self._sleepers else None

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._monotonic + seconds, next(self._order), future))
        await future

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward, or back with a negative number."""
        self._now += seconds

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass at once. Who is woken runs afterwards, and sees the new time."""
        if seconds < 0:
            raise ValueError("monotonic time does not go back; jump() moves the wall clock")
        self._move(self._monotonic + seconds)
        while self._sleepers and self._sleepers[0][0] <= self._monotonic:
            future = heapq.heappop(self._sleepers)[2]
            if not future.done():
                future.set_result(None)

    async def run(self, seconds: float, *, turns: int = 10) -> None:
        """Let `seconds` pass sleeper by sleeper: each wakes at its own time and gets `turns` turns of the loop."""
        end = self._monotonic + seconds
        await _turns(turns)
        while (due := self.next_wake) is not None and self._monotonic + due <= end:
            self.advance(due)
            await _turns(turns)
        self._move(max(end, self._monotonic))

    def _move(self, to: float) -> None:
        self._now += to - self._monotonic
        self._monotonic = to


async def _turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)
