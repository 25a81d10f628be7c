"""SIGHUP asks the service to read its configuration again, from the first moment on: it would end the process.

One that comes before the service can reload is remembered, and is caught up once it can.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

_NUMBER: Final = getattr(signal, "SIGHUP", None)  # not everywhere
_came = False


def remember() -> None:
    """From now on SIGHUP ends nothing, and is remembered for `calls`. For the main thread."""
    if _NUMBER is not None:
        signal.signal(_NUMBER, _remember)


def _remember(_number: int, _frame: object) -> None:
    global _came  # a process has its signals once
    _came = True


@contextmanager
def calls(react: Callable[[], None]) -> Iterator[None]:
    """SIGHUP calls `react` in the running loop, and at once where one is remembered. Afterwards it does nothing: it
    must not interrupt a stop that cleans up."""
    import asyncio  # here, since `remember` comes before everything else

    global _came
    loop = asyncio.get_running_loop()
    if _NUMBER is not None:
        loop.add_signal_handler(_NUMBER, react)
    if _came:
        _came = False
        react()
    try:
        yield
    finally:
        if _NUMBER is not None:
            loop.add_signal_handler(_NUMBER, lambda: None)
