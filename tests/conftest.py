"""For all tests: Hypothesis' profiles, which files come first, how sockets, the collector and Ctrl-C are treated."""

from __future__ import annotations

import gc
import os
import signal
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


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: many tests wait for a service or a browser that they have started."""
    return len(os.sched_getaffinity(0)) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first. The order within a file stays.

    Coverage is not counted where the same lines run thousands of times, which counting makes twice as slow: in what is
    long, and with Hypothesis' examples.
    """
    order = {room: place for place, room in enumerate(FIRST)}
    items.sort(key=lambda item: order.get(item.path.parent.name, len(order)))
    for item in items:
        if item.get_closest_marker("long") or item.get_closest_marker("hypothesis"):
            item.add_marker("no_cover")


def pytest_collection() -> None:
    """While tests are collected nothing becomes garbage that matters."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Thousands of collected tests live as long as the process: the garbage collector need not visit them."""
    gc.enable()
    gc.collect()
    gc.freeze()
