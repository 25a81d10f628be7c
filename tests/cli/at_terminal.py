"""The console script `pws` as a process at a terminal of its own."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.cli.running import PATIENCE

PROGRAM: Final = str(Path(sys.executable).with_name("pws"))
FULL_SCREEN: Final = b"\x1b[?1049h"
ORDINARY_SCREEN: Final = b"\x1b[?1049l"


class AtTerminal:
    """A process with a terminal as its standard input, output and error; `text` is all that it has written."""

    def __init__(self, terminal: int, process: subprocess.Popen[bytes]) -> None:
        self.text = b""
        self._terminal = terminal
        self._process = process

    def until(self, wanted: bytes) -> None:
        """Read on until this has been written."""
        deadline = time.monotonic() + PATIENCE
        while wanted not in self.text:
            left = deadline - time.monotonic()
            assert left > 0, (wanted, self.text[-4000:])
            assert select.select([self._terminal], [], [], left)[0], (wanted, self.text[-4000:])
            self.text += os.read(self._terminal, 65536)

    def press(self, keys: bytes) -> None:
        """What a person types."""
        os.write(self._terminal, keys)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        """The exit code."""
        return self._process.wait(PATIENCE)


@contextmanager
def at_terminal(*words: str, rows: int = 24, columns: int = 100) -> Iterator[AtTerminal]:
    """`pws WORDS...` at a terminal of this size, whose settings it must leave as they were."""
    terminal, side = pty.openpty()
    termios.tcsetwinsize(side, (rows, columns))
    before = termios.tcgetattr(side)
    environment = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
    environment["TERM"] = "xterm-256color"
    process = subprocess.Popen([PROGRAM, *words], stdin=side, stdout=side, stderr=side, env=environment)
    try:
        yield AtTerminal(terminal, process)
        assert termios.tcgetattr(side) == before
    finally:
        process.kill()
        process.wait(PATIENCE)
        os.close(side)
        os.close(terminal)
