"""Virtual time moves on, whatever sleeps, and a history in which it does not is told."""

from __future__ import annotations

import asyncio
import math
import os
import signal
from collections.abc import Callable
from unittest import mock

import pytest

from tests.support import cluster_history
from tests.support.virtual_cluster import ReplicaClock
from tests.support.virtual_time import LoopClock, run


@pytest.mark.parametrize("make", [LoopClock, lambda: ReplicaClock(-94.2, 0.00017)])
@pytest.mark.parametrize("left", [1e-13, 1e-10, 1e-9, 1e-6, 1.0])
def test_who_sleeps_until_a_moment_comes_there(make: Callable[[], LoopClock | ReplicaClock], left: float) -> None:
    """Also where rounding, or asyncio, which calls a timer a little too early, leaves next to nothing of the time."""

    async def story() -> None:
        clock, calls = make(), 0
        await asyncio.sleep(50.0)  # the loop's time is coarser then than a clock that is behind
        for _ in range(100):
            until = max(clock.monotonic() + left, math.nextafter(clock.monotonic(), math.inf))
            while clock.monotonic() < until:
                await clock.sleep(until - clock.monotonic())
                calls += 1
                assert calls < 1000, "no time passes"
        assert calls >= 100

    run(story())


def test_a_history_without_end_fails() -> None:
    """Where the signal comes while asyncio calls a callback."""

    async def begun(_history: object) -> None:
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGVTALRM)
        await asyncio.sleep(1.0)

    before = signal.signal(signal.SIGVTALRM, cluster_history._stuck)
    try:
        begin, steps = cluster_history.steps_of(0, 1)
        with mock.patch.object(cluster_history.History, "begun", begun):
            found = cluster_history.play(begin, steps)
    finally:
        signal.signal(signal.SIGVTALRM, before)
    assert found is not None
    assert isinstance(found.error, cluster_history.Stuck)
