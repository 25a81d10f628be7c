"""Waiting that can be ended from outside."""

from __future__ import annotations

import asyncio

import pytest

from service.core.wakeup import EndableWaits


class Ended(Exception):
    """What a wait raises that was ended."""


async def test_work_that_ends_by_itself_is_returned_or_raised() -> None:
    waits = EndableWaits()

    async def work() -> int:
        await asyncio.sleep(0)
        return 7

    async def fails() -> int:
        raise TimeoutError("its own")

    assert await waits.wait(work(), Ended()) == 7
    with pytest.raises(TimeoutError, match="its own"):
        await waits.wait(fails(), Ended())


async def test_all_that_wait_are_let_go_and_their_work_is_cancelled() -> None:
    """Those who come later too, at their first wait."""
    waits, cancelled = EndableWaits(), []

    async def work(number: int) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(number)
            raise

    waiting = [asyncio.create_task(waits.wait(work(number), Ended())) for number in range(3)]
    await asyncio.sleep(0)
    waits.end()
    ended = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 30)
    assert [type(each) for each in ended] == [Ended] * 3
    with pytest.raises(Ended):
        await asyncio.wait_for(waits.wait(work(3), Ended()), 30)
    assert sorted(cancelled) == [0, 1, 2, 3]


async def test_a_client_that_goes_away_ends_its_own_wait_alone() -> None:
    waits = EndableWaits()
    waiting = [asyncio.create_task(waits.wait(asyncio.Event().wait(), Ended())) for _ in range(2)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.wait(waiting[:1])
    assert (waiting[0].cancelled(), waiting[1].done()) == (True, False)
    waits.end()
    with pytest.raises(Ended):
        await asyncio.wait_for(waiting[1], 30)
