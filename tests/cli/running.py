"""A command that runs on, in a thread of this process: its lines as they come, and a way to end it."""

from __future__ import annotations

import asyncio
import io
import json
import queue
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import ModuleType, TracebackType
from typing import Any, Final, Self

import pytest

from service.cli.command_line import run

PATIENCE: Final = 120.0
"""Seconds: far more than anything takes, also where a program has a tenth of a processor."""


class Lines(io.TextIOBase):
    """Standard output or error that hands each line over; `broken` from some line on, like a reader who has left."""

    def __init__(self, breaks_after: int | None = None, *, terminal: bool = False) -> None:
        self._terminal = terminal
        self.all: list[str] = []
        self._queue: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._how_it_ended = ""
        self._begun = ""
        self._left = breaks_after

    encoding = "utf-8"

    def write(self, text: str) -> int:
        *whole, self._begun = (self._begun + text).split("\n")
        for line in whole:
            if self._left is not None:
                if not self._left:
                    raise BrokenPipeError(32, "Broken pipe")
                self._left -= 1
            self.all.append(line)
            self._queue.put(line)
        return len(text)

    def isatty(self) -> bool:
        return self._terminal

    def until(self, wanted: Callable[[str], bool]) -> str:
        """The next line that is wanted."""
        deadline = time.monotonic() + PATIENCE
        while True:
            line = self._queue.get(timeout=max(0.0, deadline - time.monotonic()))
            if line is None:
                self._queue.put(None)
                raise AssertionError(f"it has ended without such a line: {self._how_it_ended}")
            if wanted(line):
                return line

    def end(self, how: str) -> None:
        """No line will come any more."""
        self._how_it_ended = how
        self._queue.put(None)

    def having(self, text: str) -> str:
        """The next line with this text."""
        return self.until(lambda line: text in line)


class Running:
    """`pws WORDS...` until the end of the `with`, or until `stop`."""

    def __init__(
        self, patch: pytest.MonkeyPatch, module: ModuleType, words: list[str], out: Lines | None = None
    ) -> None:
        self.out = out or Lines()
        self.err = Lines()
        self.code: int | None = None
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        patch.setattr("sys.stdout", self.out)
        patch.setattr("sys.stderr", self.err)
        # Signals reach the main thread only, which is the test's.
        patch.setattr(module, "stop_at_signals", self._signals)
        self._thread = threading.Thread(target=self._run, args=[words], daemon=True)

    @contextmanager
    def _signals(self) -> Iterator[asyncio.Event]:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        yield self._stop

    def _run(self, words: list[str]) -> None:
        try:
            self.code = run(words)
        finally:
            last = "\n".join(self.err.all[-10:])
            for lines in (self.out, self.err):
                lines.end(f"exit code {self.code}\n{last}")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def wait(self) -> int | None:
        """The exit code, once it has ended by itself."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        return self.code

    def stop(self) -> int | None:
        """What Ctrl-C does; the exit code."""
        if self._loop is not None and self._stop is not None:
            with suppress(RuntimeError):  # its loop is closed: it is about to end by itself
                self._loop.call_soon_threadsafe(self._stop.set)
        return self.wait()


def ask(url: str, method: str = "GET", body: object = None) -> Any:  # JSON is of any type
    """What a server on loopback answers."""
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(url, data, method=method)  # noqa: S310  the tests' own servers
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=PATIENCE) as answer:
        return json.loads(answer.read())
