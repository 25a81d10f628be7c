"""What the demonstration shows, whoever shows it: the service at one moment, and the changes since the last look.

The store hands changes over in its own turn, in which nothing may wait or fail (`service.core.presence.changes`); here
they are put into a bounded queue, and whoever shows them takes them out at its own pace.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from service.api.writers.contact import ContactJson
from service.core.clock import Clock
from service.core.engine import Engine, Status
from service.core.presence.availability import DEFAULT, decide
from service.core.presence.freshness import assess
from service.core.presence.query import Counts, Filter, Reader
from service.core.presence.records import Change, ChangeKind
from service.core.presence.snapshot import ContactSnapshot
from service.core.presence.store import Store

MAX_WAITING: Final = 20_000
"""Changes that wait to be shown: four for each contact that a subscription can have."""
TICK: Final = 1.0
"""Seconds after which one looks again without a change: ages grow, and silence is news too."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The service at one moment. `changes` counts all so far, `office` is the time of day in the simulated office."""

    now: float
    monotonic: float
    contacts: Sequence[ContactSnapshot]
    counts: Counts
    status: Status
    changes: int
    office: str


class Scene:
    """A view on a running service. Make it before the service starts, so that it misses nothing; `close` it after."""

    def __init__(
        self,
        engine: Engine,
        store: Store,
        clock: Clock,
        bound: float,
        *,
        urls: Mapping[str, str],
        office: Callable[[], str] = lambda: "",
        limit: int = MAX_WAITING,
    ) -> None:
        self.engine = engine
        self.clock = clock
        self.urls = urls
        """What can be tried, by what it is good for."""
        self.changes = 0
        """How many changes there have been."""
        self.lost = 0
        """How many were never shown, since nobody took them out in time."""
        self._store = store
        self._bound = bound
        self._reader = Reader(store, clock, bound, {})
        self._json = ContactJson()
        self._office = office
        self._limit = limit
        self._waiting: deque[Change] = deque()
        self._news = asyncio.Event()
        self.close = store.changes.listen(self._listen)

    def _listen(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if change.kind is ChangeKind.CHANGED:
                self.changes += 1
                if len(self._waiting) == self._limit:
                    self._waiting.popleft()
                    self.lost += 1
                self._waiting.append(change)
        self._news.set()

    async def news(self, patience: float = TICK) -> None:
        """Wait for a change, or until it is time to look again."""
        try:
            async with asyncio.timeout(patience):
                await self._news.wait()
        except TimeoutError:
            return
        self._news.clear()

    @property
    def begun(self) -> bool:
        """Whether the service watches anybody yet."""
        return self._store.summary().contacts > 0

    def take(self) -> list[Change]:
        """The changes since the last call, oldest first."""
        taken = list(self._waiting)
        self._waiting.clear()
        return taken

    def as_json(self, change: Change) -> str:
        """The contact as the change left it, as the HTTP API shows it, on one line."""
        record = change.record
        now = self.clock.monotonic()
        freshness = assess(record, self._store.feeds()[record.feed], now, self._bound)
        return self._json.one(ContactSnapshot(record, freshness, decide(record, freshness, DEFAULT, now))).decode()

    def snapshot(self) -> Snapshot:
        """How it is now."""
        contacts = self._reader.page(Filter(), limit=len(self._store.records()) or 1).contacts
        return Snapshot(
            now=self.clock.now(),
            monotonic=self.clock.monotonic(),
            contacts=contacts,
            counts=self._reader.summary().counts,
            status=self.engine.status(),
            changes=self.changes,
            office=self._office(),
        )
