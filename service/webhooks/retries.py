"""When a target is sent the next message: its pace, and how long it is left alone after a failure.

Times are arguments, and so is chance.
"""

from __future__ import annotations

from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Final

FIRST_PAUSE: Final = 1.0
"""Seconds after the first failure; doubled with each further one."""
LONGEST_PAUSE: Final = 600.0
"""Seconds at most. A target that is back gets its messages that much later."""
MOST_ASKED: Final = 3600.0
"""Seconds that a target may ask for with Retry-After."""
MOST_DOUBLINGS: Final = 30
MOST_A_SECOND: Final = 200.0
"""Messages to all targets together. Each takes about half a millisecond of the event loop, so that all take a tenth of
it at most; where more happens, what waits is coalesced."""
LEAST_A_SECOND: Final = 20.0
"""Messages to one target, of however many."""
BURST: Final = 0.1

Dice = Callable[[], float]
"""A number from 0 up to 1, such as `random.random`."""


class Pace:
    """So many messages a second at most; after a quiet time `BURST` seconds' worth of them at once."""

    def __init__(self, a_second: float) -> None:
        self._gap = 1.0 / a_second
        self._next = 0.0

    def due(self, now: float) -> float:
        """When the next one may begin: `now` or later."""
        return max(now, self._next)

    def begin(self, now: float) -> None:
        """One begins."""
        self._next = max(self._next, now - BURST) + self._gap


def pause(failures: int, dice: Dice) -> float:
    """Seconds after so many failures in a row: the second half of it is chance, so that no two targets keep step."""
    longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(failures - 1, MOST_DOUBLINGS))
    return float(longest * (0.5 + 0.5 * dice()))


def retry_after(text: str | None, now: float) -> float | None:
    """Seconds that the header asks for, 0 to `MOST_ASKED`; None where it is not there, or cannot be read.

    `now` is wall time: the header may hold a date.
    """
    text = (text or "").strip()
    if not text or len(text) > 64:
        return None
    if text.isascii() and text.isdigit():
        return min(float(text), MOST_ASKED)
    try:
        at = parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None
    return min(max(0.0, at - now), MOST_ASKED)
