"""What an event beside the contacts is about: the `subject` of its message, within which messages keep their order."""

from __future__ import annotations

from service.core.claims.coverage import CoverageChange
from service.core.claims.model import ClaimEvent
from service.core.events.event import Event, SubscriptionChange


def subject_of(event: Event) -> str:
    """The claim's id, the group, the end user, the target. Events that are about nothing else go by their family."""
    match event.data:
        case ClaimEvent(lease=lease):
            return lease.id
        case CoverageChange(group=group):
            return group
        case SubscriptionChange(end_user=end_user):
            return end_user
        case _:
            return event.name.partition(".")[0]
