"""Limits how often one address is logged: a stranger must not be able to fill the log."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from service.core.clock import Clock

AGAIN: Final = 600.0
"""Seconds after which the same address is logged again."""
MOST: Final = 100
"""At most 100 addresses are logged in `AGAIN` seconds; further ones are dropped."""


class LogThrottle:
    """Remembers which addresses were logged, and when."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._logged: OrderedDict[str, float] = OrderedDict()  # oldest first

    def is_due(self, address: str) -> bool:
        """Whether to log `address` now; it then counts as logged."""
        now = self._clock.monotonic()
        while self._logged and next(iter(self._logged.values())) + AGAIN <= now:
            self._logged.popitem(last=False)
        if address in self._logged or len(self._logged) >= MOST:
            return False
        self._logged[address] = now
        return True
