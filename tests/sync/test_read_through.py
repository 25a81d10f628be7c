"""Many questions at a time are one poll, and no answer is older than its question."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Sequence

import pytest

from service.core.engine import NotAvailable, RefreshReport
from service.sync.read_through import ReadThrough


class Poll:
    """A poll that waits until it is let through."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.answered = asyncio.Event()
        self.begun = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self, contacts: Sequence[str]) -> RefreshReport:
        self.asked.append(list(contacts))
        self.begun.set()
        await self.answered.wait()
        if self.error is not None:
            raise self.error
        return RefreshReport(len(contacts), 0)


async def test_questions_at_one_time_share_a_poll() -> None:
    poll = Poll()
    through = ReadThrough(poll)
    poll.answered.set()
    reports = await asyncio.gather(*(through.read([f"p{n % 3}@x.y"]) for n in range(50)))
    assert poll.asked == [["p0@x.y", "p1@x.y", "p2@x.y"]]
    assert all(each.contacts == 3 for each in reports)


async def test_a_question_during_a_poll_waits_for_the_next() -> None:
    poll = Poll()
    through = ReadThrough(poll)
    first = asyncio.create_task(through.read(["a@x.y"]))
    await poll.begun.wait()
    second = asyncio.create_task(through.read(["a@x.y"]))
    third = asyncio.create_task(through.read(["b@x.y"]))
    await asyncio.sleep(0)
    poll.answered.set()
    await asyncio.gather(first, second, third)
    assert poll.asked == [["a@x.y"], ["a@x.y", "b@x.y"]]


async def test_a_failure_reaches_everybody_who_asked_and_the_next_poll_is_a_new_one() -> None:
    poll = Poll()
    poll.answered.set()
    poll.error = NotAvailable("the server is away")
    through = ReadThrough(poll)
    results = await asyncio.gather(*(through.read(["a@x.y"]) for _ in range(3)), return_exceptions=True)
    assert [str(each) for each in results] == ["the server is away"] * 3
    poll.error = None
    assert (await through.read(["a@x.y"])).contacts == 1


async def test_one_who_gives_up_does_not_take_the_poll_from_the_others() -> None:
    poll = Poll()
    through = ReadThrough(poll)
    one, other = (asyncio.create_task(through.read(["a@x.y"])) for _ in range(2))
    await poll.begun.wait()
    one.cancel()
    poll.answered.set()
    assert (await other).contacts == 1
    with pytest.raises(asyncio.CancelledError):
        await one


async def test_a_poll_outlives_anybody_who_waited_for_it_and_fails_in_silence() -> None:
    """Its own time-out is what tells that the server does not answer; nobody is left to hear of it here."""
    strays: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: strays.append(context))
    poll = Poll()
    poll.error = NotAvailable("read time-out")
    failed = asyncio.Event()

    async def polled(contacts: Sequence[str]) -> RefreshReport:
        try:
            return await poll(contacts)
        except NotAvailable:
            failed.set()
            raise

    through = ReadThrough(polled, patience=0.05)
    with pytest.raises(NotAvailable, match=r"within 0\.05 s"):
        await through.read(["a@x.y"])
    poll.answered.set()
    async with asyncio.timeout(30):
        await failed.wait()
    await asyncio.sleep(0)
    gc.collect()
    assert strays == []
