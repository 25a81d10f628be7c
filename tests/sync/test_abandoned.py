"""An engine that ends because the sessions are another process's, and one whose memory is not a file."""

from __future__ import annotations

import asyncio

import pytest

from pws_soap.lifecycle import UNKNOWN, Memory
from service.sync.session_memory import NotStored
from service.sync.state_file import StateFile
from tests.support.virtual_office import VirtualOffice
from tests.support.virtual_time import run

CONTACTS = tuple(f"c{number}@example.com" for number in range(5))


def test_nothing_is_sent_any_more() -> None:
    """Neither a logout nor anything else, and the sessions stay at the server."""

    async def story() -> None:
        office = VirtualOffice(CONTACTS)
        engine = office.start()
        await asyncio.sleep(5)
        assert office.check() == len(CONTACTS)
        sent = office.requests
        await engine.abandon()
        office.engine = None
        await asyncio.sleep(600)
        assert office.requests == sent
        assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]

    run(story())


class SlowMemory(StateFile):
    """One that says when it has what was written, or that it has not."""

    def __init__(self) -> None:
        super().__init__(None)
        self.written: list[Memory] = []
        self.may_store = asyncio.Event()
        self.fails = False

    def read(self) -> Memory:
        return UNKNOWN

    def write(self, memory: Memory) -> None:
        self.written.append(memory)

    async def stored(self) -> None:
        await self.may_store.wait()
        if self.fails:
            raise NotStored("the engine is down")


@pytest.mark.parametrize("fails", [False, True])
def test_no_login_before_it_is_remembered(monkeypatch: pytest.MonkeyPatch, *, fails: bool) -> None:
    """Nothing is sent until then; where it cannot be remembered, nothing is sent and it is tried again."""

    async def story() -> None:
        memory = SlowMemory()
        memory.fails = fails
        monkeypatch.setattr("tests.support.virtual_office.StateFile", lambda _path: memory)
        office = VirtualOffice(CONTACTS)
        engine = office.start()
        await asyncio.sleep(60)
        assert not office.requests
        assert memory.written[-1].nodes == {"http://imp1:8082"}
        memory.may_store.set()
        await asyncio.sleep(60)
        assert bool(office.requests) is not fails
        if fails:
            assert any("the engine is down" in problem.what for problem in engine.status().problems)
            memory.fails = False
            await asyncio.sleep(120)
        assert office.check() == len(CONTACTS)
        await engine.abandon()

    run(story())
