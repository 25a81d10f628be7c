"""The parts of core put together: what lies between the engine that reads and the routes that answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from service.core.claims.leases import LeaseTable
from service.core.claims.service import ClaimRules, ClaimService
from service.core.clock import Clock
from service.core.events.commits import IMMEDIATE, Commits
from service.core.events.history import History
from service.core.events.journal import Journal
from service.core.events.kept_counts import KeptCounts
from service.core.events.log import DEFAULT_SIZE, EventLog
from service.core.events.trends import Trends
from service.core.meter import NO_METER, Meter
from service.core.presence.availability import Availability
from service.core.presence.query import Reader
from service.core.presence.store import Store


@dataclass(frozen=True, slots=True)
class Core:
    """The parts, which belong together. `log.run()`, `claim_service.run()` and `trends.run()` are the caller's to run.

    `leases` says who is held, `claim_service` claims people, `counts` says how many are in which state, `meter` counts
    what happens. `journal` is there where commits are not immediate.
    """

    store: Store
    reader: Reader
    log: EventLog
    leases: LeaseTable
    claim_service: ClaimService
    clock: Clock
    history: History
    counts: KeptCounts
    trends: Trends
    meter: Meter = NO_METER
    commits: Commits = IMMEDIATE
    journal: Journal | None = None

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
        trends: Trends | None = None,
        meter: Meter = NO_METER,
        commits: Commits = IMMEDIATE,
    ) -> Core:
        """Put them together.

        `bound`: seconds that a state counts as live unconfirmed; `events`: how many are kept; `rules`: of claims;
        `history` follows what happens, and by default keeps none of it; `trends` counts it, by default once a minute;
        `commits` accepts what is to be told.
        """
        leases = LeaseTable(clock)
        reader = Reader(store, clock, bound, groups, availability, leases)
        log = EventLog(store, reader, clock, events, commits)
        journal = None if commits.is_immediate else Journal(store, log, commits)
        leases.listen(log.suspect)
        claim_service = ClaimService(store, reader, log, clock, leases, rules or ClaimRules(), meter=meter)
        history = History(clock) if history is None else history
        history.follow(log)
        counts = KeptCounts(store, reader, log, clock)
        trends = Trends(clock, groups) if trends is None else trends
        trends.follow(log, reader.groups)
        return cls(store, reader, log, leases, claim_service, clock, history, counts, trends, meter, commits, journal)
