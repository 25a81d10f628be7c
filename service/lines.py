"""What the pump knows: its settings, each subscription that can be fetched, and what it counts."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from pws_soap.lifecycle import Key
from service.clock import Moment
from service.inbox import SubscriptionRef
from service.keeper import Live


@dataclass(frozen=True, slots=True, kw_only=True)
class PumpSettings:
    """Times in seconds; a `reconcile_interval` of 0 means never. `rich` names the end users with RICH presence."""

    safety_interval: float = 600.0
    reconcile_interval: float = 3600.0
    max_parallel: int = 4
    heartbeat_interval: float = 30.0
    """Seconds without an answer of the server after which one contact is polled; 0: never."""
    late: float = 60.0
    """How long after its time-out a request may still be carried out."""
    rich: frozenset[str] = frozenset()


class LineLost(Exception):
    """A subscription cannot be fetched now; the message says why."""


@dataclass(slots=True)
class Line:
    """What the pump knows of one subscription that can be fetched."""

    live: Live
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
    shaky_until: float = 0.0
    """Until when a fetch that timed out may still be carried out, and take changes with it; 0: no such fetch."""
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
    last_announced: float = 0.0
    last_notification: Moment | None = None
    last_fetch: Moment | None = None
    last_error: str | None = None
    notifications: int = 0
    fetches: int = 0
    missed: int = 0
    missed_since: float = 0.0
    waiters: list[asyncio.Future[int]] = field(default_factory=list)


@dataclass(slots=True)
class Counters:
    """Since the start; see `service.engine.FetchCounters`."""

    fetches: int = 0
    polls: int = 0
    failures: int = 0
    unknown_outcomes: int = 0
    missed_notifications: int = 0
    drift: int = 0


def feed_of(key: Key) -> str:
    """The feed that a subscription is: its end user, and which of several it is."""
    return key.user if not key.slot else f"{key.user}/{key.slot + 1}"
