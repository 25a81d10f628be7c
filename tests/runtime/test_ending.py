"""A replica that is told to end comes to its end: at any moment, whatever the server and the engine do or do not."""

from __future__ import annotations

import asyncio
import random
from typing import Any
from unittest import mock

import pytest

from pws_soap.simulator import Fault, NodeCondition
from service.cluster.lease import Role
from service.runtime import replica
from service.runtime.engine_trouble import HANGS
from tests.support.examples import seeds
from tests.support.virtual_cluster import NAMES, Process, VirtualCluster
from tests.support.virtual_office import STATES, names
from tests.support.virtual_time import run

CONTACTS = names(3)
LIMIT = 10.0
"""Seconds for cleaning up at the server, as configured."""
LONGEST = LIMIT + replica.BESIDE + 0.1
"""Seconds within which it has ended, and some for the rest of the process."""
HEALS = 30.0
FAULTS = ("lose-reply", "abort-request", "delay-reply", "delay-request")


class Deaf:
    """A way to the engine on which a cancellation is lost now and then, where it comes together with an answer."""

    def __init__(self, process: Process, dice: random.Random, *, often: float) -> None:
        self._ask = process.engine._ask
        self._dice = dice
        self._often = often
        process.engine._ask = self  # type: ignore[method-assign]

    async def __call__(self, verb: Any) -> Any:
        asking = asyncio.ensure_future(self._ask(verb))
        while True:
            try:
                return await asyncio.shield(asking)
            except asyncio.CancelledError:
                if asking.cancelled() or self._dice.random() > self._often:
                    asking.cancel()
                    raise


async def troubles(three: VirtualCluster, dice: random.Random) -> None:
    """Everything goes wrong and right again, for ever."""
    place = three.simulator
    while True:
        await asyncio.sleep(dice.choice([0.0, 0.05, 0.3, 1.0, 3.0]))
        process = dice.choice(list(three.processes.values()) or [None])
        match dice.randrange(9):
            case 0:
                three.server.up = not three.server.up
            case 1:
                three.server.full = not three.server.full
            case 2:
                three.latency = dice.choice([0.0, 0.1, 2.0, 20.0])
            case 3:
                state = dice.choice([NodeCondition.UP, NodeCondition.DOWN, NodeCondition.HUNG])
                place.set_state("imp1", state)
            case 4:
                place.faults.add(Fault(dice.choice(FAULTS), count=dice.randrange(1, 4), seconds=dice.uniform(1, 30)))
            case 5:
                three.server.rewind()
            case 6 if process is not None:
                process.engine.delay = dice.choice([0.0, 0.05, 0.4, 5.0])
            case 7 if process is not None:
                process.engine.loses_requests = dice.random() < 0.5
                process.engine.loses_replies = dice.random() < 0.5
            case _:
                three.change(dice.choice(CONTACTS), dice.choice(STATES))


async def ends_in_time(process: Process, *, longer: float = 0.0) -> None:
    """It is told to end."""
    async with asyncio.timeout(LONGEST + longer):
        await process.stop(LIMIT)


def story(seed: int, *, often: float) -> None:
    """All are told to end, one after another or at once, at any moment of their lives."""

    async def told() -> None:
        dice = random.Random(seed)  # noqa: S311  # chooses a history
        three = VirtualCluster(CONTACTS)
        three.latency = dice.choice([0.0, 0.05, 0.5])
        for name in NAMES[: dice.randrange(1, 4)]:
            process = three.start(name)
            process.engine.delay = dice.choice([0.0, 0.01, 0.1])
            if often:
                Deaf(process, dice, often=often)
        await asyncio.sleep(dice.choice([0.0, 0.01, 0.5, 2.0, 5.0, 15.0]))
        going_wrong = asyncio.create_task(troubles(three, dice))
        await asyncio.sleep(dice.choice([0.0, 0.3, 5.0, 20.0]))
        ending = []
        for name in dice.sample(list(three.processes), len(three.processes)):
            await asyncio.sleep(dice.choice([0.0, 0.0, 0.01, 0.5, 4.0]))
            longer = 5 * HANGS if often else 0.0  # each part is broken off again and again
            ending.append(asyncio.create_task(ends_in_time(three.processes.pop(name), longer=longer)))
        await asyncio.gather(*ending)
        going_wrong.cancel()
        await asyncio.gather(going_wrong, return_exceptions=True)
        await asyncio.sleep(1.0)  # timers that nobody waits for run out
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(told())


@pytest.mark.parametrize("seed", seeds(6, 16))
def test_it_ends_whatever_is_wrong(seed: int) -> None:
    """The server hangs, the engine is away, full or slow, replies are lost."""
    story(seed, often=0.0)


@pytest.mark.parametrize("seed", seeds(4, 10))
def test_it_ends_though_cancellations_are_lost(seed: int) -> None:
    """As where the engine's package waits in a way that swallows them."""
    story(seed, often=0.5)


@pytest.mark.parametrize("others", [0, 1])
@pytest.mark.parametrize("is_engine_silent", [True, False])
def test_it_ends_in_time_though_nobody_answers(others: int, *, is_engine_silent: bool) -> None:
    """The server is silent, and perhaps the engine, which is asked in vain for as long as the end lasts.

    Where the engine answers, the ownership is given up, and where another replica is there, it goes on.
    """

    async def told() -> None:
        three = VirtualCluster(CONTACTS)
        for name in NAMES[: 1 + others]:
            three.start(name)
        await three.heal(HEALS)
        await three.pass_time(5.0)
        owner = three.owner
        assert owner is not None
        three.simulator.set_state("imp1", NodeCondition.HUNG)
        three.change(CONTACTS[0], STATES[0])
        await three.pass_time(2.0)  # it fetches
        if is_engine_silent:
            for process in three.processes.values():
                process.engine.delay = 3600.0
        await ends_in_time(three.processes.pop(owner.name))
        if not is_engine_silent:
            holder = three.server.holder
            assert holder is None or holder.replica != owner.identity
            if others:
                (heir,) = three.processes.values()
                await three.pass_time(1.0)
                assert heir.replica.role is Role.OWNER
        await three.close()

    run(told())


def test_it_takes_nothing_once_it_leaves() -> None:
    """It is told to stop just before it asks for the lease: the others would wait until that ends by itself."""

    async def told() -> None:
        three = VirtualCluster(names(3))
        try:
            three.start("a")
            await three.heal(HEALS)
            replica = three.start("b").replica
            await three.heal(HEALS)
            asks, may_ask = asyncio.Event(), asyncio.Event()

            async def looks_first() -> bool:
                asks.set()
                await may_ask.wait()
                return False

            with mock.patch.object(replica._holding, "_is_for_others", looks_first):
                await three.kill("a")
                await three.until(asks.wait())
                await three.pass_time(3.0)
                assert three.server.snapshot().holder is None
                leaving = asyncio.create_task(replica._holding.leave())
                await asyncio.sleep(0)
                may_ask.set()
                await leaving
                await three.pass_time(0.5)
                assert not replica._holding.view.epoch
                assert three.server.snapshot().holder is None
        finally:
            await three.close()

    run(told())
