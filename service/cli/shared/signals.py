"""Stops a long-running command: Ctrl-C and SIGTERM set an event, and the command cleans up and ends."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Final

import click

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stop_at_signals() -> Iterator[asyncio.Event]:
    """An event that the first signal sets. Needs a running loop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        with contextlib.suppress(NotImplementedError):  # where there are no signal handlers Ctrl-C still interrupts
            loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in _SIGNALS:
            with contextlib.suppress(NotImplementedError):
                loop.remove_signal_handler(number)


@contextmanager
def cancelled_at_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP cancel the current task, as Ctrl-C does, so that it can clean up; then the command ends with
    the exit code that the signal stands for."""
    task, came = asyncio.current_task(), list[int]()
    loop = asyncio.get_running_loop()

    def end(number: int) -> None:
        if not came and task is not None:
            came.append(number)
            task.cancel()

    numbers = [signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    handled = []
    for number in numbers:
        with contextlib.suppress(
            NotImplementedError, RuntimeError, ValueError
        ):  # not everywhere, and in no other thread
            loop.add_signal_handler(number, end, number)
            handled.append(number)
    try:
        yield
    except asyncio.CancelledError:
        if came:
            raise click.exceptions.Exit(128 + came[0]) from None
        raise
    finally:
        for number in handled:
            loop.remove_signal_handler(number)


@contextmanager
def called_at(name: str, react: Callable[[], None]) -> Iterator[None]:
    """The signal of this name, such as SIGUSR1, calls `react` in the running loop; afterwards it does nothing."""
    number = getattr(signal, name, None)  # not everywhere
    if number is None:
        yield
        return
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(number, react)
    try:
        yield
    finally:
        loop.add_signal_handler(number, lambda: None)  # it must not interrupt a stop that cleans up


async def until(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Run the work until it ends or `stop` is set. Raises what the work raises."""
    working = asyncio.create_task(work, name="work")
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([working, stopped], return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopped.cancel()
        working.cancel()
        await asyncio.wait([working])
    if not working.cancelled():
        working.result()
