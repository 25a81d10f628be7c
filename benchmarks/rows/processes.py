"""Processes that rows start and ask, and how much CPU time they take."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

ROOT: Final = Path(__file__).resolve().parents[2]
_PATIENCE: Final = 20.0
"""Seconds in which a process ends that was told to; then it is killed."""


def cpu_time(pid: int) -> float:
    """The CPU time that a process has taken so far, in seconds: its clock as Linux numbers it (clock_getcpuclockid)."""
    return time.clock_gettime((~pid << 3) | 2)


class Child:
    """`benchmarks.rows.programs.NAME` as a process. `said` is the first thing that it said: where it listens."""

    def __init__(self, name: str, **settings: object) -> None:
        words = [sys.executable, "-m", f"benchmarks.rows.programs.{name}", json.dumps(settings)]
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PWS_", "COV"))}
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  # as long as the process
        self._process = subprocess.Popen(
            words,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self.said: Any = self._answer()  # JSON

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    @property
    def port(self) -> int:
        """Where it listens on the loopback interface."""
        port: int = self.said["port"]
        return port

    def ask(self, do: str, **words: object) -> Any:  # JSON
        """Give it a command; its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **words}) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def cpu(self) -> float:
        """Its CPU time so far, in seconds."""
        return cpu_time(self.pid)

    def kill(self) -> None:
        """End it as a crash does."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End it: its standard input ends."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._errors.close()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            code = self._process.wait()
            self._errors.seek(0)
            raise RuntimeError(f"{self._process.args!r} ended with {code}: {self._errors.read()[-2000:]}")
        return json.loads(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
