"""SIGHUP asks for a reload at any time, and ends nothing."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from service.cli.shared import hangup

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no SIGHUP")


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Leaves the process with the handler that it had."""
    before = signal.getsignal(signal.SIGHUP)
    yield
    signal.signal(signal.SIGHUP, before)


def hang_up() -> None:
    os.kill(os.getpid(), signal.SIGHUP)


async def test_one_that_comes_during_the_start_is_caught_up_once() -> None:
    hangup.remember()
    hang_up()
    asked = asyncio.Event()
    with hangup.calls(asked.set):
        assert asked.is_set()
    again = asyncio.Event()
    with hangup.calls(again.set):
        assert not again.is_set()


async def test_each_calls_while_the_service_runs_and_none_afterwards() -> None:
    """A stop that cleans up is not interrupted."""
    hangup.remember()
    asked = asyncio.Event()
    with hangup.calls(asked.set):
        assert not asked.is_set()
        for _ in range(2):
            asked.clear()
            hang_up()
            await asked.wait()
        asked.clear()
    hang_up()
    await asyncio.sleep(0)
    assert not asked.is_set()


def test_serve_remembers_it_before_anything_is_loaded() -> None:
    """Here the rest of the program sends it to itself."""
    code = """
import os, signal, sys, types
import service.cli
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # below nohup it is ignored
rest = types.ModuleType("service.cli.command_line")
rest.run = lambda words: print(words, "hung up", os.kill(os.getpid(), signal.SIGHUP)) or 7
sys.modules["service.cli.command_line"] = rest
service.cli.main()
"""
    ended = subprocess.run([sys.executable, "-c", code, "serve"], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (7, "['serve'] hung up None\n")
    other = subprocess.run([sys.executable, "-c", code, "poll"], capture_output=True, text=True, check=False)
    assert other.returncode == -signal.SIGHUP
