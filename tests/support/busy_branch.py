"""An office over real HTTP on the loopback interface, in the test's own process, with a clock that runs fast."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

import uvicorn

from pws_soap.models import Presence, Secret
from service.access.authentication import Authenticator
from service.access.stream_slots import ConnectionSlots
from service.api.app import create_app
from service.core.claims.model import ClaimEvent, ClaimEventKind
from service.core.claims.service import ClaimRules
from service.core.events.event import Event
from service.core.presence.memory_store import MemoryStore
from service.core.presence.records import Source
from service.core.wiring import Core
from tests.support.branch import AVAILABLE, AWAY, BUSY, FEED, uri
from tests.support.fake_engine import FakeEngine

SPEED = 20.0


class FastClock:
    """Twenty seconds in one, or as many as are said."""

    def __init__(self, speed: float = SPEED) -> None:
        self._speed = speed

    def now(self) -> float:
        return 1_800_000_000.0 + self.monotonic()

    def monotonic(self) -> float:
        return time.monotonic() * self._speed

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds) / self._speed)


@dataclass
class BusyOffice:
    """`people` by name and what is true of them; `wrong` is what claims did against that truth."""

    groups: Mapping[str, tuple[str, ...]]
    seed: int = 0
    truth: dict[str, object] = field(default_factory=dict)
    holders: dict[str, str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    port: int = 0
    speed: float = SPEED

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)  # noqa: S311  a walk, not a secret
        self.clock = FastClock(self.speed)
        self.store = MemoryStore(self.clock)
        groups = {group: [uri(name) for name in names] for group, names in self.groups.items()}
        self.core = Core.of(self.store, self.clock, 100_000.0, groups, rules=ClaimRules(max_waiting=100))
        self.core.log.follow(self._follow)
        self.people = sorted({name for names in self.groups.values() for name in names})
        authenticator = Authenticator(ConnectionSlots(500, 500))
        secret = Secret("a-secret-path-of-the-tests")
        self.app = create_app(FakeEngine(), self.core, callback_secret=secret, version="1", authenticator=authenticator)
        self.store.watch([uri(name) for name in self.people], FEED)
        self.store.trust(FEED)
        for name in self.people:
            self.put(name, AVAILABLE)

    def put(self, name: str, state: object) -> None:
        self.truth[uri(name)] = state
        presence = Presence(uri(name), state)  # type: ignore[arg-type]  # one of the states
        self.store.put([presence], self.store.begin(), source=Source.SUBSCRIBED)

    async def changes(self) -> None:
        """Somebody's presence changes, again and again."""
        while True:
            await self.clock.sleep(0.1)
            self.put(self.random.choice(self.people), self.random.choice((AVAILABLE, AVAILABLE, BUSY, AWAY)))

    def _follow(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event.data, ClaimEvent):
                self._check(event.data)

    def _check(self, event: ClaimEvent) -> None:
        lease = event.lease
        for person in lease.people:
            if event.kind is ClaimEventKind.MADE:
                if self.truth[person.key] is not AVAILABLE:
                    self.wrong.append(f"{person.key} was {self.truth[person.key]}")
                if person.key in self.holders:
                    self.wrong.append(f"{person.key} has two holders")
                self.holders[person.key] = lease.id
            elif event.ends and self.holders.pop(person.key, None) != lease.id:
                self.wrong.append(f"{person.key} was not held by what ended")

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        """Serve; the URL."""
        config = uvicorn.Config(self.app, access_log=False, log_config=None, lifespan="off")
        server = uvicorn.Server(config)
        server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]  # the test's process is not ours
        with socket.create_server(("127.0.0.1", 0)) as listening:
            listening.setblocking(False)
            self.port = listening.getsockname()[1]
            work = (self.core.log.run(), self.core.claim_service.run())
            living = [asyncio.create_task(each) for each in work]
            serving = asyncio.create_task(server._serve([listening]))
            try:
                yield f"http://127.0.0.1:{self.port}"
            finally:
                self.core.claim_service.close()
                self.core.log.close()
                server.should_exit = True
                await serving
                for task in living:
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await task
