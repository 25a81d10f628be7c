"""One entry of the event log: a contact that changed or left, or something beside the contacts, as a value.

Nothing here is written as JSON: two clients may see different parts of one event, so that the api renders it for each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from msgspec import Struct

from service.core.clock import Moment
from service.core.presence.snapshot import GroupedSnapshot

CHANGE: Final = "change"
REMOVED: Final = "removed"
WEBHOOK_PARKED: Final = "webhook.parked"
"""Nothing is sent to a target any more until somebody acts."""
WEBHOOK_RECOVERED: Final = "webhook.recovered"
"""A target that was parked takes what it is sent again."""


class EventData:
    """Base of the values that say what happened beside the contacts; each has its form in `api.writers.event`."""

    __slots__ = ()


class Event(Struct, frozen=True, gc=False):
    """One thing that happened. `id` is its revision. No collection of garbage looks at it: nothing in it is a circle.

    `change`: `after` is the contact now, `before` as the event before it left it (None: the contact is new).
    `removed`: only `before` is set. Any other `name` is an event beside the contacts: `data` is a frozen value that
    says what happened (`SubscriptionChange`, `ClaimEvent`, `CoverageChange`, `WebhookChange`) and holds no secret,
    `keys` are the contacts that it is about (None: it is about all). `weight` is how many contacts `data` holds.
    """

    id: int
    name: str
    at: Moment
    key: str | None = None
    after: GroupedSnapshot | None = None
    before: GroupedSnapshot | None = None
    data: EventData | None = None
    keys: frozenset[str] | None = None
    weight: int = 1


@dataclass(frozen=True, slots=True)
class SubscriptionChange(EventData):
    """What became of an end user's subscriptions on a node. `origin`: the node that the end user has left for it."""

    end_user: str
    node: str
    reason: str | None = None
    origin: str | None = None


@dataclass(frozen=True, slots=True)
class WebhookChange(EventData):
    """What became of a target of webhooks, by its name in the configuration. `reason`: why it is parked."""

    target: str
    reason: str | None = None
