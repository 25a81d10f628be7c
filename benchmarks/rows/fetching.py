"""Rows 4 to 6: from a fetch to what the store knows, beside a bare round trip and lxml on the same bytes.

Engine, store and event log in this process, as `pws serve` has them; the server in another, over sockets, with replies
that are made before. The bare round trip sends about as many bytes and gets the very same reply, over a connection that
is open, on the same event loop. CPU time of this process.

Rows 4 and 6 ask for a fetch and wait for its report; row 5 begins with a notification and ends with the change. In row
4 one contact in a hundred is otherwise than in the reply before (of one contact, that one), in row 5 a reply names one
of 5000, in row 6 the bytes are those of the last reply.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Final

from lxml import etree

from benchmarks.rich import Carrier
from benchmarks.rows.measure import Costs, Figure, Scale, Target, differences, ratio, spreads, take_turns_async
from benchmarks.rows.programs import control
from benchmarks.rows.samples import Office
from benchmarks.rows.synced import BARE_REQUEST, BareConnection, Synced, bare_connection, canned_server, synced

PRODUCT: Final = "service"
LIMIT: Final = "round trip"
_CARRIER: Final[Carrier] = "elements"
_HUGE: Final = etree.XMLParser(huge_tree=True)
Measure = Callable[["Bench"], Awaitable[float]]


class Bench:
    """A service, a bare connection to the same server, and the people."""

    def __init__(self, service: Synced, bare: BareConnection, office: Office, reply: Callable[[bytes], None]) -> None:
        self.service = service
        self.bare = bare
        self.office = office
        self.reply = reply
        self.wrong: tuple[str, ...] = ()
        self.body = b""

    async def fetched(self, changed: int) -> float:
        """Fetch; what it took. As many contacts must have changed, and all be as they are."""
        began = time.process_time()
        report = await self.service.engine.refresh(None)
        taken = time.process_time() - began
        self.wrong += differences("changed", report.changed, changed) + self.known()
        return taken

    def known(self) -> tuple[str, ...]:
        """What the store does not know as it is."""
        return differences("store", self.service.states(), self.office.states())

    async def round_trip(self, documents: list[bytes] | None) -> float:
        """The bare round trip, and with `documents` lxml on the reply and on each of them."""
        began = time.process_time()
        body = await self.bare.ask(BARE_REQUEST)
        kept = []
        if documents is not None:
            kept = [etree.fromstring(body, _HUGE), *map(etree.fromstring, documents)]
        taken = time.process_time() - began
        self.wrong += differences("bytes", body, self.body)
        del kept
        return taken


def _run(scale: Scale, contacts: int, carrier: Carrier | None, product: Measure, limit: Measure) -> tuple[Costs, Bench]:
    """Measure both ways of one part, in turns."""
    found: list[tuple[Costs, Bench]] = []

    async def work() -> None:
        office = Office(contacts)
        with canned_server() as server:
            server.reply(office.reply(carrier))
            async with (
                synced(server.port, office.contacts, rich=carrier is not None) as service,
                bare_connection(server.port) as bare,
            ):
                bench = Bench(service, bare, office, server.reply)
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
    product: Measure,
    limit: Measure,
) -> Figure:
    costs, bench = _run(scale, contacts, carrier, product, limit)
    value = ratio(costs, PRODUCT, LIMIT)
    return Figure(row, part, value, "x", Target(target), spreads(costs), wrong=bench.wrong)


def changed(scale: Scale) -> list[Figure]:
    """Row 4."""

    def part(contacts: int, carrier: Carrier | None, target: float) -> Figure:
        few, times = max(1, contacts // 100), scale.times(100) if contacts == 1 else 1

        async def product(bench: Bench) -> float:
            taken = 0.0
            for _ in range(times):
                bench.office.change(few)
                bench.body = bench.office.reply(carrier)
                bench.reply(bench.body)
                taken += await bench.fetched(few)
            return taken / times

        async def limit(bench: Bench) -> float:
            documents = bench.office.documents(carrier) if carrier else []
            encoded = [document.encode() for document in documents]
            return sum([await bench.round_trip(encoded) for _ in range(times)]) / times

        kind = "rich" if carrier else "basic"
        name = f"{contacts} {kind}" + ("" if contacts == 1 else ", 1 % changed")
        return _figure(scale, 4, name, target, contacts, carrier, product, limit)

    return [part(1, None, 5.0), part(scale.contacts, None, 3.0), part(scale.contacts, _CARRIER, 1.5)]


def one_change(scale: Scale) -> list[Figure]:
    """Row 5."""
    times = scale.times(100)

    async def product(bench: Bench) -> float:
        taken = 0.0
        for _ in range(times):
            bench.office.change(1)
            bench.body = bench.office.reply(only=bench.office.changed)
            bench.reply(bench.body)
            began = time.process_time()
            await bench.service.changed(bench.service.notify)
            taken += time.process_time() - began
        bench.wrong += bench.known()
        return taken / times

    async def limit(bench: Bench) -> float:
        return sum([await bench.round_trip([]) for _ in range(times)]) / times

    return [_figure(scale, 5, f"one change of {scale.contacts}", 2.0, scale.contacts, None, product, limit)]


def unchanged(scale: Scale) -> list[Figure]:
    """Row 6."""

    def part(contacts: int, carrier: Carrier | None, target: float) -> Figure:
        times = scale.times(100) if contacts == 1 else 3

        async def product(bench: Bench) -> float:
            bench.body = bench.office.reply(carrier)
            bench.reply(bench.body)
            return sum([await bench.fetched(0) for _ in range(times)]) / times

        async def limit(bench: Bench) -> float:
            return sum([await bench.round_trip(None) for _ in range(times)]) / times

        name = f"{contacts} {'rich' if carrier else 'basic'}, unchanged"
        return _figure(scale, 6, name, target, contacts, carrier, product, limit)

    return [part(1, None, 5.0), part(scale.contacts, None, 1.5), part(scale.contacts, _CARRIER, 1.5)]
