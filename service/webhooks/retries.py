"""How long a target is left alone after a failure. Times are arguments, and so is chance."""

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

Dice = Callable[[], float]
"""A number from 0 up to 1, such as `random.random`."""


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
