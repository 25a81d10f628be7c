"""A contact at one moment: its record, how sure it is, whether it is available, and the claim that holds it."""

from __future__ import annotations

from typing import Final, NamedTuple

from service.core.presence.availability import AvailabilityVerdict, Opinion
from service.core.presence.claim import Claim
from service.core.presence.freshness import Freshness
from service.core.presence.records import Record


class ContactSnapshot(NamedTuple):
    """A contact, how sure its state is, whether it is free, and the claim that holds it."""

    record: Record
    freshness: Freshness
    verdict: AvailabilityVerdict
    claim: Claim | None = None


class Marks(NamedTuple):
    """The ids of the events that last changed what keys without details see of a contact, see
    `service.core.presence.brief`.

    `shown`: its name and freshness; `free`: whether it is available, for each of the opinions.
    """

    shown: int = 0
    free: tuple[int, ...] = ()


class GroupedSnapshot(NamedTuple):
    """A contact as it is told of, and what the rule of each of its groups says (claims left aside)."""

    known: ContactSnapshot
    opinions: tuple[Opinion, ...]
    marks: Marks = Marks()


CLAIMED: Final = AvailabilityVerdict(False, "claimed")
"""What is said of somebody whom the rules call free and a claim holds."""
