"""A contact at one moment: its record, how sure it is, whether it is available, and the claim that holds it.

The event log keeps one of each contact. They are structs that the collection of garbage leaves out: none is part of a
circle, and going through those of a hundred thousand contacts would hold up everybody.
"""

from __future__ import annotations

from typing import Final

import msgspec

from service.core.presence.availability import AvailabilityVerdict, Opinion
from service.core.presence.claim import Claim
from service.core.presence.freshness import Freshness
from service.core.presence.records import Record

Marks = int | tuple[int, ...]
"""Ids of events: the last one that changed the name or the freshness; then, for each of the opinions, the last one that
changed these or whether the contact is available by it. A number alone stands for all of them, where they are equal."""
CLAIMED: Final = AvailabilityVerdict(False, "claimed")
"""The verdict on a contact that the rules call free and a claim holds."""


def with_claim(verdict: AvailabilityVerdict, claim: Claim | None) -> AvailabilityVerdict:
    """What the rules say, claims counted: a contact that is held is not available to others.

    This is the one place where that is decided. Rules know nothing of claims; what says whether a contact is
    available passes its verdict through here.
    """
    return verdict if claim is None or not verdict.available else CLAIMED


class ContactSnapshot(msgspec.Struct, frozen=True, gc=False):
    """A contact, how sure its state is, whether it is free, and the claim that holds it."""

    record: Record
    freshness: Freshness
    verdict: AvailabilityVerdict
    claim: Claim | None = None


class GroupedSnapshot(msgspec.Struct, frozen=True, gc=False):
    """A contact as the event log has it, and what the rule of each of its groups says (claims left aside).

    `marks` are the ids of the events that last changed what keys without details see of it, see
    `service.core.presence.brief`.
    """

    contact: ContactSnapshot
    opinions: tuple[Opinion, ...]
    marks: Marks = 0

    def available_by_group(self) -> list[tuple[str | None, bool]]:
        """Whether it is available by the rule of each of its groups, claims counted; in the order of `opinions`."""
        return [(group, with_claim(verdict, self.contact.claim).available) for group, verdict in self.opinions]
