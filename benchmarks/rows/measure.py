"""How the rows measure: rounds that take turns, what they are compared with, and how far they spread.

Every way of doing one thing is measured in each round, one after the other, so that a busy machine slows all of them
alike; a ratio is made within a round, and the median of the ratios is the figure. Times are CPU time unless a row says
otherwise, since the machine may have other work.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

Unit = Literal["x", "%", "ms", "KB"]
"""Of a figure: times its limit, a share of its limit's speed, milliseconds, kilobytes."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured. `quick` is for correctness only: its times mean nothing.

    `most`: contacts of the largest service.
    """

    rounds: int = 9
    quick: bool = False
    most: int = 100_000

    @property
    def contacts(self) -> int:
        """Contacts of one subscription."""
        return 200 if self.quick else 5000

    @property
    def all_contacts(self) -> int:
        """Contacts of the largest service that is measured."""
        return 600 if self.quick else self.most

    @property
    def streams(self) -> int:
        """Streams that are open at once."""
        return 20 if self.quick else 1000

    def times(self, number: int) -> int:
        """How often something short is done in one round."""
        return max(2, number // 50) if self.quick else number


@dataclass(frozen=True, slots=True)
class Spread:
    """Several measures of one thing."""

    least: float
    median: float
    most: float
    rounds: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of at least one value."""
        return cls(min(values), statistics.median(values), max(values), len(values))

    def times(self, factor: float) -> Spread:
        """The same in another unit."""
        return Spread(self.least * factor, self.median * factor, self.most * factor, self.rounds)


@dataclass(frozen=True, slots=True)
class Target:
    """What is wanted of a figure: at most so much, or at least."""

    value: float
    at_least: bool = False

    def is_met(self, value: float) -> bool:
        """Whether it is so."""
        return value >= self.value if self.at_least else value <= self.value


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table.

    `value` is what is compared with the target: a ratio to the limit, or a measure itself. `costs` are what it was made
    of, by the name of each way of doing it, in `cost_unit`; the first is the product's, the second the limit's, the
    others are peers. `wrong` says where the ways did not give the same; a figure with anything wrong is worthless.
    """

    row: int
    part: str
    value: Spread
    unit: Unit
    target: Target | None = None
    costs: Mapping[str, Spread] = field(default_factory=dict)
    cost_unit: str = "ms"
    wrong: tuple[str, ...] = ()
    note: str = ""

    @property
    def is_met(self) -> bool | None:
        """Whether the target is met; None where there is none."""
        return None if self.target is None else self.target.is_met(self.value.median)


Costs: TypeAlias = dict[str, list[float]]
"""What each way of doing something cost, round by round."""
Way: TypeAlias = Callable[[int], float]
"""Does it once, in the round of that number, and returns what it cost. The first round, -1, is not counted."""


def take_turns(rounds: int, ways: Mapping[str, Way]) -> Costs:
    """Each of the ways in each round, after one round that warms up. Garbage is collected between them.

    What is there at the beginning is left out of the collection of garbage, as `pws serve` does.
    """
    costs: Costs = {name: [] for name in ways}
    gc.collect()
    gc.freeze()
    for number in range(-1, rounds):
        for name, way in ways.items():
            gc.collect()
            cost = way(number)
            if number >= 0:
                costs[name].append(cost)
    return costs


async def take_turns_async(rounds: int, ways: Mapping[str, Callable[[int], Awaitable[float]]]) -> Costs:
    """As `take_turns`, on an event loop."""
    costs: Costs = {name: [] for name in ways}
    gc.collect()
    gc.freeze()
    for number in range(-1, rounds):
        for name, way in ways.items():
            gc.collect()
            cost = await way(number)
            if number >= 0:
                costs[name].append(cost)
    return costs


def ratio(costs: Costs, over: str, under: str) -> Spread:
    """How many times the one costs the other, made in each round."""
    # A clock of the system may not have moved in a short round: such a figure says nothing, and must not end the run.
    return Spread.of([one / max(other, 1e-9) for one, other in zip(costs[over], costs[under], strict=True)])


def share(costs: Costs, way: str, limit: str) -> Spread:
    """The speed of a way in percent of its limit's, made in each round."""
    return ratio(costs, limit, way).times(100.0)


def spreads(costs: Costs, factor: float = 1000.0) -> dict[str, Spread]:
    """Of all ways; by default seconds become milliseconds."""
    return {name: Spread.of(values).times(factor) for name, values in costs.items()}


def differences(name: str, one: object, other: object) -> tuple[str, ...]:
    """A line where two results are not the same."""
    return () if one == other else (f"{name}: {_short(one)} is not {_short(other)}",)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) < 200 else f"{text[:190]}... ({len(text)} characters)"


_LOOK: Final = 0.001


@dataclass(slots=True)
class Turns:
    """The longest turn of an event loop so far, and the longest collection of garbage, in CPU time of the thread."""

    longest: float = 0.0
    collection: float = 0.0


@contextlib.contextmanager
def watched_turns(loop: asyncio.AbstractEventLoop) -> Iterator[Turns]:
    """Measures how long the loop is held by anything, garbage collection included, until the end of the `with`.

    A timer that is due after a millisecond sees what the thread did until it got its turn: at most that much too much.
    """
    turns = Turns()
    last = time.thread_time()
    timer: asyncio.TimerHandle
    began = 0.0

    def collecting(phase: str, _info: dict[str, int]) -> None:
        nonlocal began
        if phase == "start":
            began = time.thread_time()
        else:
            turns.collection = max(turns.collection, time.thread_time() - began)

    def look() -> None:
        nonlocal last, timer
        now = time.thread_time()
        turns.longest = max(turns.longest, now - last)
        last = now
        timer = loop.call_later(_LOOK, look)

    timer = loop.call_later(_LOOK, look)
    gc.callbacks.append(collecting)
    try:
        yield turns
    finally:
        gc.callbacks.remove(collecting)
        timer.cancel()
        turns.longest = max(turns.longest, time.thread_time() - last)
