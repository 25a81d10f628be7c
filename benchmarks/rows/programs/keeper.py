"""Keeps many contacts, as the service with its routes does or as dicts, and says how much memory that takes.

Settings: `contacts`; `kind`, basic or rich; `keep`, service or dicts. First it reads everybody in memory that is not
counted, so that the interpreter, the modules and what they keep are there before.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any, Final

from benchmarks.rich import NODE
from benchmarks.rows.programs import control
from benchmarks.rows.samples import Office
from pws_soap.client import PwsClient
from pws_soap.memory import MemoryTransport
from pws_soap.models import Secret, Session, SessionKind
from service.api.app import create_app
from service.core.clock import ManualClock
from service.core.presence.memory_store import MemoryStore
from service.core.presence.records import Source
from service.core.wiring import Core
from tests.support.asgi import call
from tests.support.fake_engine import FakeEngine

_FEED: Final = "dispatcher"
_AT_ONCE: Final = 5000
_PAGE: Final = 1000
_SESSION: Final = Session("dispatcher", SessionKind.END_USER, NODE, Secret("key"))


class Kept:
    """What a service keeps of contacts."""

    def __init__(self) -> None:
        clock = ManualClock()
        self.store = MemoryStore(clock)
        self.core = Core.of(self.store, clock, 1e9, {})
        self._app = create_app(FakeEngine(), self.core, callback_secret=None, version="0")

    async def read(self, client: PwsClient, names: list[str], *, rich: bool) -> None:
        """Watch these, and read them."""
        self.store.watch(names, _FEED)
        self.store.trust(_FEED)
        reading = self.store.begin()
        self.store.put(await client.get_subscribed_presence(_SESSION, 1, rich=rich), reading, source=Source.SUBSCRIBED)
        self.store.confirm(_FEED, reading)

    async def pages(self) -> AsyncIterator[bytes]:
        """Everybody, as the routes answer, page by page."""
        cursor: str | None = ""
        while cursor is not None:
            answer = await call(self._app, "GET", f"/v1/presence?limit={_PAGE}" + (cursor and f"&cursor={cursor}"))
            yield answer.body
            cursor = json.loads(answer.body)["next_cursor"]


async def filled(contacts: int, *, rich: bool) -> Kept:
    """A service that has read so many, subscription by subscription, and was asked for all."""
    kept = Kept()
    for start in range(0, contacts, _AT_ONCE):
        office = Office(min(_AT_ONCE, contacts - start), start)
        body = office.reply("cdata" if rich else None)
        async with PwsClient(NODE, transport=MemoryTransport([body])) as client:
            await kept.read(client, office.contacts, rich=rich)
    async for _ in kept.pages():
        pass
    return kept


def as_dicts(pages: list[bytes]) -> dict[str, Any]:
    """The same fields as dicts, by contact."""
    return {each["contact"]: each for page in pages for each in json.loads(page)["contacts"]}


async def main() -> None:
    """Keep, and say."""
    settings = json.loads(sys.argv[1])
    contacts, rich, as_service = settings["contacts"], settings["kind"] == "rich", settings["keep"] == "service"
    await filled(10, rich=rich)
    # The pages are there before: what the service keeps for having been asked is not the dicts'.
    pages = [] if as_service else [page async for page in (await filled(contacts, rich=rich)).pages()]
    resident = control.resident()
    tracemalloc.start()
    kept: Kept | dict[str, Any]
    kept = await filled(contacts, rich=rich) if as_service else as_dicts(pages)
    gc.collect()
    traced = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    grown = control.resident() - resident
    found = kept if isinstance(kept, dict) else as_dicts([page async for page in kept.pages()])
    sample = [found[name] for name in sorted(found)[:: max(1, contacts // 20)]]
    assert len(found) == contacts
    said = {"traced": traced, "resident": grown, "sample": sample}
    await control.obey({}, said)


if __name__ == "__main__":
    asyncio.run(main())
