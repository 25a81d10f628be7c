"""Row 17: how long a command takes to start, beside Python and the imports that it cannot do without.

Whole processes. `pws --version` beside `python -c pass`, from start to end. `pws serve`, until it answers `/livez`,
beside the import of fastapi and zeep. CPU time of the process, since a machine with other work would lengthen the time
on the wall, which stands beside it. The byte code is there already, as it is from the second start on.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from benchmarks.processes import PWS
from benchmarks.rows import configuration
from benchmarks.rows.http_load import Connection, get
from benchmarks.rows.measure import Costs, Figure, Scale, Target, differences, ratio, spreads, take_turns
from benchmarks.rows.processes import ROOT, cpu_time
from tests.support.ports import free_port

_PATIENCE: Final = 60.0


def _environment() -> dict[str, str]:
    """As a user has it: no configuration, and byte code is kept."""
    left_out = ("PWS_", "COV", "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in os.environ.items() if not name.startswith(left_out)}


class Starts:
    """Starts processes, and keeps the times on the wall."""

    def __init__(self) -> None:
        self.walls: Costs = {}
        self.wrong: tuple[str, ...] = ()

    def run(self, name: str, words: list[str], output: bytes | None = b"") -> float:
        """CPU time of a process from its start to its end. `output` must begin what it prints; None: whatever."""
        before, began = _of_children(), time.perf_counter()
        done = subprocess.run(words, cwd=ROOT, env=_environment(), capture_output=True, check=True)
        self._keep(name, time.perf_counter() - began)
        if output is not None:
            self.wrong += differences(name, done.stdout[: len(output)], output)
        return _of_children() - before

    def serve(self, name: str, directory: Path) -> float:
        """CPU time of `pws serve` until it has answered."""
        port = free_port()
        config = directory / f"pws-{port}.toml"
        watched = {"dispatcher": configuration.contacts("ann@example.com")}
        configuration.write(config, port=port, node=free_port(), **watched)
        began = time.perf_counter()
        process = subprocess.Popen(
            [PWS, "serve", "--config", str(config)], cwd=directory, env=_environment(), stderr=subprocess.DEVNULL
        )
        try:
            connection = _connected(port, process)
            answer = connection.ask(get("/livez"))
            taken = cpu_time(process.pid)
            self._keep(name, time.perf_counter() - began)
            connection.close()
            self.wrong += differences(name, answer.status, 200)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(_PATIENCE)
        return taken

    def _keep(self, name: str, seconds: float) -> None:
        self.walls.setdefault(f"{name} (wall)", []).append(seconds)


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _connected(port: int, process: subprocess.Popen[bytes]) -> Connection:
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(ConnectionRefusedError):
            return Connection(port)
        time.sleep(0.005)
    raise RuntimeError(f"pws serve does not listen at {port}")


def starts(scale: Scale) -> list[Figure]:
    """Row 17."""
    starts = Starts()
    with tempfile.TemporaryDirectory() as directory:
        costs = take_turns(
            scale.rounds,
            {
                "pws --version": lambda _number: starts.run("pws --version", [PWS, "--version"], b"pws"),
                "python": lambda _number: starts.run("python", [sys.executable, "-c", "pass"]),
                "pws serve": lambda _number: starts.serve("pws serve", Path(directory)),
                "imports": lambda _number: starts.run("imports", [sys.executable, "-c", "import fastapi, zeep"]),
            },
        )
    both = spreads(costs | {name: seconds[1:] for name, seconds in starts.walls.items()})

    def figure(part: str, limit: str, target: float) -> Figure:
        names = (part, limit, f"{part} (wall)", f"{limit} (wall)")
        mine = {name: both[name] for name in names}
        return Figure(17, part, ratio(costs, part, limit), "x", Target(target), mine, wrong=starts.wrong)

    return [figure("pws --version", "python", 4.0), figure("pws serve", "imports", 1.4)]
