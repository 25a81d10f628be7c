"""What the pump knows: its settings, each subscription that can be fetched, and what it counts."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import NamedTuple

from pws_soap.lifecycle import Key
from pws_soap.models import Secret, Session
from service.core.clock import Moment
from service.sync.inbox import SubscriptionRef


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


class SubscriptionGone(Exception):
    """A subscription cannot be fetched now; the message says why."""


@dataclass(slots=True)
class TrackedSubscription:
    """What the pump knows of one subscription that can be fetched."""

    live: LiveSubscription
    ref: SubscriptionRef
    feed: str
    interval: float
    fetch_due: float
    sweep_due: float
    beat_due: float = 0.0
    beats: int = 0
    sweep_counts: bool = True
    """Whether what the sweep finds different is drift."""
    sweep_left: list[str] = field(default_factory=list)
    """What a sweep that is under way has still to poll."""
    carried: set[str] = field(default_factory=set)
    """Keys of all contacts that this subscription may ever have carried: whom its replies may name."""
    first_due: float | None = None
    """Until when its first notification must come; None once one has come, or is overdue."""
    silent_since: float = 0.0
    """Since when the first notification is overdue; 0: it is not."""
    suspected_at: float | None = None
    """When a change was found of which no notification had told; one that is just late clears it."""
    strange: int = 0
    """How many fetches in a row named somebody whom nobody here watches, or nobody at all."""
    strange_since: float = 0.0
    strange_what: str = ""
    fetching: bool = False
    polling: bool = False
    fetch_failures: int = 0
    failing_since: float = 0.0
    poll_failures: int = 0
    poll_due: float = 0.0
    poll_error: str | None = None
    polls_failing_since: float = 0.0
    announced: bool = True
    """Whether a notification came since the last fetch began."""
    last_notification: Moment | None = None
    last_fetch: Moment | None = None
    last_error: str | None = None
    notifications: int = 0
    fetches: int = 0
    missed: int = 0
    missed_since: float = 0.0
    waiters: list[asyncio.Future[int]] = field(default_factory=list)

    @property
    def use(self) -> Use:
        """The key and id under which it is fetched."""
        return Use(self.ref, self.live.session.key)


class Use(NamedTuple):
    """A session key and a subscription's id: what the server hands changes out for, once."""

    ref: SubscriptionRef
    key: Secret


@dataclass(slots=True)
class FetcherCounters:
    """Since the start; see `service.core.engine.FetcherCounters`."""

    fetches: int = 0
    polls: int = 0
    failures: int = 0
    unknown_outcomes: int = 0
    missed_notifications: int = 0
    drift: int = 0
    unattributed: int = 0


def feed_of(key: Key) -> str:
    """The feed that a subscription is: its end user, and which of several it is."""
    return key.user if not key.slot else f"{key.user}/{key.slot + 1}"


@dataclass(frozen=True, slots=True)
class LiveSubscription:
    """A subscription that can be fetched."""

    key: Key
    generation: int
    id: int
    session: Session
    session_generation: int
    contacts: frozenset[str] = field(repr=False)
    """Those that it carries for certain."""
    perhaps: frozenset[str] = field(repr=False)
    """Those that a request under way may be adding or taking out."""
