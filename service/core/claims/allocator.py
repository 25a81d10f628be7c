"""The rule of claims: who is picked, which requests wait, and what ends a claim. It decides, and logs nothing.

A request is put at the end of the queue, and the queue is served: a request gets its people if so many of its group
are watched, live, free by the group's rule at this very moment, held by nobody, and not kept for an earlier request.
All or none. A request that waits keeps those of its group who are free now from later ones, but for a bounded time
(see `service.core.claims.reserve`); after that it stays in the queue, and is served when enough are free at one moment.
One that does not wait is refused with the reasons.

No I/O and no timer: the caller reads `next_due` and calls `tick` then. What happened is in `events`, requests that have
an outcome in `settled`; the caller takes both after each call. Each call ends before another begins (one event loop, no
await), and that is all the atomicity it takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Set
from itertools import islice
from typing import Final

from service.core.claims.leases import LeaseTable
from service.core.claims.members import MemberLookup
from service.core.claims.model import (
    ClaimEvent,
    ClaimEventKind,
    ClaimRequest,
    Granted,
    Lease,
    NotEnoughFree,
    PassedOver,
    Person,
    RejectReason,
)
from service.core.claims.passed_over import KEPT, TOO_FEW, PassedOverReasons
from service.core.claims.pick_order import PickedBefore, Picking, PickOrder
from service.core.claims.reserve import Reserve
from service.core.claims.wait_queue import Queue, Ticket, Walk
from service.core.clock import Clock
from service.core.presence.snapshot import GroupedSnapshot

UNWATCHED: Final = "no longer watched"
GONE: Final = "the client was gone before it could be answered"

_Reasons = dict[tuple[str, frozenset[str]], tuple[PassedOver, ...]]
"""By group, and the groups of earlier requests: why each member cannot be had at one moment."""


class Allocator:
    """Decides who is held. `new_id` makes the ids of leases; at most `max_waiting` requests wait; people are kept for
    them for at most `reserve` seconds."""

    def __init__(
        self,
        leases: LeaseTable,
        order: PickOrder,
        members: MemberLookup,
        clock: Clock,
        new_id: Callable[[], str],
        max_waiting: int = 500,
        reserve: float = 5.0,
    ) -> None:
        self._leases = leases
        self._order = order
        self._members = members
        self._clock = clock
        self._new_id = new_id
        self._passed_over = PassedOverReasons(members, leases)
        self._max_waiting = max_waiting
        self._queue = Queue()
        self._reserve = Reserve(reserve, members.members)
        self._kept: dict[str, set[str]] = {}  # by the group that they are kept for, as of the last walk
        self._away: set[str] = set()  # held, and not available any more: there was an event
        self._pickings: dict[str, Picking] = {}  # by lease, of another process
        self._members_left = False
        self.events: list[ClaimEvent] = []
        self.settled: list[Ticket] = []

    def __repr__(self) -> str:
        return f"<Allocator {self._leases!r}, {len(self._queue)} waiting>"

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return len(self._queue)

    def out_of_patience(self) -> frozenset[str]:
        """The groups of requests that have waited as long as they would."""
        now = self._clock.monotonic()
        return frozenset(ticket.request.group for ticket in self._queue if ticket.until <= now)

    @property
    def next_due(self) -> float | None:
        """The monotonic moment of the next thing that time alone brings about."""
        dues = (self._leases.next_expiry, self._queue.next_due, self._reserve.next_end)
        return min((due for due in dues if due is not None), default=None)

    # --- requests

    def ask(self, request: ClaimRequest, wait: float = 0.0) -> Ticket:
        """A request, which waits for at most so many seconds. KeyError: there is no such group."""
        if not self._has_watched(request.group, request.count):
            wait = 0.0  # no request waits for what cannot come
        self.tick()
        ticket = self._queue.add(request, self._clock.monotonic() + wait)
        try:
            self._serve(new=ticket)
            if ticket.outcome is None:
                if not wait:
                    self._refuse(ticket)
                elif len(self._queue) > self._max_waiting:
                    self._queue.settle(ticket, RejectReason.FULL)
        except BaseException:  # a bug must not leave a request in the queue that gets no answer
            self._queue.leave(ticket)
            raise
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """The client has gone: its request waits no longer, and what it was given meanwhile is taken back."""
        self._queue.leave(ticket)
        if isinstance(ticket.outcome, Granted):
            lease = self._leases.end(ticket.outcome.lease.id)
            if lease is not None:  # they keep their place in the order: they were given no task
                if ticket.picking is not None:
                    self._order.undo(ticket.picking)
                self._over(lease, ClaimEventKind.RELEASED, GONE, counts=False)
        self.tick()

    def renew(self, name: str, seconds: float) -> Lease | None:
        """Let a lease last `seconds` from now; None when there is none of this name (any more)."""
        self.tick()
        lease = self._leases.renew(name, seconds)
        if lease is not None:
            self._add_event(ClaimEventKind.RENEWED, lease)
        return lease

    def release(self, name: str, reason: str | None = None) -> Lease | None:
        """End a lease; None when there is none of this name (any more)."""
        self.tick()
        lease = self._leases.end(name)
        if lease is not None:
            self._over(lease, ClaimEventKind.RELEASED, reason)
            self._serve()
        return lease

    def stop(self, reason: RejectReason = RejectReason.STOPPING) -> None:
        """Nobody is picked here any more: every waiting request is rejected."""
        for ticket in self._queue:
            self._queue.settle(ticket, reason)
            self.settled.append(ticket)

    # --- what another process decides

    @property
    def order(self) -> PickOrder:
        """Who comes first."""
        return self._order

    def mirror(self, event: ClaimEvent, at: float) -> None:
        """Another process has decided this."""
        lease = event.lease
        match event.kind:
            case ClaimEventKind.MADE:
                self._leases.keep(lease)
                self._away -= lease.keys
                self._pickings[lease.id] = self._order.picked(lease.group, (person.key for person in lease.people))
            case ClaimEventKind.RENEWED:
                self._leases.keep(lease)
            case ClaimEventKind.UNAVAILABLE:
                self._leases.keep(lease)
                if event.person is not None and event.reason != UNWATCHED:
                    self._away.add(event.person.key)
            case _:
                self._leases.end(lease.id)
                self._away -= lease.keys
                picking = self._pickings.pop(lease.id, None)
                if event.reason != GONE:
                    self._order.returned(lease.keys, at)
                elif picking is not None:
                    self._order.undo(picking)

    def restore(self, leases: Iterable[Lease], before: PickedBefore) -> None:
        """Begin anew with what another process has decided so far."""
        kept = {lease.id: lease for lease in leases}
        for lease in [*self._leases.all()]:
            if lease.id not in kept:
                self._leases.end(lease.id)
        for lease in kept.values():
            self._leases.keep(lease)
        self._pickings.clear()
        self._away.clear()
        self._order.restore(before)

    def note(self, key: str, snapshot: GroupedSnapshot, at: float) -> None:
        """A contact, as the log has it now, where another process decides."""
        self._passed_over.changed((key,))
        for opinion in snapshot.opinions:
            if opinion.group is not None:
                self._order.observe(opinion.group, key, opinion.verdict.available, at)

    def left(self, key: str) -> None:
        """A contact is not watched any longer, where another process decides."""
        self._order.forget(key)
        self._passed_over.changed((key,))
        self._away.discard(key)

    # --- what happens

    def observe(self, key: str, snapshot: GroupedSnapshot, at: float) -> None:
        """A contact, as the log has it now."""
        self.note(key, snapshot, at)
        claim = self._leases.held(key)
        if claim is None:
            return
        verdict = next((each.verdict for each in snapshot.opinions if each.group == claim.group), None)
        if verdict is None or verdict.available:
            self._away.discard(key)
        elif key not in self._away:
            self._away.add(key)
            lease = self._leases.get(claim.id)
            if lease is not None:
                self._add_event(ClaimEventKind.UNAVAILABLE, lease, Person(key, claim.contact), verdict.reason)

    def removed(self, key: str) -> None:
        """A contact is not watched any longer: its hold ends, and with the last one the lease."""
        self._expire()
        self.left(key)
        self._members_left = True
        dropped = self._leases.drop(key)
        if dropped is None:
            return
        lease, person = dropped
        self._add_event(ClaimEventKind.UNAVAILABLE, lease, person, UNWATCHED)
        if not lease.people and self._leases.end(lease.id) is not None:
            self._over(lease, ClaimEventKind.RELEASED, "nobody in it is watched any longer")

    def tick(self) -> None:
        """End what has expired, serve what can be served, refuse what has waited long enough."""
        self._expire()
        now = self._clock.monotonic()
        self._serve()
        # One by one: whom the first kept waiting may be served when it is gone, at the last moment.
        known: _Reasons = {}
        while (late := next((ticket for ticket in self._queue if ticket.until <= now), None)) is not None:
            self._refuse(late, known)
            self.settled.append(late)
            before = len(self.settled)
            self._serve()
            if len(self.settled) > before:
                known.clear()

    # --- inside

    def _expire(self) -> None:
        for lease in self._leases.sweep():
            self._over(lease, ClaimEventKind.EXPIRED)

    def _serve(self, new: Ticket | None = None) -> None:
        """One walk through the queue. A request that is not served keeps people from later ones, as far as it may.

        `new` has not waited yet: where it is served in this walk, nobody has waited for its people because of it.
        """
        if self._members_left:
            self._members_left = False
            for ticket in self._queue:
                if not self._has_watched(ticket.request.group, ticket.request.count):
                    self._refuse(ticket)
                    self.settled.append(ticket)
        now = self._clock.monotonic()
        self._reserve.attend({ticket.request.group for ticket in self._waiting(now) if ticket is not new}, now)
        self._kept = {}
        walk = Walk()
        for ticket in self._queue:
            group, count = ticket.request.group, ticket.request.count
            if count <= walk.most.get(group, count):
                picked, free = self._pick(ticket.request, walk.kept)
                if len(picked) == count:
                    self._grant(ticket, picked, walk)
                    continue
                walk.most[group], walk.free[group] = len(picked), free
            self._mark_withheld(ticket.request, walk)
            if ticket.until > now and group not in walk.passed:
                walk.passed.add(group)
                free = {key for key in walk.free[group] if key not in self._leases}
                self._kept[group] = self._reserve.keeps(group, free - walk.kept)
                walk.kept |= self._kept[group]
        self._reserve.attend({ticket.request.group for ticket in self._waiting(now)}, now)

    def _waiting(self, now: float) -> Iterator[Ticket]:
        return (ticket for ticket in self._queue if ticket.until > now)

    def _pick(self, request: ClaimRequest, kept: Set[str]) -> tuple[list[Person], set[str]]:
        """Those that `request` gets now, all or too few; and where too few, who would be free for it if none were kept.

        Only who is free as far as the log knows is looked at anew, in the group's order.
        """
        group = request.group
        picked: list[Person] = []
        refuted: set[str] = set()
        for key in self._order.free(group):
            if key in self._leases or key in kept:
                continue
            seen = self._members.at(group, key)
            if seen is None or not seen.verdict.available:
                refuted.add(key)
                continue
            picked.append(seen.person)
            if len(picked) == request.count:
                return picked, set()
        return picked, {key for key in self._order.free(group) if key not in self._leases and key not in refuted}

    def _mark_withheld(self, request: ClaimRequest, walk: Walk) -> None:
        """The request is not served. Where it would be if none were kept, the time of those who are kept runs."""
        group = request.group
        if walk.looked.get(group) != len(walk.kept):
            walk.looked[group] = len(walk.kept)
            free = {key for key in walk.free[group] if key not in self._leases}
            walk.withheld[group] = {key for key in free & walk.kept if self._is_free(group, key)}
            walk.could[group] = len(free - walk.kept) + len(walk.withheld[group])
        withheld = walk.withheld[group]
        if withheld and request.count <= walk.could[group]:
            self._reserve.withheld((name for name, kept in self._kept.items() if kept & withheld), withheld)
            walk.withheld[group] = set()

    def _is_free(self, group: str, key: str) -> bool:
        seen = self._members.at(group, key)
        return seen is not None and seen.verdict.available

    def _grant(self, ticket: Ticket, picked: list[Person], walk: Walk) -> None:
        request = ticket.request
        lease = self._leases.make(self._new_id(), request, picked)
        self._away -= lease.keys
        self._reserve.granted(request.group, lease.keys, is_first=request.group not in walk.passed)
        others = self._passed_over.of(request.group, lease.keys, walk.kept, self._order.behind(request.group))
        ticket.picking = self._order.picked(request.group, (person.key for person in picked))
        self._queue.settle(ticket, Granted(lease, others))
        self.settled.append(ticket)
        self._add_event(ClaimEventKind.MADE, lease)

    def _refuse(self, ticket: Ticket, known: _Reasons | None = None) -> None:
        """Send it away. `known`: what was said in this same moment to those before it, as long as it is so."""
        before = frozenset(each.request.group for each in self._queue if each.number < ticket.number)
        known = {} if known is None else known
        others = known.get((ticket.request.group, before))
        if others is None:
            kept = set[str]().union(*(self._kept.get(group, ()) for group in before))
            others = self._passed_over.of(ticket.request.group, (), kept, TOO_FEW)
            known[ticket.request.group, before] = others
        free = sum(each.reason == TOO_FEW for each in others)
        self._queue.settle(ticket, NotEnoughFree(free, any(each.reason == KEPT for each in others), others))

    def _has_watched(self, group: str, count: int) -> bool:
        """Whether so many of a group are watched, free or not."""
        watched = filter(self._members.is_watched, self._members.members(group))
        return sum(1 for _ in islice(watched, count)) == count

    def _over(self, lease: Lease, event: ClaimEventKind, reason: str | None = None, *, counts: bool = True) -> None:
        self._away -= lease.keys
        if counts:
            self._order.returned(lease.keys, self._clock.monotonic())
        self._add_event(event, lease, reason=reason)

    def _add_event(
        self, event: ClaimEventKind, lease: Lease, person: Person | None = None, reason: str | None = None
    ) -> None:
        self.events.append(ClaimEvent(event, lease, person, reason))
