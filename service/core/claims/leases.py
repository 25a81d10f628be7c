"""Who is held: the leases there are, by id and by person, and when the next one ends.

It keeps one rule whatever is asked of it: a person is in one lease at most, in whatever group. Who may be picked is
decided elsewhere (`service.core.claims.service`); time comes from the injected clock, so that an expired lease holds
nobody from its very moment on, whether it was swept out already or not.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from service.core.claims.model import ClaimRequest, Lease, Person
from service.core.clock import Clock, Moment
from service.core.presence.claim import Claim

Listener = Callable[[Iterable[str]], None]
"""Takes the keys of those who are held now, or no longer. Must be quick and must not raise."""


class LeaseTable:
    """The leases of one process. They are in memory, and end with it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._leases: dict[str, Lease] = {}
        self._claims: dict[str, Claim] = {}  # by person's key
        self._version = 0
        self._due: list[tuple[float, str]] = []  # a heap; entries of leases that are over or renewed are passed over
        self._listeners: list[Listener] = []

    def __repr__(self) -> str:
        return f"<LeaseTable {len(self._leases)} leases of {len(self._claims)} people>"

    # --- reading

    def held(self, key: str) -> Claim | None:
        """The claim on a contact, None when nobody holds it."""
        claim = self._claims.get(key)
        return claim if claim is not None and claim.expires.monotonic > self._clock.monotonic() else None

    def taken(self) -> Mapping[str, Claim]:
        """The claims by contact, as a copy; some may have expired."""
        return dict(self._claims)

    @property
    def version(self) -> int:
        """Grows whenever who is held changes but by time."""
        return self._version

    def __contains__(self, key: str) -> bool:
        """Whether a person is in a lease that was neither ended nor swept out yet: the clock may have moved since."""
        return key in self._claims

    def get(self, lease: str) -> Lease | None:
        """A lease that has not ended."""
        found = self._leases.get(lease)
        return found if found is not None and found.expires.monotonic > self._clock.monotonic() else None

    def all(self) -> Collection[Lease]:
        """Those in the table, in no order; some may have expired: a view."""
        return self._leases.values()

    def end_of(self, name: str) -> Moment | None:
        """When a lease ends that is in the table, or has ended."""
        lease = self._leases.get(name)
        return None if lease is None else lease.expires

    def leases(self) -> Sequence[Lease]:
        """Those that have not ended, in the order in which they were made."""
        now = self._clock.monotonic()
        return [lease for lease in self._leases.values() if lease.expires.monotonic > now]

    @property
    def next_expiry(self) -> float | None:
        """The monotonic moment at which the next lease ends."""
        while self._due:
            due, name = self._due[0]
            lease = self._leases.get(name)
            if lease is not None and lease.expires.monotonic == due:
                return due
            heapq.heappop(self._due)
        return None

    def listen(self, listener: Listener) -> None:
        """Hear of all who are held from now on, or no longer, but for those whose time is merely over."""
        self._listeners.append(listener)

    # --- writing

    def make(self, name: str, request: ClaimRequest, people: Sequence[Person]) -> Lease:
        """Hold these. ValueError: one of them is held already, or the name is taken."""
        now = Moment.of(self._clock)
        taken = [person.contact for person in people if person.key in self._claims]
        if taken or name in self._leases:
            raise ValueError(f"held already: {taken or name}")
        lease = Lease(
            name, request.group, request.purpose, request.holder, now, _later(now, request.seconds), tuple(people)
        )
        self._keep(lease)
        return lease

    def renew(self, name: str, seconds: float) -> Lease | None:
        """Let it last `seconds` from now; None when it has ended."""
        lease = self.get(name)
        if lease is None:
            return None
        renewed = replace(lease, expires=_later(Moment.of(self._clock), seconds))
        self._keep(renewed)
        return renewed

    def keep(self, lease: Lease) -> None:
        """Have a lease as another process made or changed it: those that it holds no longer are let go."""
        before = self._leases.get(lease.id)
        for person in () if before is None else before.people:
            if person.key not in lease.keys:
                del self._claims[person.key]
        for person in lease.people:
            other = self._claims.get(person.key)
            if other is not None and other.id != lease.id:
                self.drop(person.key)  # the end of that lease has not come, or was lost
        self._keep(lease)
        if before is not None:
            self._tell(before.keys - lease.keys)

    def end(self, name: str) -> Lease | None:
        """Let them go; None when it is not in the table any more."""
        lease = self._leases.pop(name, None)
        if lease is not None:
            self._version += 1
            for person in lease.people:
                del self._claims[person.key]
            self._tell(lease.keys)
        return lease

    def drop(self, key: str) -> tuple[Lease, Person] | None:
        """Take one person out of its lease: what is left of that, and the person. None: nobody held it.

        A lease that is left without anybody is still to be ended.
        """
        claim = self._claims.pop(key, None)
        if claim is None:
            return None
        self._version += 1
        lease = self._leases[claim.id]
        left = replace(lease, people=tuple(each for each in lease.people if each.key != key))
        self._leases[claim.id] = left
        self._tell((key,))
        return left, Person(key, claim.contact)

    def sweep(self) -> list[Lease]:
        """Take out those that have expired; they are returned in the order of their ends."""
        now = self._clock.monotonic()
        over: list[Lease] = []
        while (due := self.next_expiry) is not None and due <= now:
            lease = self.end(self._due[0][1])
            assert lease is not None  # noqa: S101  next_expiry has just looked
            over.append(lease)
        return over

    def _keep(self, lease: Lease) -> None:
        self._version += 1
        self._leases[lease.id] = lease
        for person in lease.people:
            self._claims[person.key] = lease.of(person)
        self._tell(lease.keys)
        heapq.heappush(self._due, (lease.expires.monotonic, lease.id))
        if len(self._due) > 64 + 2 * len(self._leases):  # much was renewed or released long before its end
            self._due = [(each.expires.monotonic, each.id) for each in self._leases.values()]
            heapq.heapify(self._due)

    def _tell(self, keys: Iterable[str]) -> None:
        for listener in self._listeners:
            listener(keys)


def _later(now: Moment, seconds: float) -> Moment:
    return Moment(now.monotonic + seconds, now.wall + seconds)
