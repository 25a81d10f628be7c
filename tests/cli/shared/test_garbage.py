"""What stays until the process ends is left out of the collection of garbage; what is garbage is collected."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from service.cli.shared.garbage import leave_out_what_stays, no_full_collection
from service.core.clock import ManualClock


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """The tests that follow are collected as ever."""
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


class Circle:
    """Garbage that only the collection frees."""

    def __init__(self) -> None:
        self.me = self


def test_what_is_there_is_left_out_and_what_is_garbage_is_not() -> None:
    gone = weakref.ref(Circle())
    stays: list[list[int]] = [[]]
    leave_out_what_stays()
    assert gone() is None
    assert gc.get_freeze_count() > 0
    assert not any(each is stays for each in gc.get_objects())


async def test_while_it_fills_there_is_no_full_collection_and_then_as_before() -> None:
    clock, before, full = ManualClock(), gc.get_threshold(), False
    filling = asyncio.create_task(no_full_collection(lambda: full, clock))
    for _ in range(3):
        await asyncio.sleep(0)
        assert gc.get_threshold()[2] > 1000 * before[2]
        clock.advance(1.0)
    full = True
    await filling
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() > 0


async def test_a_server_that_is_away_is_not_waited_for_for_ever() -> None:
    clock, before = ManualClock(), gc.get_threshold()
    filling = asyncio.create_task(no_full_collection(lambda: False, clock))
    while not filling.done():
        await asyncio.sleep(0)
        clock.advance(1.0)
    assert 300 <= clock.monotonic() - 1000 <= 302
    assert gc.get_threshold() == before


async def test_a_service_that_is_stopped_meanwhile_leaves_it_as_it_was() -> None:
    before = gc.get_threshold()
    filling = asyncio.create_task(no_full_collection(lambda: False, ManualClock()))
    await asyncio.sleep(0)
    filling.cancel()
    await asyncio.gather(filling, return_exceptions=True)
    assert gc.get_threshold() == before
