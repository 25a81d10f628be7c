"""Where revisions begin: above every one that an earlier run gave out, whatever the wall clock says.

A run begins at the microseconds since the epoch, so that ids ascend over restarts also where there is no state file.
The clock may be set back, so the state file holds a ceiling: no revision above it was given out. It is written before
the first revision of a block, raised long before the block is used up, and exact after a clean stop. A start begins
above it. Where the file cannot be written, only the clock remains.
"""

from __future__ import annotations

from typing import Final

from service.core.clock import Clock
from service.core.presence.store import Store
from service.sync.state_file import StateFile

HIGHEST: Final = 2**53
"""JavaScript counts exactly up to here."""
BLOCK: Final = 10**9
"""Revisions reserved at once. A run that is killed wastes the rest: 1000 seconds of the clock."""
INTERVAL: Final = 60.0
"""Seconds between two looks at what is left; nobody uses up half a block in them."""
_LATEST_START: Final = HIGHEST - 1000 * BLOCK
"""Nothing begins above it, so that a run never comes to `HIGHEST`."""


def first(now: float, ceiling: int) -> int:
    """Where a run begins at the wall time `now` (seconds), if revisions up to `ceiling` may have been given out."""
    clock = max(0, min(int(now * 1e6), _LATEST_START))
    return max(clock, ceiling + 1) if ceiling < _LATEST_START else clock


class Revisions:
    """The revisions of one run. `start` is the one before the first that is given out."""

    def __init__(self, file: StateFile, clock: Clock) -> None:
        self._file = file
        self._clock = clock
        self.start = first(clock.now(), file.revision_ceiling())

    def reserve(self, used: int) -> None:
        """Make room above `used`, the last one given out. To be called before the first one is."""
        left = self._file.reserved - used
        if left < BLOCK // 2:
            self._file.reserve(min(used + BLOCK, HIGHEST))

    def settle(self, used: int) -> None:
        """The run has ended cleanly: no more than `used` were given out."""
        self._file.reserve(used)

    async def keep_reserved(self, store: Store) -> None:
        """Make room again and again, until cancelled."""
        while True:
            await self._clock.sleep(INTERVAL)
            self.reserve(store.revision)
