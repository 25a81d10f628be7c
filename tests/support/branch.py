"""A small office whose people are claimed: store, log and claim service on a clock that stands, without HTTP."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from pws_soap.models import Presence, PresenceState
from service.core.claims.model import ClaimEvent, ClaimRequest, Granted, Lease, NotEnoughFree
from service.core.claims.service import ClaimRules, ClaimService
from service.core.claims.wait_queue import Ticket
from service.core.clock import ManualClock
from service.core.events.commits import IMMEDIATE, Commits
from service.core.events.event import Event
from service.core.presence.availability import Availability
from service.core.presence.memory_store import MemoryStore
from service.core.presence.records import Source
from service.core.wiring import Core

BOUND = 1000.0
FEED = "dispatcher"
AVAILABLE, BUSY, AWAY = PresenceState.AVAILABLE, PresenceState.BUSY, PresenceState.AWAY


def uri(name: str) -> str:
    return name if "@" in name else f"{name}@example.com"


def short(contact: str) -> str:
    return contact.partition("@")[0]


@dataclass
class Branch:
    """`groups` are short names by group. `events` is all that the log told, `claim_events` what it told of claims."""

    groups: Mapping[str, tuple[str, ...]]
    rules: ClaimRules = field(default_factory=ClaimRules)
    clock: ManualClock = field(default_factory=ManualClock)
    events: list[Event] = field(default_factory=list)
    claim_events: list[ClaimEvent] = field(default_factory=list)
    availability: Availability | None = None
    commits: Commits = IMMEDIATE

    def __post_init__(self) -> None:
        self.store = MemoryStore(self.clock)
        groups = {group: [uri(name) for name in names] for group, names in self.groups.items()}
        self.core = Core.of(
            self.store, self.clock, BOUND, groups, self.availability, rules=self.rules, commits=self.commits
        )
        self.core.log.follow(self._follow)
        self.claim_service: ClaimService = self.core.claim_service
        self._numbers = itertools.count(1)

    def _follow(self, events: Sequence[Event]) -> None:
        self.events += events
        self.claim_events += [event.data for event in events if isinstance(event.data, ClaimEvent)]

    def opens(self, *names: str, state: PresenceState = AVAILABLE) -> None:
        """Watch these (by default all) and read them."""
        found = names or tuple(sorted({name for members in self.groups.values() for name in members}))
        self.store.watch([uri(name) for name in found], FEED)
        self.store.trust(FEED)
        for name in found:
            self.put(name, state)

    def put(self, name: str, state: PresenceState, **rest: object) -> None:
        """Somebody changes, and it is read."""
        presence = Presence(uri(name), state, **rest)  # type: ignore[arg-type]  # whatever the test says
        self.store.put([presence], self.store.begin(), source=Source.SUBSCRIBED)

    def ask(self, group: str = "support", count: int = 1, seconds: float = 60.0, wait: float = 0.0) -> Ticket:
        """Ask, each time as somebody else."""
        return self.claim_service.ask(ClaimRequest(group, count, seconds, "", f"client-{next(self._numbers)}"), wait)

    def claim(self, group: str = "support", count: int = 1, seconds: float = 60.0) -> Lease:
        """Ask, and get it."""
        outcome = self.ask(group, count, seconds).outcome
        assert isinstance(outcome, Granted), outcome
        return outcome.lease

    def claims(self, times: int, group: str = "support") -> list[str]:
        """Who is claimed one after the other, each let go before the next."""
        found = []
        for _ in range(times):
            lease = self.claim(group)
            found += names(lease)
            self.clock.advance(1.0)
            assert self.claim_service.release(lease.id)
        return found

    def refused(self, group: str = "support", count: int = 1) -> NotEnoughFree:
        """Ask, and get nobody."""
        outcome = self.ask(group, count).outcome
        assert isinstance(outcome, NotEnoughFree), outcome
        return outcome

    def attend(self, seconds: float = 0.0) -> None:
        """Let time pass, and do what the claim service's task would do then."""
        self.clock.advance(seconds)
        self.core.log.touch()
        self.claim_service._attend()

    def told(self, *prefixes: str) -> list[str]:
        """Names of the events that begin so."""
        return [event.name for event in self.events if event.name.startswith(prefixes)]


def names(lease: Lease) -> list[str]:
    return [short(person.contact) for person in lease.people]


def got(ticket: Ticket) -> list[str] | None:
    """Whom a client got; None when it got nobody (yet)."""
    return names(ticket.outcome.lease) if isinstance(ticket.outcome, Granted) else None


def reasons(outcome: Granted | NotEnoughFree) -> dict[str, str]:
    """Why each was passed over."""
    return {short(each.contact): each.reason for each in outcome.passed_over}


@asynccontextmanager
async def running(branch: Branch) -> AsyncIterator[None]:
    """With the claim service's task."""
    task = asyncio.create_task(branch.claim_service.run())
    await asyncio.sleep(0)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
