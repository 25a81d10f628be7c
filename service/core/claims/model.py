"""A claim as a value, and the little that others need to know of claims."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from service.core.clock import Moment
from service.core.events.event import EventData
from service.core.presence.claim import Claim
from service.core.presence.snapshot import GroupedSnapshot


class Pick(StrEnum):
    """Who of several that are free is claimed."""

    LONGEST_AVAILABLE = "longest-available"
    ROUND_ROBIN = "round-robin"
    LEAST_RECENTLY_CLAIMED = "least-recently-claimed"


class Person(NamedTuple):
    """A contact: its key in the store, and its spelling."""

    key: str
    contact: str


@dataclass(frozen=True, slots=True)
class Lease:
    """What one request got: some people of one group, held together until `expires`. See Claim for the fields."""

    id: str
    group: str
    purpose: str
    holder: str
    made: Moment
    expires: Moment
    people: tuple[Person, ...]

    @property
    def keys(self) -> frozenset[str]:
        """The keys of those it holds."""
        return frozenset(person.key for person in self.people)

    def limited_to(self, within: frozenset[str] | None) -> Lease:
        """See Claim; `people` are left as they are."""
        if within is None or self.group in within:
            return self
        return replace(self, group="", purpose="", holder="")

    def of(self, person: Person) -> Claim:
        """The part of it that holds one person."""
        return Claim(
            self.id, person.key, person.contact, self.group, self.purpose, self.holder, self.made, self.expires
        )


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """A request for `count` people of a group, for `seconds`."""

    group: str
    count: int
    seconds: float
    purpose: str
    holder: str


class PassedOver(NamedTuple):
    """A member of the group who was not picked, and why not. `free`: only because others were."""

    contact: str
    reason: str
    free: bool = False


class Granted(NamedTuple):
    """The client holds them."""

    lease: Lease
    passed_over: tuple[PassedOver, ...]


class NotEnoughFree(NamedTuple):
    """Too few are free. `free` is how many could be had; `ahead`: whether earlier requests keep some."""

    free: int
    ahead: bool
    passed_over: tuple[PassedOver, ...]


class RejectReason(StrEnum):
    """Why a request was rejected without a look at who is free."""

    FULL = "full"
    """As many requests wait as may."""
    STOPPING = "stopping"
    """The service stops."""
    NO_OWNER = "no-owner"
    """Another replica decides."""


Outcome = Granted | NotEnoughFree | RejectReason


class ClaimEventKind(StrEnum):
    """What happens to a lease; the values are the names of the events."""

    MADE = "claim.made"
    RENEWED = "claim.renewed"
    RELEASED = "claim.released"
    EXPIRED = "claim.expired"
    UNAVAILABLE = "claim.unavailable"


@dataclass(frozen=True, slots=True)
class ClaimEvent(EventData):
    """Something happened to a lease, which is as it was then.

    `person` is the one of its people whom the event is about, where it is about one; `reason` says why it happened.
    `contacts` are the people of the lease at that moment, those who are watched.
    """

    kind: ClaimEventKind
    lease: Lease
    person: Person | None = None
    reason: str | None = None
    contacts: tuple[GroupedSnapshot, ...] = ()

    @property
    def keys(self) -> frozenset[str]:
        """The keys of the contacts that it is about."""
        return self.lease.keys if self.person is None else self.lease.keys | {self.person.key}

    @property
    def ends(self) -> bool:
        """Whether the lease is over."""
        return self.kind in {ClaimEventKind.RELEASED, ClaimEventKind.EXPIRED}
