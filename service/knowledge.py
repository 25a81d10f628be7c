"""What is known and said of contacts: the parts between the engine that reads and the routes that answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from service.availability import Availability
from service.claims.model import Claims, NoClaims
from service.clock import Clock
from service.query import Reader
from service.store import Store
from service.stream.log import DEFAULT_SIZE, EventLog


@dataclass(frozen=True, slots=True)
class Knowledge:
    """The parts, which belong together. `log.run()` is the caller's to run."""

    store: Store
    reader: Reader
    log: EventLog
    claims: Claims
    clock: Clock

    @classmethod
    def of(
        cls,
        store: Store,
        clock: Clock,
        bound: float,
        groups: Mapping[str, Iterable[str]],
        availability: Availability | None = None,
        *,
        events: int = DEFAULT_SIZE,
    ) -> Knowledge:
        """Put them together. `bound`: seconds that a state counts as live unconfirmed; `events`: how many are kept."""
        claims = NoClaims()
        reader = Reader(store, clock, bound, groups, availability, claims)
        return cls(store, reader, EventLog(store, reader, clock, events), claims, clock)
