"""Work on very many contacts in steps, so that no answer holds the event loop for long.

Such work is a generator: where it yields, others may go on. It is written once, and run to its end at once or in turns
with whatever else there is to do.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import Final, TypeVar

from service.core.clock import Clock

SLICE: Final = 1024
"""Contacts that are looked at in one step: a few milliseconds. One more than the longest page fits."""

T = TypeVar("T")
Steps = Generator[None, None, T]
"""Work that yields between its steps, and returns its result."""


def at_once(steps: Steps[T]) -> T:
    """Run all steps in one turn of the event loop."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            result: T = done.value
            return result


async def in_turns(steps: Steps[T], clock: Clock) -> tuple[T, bool]:
    """Run the steps, each in a turn of its own. The result, and whether there was more than one turn."""
    paused = False
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return done.value, paused
        paused = True
        await clock.sleep(0.0)


def slices(items: Sequence[T], size: int = SLICE) -> Iterator[Sequence[T]]:
    """The items in order, so many at a time."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
