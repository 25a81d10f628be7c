"""An alarm rings when its moment has come, on an event loop whose time jumps."""

from __future__ import annotations

import asyncio

from service.core.wakeup import Alarm
from tests.support.virtual_time import LoopClock, run


def ringing(*moments: float | None) -> float:
    """Seconds until an alarm rings that is set to these moments, one after the other."""

    async def story() -> float:
        clock, woken = LoopClock(), asyncio.Event()
        start = clock.monotonic()
        alarm = Alarm(woken, clock)
        for moment in moments:
            alarm.set(None if moment is None else start + moment)
        await woken.wait()
        alarm.cancel()
        return round(clock.monotonic() - start, 6)

    return run(story())


def test_alarm_rings_at_its_moment() -> None:
    assert ringing(5.0) == 5.0


def test_an_earlier_moment_is_rung_at() -> None:
    assert ringing(5.0, 3.0) == 3.0


def test_a_later_moment_is_left_to_the_next_look() -> None:
    """Who is rung sets it anew, so that nothing is missed."""
    assert ringing(5.0, 8.0) == 5.0
    assert ringing(5.0, None) == 5.0


def test_a_moment_that_is_over_is_rung_for_soon() -> None:
    assert ringing(-1.0) == 0.001


def test_alarm_can_be_set_again_after_it_has_rung() -> None:
    async def story() -> list[float]:
        clock, woken = LoopClock(), asyncio.Event()
        start = clock.monotonic()
        alarm = Alarm(woken, clock)
        rung = []
        for moment in (2.0, 7.0):
            woken.clear()
            alarm.set(start + moment)
            await woken.wait()
            rung.append(round(clock.monotonic() - start, 6))
        return rung

    assert run(story()) == [2.0, 7.0]


def test_alarm_that_should_have_rung_is_no_reason_to_wait() -> None:
    """The machine was suspended: an hour passed by the clock, and none by the timers of the event loop."""

    class Suspended(LoopClock):
        passed = 0.0

        def monotonic(self) -> float:
            return super().monotonic() + self.passed

    async def story() -> float:
        clock, woken = Suspended(), asyncio.Event()
        alarm = Alarm(woken, clock)
        alarm.set(clock.monotonic() + 600.0)
        clock.passed = 3600.0
        start = clock.monotonic()  # something else wakes who is rung, who looks, and sets it anew
        alarm.set(start + 1.0)
        await woken.wait()
        alarm.cancel()
        return round(clock.monotonic() - start, 6)

    assert run(story()) == 1.0


def test_alarm_that_is_cancelled_does_not_ring() -> None:
    async def story() -> bool:
        clock, woken = LoopClock(), asyncio.Event()
        alarm = Alarm(woken, clock)
        alarm.set(clock.monotonic() + 1.0)
        alarm.cancel()
        await clock.sleep(5.0)
        return woken.is_set()

    assert run(story()) is False
