"""Programs that claim somebody and then follow a group's events, whatever they are written in.

All print the same: `claimed: WHO`; at a snapshot `snapshot: REASON`; whenever it changes `free: WHO, WHO`, with
`; not live: WHO` behind it, or `not sure`; at the end what became of the claim.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.e2e.processes import PWS, Running, Site, eventually
from tests.support.ports import free_port
from tests.toolkits.tap import Tap

PATIENCE: Final = 30.0
"""Seconds: a compiler of Java runs beside it."""
RELEASED: Final = "released"
ENDED: Final = "the claim has ended"


class Follower(Running):
    """Such a program. What it prints is read once, in its order."""

    def __init__(self, words: Sequence[str], directory: Path, url: str, environment: Mapping[str, str]) -> None:
        settings = [f"{name}={value}" for name, value in {**environment, "PWS_URL": url}.items()]
        number = len(list(directory.glob("follower-*.log")))
        super().__init__(["env", *settings, *words], directory, f"follower-{number}.log", stdin=subprocess.PIPE)
        self._read = 0

    def says(self, expected: str | Callable[[str], bool]) -> str:
        """Wait for a line, and read on behind it; the line."""

        def said() -> str:
            assert self.runs, self.output
            lines = self.output.splitlines()
            for number, line in enumerate(lines[self._read :], self._read + 1):
                if line == expected if isinstance(expected, str) else expected(line):
                    self._read = number
                    return line
            raise AssertionError(f"no {expected} in {lines[self._read :]}")

        return eventually(said, PATIENCE)

    def lines(self, beginning: str) -> list[str]:
        """All lines so far that begin so."""
        return [line for line in self.output.splitlines() if line.startswith(beginning)]

    def enter(self) -> int:
        """Press Enter; its exit code."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.close()
        return self.ended()

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)  # type: ignore[arg-type]  # as they came
        assert self._process.stdin is not None
        self._process.stdin.close()


class Demo:
    """`pws demo` on one port, as often as it is started. It keeps nothing from one start to the next."""

    def __init__(self, directory: Path) -> None:
        self.site = Site(free_port())
        self._directory = directory
        self._starts = 0
        self.running = self._start()

    def again(self) -> None:
        """Start it once more. It has ended."""
        assert not self.running.runs
        self.running = self._start()

    def close(self) -> None:
        """End it, whatever it does."""
        if self.running.runs:
            self.running.kill()

    def _start(self) -> Running:
        """A process that answers with live presence."""
        self._starts += 1
        words = [PWS, "demo", "--port", str(self.site.port), "--speed", "600"]
        running = Running(words, self._directory, f"demo-{self._starts}.log")

        def is_live() -> None:
            assert running.runs, running.output
            assert self.site.get("/readyz").status == 200

        try:
            eventually(is_live, PATIENCE)
        except AssertionError:
            running.kill()
            raise
        return running


class Cable(Tap):
    """A relay whose connections can be cut, while both sides go on; where nobody listens it hangs up."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self._ends: list[socket.socket] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Break all connections."""
        ends, self._ends = self._ends, []
        for end in ends:
            with contextlib.suppress(OSError):  # it has ended by itself
                end.shutdown(socket.SHUT_RDWR)

    def _relay(self, client: socket.socket) -> None:
        self._ends.append(client)
        try:
            super()._relay(client)
        except OSError:
            client.close()


@contextlib.contextmanager
def cable(port: int) -> Iterator[Cable]:
    """One before the server on that port."""
    made = Cable(port)
    thread = threading.Thread(target=made.serve)
    thread.start()
    try:
        yield made
    finally:
        made.cut()
        made.close()
        thread.join()


def shell(directory: Path, commands: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run commands of a page, until one fails; both streams are in `stdout`."""
    return subprocess.run(
        ["bash", "-ec", "\n".join(commands)],
        cwd=directory,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
