"""The names of all events, as clients and targets of webhooks see them. docs/events.md says what each has in it."""

from __future__ import annotations

from typing import Final

from service.core.events.event import CHANGE, REMOVED, WEBHOOK_PARKED, WEBHOOK_RECOVERED

EVENT_NAMES: Final = (
    CHANGE,
    REMOVED,
    "subscription.lost",
    "subscription.renewed",
    "subscription.recreated",
    "subscription.failed-over",
    "subscription.missed",
    "claim.made",
    "claim.renewed",
    "claim.released",
    "claim.expired",
    "claim.unavailable",
    "coverage.low",
    "coverage.restored",
    WEBHOOK_PARKED,
    WEBHOOK_RECOVERED,
)
"""All that the event log can hold. Those of subscriptions and claims are made in `sync` and `claims`; a test holds
them equal."""
