"""Webhooks: whether the service answers as fast with a target that hangs and one that takes all as without any.

    python benchmarks/webhooks.py [--rounds 5] [--seconds 3] [--changes 100] [--contacts 5000] [--json]

The service in this process, over HTTP on loopback, with a store that is filled by hand and changes a second of random
contacts; the receiver and a client that asks for one contact after the other in processes of their own. Rounds without
targets and rounds with them take turns in the same run, so that the figure is a ratio: it says little about the
machine, and what else it does is in both. At the end the receiver must know everybody's last state.

Exit code 1 when it does not. Times decide nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import random
import statistics
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import uvloop

if __package__ in {None, ""}:  # run as a file: the checkout is not on the path yet
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.streams import Bench
from pws_soap.models import Secret
from service.core.clock import SystemClock
from service.core.meter import NO_METER
from service.core.webhooks import TargetStatus
from service.runtime.server import listen, serve
from service.runtime.webhooks import StreamView
from service.webhooks.deliveries import Deliveries
from service.webhooks.leftovers import Leftovers
from service.webhooks.sender import HttpSender
from service.webhooks.settings import WebhookSettings
from service.webhooks.target import Surroundings

SECRET: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="  # noqa: S105  # of nobody
_TAKEN: Final = b"HTTP/1.1 204 No Content\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Round:
    """Answers a second, and milliseconds of the median and of the slowest but one in a hundred."""

    targets: bool
    answers: float
    median: float
    slow: float
    delivered: int = 0


@contextlib.asynccontextmanager
async def helper(*words: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """This program in another process."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, *words, stdin=pipe, stdout=pipe, limit=2**26
    )
    try:
        yield process
    finally:
        process.kill()
        await process.wait()


async def tell(process: asyncio.subprocess.Process, line: str) -> Any:  # JSON
    """What a helper answers to a line."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{line}\n".encode())
    return json.loads(await process.stdout.readline())


async def change(bench: Bench, a_second: float, until: float) -> None:
    """Change somebody so often, until the monotonic moment `until`."""
    clock = asyncio.get_running_loop().time
    due = clock()
    while due < until:
        bench.change()
        due += 1 / a_second
        await asyncio.sleep(max(0.0, due - clock()))


def targets(port: int) -> list[WebhookSettings]:
    """One that takes all, and one that hangs."""
    fast = WebhookSettings("fast", Secret(f"http://127.0.0.1:{port}/fast"), (Secret(SECRET),))
    return [fast, replace(fast, name="hanging", url=Secret(f"http://127.0.0.1:{port}/hanging"))]


async def measure(bench: Bench, client: asyncio.subprocess.Process, words: argparse.Namespace) -> Round:
    """A round as things are."""
    changing = asyncio.create_task(
        change(bench, words.changes, asyncio.get_running_loop().time() + words.seconds), name="changes"
    )
    took = sorted(await tell(client, str(words.seconds)))
    await changing
    median = 1000 * statistics.median(took)
    return Round(False, round(len(took) / words.seconds), round(median, 3), round(1000 * took[-len(took) // 100], 3))


async def delivered(deliveries: Deliveries) -> TargetStatus:
    """The first target, once it has everything."""
    while True:
        fast = deliveries.status()[0]
        if not fast.queued:
            return fast
        await asyncio.sleep(0.01)


async def run(words: argparse.Namespace) -> tuple[list[Round], int]:
    """All rounds, and how many contacts the receiver does not know as they are."""
    bench = Bench(words.contacts)
    gc.freeze()  # as `pws serve` does
    core, clock = bench.knowledge, SystemClock()
    listening = listen("127.0.0.1", 0)
    stop = asyncio.Event()
    running = asyncio.create_task(serve(bench.app, listening, stop))
    around = Surroundings(clock, "http://127.0.0.1", NO_METER, random.random, core.log.tell)
    found: list[Round] = []
    try:
        async with helper("--receive") as receiver, helper("--ask", str(listening.getsockname()[1])) as client:
            port = int(await tell(receiver, "port"))
            for _ in range(words.rounds):
                found.append(await measure(bench, client, words))
                views = [(each, StreamView(core.reader, core.store, each)) for each in targets(port)]
                deliveries = Deliveries(
                    views, core.log, around, lambda each: HttpSender(each, "benchmark"), Leftovers(None)
                )
                deliveries.start()
                before = await measure(bench, client, words)
                fast = await delivered(deliveries)
                await deliveries.stop()
                found.append(replace(before, targets=True, delivered=fast.delivered))
            changed = await tell(receiver, "known")
    finally:
        stop.set()
        await running
    records = {record.contact: record for record in core.store.records()}
    return found, sum(records[contact].revision < revision for contact, revision in changed.items())


async def receive() -> None:
    """Take messages; say where, and the revision of each contact that was told last."""
    known: dict[str, int] = {}

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
                data = json.loads(await reader.readexactly(length)).get("data", {})
                if head.startswith(b"POST /hanging"):
                    await asyncio.sleep(3600)
                if "contact" in data:
                    known[data["contact"]] = data["revision"]
                writer.write(_TAKEN)
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    async with server:
        while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
            print(json.dumps(server.sockets[0].getsockname()[1] if line == "port" else known), flush=True)


async def ask(port: int, contacts: int) -> None:
    """Ask for one contact after the other, for so many seconds as a line says; print how long each answer took."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    dice = random.Random(2)  # noqa: S311  # the same work every time
    while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
        took: list[float] = []
        end = time.perf_counter() + float(line)
        while (began := time.perf_counter()) < end:
            name = f"p{dice.randrange(contacts):05d}@example.com"
            writer.write(f"GET /v1/presence/{name} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]))
            took.append(time.perf_counter() - began)
        print(json.dumps(took), flush=True)


def ratio(found: list[Round], name: str) -> float:
    """With targets to without, of the medians of all rounds."""
    plain, busy = ([getattr(each, name) for each in found if each.targets is targets] for targets in (False, True))
    return float(round(statistics.median(busy) / statistics.median(plain), 2))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of one round")
    parser.add_argument("--changes", type=float, default=100.0, help="of presence, in a second")
    parser.add_argument("--contacts", type=int, default=5000)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--receive", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--ask", type=int, help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.receive:
        asyncio.run(receive())
        return 0
    if words.ask is not None:
        asyncio.run(ask(words.ask, words.contacts))
        return 0
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # as `pws serve` has it
        found, wrong = runner.run(run(words))
    ratios = {name: ratio(found, name) for name in ("answers", "median", "slow")}
    if words.json:
        print(json.dumps({"rounds": [asdict(each) for each in found], "ratios": ratios, "wrong": wrong}))
        return 1 if wrong else 0
    for each in found:
        print(f"{'with' if each.targets else 'without':8s} {each.answers:7.0f} answers/s", end="  ")
        print(f"median {each.median:.2f} ms, slowest of a hundred {each.slow:.2f} ms, {each.delivered} delivered")
    parts = [f"{ratios['answers']} of the answers", f"{ratios['median']} of the median"]
    print(f"with targets, of without: {', '.join(parts)}, {ratios['slow']} of the slowest of a hundred; ", end="")
    print(f"{wrong} contacts are known wrongly")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
