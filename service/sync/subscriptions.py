"""The subscriptions that can be fetched: one object that fetcher, poller, silence and status share."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from pws_soap.lifecycle import Key
from pws_soap.models import Presence, Secret, Session, same_contact
from service.core.clock import Moment
from service.sync.inbox import SubscriptionRef
from service.sync.notification_lag import NotificationLag


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchSettings:
    """Times in seconds; a `reconcile_interval` of 0 means never. `rich` names the end users with RICH presence."""

    safety_interval: float = 600.0
    reconcile_interval: float = 3600.0
    max_parallel: int = 4
    heartbeat_interval: float = 30.0
    """Seconds without an answer of the server after which one contact is polled; 0: never."""
    first_notification: float = 10.0
    """Seconds within which a new subscription's first notification must come: the server sends it at once."""
    rich: frozenset[str] = frozenset()


LOST_MEANWHILE: Final = "it was lost meanwhile"


class SubscriptionGone(Exception):
    """A subscription cannot be fetched now; the message says why."""


@dataclass(frozen=True, slots=True)
class LiveSubscription:
    """A subscription that can be fetched, as the lifecycle knows it."""

    key: Key
    generation: int
    id: int
    session: Session
    session_generation: int
    contacts: frozenset[str] = field(repr=False)
    """Those that it carries for certain."""
    perhaps: frozenset[str] = field(repr=False)
    """Those that a request under way may be adding or taking out."""


class FetchTarget(NamedTuple):
    """A session key and a subscription's id: what the server hands changes out for, once."""

    ref: SubscriptionRef
    session_key: Secret


class KeysOf:
    """The keys of a set of contacts, made when they are first asked for: replies spell nearly all contacts as we do."""

    __slots__ = ("_contacts", "_keys")

    def __init__(self) -> None:
        self._contacts: frozenset[str] = frozenset()
        self._keys: frozenset[str] = frozenset()

    def of(self, contacts: frozenset[str]) -> frozenset[str]:
        """The keys of `contacts`."""
        if contacts is not self._contacts:
            self._contacts, self._keys = contacts, frozenset(map(same_contact, contacts))
        return self._keys

    def have(self, contact: str, contacts: frozenset[str]) -> bool:
        """Whether `contacts` has this one in any spelling."""
        return same_contact(contact) in self.of(contacts)


@dataclass(slots=True)
class TrackedSubscription:
    """One subscription that can be fetched, and how reading it goes. Times are those of the monotonic clock."""

    subscription: LiveSubscription
    """What the lifecycle knows of it now."""
    ref: SubscriptionRef
    feed: str
    interval: float
    """Seconds between two fetches without a notification."""
    fetch_due: float
    sweep_due: float
    heartbeat_due: float = 0.0
    heartbeats: int = 0
    sweep_left: list[str] = field(default_factory=list)
    """What a sweep that is under way has still to poll."""
    once: set[str] = field(default_factory=set)
    """Keys of contacts that it may have carried, and carries no longer: its replies may still name them."""
    keys: KeysOf = field(default_factory=lambda: KeysOf())
    keys_perhaps: KeysOf = field(default_factory=lambda: KeysOf())
    first_notification_due: float | None = None
    """Until when its first notification must come; None once one has come, or is overdue."""
    silent_since: float = 0.0
    """Since when the first notification is overdue; 0: it is not."""
    suspected_at: float | None = None
    """When a change was found that no notification had announced; one that is merely late clears it."""
    unattributed: int = 0
    """How many fetches in a row named somebody whom this subscription does not carry, or nobody at all."""
    unattributed_since: float = 0.0
    unattributed_entry: str = ""
    """What the last of them returned, in words."""
    fetching: bool = False
    polling: bool = False
    turn: int = 0
    """The number of its last fetch, counted over all subscriptions; 0 before the first one."""
    fetch_failures: int = 0
    failing_since: float = 0.0
    poll_failures: int = 0
    poll_due: float = 0.0
    poll_error: str | None = None
    polls_failing_since: float = 0.0
    announced: bool = True
    """Whether a notification came since the last fetch began."""
    lag: NotificationLag = field(default_factory=NotificationLag)
    last_notification: Moment | None = None
    last_fetch: Moment | None = None
    last_error: str | None = None
    notifications: int = 0
    fetches: int = 0
    missed: int = 0
    """Changes that came without a notification since the last one that came with one."""
    missed_since: float = 0.0
    attributed: Sequence[Presence] = ()
    """The last reply all of which was about contacts that it carries, as the store keeps it; until these change."""
    waiters: list[asyncio.Future[int]] = field(default_factory=list)

    @property
    def key(self) -> Key:
        """The lifecycle's name of it."""
        return self.subscription.key

    @property
    def name(self) -> str:
        """What people call it."""
        return f"subscription {self.subscription.id} of {self.feed}"

    def carries(self, contact: str) -> bool:
        """Whether it carries a contact, in any spelling, for certain."""
        return contact in self.subscription.contacts or self.keys.have(contact, self.subscription.contacts)

    def carries_any(self, keys: Set[str]) -> bool:
        """Whether it carries one of these for certain."""
        return bool(keys) and not self.keys.of(self.subscription.contacts).isdisjoint(keys)

    def may_carry(self, contact: str) -> bool:
        """Whether its replies may name a contact: it carries it, or may ever have done so."""
        perhaps = self.subscription.perhaps
        return self.carries(contact) or self.keys_perhaps.have(contact, perhaps) or same_contact(contact) in self.once

    @property
    def target(self) -> FetchTarget:
        """The session key and id under which it is fetched."""
        return FetchTarget(self.ref, self.subscription.session.key)

    @property
    def fails(self) -> bool:
        """Whether its last fetch or poll failed, left contacts in doubt, or named somebody else."""
        return bool(self.fetch_failures or self.poll_failures or self.unattributed)

    def poll_soon(self) -> None:
        """What it carries is in doubt: poll it at once, unless polls are failing. Then their pause is kept, since a
        server that lets polls fail may give cause for doubt as often as it is asked."""
        if self.poll_error is None:
            self.poll_due = 0.0


@dataclass(slots=True)
class FetcherCounters:
    """Since the start; see `service.core.engine.FetchCounters`."""

    fetches: int = 0
    polls: int = 0
    failures: int = 0
    unknown_outcomes: int = 0
    missed_notifications: int = 0
    drift: int = 0
    unattributed: int = 0


class FailingFeed(NamedTuple):
    """A feed whose last fetch or poll failed, and whose subscription is gone since."""

    failures: int
    since: float
    error: str | None
    poll_failures: int
    polls_failing_since: float
    poll_error: str | None
    poll_due: float


class Subscriptions:
    """The subscriptions that can be fetched now, in the order in which they were opened, and what all of them share."""

    def __init__(self) -> None:
        self._tracked: dict[Key, TrackedSubscription] = {}
        self._turn = 0
        self.counters = FetcherCounters()
        self.lags: dict[str, NotificationLag] = {}
        """By feed, whatever its subscription is now."""
        self.failing: dict[str, FailingFeed] = {}
        """By feed, until it is subscribed anew."""
        self.in_flight: Counter[FetchTarget] = Counter()
        """The fetches under way, also of subscriptions that are gone."""
        self.woken = asyncio.Event()
        """Set when something may be due that was not."""

    def __iter__(self) -> Iterator[TrackedSubscription]:
        """Over a copy: they may come and go meanwhile."""
        return iter(list(self._tracked.values()))

    def __len__(self) -> int:
        return len(self._tracked)

    def get(self, key: Key) -> TrackedSubscription | None:
        """The subscription under that key, None where it cannot be fetched."""
        return self._tracked.get(key)

    def add(self, tracked: TrackedSubscription) -> None:
        """It can be fetched from now on."""
        self._tracked[tracked.key] = tracked

    def remove(self, tracked: TrackedSubscription) -> None:
        """It can no longer be fetched."""
        del self._tracked[tracked.key]

    def holds(self, tracked: TrackedSubscription) -> bool:
        """Whether this very subscription can still be fetched, and not another one in its place."""
        return self._tracked.get(tracked.key) is tracked

    def is_newest(self, tracked: TrackedSubscription) -> bool:
        """Whether it is the newest of its feed: after a move the old one lives on for a while."""
        newest = next((other for other in reversed(self._tracked.values()) if other.feed == tracked.feed), None)
        return newest is tracked

    def give_turn(self, tracked: TrackedSubscription) -> None:
        """It is its turn to be fetched."""
        self._turn += 1
        tracked.turn = self._turn
        tracked.fetching = True

    def fetch_begins(self, tracked: TrackedSubscription) -> FetchTarget:
        """Its fetch is about to be sent; under which key and id."""
        target = tracked.target
        self.in_flight[target] += 1
        self.counters.fetches += 1
        return target

    def fetch_ended(self, tracked: TrackedSubscription, target: FetchTarget) -> None:
        """Its fetch, begun under `target`, has ended in whatever way."""
        tracked.fetching = False
        self.in_flight[target] -= 1
        if not self.in_flight[target]:
            del self.in_flight[target]

    def wake(self) -> None:
        """Something may be due that was not."""
        self.woken.set()


def feed_of(key: Key) -> str:
    """The feed that a subscription is: its end user, and which of several it is."""
    return key.user if not key.slot else f"{key.user}/{key.slot + 1}"
