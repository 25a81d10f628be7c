"""The office of the other tests on a real socket, so that a browser can look at it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pws_soap.models import Presence, PresenceState
from service.access.authentication import AccessRules, Authenticator
from service.access.keys import KeyRing, hash_of, new_key
from service.access.principal import Principal
from service.cli.demo.loopback import Office, office
from service.cli.demo.simulated import DemoOptions
from service.runtime.server import listen, serve
from tests.support.bare_service import BareService

HOST = "127.0.0.1"
S = PresenceState


@dataclass
class Served:
    """An office that answers at `url`. `stop` ends it as a service ends: its streams first."""

    office: BareService
    port: int
    running: asyncio.Task[None]
    ending: asyncio.Event

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}/"

    async def stop(self) -> None:
        self.ending.set()
        await self.running


@asynccontextmanager
async def served(office: BareService, port: int = 0) -> AsyncIterator[Served]:
    """Serve it as long as the `async with` lasts, or until `stop`."""
    listening = listen(HOST, port)
    found: int = listening.getsockname()[1]
    ending = asyncio.Event()
    running = asyncio.create_task(serve(office.app, listening, ending, closing=office.core.log.close))
    it = Served(office, found, running, ending)
    try:
        yield it
    finally:
        await it.stop()


def address(name: str) -> str:
    """`Ann Example` at example.com."""
    return f"{name.split()[0].lower()}@example.com"


def person(name: str, state: PresenceState = S.AVAILABLE, **fields: object) -> Presence:
    """A presence of somebody."""
    return Presence(address(name), state, display_name=name, **fields)  # type: ignore[arg-type]  # a presence's


def small_office(**parts: object) -> BareService:
    """Four people in two groups and none, one of them on the phone."""
    groups = {"support": (address("Ann"), address("Joe")), "sales": (address("Rita"),)}
    office = BareService(groups=groups, **parts)  # type: ignore[arg-type]  # an office's
    office.watch(*(address(name) for name in ("Ann", "Joe", "Rita", "Zoe")))
    office.read(
        [
            person("Ann Example"),
            person("Joe Sample", S.BUSY, activities=("busy", "on-the-phone"), on_the_phone=True),
            person("Rita Model", S.AWAY, note="Lunch", activities=("away",), idle=True),
            person("Zoe Pattern", S.DND),
        ]
    )
    return office


@asynccontextmanager
async def demo() -> AsyncIterator[Office]:
    """An office where nothing happens by itself."""
    stop = asyncio.Event()
    async with office(DemoOptions(0, 8, 0.001), stop) as running:
        yield running
        stop.set()
    assert not any(running.left.values())


def locked(**kinds: Principal) -> tuple[Authenticator, dict[str, str]]:
    """An authenticator that lets nobody in without a key, and the keys."""
    keys = {name: new_key().reveal() for name in kinds}
    ring = KeyRing((hash_of(keys[name]), principal) for name, principal in kinds.items())
    return Authenticator(rules=AccessRules(ring, None)), keys
