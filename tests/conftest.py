"""For all tests: Hypothesis' profiles, which files come first, how sockets, the collector and Ctrl-C are treated."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Generator
from typing import Final

import pytest

from tests.support import accepting, examples

pytest_plugins = ["pytester"]

examples.register()
accepting.close_what_nobody_takes()

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As in a job that a script put into the background: the programs that tests start would inherit it, and never end.
    signal.signal(signal.SIGINT, signal.default_int_handler)

FIRST: Final = ("e2e", "dashboard", "benchmarks", "model", "fidelity", "sync", "lifecycle", "cli")
"""Rooms whose files take seconds each. They come first, so that at the end no worker waits for another's long file."""


UNCOUNTED: Final = ("e2e", "benchmarks", "model")
"""Rooms whose tests run whole programs, or nothing of ours: what they cover is covered by others, and counting makes
programs start and run twice as slowly."""

PROGRAMS: Final = "COVERAGE_PROCESS_CONFIG"
"""Where coverage leaves word for the programs that are started to be counted too."""


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: many tests wait for a service or a browser that they have started."""
    return len(os.sched_getaffinity(0)) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first. The order within a file stays.

    Coverage is not counted where the same lines run thousands of times, which counting makes twice as slow: in what is
    long, with Hypothesis' examples, and in some rooms.
    """
    order = {room: place for place, room in enumerate(FIRST)}
    items.sort(key=lambda item: order.get(item.path.parent.name, len(order)))
    for item in items:
        is_uncounted = item.path.parent.name in UNCOUNTED
        if is_uncounted or item.get_closest_marker("long") or item.get_closest_marker("hypothesis"):
            item.add_marker("no_cover")


def pytest_configure(config: pytest.Config) -> None:
    """Where Hypothesis has a seed, as in `.ci/run`, a change is judged by what it changes."""
    if config.getoption("--hypothesis-seed", default=None) is not None:
        examples.draw_the_same()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, bool | None, bool | None]:
    """Programs that an uncounted test starts are not counted either."""
    kept = os.environ.pop(PROGRAMS, None) if item.get_closest_marker("no_cover") else None
    try:
        return (yield)
    finally:
        if kept is not None:
            os.environ[PROGRAMS] = kept


def pytest_collection() -> None:
    """While tests are collected nothing becomes garbage that matters."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Thousands of collected tests live as long as the process: the garbage collector need not visit them."""
    gc.enable()
    gc.collect()
    gc.freeze()
