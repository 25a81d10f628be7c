"""A scripted office day: people come, get busy, phone, meet, lunch and leave.

`schedule` is pure: the same contacts and seed give the same day. `OfficeDay` plays it at any speed.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pws_soap.server.presence import State
from pws_soap.simulator.bounds import shown
from pws_soap.simulator.cluster.simulator import Simulator
from pws_soap.simulator.office.world import Fields

HOUR: Final = 3600.0
MIN_SPEED: Final = 0.001
MAX_SPEED: Final = 1e9
"""How many times as fast as life the day can be played; at the least a day takes 3 years."""
DAY_STARTS: Final = 7 * HOUR
DAY_ENDS: Final = 19 * HOUR
"""The office is closed from 19:00 to 07:00; `OfficeDay` skips the night."""


@dataclass(frozen=True, slots=True)
class OfficeEvent:
    """A change of a contact; `at` is the time of the day, in seconds since midnight."""

    at: float
    contact: str
    fields: Fields


def _fields(state: State, *activities: str, idle: bool = False, note: str | None = None) -> Fields:
    return {"state": state, "activities": activities, "idle": idle, "note": note}


def schedule(contacts: Sequence[str], seed: int = 1) -> list[OfficeEvent]:
    """The day of these contacts, in the order of time. It begins with the state of everybody at `DAY_STARTS`."""
    events = [event for contact in contacts for event in _day(contact, random.Random(f"{seed} {contact}"))]  # noqa: S311
    return sorted(events, key=lambda event: (event.at, event.contact))


def _day(contact: str, dice: random.Random) -> Iterator[OfficeEvent]:
    fate = dice.random()
    if fate < 0.05:
        yield OfficeEvent(DAY_STARTS, contact, _fields(State.VACATION, note="Back on Monday"))
        return
    yield OfficeEvent(DAY_STARTS, contact, _fields(State.UNAVAILABLE))
    if fate < 0.09:  # ill
        return
    now = min(max(dice.gauss(8.4, 0.5), 7.1), 9.8) * HOUR
    leaves = min(max(dice.gauss(17.0, 0.7), 15.0), 18.9) * HOUR
    lunch = dice.uniform(11.5, 13.2) * HOUR
    while now < leaves:
        if lunch <= now:
            yield OfficeEvent(now, contact, _fields(State.AWAY, idle=True, note="Lunch"))
            now += dice.uniform(25, 60) * 60
            lunch = DAY_ENDS
        for seconds, fields in _piece_of_work(dice):
            if now < leaves:
                yield OfficeEvent(now, contact, fields)
            now += seconds
    yield OfficeEvent(leaves, contact, _fields(State.UNAVAILABLE))


def _piece_of_work(dice: random.Random) -> list[tuple[float, Fields]]:
    """What a person does next: steps of seconds and the fields of the contact meanwhile."""
    desk = (dice.uniform(4, 30) * 60, _fields(State.AVAILABLE))
    what = dice.random()
    if what < 0.45:
        call = [(dice.uniform(4, 20), _fields(State.AVAILABLE, "alerting")), (dice.expovariate(1 / 240) + 20, _CALL)]
        return [*call, desk]
    if what < 0.6:
        return [(dice.choice((30, 45, 60)) * 60.0, _fields(State.BUSY, "meeting", note="In a meeting")), desk]
    if what < 0.72:
        return [(dice.uniform(15, 50) * 60, _fields(State.DND, note="Deep work, please write")), desk]
    if what < 0.85:
        return [(dice.uniform(5, 20) * 60, _fields(State.AWAY, idle=True)), desk]
    return [desk]


_CALL: Final = _fields(State.BUSY, "on-the-phone")


class OfficeDay:
    """Plays the day, over and over, `speed` times as fast as life, from the time of day `start`."""

    def __init__(
        self,
        simulator: Simulator,
        *,
        contacts: Sequence[str] | None = None,
        speed: float = 60.0,
        seed: int = 1,
        start: float = 9 * HOUR,
        repeat: bool = True,
    ) -> None:
        if not MIN_SPEED <= speed <= MAX_SPEED:
            raise ValueError(f"speed: expected a number above 0, got {shown(speed)}; {MIN_SPEED:g} to {MAX_SPEED:g} do")
        if not DAY_STARTS <= start < DAY_ENDS:
            given = clock_face(start) if math.isfinite(start) else start
            raise ValueError(f"start: expected a time from 07:00 to before 19:00, got {given}")
        self.speed = speed
        self.seed = seed
        self._simulator = simulator
        self._contacts = contacts
        self._start = start
        self._repeat = repeat
        self._time = start
        self._task: asyncio.Task[None] | None = None
        self.changes = 0
        """Changes that were made so far."""

    @property
    def running(self) -> bool:
        """Whether the day is being played."""
        return self._task is not None and not self._task.done()

    @property
    def time(self) -> str:
        """The time of the day in the office, such as 10:32."""
        return clock_face(self._time)

    def begin(self) -> None:
        """Play in the background."""
        self._task = asyncio.get_running_loop().create_task(self.play())

    async def stop(self) -> None:
        """Stop; contacts stay as they are."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def play(self) -> None:
        """Play until the day's end, or for ever."""
        contacts = self._contacts or [presence.contact for presence in self._simulator.world]
        day, start = self.seed, self._start
        while True:
            await self._play_day(schedule(contacts, day), start)
            if not self._repeat:
                return
            day, start = day + 1, DAY_STARTS

    async def _play_day(self, events: list[OfficeEvent], start: float) -> None:
        began = self._simulator.clock()
        self._time = start
        waiting: dict[str, Fields] = {}
        for event in events:
            if event.at > self._time:
                self._apply(waiting)
                waiting = {}
                self._time = event.at
                due = began + (event.at - start) / self.speed
                await self._simulator.sleep(max(0.0, due - self._simulator.clock()))
            waiting[event.contact] = event.fields
        self._apply(waiting)
        self._time = DAY_ENDS
        await self._simulator.sleep(max(0.0, began + (DAY_ENDS - start) / self.speed - self._simulator.clock()))

    def _apply(self, changes: Mapping[str, Fields]) -> None:
        self.changes += self._simulator.change_many(changes)


def clock_face(seconds: float) -> str:
    """Seconds since midnight as hours and minutes."""
    return f"{int(seconds // 3600):02d}:{int(seconds % 3600 // 60):02d}"
