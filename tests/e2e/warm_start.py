"""Programs that start warm: forked from a process that has imported everything.

A start takes 0.7 s of a processor, nearly all for imports, and the tests start hundreds of programs. Apart from that a
forked program is as one that was executed: words, directory, environment, output, signals, exit code, and its end. What
executing does beside is proved by the tests of the installed wheel and of the command line.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Final, Protocol

NURSERY: Final = Path(__file__).with_name("nursery.py")
CAN_FORK: Final = sys.platform == "linux"
_NUMBER: Final = struct.Struct("=i")


class Process(Protocol):
    """What the tests want of a process: a part of `subprocess.Popen`."""

    @property
    def pid(self) -> int: ...

    @property
    def stdin(self) -> IO[bytes] | None: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def send_signal(self, sig: int) -> None: ...

    def kill(self) -> None: ...


class Forked:
    """A program that was forked. It is killed where this process ends before it, or lets go of it."""

    stdin: IO[bytes] | None = None

    def __init__(self, words: Sequence[str], answers: socket.socket) -> None:
        self._words = words
        self._answers = answers
        self._code: int | None = None
        self.pid = self._number()

    def _number(self) -> int:
        told = self._answers.recv(_NUMBER.size, socket.MSG_WAITALL)
        assert len(told) == _NUMBER.size, "the process that forks has ended"
        number: int = _NUMBER.unpack(told)[0]
        return number

    def poll(self) -> int | None:
        """The exit code, once it has ended."""
        return self._ended(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, as soon as it has ended."""
        code = self._ended(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(self._words, timeout or 0.0)
        return code

    def _ended(self, timeout: float | None) -> int | None:
        if self._code is None and select.select([self._answers], [], [], timeout)[0]:
            self._code = self._number()
            self._answers.close()
        return self._code

    def send_signal(self, sig: int) -> None:
        """Send it a signal, if it runs."""
        if self.poll() is None:
            os.kill(self.pid, sig)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


class _Nursery:
    """The process that forks, one for each process of tests. It ends with the requests."""

    def __init__(self, python: Mapping[str, str]) -> None:
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, str(NURSERY), str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={**os.environ, **python},
                pass_fds=[theirs.fileno()],
            )
        atexit.register(self._close)

    def _close(self) -> None:
        self._requests.close()
        self._process.wait()

    def fork(self, words: Sequence[str], directory: Path, output: int, environment: Mapping[str, str]) -> Forked:
        request = {"words": list(words), "directory": str(directory), "environment": dict(environment)}
        answers, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self._requests, [json.dumps(request).encode()], [output, theirs.fileno()])
        return Forked(words, answers)


@functools.cache
def _nursery(python: tuple[tuple[str, str], ...]) -> _Nursery:
    """One for each way that the environment sets Python up."""
    return _Nursery(dict(python))


def start(words: Sequence[str], directory: Path, stdin: int, output: int, environment: Mapping[str, str]) -> Process:
    """Start a program, warm where it is `pws` that reads nothing, and this system can fork."""
    if CAN_FORK and stdin == subprocess.DEVNULL and Path(words[0]) == Path(sys.executable).with_name("pws"):
        python = tuple(sorted((name, value) for name, value in environment.items() if name.startswith("PYTHON")))
        return _nursery(python).fork(words, directory, output, environment)
    return subprocess.Popen(
        words,
        cwd=directory,
        stdin=stdin,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=environment,
    )
