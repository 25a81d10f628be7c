"""Rows 4 to 6: from a fetch to what the store knows, beside a bare round trip and lxml on the same bytes.

Engine, store and event log in this process, as `pws serve` has them; the server in another, over sockets. The bare
round trip sends as much and gets the very same reply, over a connection that is open, on the same event loop. Times
are of the wall, since most of a round trip is waiting; those of the CPU stand beside them.

In rows 4 and 6 replies are made before; a fetch is asked for, and ends with its report. In row 4 one contact in a
hundred is otherwise than in the reply before (of one contact, that one); in row 6 the bytes are those of the last
reply. In row 5 the simulator itself answers both ways, with the one contact of 5000 that has changed: it begins with a
notification and ends with the change.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final

from lxml import etree

from benchmarks.rich import Carrier
from benchmarks.rows.measure import Costs, Figure, Scale, Target, differences, ratio, spreads, take_turns_async
from benchmarks.rows.programs import control
from benchmarks.rows.samples import Office
from benchmarks.rows.synced import (
    BARE_REQUEST,
    BareConnection,
    CannedServer,
    Synced,
    bare_connection,
    canned_server,
    fetch_request,
    synced,
)

PRODUCT: Final = "service"
LIMIT: Final = "round trip"
_CARRIER: Final[Carrier] = "elements"
_HUGE: Final = etree.XMLParser(huge_tree=True)


class Bench:
    """A service, a bare connection to the same server, and the people. `wrong` is what was not the same."""

    def __init__(self, service: Synced, bare: BareConnection, office: Office, server: CannedServer) -> None:
        self.service = service
        self.bare = bare
        self.office = office
        self.server = server
        self.wrong: tuple[str, ...] = ()
        self.cpu: Costs = {PRODUCT: [], LIMIT: []}
        self._taken: list[tuple[float, float]] = []

    @contextlib.contextmanager
    def measured(self) -> Iterator[None]:
        """What is done inside is one measure of this way in this round."""
        cpu, wall = time.process_time(), time.perf_counter()
        yield
        self._taken.append((time.perf_counter() - wall, time.process_time() - cpu))

    def cost(self, way: str) -> float:
        """The lower quartile of the measures since the last call: other programs lengthen most of them."""
        wall, cpu = (_quartile(measures) for measures in zip(*self._taken, strict=True))
        self._taken = []
        self.cpu[way].append(cpu)
        return wall

    async def fetch(self, changed: int) -> None:
        """Fetch. As many contacts must have changed, and all must be as they are."""
        with self.measured():
            report = await self.service.engine.refresh(None)
        self.wrong += differences("changed", report.changed, changed)
        self.check()

    def check(self) -> None:
        """The store must know everybody as they are."""
        self.wrong += differences("store", self.service.states(), self.office.states())

    async def round_trip(self, request: bytes, documents: list[bytes] | None) -> bytes:
        """The bare round trip, and with `documents` lxml on the reply and on each of them."""
        with self.measured():
            body = await self.bare.ask(request)
            kept = [etree.fromstring(body, _HUGE), *map(etree.fromstring, documents)] if documents is not None else []
        del kept
        return body


def _quartile(measures: Sequence[float]) -> float:
    return statistics.quantiles(measures, n=4)[0] if len(measures) > 3 else min(measures)


Way = Callable[[Bench], Awaitable[float]]


def _run(scale: Scale, contacts: int, carrier: Carrier | None, product: Way, limit: Way) -> tuple[Costs, Bench]:
    """Measure both ways of one part, in turns."""
    found: list[tuple[Costs, Bench]] = []

    async def work() -> None:
        office = Office(contacts)
        with canned_server() as server:
            server.change(office.states())
            async with (
                synced(server, office, carrier) as service,
                bare_connection(server.port) as bare,
            ):
                bench = Bench(service, bare, office, server)
                ways = {PRODUCT: lambda _number: product(bench), LIMIT: lambda _number: limit(bench)}
                found.append((await take_turns_async(scale.rounds, ways), bench))

    control.run(work())
    return found[0]


def _figure(
    scale: Scale,
    row: int,
    part: str,
    target: float,
    contacts: int,
    carrier: Carrier | None,
    product: Way,
    limit: Way,
) -> Figure:
    costs, bench = _run(scale, contacts, carrier, product, limit)
    value = ratio(costs, PRODUCT, LIMIT)
    of_cpu = {f"{name} (CPU)": each[1:] for name, each in bench.cpu.items()}
    return Figure(row, part, value, "x", Target(target), spreads(costs | of_cpu), wrong=bench.wrong)


def _times(scale: Scale, contacts: int, carrier: Carrier | None) -> int:
    """How often something is done in one round."""
    return scale.times(100) if contacts == 1 else 1 if carrier else 5


def changed(scale: Scale) -> list[Figure]:
    """Row 4."""

    def part(contacts: int, carrier: Carrier | None, target: float) -> Figure:
        few, times = max(1, contacts // 100), _times(scale, contacts, carrier)
        body = b""

        async def product(bench: Bench) -> float:
            nonlocal body
            for _ in range(times):
                bench.office.change(few)
                body = bench.office.reply(carrier)
                bench.server.reply(body)
                await bench.fetch(few)
            return bench.cost(PRODUCT)

        async def limit(bench: Bench) -> float:
            documents = [each.encode() for each in bench.office.documents(carrier)] if carrier else []
            for _ in range(times):
                bench.wrong += differences("bytes", await bench.round_trip(BARE_REQUEST, documents), body)
            return bench.cost(LIMIT)

        name = f"{contacts} {'rich' if carrier else 'basic'}" + ("" if contacts == 1 else ", 1 % changed")
        return _figure(scale, 4, name, target, contacts, carrier, product, limit)

    return [part(1, None, 5.0), part(scale.contacts, None, 3.0), part(scale.contacts, _CARRIER, 1.5)]


def one_change(scale: Scale) -> list[Figure]:
    """Row 5."""
    times = scale.times(100)
    own = b""

    def change(bench: Bench) -> None:
        bench.office.change(1)
        (name,) = bench.office.changed
        bench.server.change({name: bench.office.states()[name]})

    async def product(bench: Bench) -> float:
        for _ in range(times):
            change(bench)
            with bench.measured():
                await bench.service.changed(bench.service.notify)
        bench.check()
        return bench.cost(PRODUCT)

    async def limit(bench: Bench) -> float:
        nonlocal own
        own = own or await fetch_request(bench.server.port, bench.office.contacts)
        await bench.bare.ask(own)  # what changed in the meantime
        for _ in range(times):
            change(bench)
            body = await bench.round_trip(own, [])
            bench.wrong += differences("bytes", body, bench.office.reply(only=bench.office.changed))
        await bench.service.engine.refresh(None)
        return bench.cost(LIMIT)

    return [_figure(scale, 5, f"one change of {scale.contacts}", 2.0, scale.contacts, None, product, limit)]


def unchanged(scale: Scale) -> list[Figure]:
    """Row 6."""

    def part(contacts: int, carrier: Carrier | None, target: float) -> Figure:
        times = _times(scale, contacts, carrier)
        body = b""

        async def product(bench: Bench) -> float:
            nonlocal body
            body = bench.office.reply(carrier)
            bench.server.reply(body)
            for _ in range(times):
                await bench.fetch(0)
            return bench.cost(PRODUCT)

        async def limit(bench: Bench) -> float:
            for _ in range(times):
                bench.wrong += differences("bytes", await bench.round_trip(BARE_REQUEST, None), body)
            return bench.cost(LIMIT)

        name = f"{contacts} {'rich' if carrier else 'basic'}, unchanged"
        return _figure(scale, 6, name, target, contacts, carrier, product, limit)

    return [part(1, None, 5.0), part(scale.contacts, None, 1.5), part(scale.contacts, _CARRIER, 1.5)]
