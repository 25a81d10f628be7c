"""Telling the operator of somebody, once in a while: a stranger must not be able to fill the log."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from service.core.clock import Clock

AGAIN: Final = 600.0
"""Seconds after which the same one is worth a line again."""
MOST: Final = 100
"""Different ones that are told of within that time; of more nothing is said until it is over."""


class LogThrottle:
    """Remembers who was told of."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._told: OrderedDict[str, float] = OrderedDict()  # oldest first

    def is_due(self, who: str) -> bool:
        """Whether to tell of `who` now; it then counts as told."""
        now = self._clock.monotonic()
        while self._told and next(iter(self._told.values())) + AGAIN <= now:
            self._told.popitem(last=False)
        if who in self._told or len(self._told) >= MOST:
            return False
        self._told[who] = now
        return True
