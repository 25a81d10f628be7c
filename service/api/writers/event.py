"""Events beside the contacts as JSON: what became of claims, of a group's coverage, of subscriptions, of webhooks.

What one client gets depends on the limits of its key: of its own groups all, with the contacts as it sees them; of
other groups nothing; of subscriptions, and of claims where it sees no details, only that something happened; of targets
of webhooks nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from service.access.principal import Principal
from service.api.models import rfc3339
from service.api.writers.claim import lease_members
from service.api.writers.compact import compact
from service.core.claims.coverage import CoverageChange
from service.core.claims.model import ClaimEvent, ClaimEventKind
from service.core.events.event import Event, SubscriptionChange, WebhookChange
from service.core.presence.snapshot import GroupedSnapshot

WriteContacts = Callable[[Iterable[GroupedSnapshot]], bytes]
"""Writes the contacts that a client may see, as it sees them, with commas between."""


def event_json(event: Event, who: Principal, contacts: WriteContacts) -> bytes | None:
    """The event as `who` may see it; None where it may not know of it."""
    match event.data:
        case ClaimEvent(lease=lease) as change:
            if change.kind is ClaimEventKind.UNAVAILABLE and not who.details:  # it says that a presence changed
                return None
            if not _may_see(lease.group, who):
                return None
            members = _claim(change, contacts) if who.details else b""
        case CoverageChange(group=group) as change:
            if not _may_see(group, who):
                return None
            members = compact({"group": group, "free": change.free, "min_free": change.min_free})[1:-1]
        case SubscriptionChange() as change:
            members = b"" if who.limited else compact(_subscription(change))[1:-1]
        case WebhookChange() as change:
            if who.limited:
                return None
            members = compact({"target": change.target, "reason": change.reason})[1:-1]
        case None:
            members = b""
        case unknown:
            raise TypeError(f"an event whose data is {type(unknown).__name__} has no form for clients")
    head = b'"at":%b,"revision":%d' % (compact(rfc3339(event.at.wall)), event.id)
    return b"{%b,%b}" % (head, members) if members else b"{%b}" % head


def _may_see(group: str, who: Principal) -> bool:
    return who.groups is None or group in who.groups


def _claim(change: ClaimEvent, contacts: WriteContacts) -> bytes:
    claim = b'"claim":{%b}' % lease_members(change.lease, contacts(change.contacts))
    about: dict[str, str] = {}
    if change.person is not None:
        about["contact"] = change.person.contact
    if change.reason is not None:
        about["reason"] = change.reason
    return b"%b,%b" % (claim, compact(about)[1:-1]) if about else claim


def _subscription(change: SubscriptionChange) -> dict[str, str | None]:
    members = {"end_user": change.end_user, "node": change.node, "reason": change.reason}
    return members if change.origin is None else members | {"from": change.origin, "to": change.node}
