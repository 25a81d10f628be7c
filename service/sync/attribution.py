"""What of a reply is about nobody whom its subscription may carry, and how that is said: it may be about anybody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pws_soap.models import Presence
from service.sync.subscriptions import TrackedSubscription

_SHOWN: Final = 60
"""Characters shown of a name that no subscription carries."""


def unattributed(tracked: TrackedSubscription, presences: Sequence[Presence]) -> list[Presence]:
    """The entries that name nobody whom the subscription carries, or may ever have carried."""
    if presences is tracked.attributed:
        return []
    if tracked.subscription.contacts.issuperset([each.contact for each in presences]):  # nearly always
        return []
    return [each for each in presences if not each.contact or not tracked.may_carry(each.contact)]


def described(entries: Sequence[Presence]) -> str:
    """The first of such entries, in words."""
    named = _named(entries)
    without = f"an entry without a contact ({entries[0].problem})"
    return f"{named}, which is not one of its contacts" if named else without


def doubt(entries: Sequence[Presence]) -> str:
    """Why all contacts of the subscription are in doubt."""
    about = _named(entries) or f"nobody that is named ({entries[0].problem})"
    return f"a reply told of {about}, which may have been about this contact"


def _named(entries: Sequence[Presence]) -> str:
    """The first name among them, quoted; empty where they have none."""
    return next((f"{each.contact[:_SHOWN]!a}" for each in entries if each.contact), "")
