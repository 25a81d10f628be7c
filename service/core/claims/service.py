"""The service of claims: it follows presence, wakes when something is due, lets requests wait, and logs every event.

`Allocator` decides. One task (`run`) sleeps until the next lease or the wait of a request ends, or until the log has
something that a request waits for; requests are served at once, in their own turn of the event loop. Before a request
is decided, the log looks at what time has changed about its group, so that followers see the event that makes a contact
available before the event that claims it.

Where the log follows that of another replica, that one's service decides. This one keeps what was decided, so that it
can go on from there.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from service.core.claims.allocator import Allocator
from service.core.claims.coverage import Coverage, CoverageChange
from service.core.claims.leases import LeaseTable
from service.core.claims.members import ReaderMembers
from service.core.claims.model import (
    ClaimEvent,
    ClaimEventKind,
    ClaimRequest,
    Granted,
    Lease,
    NotEnoughFree,
    Outcome,
    Pick,
    RejectReason,
)
from service.core.claims.pick_order import PickedBefore, PickOrder
from service.core.claims.wait_queue import Ticket
from service.core.clock import Clock
from service.core.events.event import CHANGE, REMOVED
from service.core.events.event import Event as LogEvent
from service.core.events.log import EventLog
from service.core.meter import NO_METER, ClaimOutcome, Meter
from service.core.presence.query import Reader
from service.core.presence.snapshot import GroupedSnapshot
from service.core.presence.store import Store
from service.core.wakeup import sleep_until_woken

LOW: Final = "coverage.low"
RESTORED: Final = "coverage.restored"

_log = logging.getLogger("pws.claims")


@dataclass(frozen=True, slots=True)
class ClaimRules:
    """What the configuration says of claims. Seconds; `picks` and `floors` by group, where they are not the usual."""

    default_lease: float = 120.0
    max_lease: float = 3600.0
    max_waiting: int = 500
    reserve: float = 5.0
    picks: Mapping[str, Pick] = field(default_factory=dict)
    floors: Mapping[str, int] = field(default_factory=dict)


def _new_id() -> str:
    return secrets.token_hex(8)


class ClaimService:
    """Claims people for clients. `run` is for the caller to run: without it no lease expires by itself."""

    def __init__(
        self,
        store: Store,
        reader: Reader,
        log: EventLog,
        clock: Clock,
        leases: LeaseTable,
        rules: ClaimRules,
        new_id: Callable[[], str] = _new_id,
        meter: Meter = NO_METER,
    ) -> None:
        picks = {group: rules.picks.get(group, Pick.LONGEST_AVAILABLE) for group in reader.groups}
        self.rules = rules
        self._reader = reader
        self._log = log
        self._clock = clock
        self._meter = meter
        self._leases = leases
        self._allocator = Allocator(
            leases, PickOrder(picks), ReaderMembers(store, reader, log), clock, new_id, rules.max_waiting, rules.reserve
        )
        self._coverage = Coverage(reader.groups, rules.floors)
        self._store = store
        self._waiting: dict[int, asyncio.Future[Outcome]] = {}
        self._woken = asyncio.Event()
        self._closed = False
        for snapshot in log.everybody():
            self._observe(snapshot.contact.record.key, snapshot, clock.monotonic())
        log.follow(self._follow, immediate=True)
        log.ring(self._rung)

    def __repr__(self) -> str:
        return f"<ClaimService {self._allocator!r}>"

    # --- reading

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return self._allocator.waiting

    def get(self, name: str) -> Lease | None:
        """A lease that has not ended."""
        return self._leases.get(name)

    def leases(self) -> Sequence[Lease]:
        """All of them, in the order in which they were made."""
        return self._leases.leases()

    # --- requests

    def ask(self, request: ClaimRequest, wait: float = 0.0) -> Ticket:
        """Request people. The ticket has an outcome, or waits for at most `wait` seconds: see `outcome`.

        KeyError: there is no such group.
        """
        if self._closed or self._log.follows:
            self._meter.claim_settled(ClaimOutcome.STOPPING, 0.0)
            return Ticket(0, request, 0.0, RejectReason.STOPPING if self._closed else RejectReason.NO_OWNER)
        self._log.catch_up(self._reader.groups[request.group])
        ticket = self._allocator.ask(request, wait)
        if ticket.outcome is not None:
            self._meter.claim_settled(_counted_as(ticket.outcome), 0.0)
        self._flush()
        self._woken.set()
        return ticket

    async def outcome(self, ticket: Ticket) -> Outcome:
        """Wait for the outcome. A task that is cancelled while it waits must call `leave`."""
        if ticket.outcome is not None:
            return ticket.outcome
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting[ticket.number] = answer
        began, counted_as = self._clock.monotonic(), ClaimOutcome.LEFT
        try:
            outcome = await answer
            counted_as = _counted_as(outcome)
            return outcome
        finally:
            self._waiting.pop(ticket.number, None)
            self._meter.claim_settled(counted_as, self._clock.monotonic() - began)

    def leave(self, ticket: Ticket) -> None:
        """The client has gone, or its answer cannot be delivered: its request waits no longer, and holds nobody."""
        if self._log.follows:
            return  # whom it was given is another replica's to let go
        self._allocator.leave(ticket)
        self._flush()
        self._woken.set()

    def renew(self, name: str, seconds: float) -> Lease | None:
        """Let a lease last `seconds` from now; None when it has ended."""
        lease = None if self._log.follows else self._allocator.renew(name, seconds)
        self._flush()
        self._woken.set()
        return lease

    def release(self, name: str) -> bool:
        """End a lease; False when it has ended already."""
        lease = None if self._log.follows else self._allocator.release(name)
        self._flush()
        self._woken.set()
        return lease is not None

    # --- replicas

    @property
    def order(self) -> PickOrder:
        """Who comes first."""
        return self._allocator.order

    def restore(self, leases: Iterable[Lease], before: PickedBefore) -> None:
        """Begin anew with what the owner has decided so far."""
        self._allocator.restore(leases, before)

    def follow_owner(self) -> None:
        """Decide nothing more: requests that wait are rejected."""
        self._allocator.stop(RejectReason.NO_OWNER)
        self._settle()

    def lead(self) -> None:
        """Go on with what was decided elsewhere."""
        self._woken.set()

    def tell_difference(self, known: Iterable[Lease]) -> None:
        """Others know these leases: tell them what is another now."""
        theirs = {lease.id: lease for lease in known}
        ours = {lease.id: lease for lease in self.leases()}
        events = [ClaimEvent(ClaimEventKind.RELEASED, lease) for id, lease in theirs.items() if id not in ours]  # noqa: A001
        for id, lease in ours.items():  # noqa: A001  # the lease's own word
            other = theirs.get(id)
            if other is None:
                events.append(ClaimEvent(ClaimEventKind.MADE, lease))
            elif other.expires.wall != lease.expires.wall or other.keys != lease.keys:
                events.append(ClaimEvent(ClaimEventKind.RENEWED, lease))
        for event in events:
            self._log_event(event)

    # --- running

    async def run(self) -> None:
        """Do what is due, until the log is closed."""
        while not self._log.closed:
            self._woken.clear()
            try:
                self._attend()
            except Exception:  # noqa: BLE001  # a bug must not end it: no lease would expire any more
                _log.exception("unexpected error, going on", extra={"event": "internal.error"})
                await self._clock.sleep(1.0)
            dues = [due for due in self._dues() if due is not None]
            pause = min(dues) - self._clock.monotonic() if dues else None
            await sleep_until_woken(self._woken, self._clock, pause)
        self.close()

    def close(self) -> None:
        """The service stops: waiting requests are rejected now, later ones at once."""
        self._closed = True
        self._allocator.stop()
        self._flush()

    # --- inside

    def _dues(self) -> tuple[float | None, ...]:
        return () if self._log.follows else (self._allocator.next_due, self._coverage.next_due)

    def _attend(self) -> None:
        if self._log.follows:
            return
        for group in self._allocator.out_of_patience():  # no request is refused for what the log has not seen yet
            self._log.catch_up(self._reader.groups[group])
        self._allocator.tick()
        self._flush()
        self._log_coverage()

    def _rung(self) -> None:
        if self._log.closed:
            self._woken.set()

    def _follow(self, events: Sequence[LogEvent]) -> None:
        if self._log.follows:
            self._mirror(events)
            return
        relevant = False
        for event in events:
            if event.key is None:
                continue
            if event.name == CHANGE and event.after is not None:
                self._observe(event.key, event.after, event.at.monotonic)
                relevant = True
            elif event.name == REMOVED:
                self._allocator.removed(event.key)
                self._coverage.removed(event.key)
                relevant = True
        if relevant:
            self._flush()
            self._log_coverage()
            if self._allocator.waiting or self._coverage.next_due is not None:
                self._woken.set()

    def _mirror(self, events: Sequence[LogEvent]) -> None:
        for event in events:
            if isinstance(event.data, ClaimEvent):
                self._allocator.mirror(event.data, event.at.monotonic)
            elif isinstance(event.data, CoverageChange):
                self._coverage.mirror(event.data)
            elif event.key is not None and event.after is not None:
                self._allocator.note(event.key, event.after, event.at.monotonic)
                self._coverage.observe(event.key, event.after, event.at.monotonic)
            elif event.key is not None:
                self._allocator.left(event.key)
                self._coverage.removed(event.key)

    def _observe(self, key: str, snapshot: GroupedSnapshot, at: float) -> None:
        self._allocator.observe(key, snapshot, at)
        self._coverage.observe(key, snapshot, at)

    def _flush(self) -> None:
        """Log what happened to leases, give the answers, and have the log look at the contacts that it changed."""
        while self._allocator.events:
            events, self._allocator.events = self._allocator.events, []
            for event in events:
                self._log_event(event)
            self._log.touch(frozenset[str]().union(*(event.lease.keys for event in events)))
        self._settle()

    def _settle(self) -> None:
        """Give the answers."""
        settled, self._allocator.settled = self._allocator.settled, []
        for ticket in settled:
            if ticket.settled is not None:
                ticket.settled()
            answer = self._waiting.get(ticket.number)
            if answer is not None and not answer.done() and ticket.outcome is not None:
                answer.set_result(ticket.outcome)

    def _log_event(self, event: ClaimEvent) -> None:
        records = (self._store.get(person.key) for person in event.lease.people)
        contacts = tuple(self._reader.snapshot(record) for record in records if record is not None)
        self._log.tell(event.kind, replace(event, contacts=contacts), event.keys, weight=len(event.keys))

    def _log_coverage(self) -> None:
        for change in self._coverage.changes(self._clock.monotonic()):
            self._log.tell(LOW if change.is_low else RESTORED, change, self._reader.groups[change.group])


def _counted_as(outcome: Outcome) -> ClaimOutcome:
    match outcome:
        case Granted():
            return ClaimOutcome.GRANTED
        case NotEnoughFree():
            return ClaimOutcome.NOT_ENOUGH_FREE
        case RejectReason.FULL:
            return ClaimOutcome.FULL
        case RejectReason.STOPPING | RejectReason.NO_OWNER:
            return ClaimOutcome.STOPPING
