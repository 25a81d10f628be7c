"""A hundred crashes in a row, and nothing of them is left on the server.

    python benchmarks/kills.py [--kills 100] [--seed N] [--results-only] [--json] [--keep]

A simulator with room for three endpoints and three subscriptions, so that what a crash leaves behind soon shows as the
codes 138 and 139. The service, with its state file, is killed at random moments, most of them while it starts, and
started again. Half of the replies are held back for a moment, so that many kills fall between an effect and its reply.

After each kill the server may hold what the service had and what it had not yet cleaned, and no more; whenever the
service may live long enough, it holds exactly one generation. After the last start SIGTERM leaves nothing. With
--results-only it may take as long as it likes to come to one generation.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import secrets
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

if __package__ in {None, ""}:  # run as a file: the checkout is not on the path yet
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.office import settings
from benchmarks.processes import Server, Service
from tests.support.ports import free_port

ROOM: Final = 3
"""Endpoints and subscriptions that the server has room for."""
GENERATION: Final = {"sessions": 2, "endpoints": 1, "subscriptions": 1}
"""What one run of the service has there."""
CONTACTS: Final = [f"a{number:02d}@example.com" for number in range(12)]
HELD_BACK: Final = 0.04
"""Seconds that half of the replies take."""
SETTLES: Final = 45.0
"""Seconds within which a start must have cleaned up after the ones before."""
NEVER: Final = 600.0
"""Seconds after which nothing more is waited for, however slow the machine is."""
_EXHAUSTED: Final = ("138", "139")
_LOOK: Final = 0.02


@dataclass
class Run:
    """The figures. `most` is what the server held at any look, `at_kill` right after a kill."""

    seed: int
    start_seconds: float = 0.0
    kills: int = 0
    early: int = 0
    """Kills before the service was live."""
    looks: int = 0
    settled: int = 0
    most: dict[str, int] = field(default_factory=lambda: dict.fromkeys(GENERATION, 0))
    at_kill: dict[str, int] = field(default_factory=dict)
    longest_to_settle: float = 0.0
    failed: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    """What took longer than it should, and came."""
    exhausted: int = 0
    left: dict[str, int] = field(default_factory=dict)
    exit_code: int | None = None
    bugs: list[str] = field(default_factory=list)
    seconds: float = 0.0


async def run(kills: int, seed: int, directory: Path) -> Run:
    """Play it."""
    dice = random.Random(seed)  # noqa: S311  a history that can be chosen
    result = Run(seed)
    began = time.monotonic()
    port = free_port()
    async with contextlib.AsyncExitStack() as stack:
        words = ["--option", f"max_endpoints={ROOM}", "--option", f"max_subscriptions={ROOM}"]
        server = await stack.enter_async_context(Server(directory, words))
        service = await stack.enter_async_context(Service(directory, port))
        await server.ask("POST", "/contacts", {"contacts": [{"contact": each} for each in CONTACTS]})
        service.configure(settings(server, port), {"dispatcher": CONTACTS})
        await server.inject("delay-reply", seconds=HELD_BACK, probability=0.5)
        looking = asyncio.create_task(_look(server, result))
        try:
            await service.start()
            result.start_seconds = await _settled(server, service, result)
            for number in range(kills):
                await _one(number, server, service, result, dice)
                if looking.done():
                    looking.result()  # it never ends by itself: what broke it is raised here
            await _settled(server, service, result)
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
        result.exit_code = await service.stop()
        result.left = await server.holds()
        refused = (await server.ask("GET", "/counters"))["faults"]
        result.exhausted = sum(refused.get(code, 0) for code in _EXHAUSTED)
        result.bugs = service.bugs()
        await server.stop()
        result.bugs += server.bugs()
    result.seconds = time.monotonic() - began
    return result


async def _one(number: int, server: Server, service: Service, result: Run, dice: random.Random) -> None:
    """Let it live for a while, kill it, look at what is there, start it again."""
    chance = dice.random()
    if chance < 0.3:
        await _settled(server, service, result)
        await asyncio.sleep(dice.random() * 0.5)
    elif chance < 0.6:  # at one of its first requests: it makes about six, or twice as many where it cleans up
        await _requests(server, dice.randint(1, 8))
    else:  # somewhere between the first import and the first fetch
        await asyncio.sleep(dice.uniform(0.2, 1.0) * result.start_seconds)
    live = await service.get("/readyz")
    await service.kill()
    result.kills += 1
    result.early += not (live or {}).get("ready")
    await asyncio.sleep(2 * HELD_BACK)  # what was under way has arrived
    held = await server.holds()
    for name, count in held.items():
        result.at_kill[name] = max(result.at_kill.get(name, 0), count)
    # A generation, and at most one more that had not been cleaned away yet.
    if any(held[name] > 2 * GENERATION[name] for name in GENERATION):
        result.failed.append(f"after kill {number + 1} the server held {held}")
    await service.start()
    if sys.stderr.isatty():
        print(f"\r\x1b[Kkill {result.kills}: {held}", end="", file=sys.stderr, flush=True)


async def _requests(server: Server, count: int) -> None:
    """Wait until the server has worked on so many more requests, for a few seconds at most."""
    before = sum((await server.ask("GET", "/counters"))["requests"].values())
    give_up = time.monotonic() + 5.0
    while time.monotonic() < give_up:
        if sum((await server.ask("GET", "/counters"))["requests"].values()) >= before + count:
            return
        await asyncio.sleep(0.002)


async def _settled(server: Server, service: Service, result: Run) -> float:
    """Wait until the service is live and the server holds one generation; how many seconds that took."""
    began = time.monotonic()
    held: dict[str, int] = {}
    while time.monotonic() < began + NEVER:
        held = await server.holds()
        if held == GENERATION and ((await service.get("/readyz")) or {}).get("ready"):
            took = time.monotonic() - began
            result.settled += 1
            result.longest_to_settle = max(result.longest_to_settle, took)
            if took > SETTLES:
                result.late.append(f"after {result.kills} kills settled only after {took:.0f} s")
            return took
        await asyncio.sleep(_LOOK)
    result.failed.append(f"after {result.kills} kills not settled within {NEVER:g} s: the server holds {held}")
    return NEVER


async def _look(server: Server, result: Run) -> None:
    """Count what the server holds, all the time, until cancelled."""
    while True:
        held = await server.holds()
        result.looks += 1
        for name in GENERATION:
            result.most[name] = max(result.most[name], held[name])
        await asyncio.sleep(_LOOK)


def verdict(found: Run, *, results_only: bool) -> list[str]:
    """Why the run failed; nothing when it did not. With `results_only` it may have taken any time."""
    why = found.failed + ([] if results_only else found.late)
    if found.exhausted:
        why.append(f"{found.exhausted} times the server had no room (138, 139)")
    if any(found.left.values()):
        why.append(f"left at the server: {found.left}")
    if found.exit_code != 0 or found.bugs:
        why.append("a process broke")
    return why


def _words(held: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in held.items())


def show(found: Run) -> None:
    """The figures for people."""
    print(f"seed {found.seed}, {found.seconds:.0f} s; a start takes {found.start_seconds:.1f} s")
    print(f"kills                     {found.kills:6}, {found.early} of them before the service was live")
    print(f"looks at the server       {found.looks:6}")
    print(f"held at most              {_words(found.most)} (there is room for {ROOM})")
    print(f"held at most after a kill {_words(found.at_kill)}")
    print(f"settled to one generation {found.settled:6} times, after {found.longest_to_settle:.1f} s at the latest")
    print(f"no room (138, 139)        {found.exhausted:6}")
    print(f"left after SIGTERM        {_words(found.left)}")
    for each in found.bugs[:10]:
        print(f"  bug: {each}")


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="Crashes and restarts; see benchmarks/README.md")
    parser.add_argument("--kills", type=int, default=100, help="how many (default 100)")
    parser.add_argument("--seed", type=int, default=None, help="of the moments; printed")
    parser.add_argument("--results-only", action="store_true", help="let times decide nothing")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--keep", action="store_true", help="keep the logs, and say where they are")
    asked = parser.parse_args()
    seed = asked.seed if asked.seed is not None else secrets.randbelow(1_000_000)
    directory = Path(tempfile.mkdtemp(prefix="pws-kills-"))
    try:
        found = asyncio.run(run(asked.kills, seed, directory))
    finally:
        if asked.keep:
            print(f"logs: {directory}", file=sys.stderr)
        else:
            shutil.rmtree(directory, ignore_errors=True)
    why = verdict(found, results_only=asked.results_only)
    if asked.json:
        plain: dict[str, Any] = {**vars(found), "room": ROOM, "why": why}  # Any: JSON
        print(json.dumps(plain, indent=1))
    else:
        show(found)
        print("FAILED: " + "; ".join(why) if why else "all is well")
    return 1 if why else 0


if __name__ == "__main__":
    sys.exit(main())
