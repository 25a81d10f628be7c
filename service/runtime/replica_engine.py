"""The engine of a replica, as the routes see it: the owner's own, or what a follower knows.

What only the owner can do is passed on before it comes here (`forwarding`); where it comes here all the same, nobody
owns, and it cannot be done now.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from pws_soap.models import Notification, same_contact
from service.cluster.lease import SILENCE, Role
from service.core.clock import Clock
from service.core.engine import (
    ClusterStatus,
    EngineState,
    HealthProblem,
    MemberState,
    MemberStatus,
    NotAvailable,
    NotificationCounters,
    RefreshReport,
    SharedEngineStatus,
    Status,
    Watched,
)
from service.core.meter import NO_METER, Meter, NotificationOutcome
from service.core.presence.freshness import Level
from service.core.presence.store import Store
from service.runtime.forward_failures import ForwardFailures
from service.runtime.replica import NOT_HEARD, Replica
from service.sync.engine import STOPPING
from service.sync.watchlist import Reloaded, Watchlist

RETRY: float = 3.0
"""Seconds after which somebody may own again."""


class ReplicaEngine:
    """See the module; `service.core.engine.Engine` is what the routes see of it.

    `unit` is the name that the replicas share. `forwarded` gives how many requests were passed on, by outcome,
    and `failures` knows which replicas do not answer them.
    """

    def __init__(
        self,
        replica: Replica,
        store: Store,
        bound: float,
        clock: Clock,
        meter: Meter = NO_METER,
        *,
        unit: str = "",
        forwarded: Callable[[], Mapping[str, int]] = dict,
        failures: ForwardFailures | None = None,
    ) -> None:
        self._replica = replica
        self._unit = unit
        self._forwarded = forwarded
        self._failures = ForwardFailures() if failures is None else failures
        self._store = store
        self._bound = bound
        self._clock = clock
        self._meter = meter
        self._received = self._rejected = 0
        self._stopping = False
        self._silent_since: float | None = None
        self._last_owner: str | None = None

    @property
    def refused(self) -> asyncio.Event:
        """Set where the server refuses the very first login: only the operator can mend it."""
        return self._replica.ownership.refused

    @property
    def refusal(self) -> str:
        """Why, in words."""
        return self._replica.ownership.refusal

    # --- running

    def start(self, contacts: Mapping[str, Sequence[str]]) -> None:
        """Begin. Until the replica knows more, the configured contacts are watched and nothing is known of them."""
        for user, watched in contacts.items():
            self._store.watch(watched, user)
        self._replica.start()

    async def reload(self, contacts: Mapping[str, Sequence[str]]) -> Reloaded:
        """The configuration was read again. It counts where this replica owns, now or later."""
        before = Watchlist(self._replica.ownership.contacts)
        self._replica.ownership.contacts = dict(contacts)
        if self._replica.ownership.sync is not None:
            return await self._replica.ownership.sync.reload(contacts)
        steps = before.reload(contacts)
        while True:
            try:
                next(steps)
            except StopIteration as done:
                changes: Reloaded = done.value
                return changes

    def let_go(self) -> None:
        """The service is about to stop: requests that wait for the server are refused now."""
        self._stopping = True
        if self._replica.ownership.sync is not None:
            self._replica.ownership.sync.let_go()
        self._replica.let_go()

    async def stop(self, limit: float) -> None:
        """Hand over, or as the last one log out, for `limit` seconds at most."""
        self._stopping = True
        await self._replica.stop(limit)

    # --- what others see

    def notified(self, notification: Notification, node: str) -> None:
        """See Engine."""
        if self._replica.ownership.sync is None:
            self._received += 1
            self._meter.notification_came(NotificationOutcome.TAKEN)
        self._replica.notified(notification, node)

    def rejected(self) -> None:
        """See Engine."""
        self._rejected += 1
        self._meter.notification_came(NotificationOutcome.REJECTED)

    async def refresh(self, contacts: Sequence[str] | None) -> RefreshReport:
        """See Engine."""
        if self._replica.ownership.sync is None:
            raise self._nobody()
        return await self._replica.ownership.sync.refresh(contacts)

    async def read(self, contacts: Sequence[str]) -> RefreshReport:
        """See Engine."""
        if self._replica.ownership.sync is None:
            raise self._nobody()
        return await self._replica.ownership.sync.read(contacts)

    def watched(self) -> Sequence[Watched]:
        """See Engine. A follower knows it from what the owner has told of."""
        if self._replica.ownership.sync is not None:
            return self._replica.ownership.sync.watched()
        configured = {same_contact(contact) for each in self._replica.ownership.contacts.values() for contact in each}
        return [
            Watched(record.contact, record.feed.partition("/")[0], record.key in configured)
            for record in self._store.records()
        ]

    def watch(self, contacts: Sequence[str], end_user: str | None) -> Sequence[str]:
        """See Engine."""
        if self._replica.ownership.sync is None:
            raise self._nobody()
        added = self._replica.ownership.sync.watch(contacts, end_user)
        self._replica.ownership.remember_watched(added, are_removed=False)
        return added

    def unwatch(self, contacts: Sequence[str]) -> Sequence[str]:
        """See Engine."""
        if self._replica.ownership.sync is None:
            raise self._nobody()
        removed = self._replica.ownership.sync.unwatch(contacts)
        self._replica.ownership.remember_watched(removed, are_removed=True)
        return removed

    async def followed(self) -> None:
        """See Engine. As the owner also until the engine has what was added and removed. Raises NotCommitted."""
        await self._replica.settled()
        if self._replica.ownership.sync is not None:
            await self._replica.ownership.sync.followed()
            await self._replica.accepted()

    def move(self, node: str, end_user: str | None) -> str:
        """See Engine."""
        if self._replica.ownership.sync is None:
            raise self._nobody()
        return self._replica.ownership.sync.move(node, end_user)

    def status(self, *, problems: bool = True) -> Status:
        """See Engine."""
        sync = self._replica.ownership.sync
        found = self._followers_status() if sync is None else sync.status(problems=problems)
        more = self._problems() if problems else ()
        counters = found.notifications
        counters = NotificationCounters(
            counters.received + self._received, counters.unknown_id, counters.rejected + self._rejected
        )
        ready, _ = self.ready()
        return replace(
            found,
            problems=(*found.problems, *more),
            notifications=counters,
            ready=ready,
            cluster=self._cluster_status(),
        )

    def ready(self) -> tuple[bool, str]:
        """See Engine. An owner without the engine goes on answering; a follower that hears nobody does not."""
        if self._stopping:
            return False, STOPPING
        if self._replica.ownership.sync is not None:
            return self._replica.ownership.sync.ready()
        if self._replica.is_silent:
            return False, self._replica.problem or NOT_HEARD
        levels = self._store.levels(self._bound)
        if levels.get(Level.LIVE) or not sum(levels.values()):
            return True, "live"
        return False, "nothing is live at the owner of the sessions"

    # --- inside

    def _nobody(self) -> NotAvailable:
        return NotAvailable(STOPPING if self._stopping else NOT_HEARD, RETRY)

    def _followers_status(self) -> Status:
        levels = self._store.levels(self._bound)
        live, everybody = levels.get(Level.LIVE, 0), sum(levels.values())
        if self._stopping:
            state = EngineState.STOPPING
        elif self._replica.is_silent or (everybody and not live):
            state = EngineState.DOWN if self._replica.is_settled.is_set() else EngineState.STARTING
        else:
            state = EngineState.LIVE if live == everybody else EngineState.DEGRADED
        return Status(state)

    def _problems(self) -> tuple[HealthProblem, ...]:
        now = self._clock.now()
        words = list(self._replica.members.disagreements(self._clock.monotonic()))
        words = [f"the replicas do not agree: {each}" for each in words]
        words += self._replica.checks.problems()
        if (trouble := self._replica.trouble) is not None:
            words.append(trouble)
        owner = self._replica.owner()
        if owner is not None and (problem := self._failures.problem(owner.address)) is not None:
            words.append(
                f"requests are not passed on to the owner at {owner.address}: {problem}; check cluster.advertise "
                "there, and that both have the same cluster.secret"
            )
        if self._replica.is_silent:
            self._silent_since = self._silent_since or now
            words.append(NOT_HEARD)
        else:
            self._silent_since = None
        return tuple(HealthProblem(self._silent_since or now, each) for each in words)

    def _cluster_status(self) -> ClusterStatus:
        replica, now = self._replica, self._clock.monotonic()
        owner, lag = replica.owner(), replica.lag
        facts = replica.checks.facts
        return ClusterStatus(
            replica=replica.identity.name,
            address=replica.identity.address,
            unit=self._unit,
            role=str(replica.role),
            owner=None if owner is None else owner.address,
            epoch=replica.epoch,
            lag=None if lag is None else round(lag, 3),
            silent=replica.is_silent,
            waiting=replica.waiting,
            takes=replica.takes,
            losses=replica.losses,
            forwarded=self._forwarded(),
            members=self._members(now),
            engine=SharedEngineStatus(problem=replica.trouble)
            if facts is None
            else SharedEngineStatus(
                facts.name, facts.version, facts.eviction, facts.persistent, facts.replicas, replica.trouble
            ),
        )

    def _members(self, now: float) -> tuple[MemberStatus, ...]:
        owner = self._replica.owner_name
        self._last_owner = owner or self._last_owner
        unheard = self._last_owner if self._replica.is_silent else None
        found = []
        for member, heard in self._replica.members.heard(now):
            is_self = member.replica == self._replica.identity.name
            heard = 0.0 if is_self else heard  # what it says may not reach the engine; it is here all the same
            state = MemberState.OWNER if member.replica == owner else MemberState.FOLLOWER
            if is_self and self._replica.role is Role.LAPSED:
                state = MemberState.LAPSED
            elif heard >= SILENCE or member.replica == unheard:
                state = MemberState.SILENT
            said = member.replica, member.address, member.version, member.configuration
            found.append(MemberStatus(*said, state, round(heard, 1)))
        return tuple(found)
