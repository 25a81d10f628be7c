"""Memory that does not grow: a million notifications and a hundred thousand fetches, and a million from a stranger.

    python benchmarks/memory.py [--notifications 1000000] [--fetches 100000] [--hostile 1000000] [--results-only]
                                [--json]

One process: the service's HTTP program, its engine and store, the client with its codec, and the simulator at the other
end of a transport without sockets; so the simulator's memory is counted too. Every notification is a request to the
callback's route. Each change is announced by the simulator, and repeated as often as it takes to come to the number.

The resident set is measured after a warm-up of a twentieth, and at the end (Linux: /proc/self/statm). Exit code 1 when
it has grown by more than 8 MB in either part; with --results-only that is printed and decides nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import random
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from starlette.types import Message

if __package__ in {None, ""}:  # run as a file: the checkout is not on the path yet
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from starlette.types import ASGIApp

from pws_soap import lifecycle
from pws_soap.client import PwsClient
from pws_soap.models import Secret
from pws_soap.simulator import Simulator, State
from pws_soap.transport import Reply
from service.api.app import create_app
from service.core.clock import SystemClock
from service.core.presence.freshness import default_bound
from service.core.presence.memory_store import MemoryStore
from service.core.wiring import Core
from service.sync.budget import BudgetedTransport, RequestBudget
from service.sync.commands import Credentials
from service.sync.engine import SyncEngine
from service.sync.state_file import StateFile
from service.sync.subscriptions import FetchSettings

LIMIT_MB: Final = 8.0
CONTACTS: Final = [f"p{number:03d}@example.com" for number in range(100)]
STATES: Final = (State.AVAILABLE, State.BUSY, State.AWAY, State.DND, State.UNAVAILABLE)
SECRET: Final = "a-path-that-nobody-knows"  # noqa: S105  for this run alone
NODE: Final = "imp1"
WARM: Final = 0.05
READ_EVERY: Final = 100
"""Fetches between two requests for all contacts."""
PATIENCE: Final = 30.0
TURNS: Final = 10_000
"""Of the event loop, within which a fetch begins that is due."""


class InProcess:
    """The client's transport: what it sends is answered by the simulator, in the same turn of the event loop."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    async def post(self, url: str, body: bytes, headers: dict[str, str], *, operation: str) -> Reply:
        """Send one request."""
        reply = await self._simulator.post(NODE, {**headers, "Content-Length": str(len(body))}, body)
        return Reply(reply.status, reply.body)

    async def get(self, url: str, *, operation: str) -> Reply:
        """Only a live WSDL is fetched, and the bundled one is used."""
        raise AssertionError(f"{operation} fetched {url}")

    async def close(self) -> None:
        """There is nothing to close."""


async def get(app: ASGIApp, path: str, query: str = "") -> int:
    """A GET as the HTTP server passes it on; the status of the answer."""
    status = 0

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        nonlocal status
        status = message.get("status", status)

    await app(
        {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1",
            "method": "GET", "scheme": "http", "path": path, "raw_path": path.encode(),
            "query_string": query.encode(), "root_path": "", "headers": [(b"host", b"127.0.0.1:8080")],
            "client": ("127.0.0.1", 50000), "server": ("127.0.0.1", 8080),
        },
        receive,
        send,
    )  # fmt: skip
    return status


class Service:
    """Everything in one process."""

    def __init__(self) -> None:
        clock = SystemClock()
        self.simulator = Simulator(nodes=(NODE,), notify=self._notify, seed=1)
        for contact in CONTACTS:
            self.simulator.change(contact, state=State.AVAILABLE)
        self.store = MemoryStore(clock)
        safety = 600.0
        self.engine = SyncEngine(
            settings=lifecycle.Settings(nodes=(f"http://{NODE}:8082",), seed=1),
            fetch_settings=FetchSettings(
                safety_interval=safety, reconcile_interval=0.0, heartbeat_interval=0.0, rich=frozenset({"dispatcher"})
            ),
            credentials=Credentials("pwsapp", Secret("secret"), Secret(f"http://127.0.0.1:8080/pws/{SECRET}")),
            connect=lambda node: PwsClient(
                node, transport=BudgetedTransport(InProcess(self.simulator), RequestBudget(100_000.0, clock))
            ),
            store=self.store,
            clock=clock,
            memory=StateFile(None),
            bound=default_bound(safety),
        )
        self.app = create_app(
            self.engine,
            Core.of(self.store, clock, default_bound(safety), {}),
            callback_secret=Secret(SECRET),
            version="0",
        )
        self.notifications = 0
        self._changed = asyncio.Event()
        self._callback = ""
        self._query = ""
        self.store.changes.listen(lambda _changes: self._changed.set())

    @property
    def fetches(self) -> int:
        """Fetches since the start."""
        return self.engine.subscriptions.counters.fetches

    async def start(self) -> None:
        """Subscribe, and wait for the first news."""
        self.engine.start({"dispatcher": CONTACTS})
        self._changed.clear()
        async with asyncio.timeout(PATIENCE):
            await self._changed.wait()

    async def stop(self) -> None:
        """Leave the server."""
        await self.engine.stop(PATIENCE)
        await self.simulator.aclose()

    async def _notify(self, url: str) -> bool:
        parts = urlsplit(url)
        self._callback, self._query = parts.path, parts.query
        self.notifications += 1
        return await get(self.app, parts.path, parts.query) == 200

    async def news(self, contact: str, state: State, repeated: int) -> None:
        """A change: announced by the simulator, fetched, and in the store; the announcement comes so often again."""
        self._changed.clear()
        self.simulator.change(contact, state=state)
        async with asyncio.timeout(PATIENCE):
            await self._changed.wait()
        for _ in range(repeated):
            self.notifications += 1
            await get(self.app, self._callback, self._query)


@dataclass
class Part:
    """One part of the run. `trace` is the resident set in MB at each tenth of it, from the end of the warm-up on."""

    name: str
    notifications: int = 0
    fetches: int = 0
    changes: int = 0
    seconds: float = 0.0
    trace: list[float] = field(default_factory=list)

    @property
    def growth(self) -> float:
        """MB from the end of the warm-up to the end."""
        return self.trace[-1] - self.trace[0]


def resident() -> float:
    """The resident set of this process in MB, after collecting garbage."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


async def measured(part: Part, rounds: int, one: Callable[[int], Awaitable[None]]) -> Part:
    """Run `one` so many times: a twentieth to warm up, then the rest, measured ten times on the way."""
    began = time.monotonic()
    warm = round(rounds * WARM)
    marks = {warm + (rounds - warm) * tenth // 10 for tenth in range(11)}
    for number in range(rounds + 1):
        if number in marks:
            part.trace.append(resident())
            if sys.stderr.isatty():
                print(f"\r\x1b[K{part.name}: {number}, {part.trace[-1]:.1f} MB", end="", file=sys.stderr, flush=True)
        if number < rounds:
            await one(number)
    part.seconds = time.monotonic() - began
    return part


async def honest(service: Service, notifications: int, fetches: int) -> Part:
    """Changes that are announced, often more than once, and fetched."""
    part = Part("notifications and fetches")
    before = service.notifications, service.fetches, service.store.revision
    # What is repeated after a fetch calls for a fetch of its own, which finds nothing: two fetches a change.
    changes = max(1, -(-fetches // 2))
    repeated = max(0, -(-notifications // changes) - 1)
    dice = random.Random(1)  # noqa: S311  any will do
    now = dict.fromkeys(CONTACTS, State.AVAILABLE)

    async def one(number: int) -> None:
        contact = dice.choice(CONTACTS)
        now[contact] = dice.choice([state for state in STATES if state is not now[contact]])
        fetched = service.fetches
        await service.news(contact, now[contact], repeated)
        for _ in range(TURNS):
            if not repeated or service.fetches >= fetched + 2:
                break
            await asyncio.sleep(0)
        if number % READ_EVERY == 0:
            await get(service.app, "/v1/presence", "limit=1000")

    await measured(part, changes, one)
    part.notifications = service.notifications - before[0]
    part.fetches = service.fetches - before[1]
    part.changes = service.store.revision - before[2]
    return part


async def hostile(service: Service, notifications: int) -> Part:
    """Notifications for ids that nobody knows, from nodes that do not exist, broken ones, and guesses at the path."""
    part = Part("hostile notifications", notifications)
    fetches, dice = service.fetches, random.Random(2)  # noqa: S311  any will do
    event = "eventType=PRESENCE_NOTIFICATION"

    async def one(number: int) -> None:
        match number % 10:
            case 0:
                await get(service.app, f"/pws/{dice.getrandbits(64):x}", f"id={number}&{event}")
            case 1:
                await get(service.app, f"/pws/{SECRET}", f"id={'9' * dice.randint(1, 40)}x&{event}")
            case 2 | 3:
                await get(service.app, f"/pws/{SECRET}/{dice.getrandbits(32):08x}", f"id={number}&{event}")
            case _:
                await get(service.app, f"/pws/{SECRET}", f"id={number + 1000}&{event}")
        if number % 1000 == 0:
            await asyncio.sleep(0)  # let the engine work as well

    await measured(part, notifications, one)
    part.fetches = service.fetches - fetches
    return part


async def run(notifications: int, fetches: int, unwelcome: int) -> list[Part]:
    """Both parts."""
    service = Service()
    await service.start()
    try:
        return [await honest(service, notifications, fetches), await hostile(service, unwelcome)]
    finally:
        await service.stop()


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="Memory in a long run; see benchmarks/README.md")
    parser.add_argument("--notifications", type=int, default=1_000_000)
    parser.add_argument("--fetches", type=int, default=100_000)
    parser.add_argument("--hostile", type=int, default=1_000_000)
    parser.add_argument("--results-only", action="store_true", help="let the measured growth decide nothing")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    asked = parser.parse_args()
    parts = asyncio.run(run(asked.notifications, asked.fetches, asked.hostile))
    grown = [f"{part.name}: grown by {part.growth:.1f} MB" for part in parts if part.growth > LIMIT_MB]
    why = [] if asked.results_only else grown
    if parts[0].notifications < asked.notifications or parts[0].fetches < asked.fetches:
        why.append("fewer notifications or fetches than asked for")
    if asked.json:
        print(
            json.dumps({"parts": [{**asdict(part), "growth": part.growth} for part in parts], "failed": why}, indent=1)
        )
    else:
        for part in parts:
            print(f"{part.name} ({part.seconds:.0f} s)")
            print(f"  notifications {part.notifications:9}   fetches {part.fetches:7}   changes {part.changes:7}")
            print("  resident, MB  " + "  ".join(f"{value:.1f}" for value in part.trace))
            print(f"  growth, MB    {part.growth:.2f}   (limit {LIMIT_MB:g})")
        print("FAILED: " + "; ".join(why) if why else "all is well")
    return 1 if why else 0


if __name__ == "__main__":
    sys.exit(main())
