"""Runs the program that its words name for as long as its standard input is open, and kills it then.

`engine_process` runs it as a script of its own, between the demo and the engine: a demo that is killed closes its end
of the pipe without a word, and the engine must not outlive it. It imports the standard library alone, to start at once.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import Final

STARTED: Final = "process of the engine: "
"""How the one line begins that it writes itself, before the number; all others are the program's."""


def main() -> int:
    """The program's exit code."""
    process = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)  # noqa: S603  the demo's words
    signal.signal(signal.SIGTERM, lambda *_: process.kill())
    sys.stdout.write(f"{STARTED}{process.pid}\n")
    sys.stdout.flush()
    threading.Thread(target=_kill_at_the_end_of_input, args=[process], daemon=True).start()
    return process.wait()


def _kill_at_the_end_of_input(process: subprocess.Popen[bytes]) -> None:
    while os.read(0, 1024):
        pass
    process.kill()  # which ends a stopped one too; it has nothing to save


if __name__ == "__main__":
    sys.exit(main())
