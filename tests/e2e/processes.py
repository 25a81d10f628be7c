"""Real processes on the loopback interface: started, asked over HTTP, ended; and waiting for what they do.

Nothing here waits for a fixed time: `eventually` asks again until the answer is right, and fails at a deadline.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from tests.e2e import warm_start

T = TypeVar("T")

PWS: Final = str(Path(sys.executable).with_name("pws"))
"""The console script, as a user calls it."""
PATIENCE: Final = 90.0
"""Seconds: far more than anything here takes, so that a busy machine fails no test."""
_PAUSE: Final = 0.03


def eventually(check: Callable[[], T], timeout: float = PATIENCE) -> T:
    """The result of `check`, once it no longer raises AssertionError or OSError; its last error at the deadline."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            return check()
        except (AssertionError, OSError, http.client.HTTPException) as error:
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {timeout:g} s: {error or type(error).__name__}") from error
        time.sleep(_PAUSE)


@dataclass(frozen=True)
class Answer:
    """What a server said."""

    status: int
    body: bytes

    @property
    def json(self) -> Any:  # JSON is of any type
        return json.loads(self.body)


@dataclass(frozen=True)
class Site:
    """An HTTP server on a port of the loopback interface. Targets are sent as they are, however odd."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, method: str, target: str, body: object = None, *, key: str | None = None) -> Answer:
        """One request on a connection of its own, with an API key or without."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            headers = {"Content-Type": "application/json"} if body is not None else {}
            headers |= {"Authorization": f"Bearer {key}"} if key is not None else {}
            content = json.dumps(body).encode() if body is not None else None
            connection.request(method, target, content, headers)
            reply = connection.getresponse()
            return Answer(reply.status, reply.read())
        finally:
            connection.close()

    def ask_with(self, method: str, target: str, body: object, headers: Mapping[str, str]) -> Answer:
        """One request with JSON and further headers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(
                method, target, json.dumps(body).encode(), {"Content-Type": "application/json", **headers}
            )
            reply = connection.getresponse()
            return Answer(reply.status, reply.read())
        finally:
            connection.close()

    def get(self, target: str) -> Answer:
        return self.ask("GET", target)


class Running:
    """A process of ours. Leaving the `with` block kills it, if it still runs."""

    def __init__(self, words: Sequence[str], directory: Path, log: str, stdin: int = subprocess.DEVNULL) -> None:
        self.log = directory / log
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PWS_")}
        with self.log.open("wb") as file:
            # What is not closed at the end is told, and found in the output.
            told = {"PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "always::ResourceWarning"}
            self._process = warm_start.start(words, directory, stdin, file.fileno(), clean | told)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.runs:
            self.kill()
        if kind is not None:  # pytest shows it beside the failure
            print(f"--- {self.log.name}\n{self.output}")  # noqa: T201  # see above

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def output(self) -> str:
        """All that it has said so far, on both streams."""
        return self.log.read_text("utf-8", "replace")

    def ended(self, timeout: float = PATIENCE) -> int:
        """The exit code, as soon as it ends. It has then shown no trace of a bug."""
        code = self._process.wait(timeout)
        said = self.output
        assert not any(word in said for word in ("Traceback", "ResourceWarning", "never awaited", "a bug in")), said
        return code

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal that it survives."""
        self._process.send_signal(number)

    def stop(self) -> int:
        """Ask it to end, as an operator does; its exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self.ended()

    def interrupt(self) -> int:
        """Ctrl-C; its exit code."""
        self._process.send_signal(signal.SIGINT)
        return self.ended()

    def kill(self) -> None:
        """End it without a chance to clean up."""
        self._process.kill()
        self._process.wait(PATIENCE)
