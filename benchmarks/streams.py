"""Many streams at once: what one more costs, whether each gets every change, and how long the event loop is held.

    python benchmarks/streams.py [--streams 100] [--contacts 5000] [--changes 10000] [--results-only] [--json]

The service in this process, over HTTP on loopback, with a store that is filled by hand; its clients in another process,
which count what they get. First one stream, then many, then many with one among them that never reads; each begins with
a snapshot of all contacts. Changes come in rounds of a hundred, and the next round begins when every client that reads
has got all of the last one: so the figures are of work done, and ratios, since times depend on the machine.

Exit code 1 when a client does not get every change, when many streams are slower than one by more than `MOST` times
their number, or when work that is not the collection of garbage held the event loop for longer than `HELD` times what
writing all contacts with the standard library's JSON encoder takes in the same run. With --results-only only the first
of these counts.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import random
import socket
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

if __package__ in {None, ""}:  # run as a file: the checkout is not on the path yet
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pws_soap.models import Presence, PresenceState, Secret
from service.access.authentication import Authenticator
from service.access.stream_slots import ConnectionSlots
from service.api.app import create_app
from service.api.writers.contact import ContactJson
from service.core.clock import SystemClock
from service.core.presence.memory_store import MemoryStore
from service.core.presence.records import Source
from service.core.wiring import Core
from service.runtime.server import listen, serve
from tests.support.fake_engine import FakeEngine

MOST: Final = 0.25
HELD: Final = 5.0
ROUND: Final = 100
FEED: Final = "dispatcher"
DONE: Final = "noted.done"
STATES: Final = (PresenceState.AVAILABLE, PresenceState.BUSY, PresenceState.AWAY)


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one run. Seconds, and changes a second; `missing` are changes that some client did not get."""

    streams: int
    stuck: int
    snapshots: float
    changes_per_second: float
    events_per_second: float
    missing: int
    longest_gap: float
    longest_work: float
    yardstick: float


class Bench:
    """A service whose presence is made up here."""

    def __init__(self, contacts: int) -> None:
        clock = SystemClock()
        self.names = [f"p{number:05d}@example.com" for number in range(contacts)]
        self.store = MemoryStore(clock, revision=int(clock.now() * 1e6))
        self.knowledge = Core.of(self.store, clock, 3600.0, {"all": self.names})
        self.app = create_app(
            FakeEngine(),
            self.knowledge,
            callback_secret=Secret("a-path-that-nobody-asks-for"),
            version="0",
            authenticator=Authenticator(ConnectionSlots(100_000, 100_000)),
        )
        self.dice = random.Random(1)  # noqa: S311  # the same work every time
        self.store.watch(self.names, FEED)
        self.store.trust(FEED)
        self._read([Presence(name, STATES[0], display_name=f"Person {name}") for name in self.names])

    def change(self) -> None:
        """Somebody's presence changes."""
        record = self.store.get(self.dice.choice(self.names))
        assert record is not None
        state = self.dice.choice([state for state in STATES if state is not record.state])
        self._read([Presence(record.contact, state, display_name=f"Person {record.contact}")])

    def _read(self, presences: list[Presence]) -> None:
        reading = self.store.begin()
        self.store.put(presences, reading, source=Source.SUBSCRIBED)
        self.store.confirm(FEED, reading)


class Watch:
    """How long this process gave nobody a turn, in its own time, since others use the machine too.

    `longest`: in all; `work`: without the collection of garbage.
    """

    def __init__(self) -> None:
        self.longest = self.work = 0.0
        self._collected = self._began = 0.0

    def _collecting(self, phase: str, _info: dict[str, int]) -> None:
        if phase == "start":
            self._began = time.process_time()
        else:
            self._collected += time.process_time() - self._began

    async def run(self) -> None:
        gc.callbacks.append(self._collecting)
        try:
            while True:
                before, collected = time.process_time(), self._collected
                await asyncio.sleep(0.001)
                gap = time.process_time() - before
                self.longest = max(self.longest, gap)
                self.work = max(self.work, gap - (self._collected - collected))
        finally:
            gc.callbacks.remove(self._collecting)


def yardstick(bench: Bench) -> float:
    """Seconds for writing all contacts, as plainly as can be; the quickest of three."""
    contacts = [json.loads(ContactJson().one(known.contact)) for known in bench.knowledge.log.everybody()]
    took: list[float] = []
    for _ in range(3):
        began = time.process_time()
        json.dumps(contacts)
        took.append(time.process_time() - began)
    return min(took)


@contextlib.asynccontextmanager
async def clients(port: int, streams: int) -> AsyncIterator[tuple[asyncio.StreamReader, float]]:
    """Clients in a process of their own; a line comes whenever all of them have read a round."""
    words = [sys.executable, __file__, "--listen-to", str(port), "--streams", str(streams)]
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        assert (await process.stdout.readline()).strip() == b"begun"
        yield process.stdout, time.perf_counter() - began
    finally:
        process.kill()
        await process.wait()


async def measure(bench: Bench, streams: int, changes: int, *, stuck: bool) -> Figures:
    """One run, on a server of its own."""
    listening = listen("127.0.0.1", 0)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024)
    port = listening.getsockname()[1]
    stop, watch = asyncio.Event(), Watch()
    running = asyncio.create_task(serve(bench.app, listening, stop))
    lazy = socket.socket()
    if stuck:
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lazy.connect(("127.0.0.1", port))
        lazy.sendall(b"GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    watching = asyncio.create_task(watch.run())
    try:
        async with clients(port, streams) as (counts, took):
            began = time.perf_counter()
            got = 0
            for number in range(changes):
                bench.change()
                if number % ROUND == ROUND - 1:
                    bench.knowledge.log.tell(DONE)
                    got += int(await counts.readline())
                elif number % 10 == 0:
                    await asyncio.sleep(0)
            seconds = time.perf_counter() - began
    finally:
        watching.cancel()
        lazy.close()
        stop.set()
        await running
    rounds = changes // ROUND * ROUND
    return Figures(
        streams,
        int(stuck),
        round(took, 2),
        round(rounds / seconds),
        round(rounds * streams / seconds),
        rounds * streams - got,
        round(watch.longest, 4),
        round(watch.work, 4),
        round(yardstick(bench), 4),
    )


async def read(port: int, streams: int) -> None:
    """The other process: read all streams, and say how many changes they had together in each round."""
    connections = [await asyncio.open_connection("127.0.0.1", port, limit=2**26) for _ in range(streams)]
    for _, writer in connections:
        writer.write(b"GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")

    async def until(reader: asyncio.StreamReader, end: bytes) -> int:
        count, left = 0, b""
        while True:
            piece = await reader.read(2**18)
            assert piece, "the stream has ended"
            text = left + piece
            if end in text:
                return count + text.count(b"event: change\n")
            # A word may be cut in two: what is counted now must not be counted again.
            left = text[-20:]
            count += text.count(b"event: change\n") - left.count(b"event: change\n")

    await asyncio.gather(*(until(reader, b'"reason":"start"}') for reader, _ in connections))
    print("begun", flush=True)
    end = f"event: {DONE}\n".encode()
    while True:
        print(sum(await asyncio.gather(*(until(reader, end) for reader, _ in connections))), flush=True)


async def run(streams: int, contacts: int, changes: int) -> list[Figures]:
    """All runs."""
    bench = Bench(contacts)
    gc.freeze()  # as `pws serve` does
    return [
        await measure(bench, 1, changes, stuck=False),
        await measure(bench, streams, changes, stuck=False),
        await measure(bench, streams, changes, stuck=True),
    ]


def lost(found: list[Figures]) -> list[str]:
    """Changes that did not arrive."""
    return [f"{each.missing} changes did not arrive ({each.streams} streams)" for each in found if each.missing]


def slow(found: list[Figures]) -> list[str]:
    """Promises about times that did not hold."""
    one, *many = found
    wrong = [
        f"the event loop was held for {each.longest_work / each.yardstick:.1f} times of writing all contacts"
        for each in found
        if each.longest_work > HELD * each.yardstick
    ]
    wrong += [
        f"{each.streams} streams are {one.changes_per_second / each.changes_per_second:.0f} times slower than one"
        for each in many
        if one.changes_per_second / each.changes_per_second > MOST * each.streams
    ]
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--streams", type=int, default=100)
    parser.add_argument("--contacts", type=int, default=5000)
    parser.add_argument("--changes", type=int, default=10_000)
    parser.add_argument("--results-only", action="store_true", help="let times decide nothing")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--listen-to", type=int, help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.listen_to is not None:
        asyncio.run(read(words.listen_to, words.streams))
        return 0
    found = asyncio.run(run(words.streams, words.contacts, words.changes))
    wrong = lost(found) + ([] if words.results_only else slow(found))
    if words.json:
        print(json.dumps({"runs": [asdict(each) for each in found], "wrong": wrong}))
    else:
        for each in found:
            print(f"{each.streams:4d} streams{', and one that never reads' if each.stuck else '':26s}", end="  ")
            print(f"{each.changes_per_second:6.0f} changes/s, {each.events_per_second:8.0f} events/s", end="  ")
            held = f"{1000 * each.longest_gap:.0f} ms, without garbage {1000 * each.longest_work:.0f} ms"
            ratio = f"{each.longest_work / each.yardstick:.1f} times of writing all contacts"
            print(f"missing {each.missing}, held for {held} ({ratio}), snapshots {each.snapshots} s")
        for each_wrong in wrong:
            print(f"WRONG: {each_wrong}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
