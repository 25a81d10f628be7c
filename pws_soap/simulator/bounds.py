"""Numbers from outside, as JSON and TOML have them: NaN, infinities and what no clock can hold are refused. Pure."""

from __future__ import annotations

from typing import Final

MAX_SECONDS: Final = 1e9
"""The longest time that anything can be told to take, in seconds: 31 years."""
MAX_COUNT: Final = 1_000_000_000
"""The greatest number of times, requests or entries that can be asked for."""
LAST_MOMENT: Final = 32_503_680_000.0
"""Simulated time stays before the year 3000, in seconds since 1970, so that every date can be written."""


def bounded(name: str, value: float, least: float, most: float, what: str = "a number") -> float:
    """The number, which must lie within the limits; raises ValueError that names it."""
    if not least <= value <= most:  # NaN is neither
        raise ValueError(f"{name}: expected {what} from {least:.15g} to {most:.15g}, got {shown(value)}")
    return value


def type_words(types: tuple[type, ...]) -> str:
    """What a value of these types is called in a message."""
    if str in types:
        return "text"
    return "a number" if float in types else "a whole number"


def shown(value: object) -> str:
    """A value for a message: Python refuses to write out whole numbers of more than 4300 digits."""
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 200:
        return "a number of more than 60 digits"
    text = repr(value)
    return text if len(text) <= 200 else text[:200] + "..."
