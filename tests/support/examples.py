"""How many examples Hypothesis tries: a quarter in the runs of every day, all of them in one run of `.ci/run`."""

from __future__ import annotations

import contextlib
from typing import Final

from hypothesis import HealthCheck, settings

THOROUGH: Final = "thorough"
"""The profile that tries all: `pytest --hypothesis-profile=thorough`."""
EVERY_DAY: Final = "pws"

_LEAST: Final = 5


def examples(most: int) -> int:
    """`most` where a run is thorough, else a quarter of it."""
    return most if settings.get_current_profile_name() == THOROUGH else max(most // 4, min(most, _LEAST))


def seeds(every_day: int, thorough: int, *, first: int = 0) -> range:
    """The seeds of so many random histories, from the `first` one on."""
    is_thorough = settings.get_current_profile_name() == THOROUGH
    return range(first, first + (thorough if is_thorough else every_day))


def draw_the_same() -> None:
    """See that a seed alone decides which examples are drawn.

    Hypothesis also draws constants from those modules of ours that happen to be loaded. So a test would have other
    examples after any change of any module, and after other tests of its process, which pytest-xdist chooses by their
    speed.
    """
    with contextlib.suppress(ImportError):  # there is no setting for it; tests/test_examples.py says where it has gone
        from hypothesis.internal.conjecture import providers
        from hypothesis.internal.constants_ast import Constants

        nothing = Constants()
        providers._get_local_constants = lambda: nothing


def register() -> None:
    """Make both profiles known, and choose the one of every day.

    Hypothesis judges what an example does, never how long it takes to run or to be made.
    """
    quiet = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.register_profile(THOROUGH, quiet)
    settings.register_profile(EVERY_DAY, quiet, max_examples=examples(quiet.max_examples))
    settings.load_profile(EVERY_DAY)
