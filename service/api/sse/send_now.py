"""Sending to thousands of clients in one turn of the event loop, without a task and a turn for each of them.

An ASGI server's `send` waits only where a connection is full. So it is begun outside of a task: mostly it is done then.
Where it waits, what is left of it is handed to the task of that one stream.
"""

from __future__ import annotations

from collections.abc import Awaitable, Generator
from functools import partial
from typing import Any


class Unfinished:
    """What is left of a coroutine that waits. It is to be awaited in a task, or closed."""

    # Any: what a coroutine waits for is the event loop's own affair.
    def __init__(self, steps: Generator[Any, Any, None], waits_for: Any) -> None:
        self._steps = steps
        self._waits_for = waits_for

    def __await__(self) -> Generator[Any, Any, None]:
        """As `yield from` does it, but for the first step, which is done already."""
        waits_for = self._waits_for
        while True:
            try:
                result = yield waits_for
            except BaseException as error:  # noqa: BLE001  such as a cancellation, which is the coroutine's
                step = partial(self._steps.throw, error)
            else:
                step = partial(self._steps.send, result)
            try:
                waits_for = step()
            except StopIteration:
                return

    def close(self) -> None:
        """It is awaited no more."""
        self._steps.close()


def begin(sending: Awaitable[None]) -> Unfinished | None:
    """Carry out `sending` until it is done or waits. What is left of it; None when it is done."""
    steps = sending.__await__()
    try:
        waits_for = next(steps)
    except StopIteration:
        return None
    return Unfinished(steps, waits_for)
