"""Time: two clocks, and one that a test moves."""

from __future__ import annotations

import asyncio
import time

import pytest

from service.core.clock import Clock, ManualClock, Moment, SystemClock


def test_system_clock_shows_wall_time() -> None:
    """`now` is the epoch's time."""
    before = time.time()
    assert before - 1 <= SystemClock().now() <= time.time() + 1


def test_system_clock_never_goes_back() -> None:
    """Monotonic readings are in order."""
    clock = SystemClock()
    readings = [clock.monotonic() for _ in range(100)]
    assert readings == sorted(readings)


async def test_system_clock_takes_no_time_for_a_negative_pause() -> None:
    """A pause that is over already gives way to others and returns."""
    other = asyncio.create_task(asyncio.sleep(0))
    await SystemClock().sleep(-1)
    await other


def test_moments_compare_by_monotonic_time() -> None:
    """A wall clock that was set back does not change which moment was first."""
    clock = ManualClock()
    first = Moment.of(clock)
    clock.advance(1)
    clock.jump(-3600)
    assert first < Moment.of(clock)


def test_advance_moves_both_clocks_and_jump_one() -> None:
    """Only the wall clock can be set."""
    clock = ManualClock(now=100.0, monotonic=5.0)
    clock.advance(10)
    clock.jump(-50)
    assert (clock.now(), clock.monotonic()) == (60.0, 15.0)
    with pytest.raises(ValueError, match="does not go back"):
        clock.advance(-1)


async def test_sleepers_wake_in_the_order_they_are_due() -> None:
    """The earliest first; of two at the same time, who slept first."""
    clock = ManualClock()
    woken: list[str] = []
    tasks = [asyncio.create_task(_sleep(clock, woken, *each)) for each in (("late", 3), ("a", 1), ("b", 1), ("now", 0))]
    await clock.run(2)
    assert woken == ["now", "a", "b"]
    assert clock.next_wake == pytest.approx(1)
    clock.advance(1)
    await asyncio.gather(*tasks)
    assert woken[-1] == "late"
    assert clock.next_wake is None


async def test_run_lets_each_sleeper_see_its_own_time() -> None:
    """Somebody who sleeps every second gets every second of ten."""
    clock: ManualClock = ManualClock(monotonic=0.0)
    seen: list[float] = []

    async def tick(clock: Clock) -> None:
        while True:
            await clock.sleep(1)
            seen.append(clock.monotonic())

    task = asyncio.create_task(tick(clock))
    await clock.run(10)
    assert seen == [float(second) for second in range(1, 11)]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert clock.next_wake is None
    assert repr(clock) == "<ManualClock 10.000, 0 sleeping>"


async def test_a_cancelled_sleeper_is_passed_over() -> None:
    """Advancing past somebody who has given up wakes nobody."""
    clock = ManualClock()
    task = asyncio.create_task(clock.sleep(1))
    await asyncio.sleep(0)
    assert clock.sleeping == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    clock.advance(2)
    assert clock.sleeping == 0


async def _sleep(clock: Clock, woken: list[str], name: str, seconds: float) -> None:
    await clock.sleep(seconds)
    woken.append(name)
