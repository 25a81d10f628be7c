"""Row 15: what a second costs in which nothing happens but time: the look at what changes with it.

Store, event log and claims of a service, in this process, on a clock that is moved second by second: what is measured
is the CPU time of everything that runs because a second has passed. With few and with many contacts, while nothing is
due, and with many while some are due at that second, since they become free then (dwell). It should cost no more with
many contacts than with few, and grow with what is due.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Final

from benchmarks.rows.measure import Costs, Figure, Scale, Target, differences, ratio, spreads, take_turns_async
from benchmarks.rows.programs import control
from pws_soap.models import Presence, PresenceState
from service.core.clock import ManualClock
from service.core.presence.availability import Availability, Rule
from service.core.presence.memory_store import MemoryStore
from service.core.presence.records import Source
from service.core.wiring import Core

_FEED: Final = "dispatcher"
_DWELL: Final = 5.0
_BOUND: Final = 1e6
_TURNS: Final = 50
"""Turns of the event loop after each second: more than anything takes that runs because of it."""
_DUE: Final = 100
_FEW: Final = 1000


class Idle:
    """A service whose clock stands. `told` counts its events."""

    def __init__(self, contacts: int) -> None:
        self.clock = ManualClock()
        store = MemoryStore(self.clock)
        self.names = [f"p{number:06d}@example.com" for number in range(contacts)]
        rule = Rule(dwell=_DWELL)
        availability = Availability({"all": self.names}, {"all": rule}, rule)
        self.core = Core.of(store, self.clock, _BOUND, {"all": self.names}, availability)
        self.told = 0
        store.watch(self.names, _FEED)
        store.trust(_FEED)
        self.read(self.names, PresenceState.BUSY)
        self.core.log.follow(lambda events: self._count(len(events)))

    def _count(self, events: int) -> None:
        self.told += events

    def read(self, names: list[str], state: PresenceState) -> None:
        """A fetch tells of them."""
        reading = self.core.store.begin()
        self.core.store.put([Presence(name, state) for name in names], reading, source=Source.SUBSCRIBED)
        self.core.store.confirm(_FEED, reading)

    async def second(self) -> float:
        """Let a second pass; the CPU time of all that runs."""
        began = time.process_time()
        await self.clock.run(1.0, turns=_TURNS)
        return time.process_time() - began


@contextlib.asynccontextmanager
async def running(contacts: int) -> AsyncIterator[Idle]:
    """An idle service with its tasks, after some seconds of its time."""
    idle = Idle(contacts)
    tasks = [asyncio.create_task(work()) for work in (idle.core.log.run, idle.core.claim_service.run)]
    try:
        await idle.clock.run(2 * _DWELL, turns=_TURNS)
        yield idle
    finally:
        idle.core.claim_service.close()
        idle.core.log.close()
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def seconds(scale: Scale) -> list[Figure]:
    """Row 15."""
    few, many, due = min(_FEW, scale.all_contacts // 2), scale.all_contacts, min(_DUE, scale.all_contacts // 2)
    times = scale.times(10)
    idle, busy, small = f"{many} contacts", f"{many} contacts, {due} due", f"{few} contacts"
    wrong: list[str] = []
    found: list[Costs] = []

    async def nothing(service: Idle) -> float:
        before = service.told
        taken = sum([await service.second() for _ in range(times)]) / times
        wrong.extend(differences("events while nothing is due", service.told, before))
        return taken

    async def some(service: Idle) -> float:
        names = service.names[:due]
        service.read(names, PresenceState.AVAILABLE)
        await service.clock.run(_DWELL - 1, turns=_TURNS)
        before = service.told
        taken = await service.second() + await service.second()
        wrong.extend(differences("contacts that became free", service.told - before, due))
        service.read(names, PresenceState.BUSY)
        await service.second()
        return taken / 2

    async def work() -> None:
        async with running(few) as one, running(many) as other:
            ways = {
                idle: lambda _number: nothing(other),
                small: lambda _number: nothing(one),
                busy: lambda _number: some(other),
            }
            found.append(await take_turns_async(scale.rounds, ways))

    control.run(work())
    (costs,) = found
    value = ratio(costs, idle, small)
    return [
        Figure(
            15,
            f"an idle second, {many} contacts beside {few}",
            value,
            "x",
            Target(2.0),
            spreads(costs),
            wrong=tuple(wrong),
        ),
    ]
