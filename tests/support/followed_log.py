"""A store and its log on a clock that stands, with what the log told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

from pws_soap.models import PresenceState
from service.core.clock import ManualClock, Moment
from service.core.events.event import Event
from service.core.events.log import GAP, EventLog
from service.core.presence.availability import Availability, Rule
from service.core.presence.claim import Claim
from service.core.presence.memory_store import MemoryStore
from service.core.presence.query import Reader
from service.core.presence.records import Source
from tests.support.bare_service import AVAILABLE, AWAY, presence

FEED = "dispatcher"
ANN, BOB, CID = "ann@example.com", "bob@example.com", "cid@example.com"
BOUND = 100.0
GROUPS = {"support": (ANN, BOB), "sales": (BOB,), "empty": ()}
RULES = {
    "support": Rule(dwell=5.0, wrap_up=20.0, max_idle=60.0),
    "sales": Rule(frozenset({AVAILABLE, AWAY}), max_idle=None),
}


@dataclass
class FollowedLog:
    """A store, what is said of it, and the log of it. Time stands until a test moves it."""

    size: int = 1000
    availability: Availability = field(default_factory=lambda: Availability(GROUPS, RULES, Rule(max_idle=30.0)))
    revision: int = 1000

    def __post_init__(self) -> None:
        self.clock = ManualClock()
        self.store = MemoryStore(self.clock, revision=self.revision)
        self.claims = Held(self.clock)
        self.reader = Reader(self.store, self.clock, BOUND, GROUPS, self.availability, self.claims)
        self.log = EventLog(self.store, self.reader, self.clock, self.size)
        self.claims.changed = self.log.suspect

    def watch(self, *contacts: str) -> Self:
        """Watch contacts on a feed that works."""
        self.store.watch(contacts, FEED)
        self.store.trust(FEED)
        return self

    def read(self, contact: str, state: PresenceState = AVAILABLE, **rest: object) -> None:
        """A fetch that brings one presence."""
        reading = self.store.begin()
        self.store.put([presence(contact, state, **rest)], reading, source=Source.SUBSCRIBED)
        self.store.confirm(FEED, reading)

    def events(self, after: int | None = None) -> list[Event]:
        """All of them, or those after an id."""
        found = self.log.since(self.revision if after is None else after)
        assert found is not None
        return found

    @asynccontextmanager
    async def running(self) -> Any:  # a context manager
        task = asyncio.create_task(self.log.run())
        await self.clock.run(GAP)  # the first look, at what was doubted before
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def turns(self) -> None:
        """Let everybody do what there is to do without time passing."""
        for _ in range(20):
            await asyncio.sleep(0)


class Held:
    """Claims that a test makes and ends; `changed` hears whose."""

    def __init__(self, clock: ManualClock) -> None:
        self.changed: Callable[[Iterable[str]], None] = lambda _: None
        self._clock = clock
        self._claims: dict[str, Claim] = {}

    def hold(self, key: str, seconds: float = 30.0, group: str = "support") -> None:
        now = Moment.of(self._clock)
        until = Moment(now.monotonic + seconds, now.wall + seconds)
        self._claims[key] = Claim("c1", key, key, group, "", "anonymous", now, until)
        self.changed([key])

    def release(self, key: str) -> None:
        self._claims.pop(key, None)
        self.changed([key])

    def taken(self) -> Mapping[str, Claim]:
        return dict(self._claims)

    def held(self, key: str) -> Claim | None:
        claim = self._claims.get(key)
        return claim if claim is not None and claim.expires.monotonic > self._clock.monotonic() else None
