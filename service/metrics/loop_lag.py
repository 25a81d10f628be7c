"""Measures how late the event loop is: how much longer a sleep takes than it should."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from service.core.clock import Clock

EVERY: Final = 0.5
"""Seconds between two measurements."""


class LoopLag:
    """Sleeps, and says by how many seconds each sleep was too long. `run` is for the caller to run."""

    def __init__(self, clock: Clock, lagged: Callable[[float], None]) -> None:
        self._clock = clock
        self._lagged = lagged

    async def run(self) -> None:
        """Measure, until cancelled."""
        while True:
            began = self._clock.monotonic()
            await self._clock.sleep(EVERY)
            self._lagged(max(0.0, self._clock.monotonic() - began - EVERY))
