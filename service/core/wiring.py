"""What is known and said of contacts: the parts between the engine that reads and the routes that answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from service.core.claims.leases import LeaseTable
from service.core.claims.service import ClaimRules, ClaimService
from service.core.clock import Clock
from service.core.events.history import History
from service.core.events.log import DEFAULT_SIZE, EventLog
from service.core.presence.availability import Availability
from service.core.presence.query import Reader
from service.core.presence.store import Store


@dataclass(frozen=True, slots=True)
class Core:
    """The parts, which belong together. `log.run()` and `desk.run()` are the caller's to run.

    `claims` says who is held, `desk` gives people out.
    """

    store: Store
    reader: Reader
    log: EventLog
    claims: LeaseTable
    desk: ClaimService
    clock: Clock
    history: History

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
        rules: ClaimRules | None = None,
        history: History | None = None,
    ) -> Core:
        """Put them together.

        `bound`: seconds that a state counts as live unconfirmed; `events`: how many are kept; `rules`: of claims;
        `history` follows what happens, and by default keeps none of it.
        """
        claims = LeaseTable(clock)
        reader = Reader(store, clock, bound, groups, availability, claims)
        log = EventLog(store, reader, clock, events)
        desk = ClaimService(store, reader, log, clock, claims, rules or ClaimRules())
        history = History(clock) if history is None else history
        history.follow(log)
        return cls(store, reader, log, claims, desk, clock, history)
