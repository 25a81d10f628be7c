"""Rows 1 to 3: from the bytes of a reply to a list of presences, beside lxml on the same bytes.

The client makes the whole call, from its arguments to the list, over a transport that answers at once. Every reply is
new: in rows 1 and 2 everybody has changed, documents included; in row 3 one in a hundred has, and all others are as
they were in the reply before, as when a server is asked again. The order of the contacts stays.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Mapping
from types import SimpleNamespace
from typing import Any, Final

import zeep
from lxml import etree

from benchmarks import rich
from benchmarks.rich import CARRIERS, NODE, Carrier
from benchmarks.rows.measure import Figure, Scale, Target, differences, ratio, spreads, take_turns_async
from benchmarks.rows.samples import OPERATION, Office
from pws_soap.client import PwsClient
from pws_soap.memory import MemoryTransport, SentRequest
from pws_soap.models import Presence, Secret, Session, SessionKind
from pws_soap.server.soap.contract import wsdl

PRODUCT: Final = "client"
LIMIT: Final = "lxml"
ZEEP: Final = "zeep alone"
_SESSION: Final = Session("dispatcher", SessionKind.END_USER, NODE, Secret("key"))


class Call:
    """A client, and the reply that it gets next."""

    def __init__(self, client: PwsClient, *, is_rich: bool) -> None:
        self._client = client
        self._is_rich = is_rich
        self.found: list[Presence] = []

    async def read(self) -> float:
        """Make the call; its CPU time. What it returned before is let go first, as a caller would."""
        self.found = []
        gc.collect()
        began = time.process_time()
        self.found = await self._client.get_subscribed_presence(_SESSION, 1, rich=self._is_rich)
        return time.process_time() - began


class ZeepAlone:
    """zeep's own typed reading, with a WSDL that allows any number of contacts: with ours it stops at a hundred."""

    def __init__(self) -> None:
        unbounded = wsdl().replace(b'maxOccurs="100"', b'maxOccurs="unbounded"')
        settings = zeep.Settings(xml_huge_tree=True)
        self._client = zeep.Client(SimpleNamespace(read=lambda: unbounded, name=None), settings=settings)
        self._binding = self._client.service._binding  # noqa: SLF001  # zeep has no public way to read a reply alone
        self._operation = self._binding.get(OPERATION)
        self.found: Any = None  # zeep's values, which have no types

    def read(self, body: bytes) -> float:
        """Read a reply; the CPU time that it took."""
        self.found = None
        gc.collect()
        headers = {"Content-Type": "text/xml; charset=utf-8"}
        reply = SimpleNamespace(status_code=200, content=body, headers=headers, encoding="utf-8")
        began = time.process_time()
        self.found = self._binding.process_reply(self._client, self._operation, reply)
        return time.process_time() - began

    def states(self) -> dict[str, str]:
        """What it read, of a reply with BASIC presence."""
        response = getattr(self.found, "presenceResponse", self.found)
        return {each.contactURI: each.presenceStatus for each in response.basicPresenceList.contact}


def parse(body: bytes, documents: list[bytes]) -> float:
    """lxml's time for a reply and for the documents in it."""
    gc.collect()
    began = time.process_time()
    kept = [etree.fromstring(body, _HUGE)] if body else []
    for document in documents:
        kept.append(etree.fromstring(document))  # noqa: PERF401  # each tree is kept, as an extension would be
    taken = time.process_time() - began
    assert len(kept) == len(documents) + bool(body)
    return taken


_HUGE: Final = etree.XMLParser(huge_tree=True)
"""The documents of thousands come as one text, which is longer than lxml takes by default."""


async def _compared(
    office: Office,
    scale: Scale,
    carrier: Carrier | None,
    change: Callable[[], None],
    limit: Callable[[bytes], float],
    peers: Mapping[str, Callable[[bytes], float]],
    check: Callable[[list[Presence]], tuple[str, ...]],
) -> tuple[dict[str, list[float]], tuple[str, ...]]:
    """The costs of all ways of reading, round by round, and what was wrong. The reply is new in each round."""
    body = b""
    wrong: tuple[str, ...] = ()

    async def answer(_sent: SentRequest) -> bytes:
        return body

    async with PwsClient(NODE, transport=MemoryTransport(answer)) as client:
        call = Call(client, is_rich=carrier is not None)

        async def product(_number: int) -> float:
            nonlocal body, wrong
            change()
            body = office.reply(carrier)
            taken = await call.read()
            wrong += check(call.found)
            return taken

        def other(way: Callable[[bytes], float]) -> Callable[[int], Awaitable[float]]:
            async def measured(_number: int) -> float:
                return way(body)

            return measured

        ways = {PRODUCT: product, LIMIT: other(limit)} | {name: other(way) for name, way in peers.items()}
        costs = await take_turns_async(scale.rounds, ways)
    return costs, wrong


def basic(scale: Scale) -> list[Figure]:
    """Row 1."""
    office, alone = Office(scale.contacts), ZeepAlone()

    def check(found: list[Presence]) -> tuple[str, ...]:
        expected = office.states()
        read = {each.contact: each.state.value for each in found}
        return differences("client", read, expected) + differences("order", list(read), office.contacts)

    def with_zeep(body: bytes) -> float:
        taken = alone.read(body)
        wrong.extend(differences("zeep", alone.states(), office.states()))
        return taken

    wrong: list[str] = []
    peers = {ZEEP: with_zeep}
    costs, found = asyncio.run(
        _compared(office, scale, None, office.change, lambda body: parse(body, []), peers, check)
    )
    part = f"{scale.contacts} basic"
    value = ratio(costs, PRODUCT, LIMIT)
    return [Figure(1, part, value, "x", Target(2.3), spreads(costs), wrong=(*found, *wrong))]


def _check_rich(office: Office) -> Callable[[list[Presence]], tuple[str, ...]]:
    def check(found: list[Presence]) -> tuple[str, ...]:
        bad = rich.wrong(found, office.people)
        return (f"{bad} documents are not read as they are",) if bad else ()

    return check


def rich_rows(scale: Scale, carrier: Carrier, *, all_changed: bool) -> Figure:
    """Row 2, where everybody has changed, or row 3, where one in a hundred has."""
    office = Office(scale.contacts)
    few = max(1, scale.contacts // 100)

    def change() -> None:
        office.change(None if all_changed else few)

    def limit(body: bytes) -> float:
        documents = [document.encode() for document in office.documents(carrier)]
        return parse(body if all_changed else b"", documents)

    costs, wrong = asyncio.run(_compared(office, scale, carrier, change, limit, {}, _check_rich(office)))
    value, target = ratio(costs, PRODUCT, LIMIT), Target(1.8 if all_changed else 0.1)
    part = f"{scale.contacts} rich, {carrier}" + ("" if all_changed else ", 1 % changed")
    return Figure(2 if all_changed else 3, part, value, "x", target, spreads(costs), wrong=wrong)


def documents(scale: Scale) -> list[Figure]:
    """Row 2: the limit is lxml on the reply and on each document in it."""
    return [rich_rows(scale, carrier, all_changed=True) for carrier in CARRIERS]


def few_changed(scale: Scale) -> list[Figure]:
    """Row 3: the limit is lxml on each of the documents alone."""
    return [rich_rows(scale, carrier, all_changed=False) for carrier in CARRIERS]
