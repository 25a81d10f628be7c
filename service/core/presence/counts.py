"""How many contacts are in which state: the counts of a summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from pws_soap.models import PresenceState
from service.core.presence.availability import AvailabilityVerdict
from service.core.presence.claim import Claim
from service.core.presence.freshness import Freshness, Level
from service.core.presence.records import Record
from service.core.presence.snapshot import with_claim

Judge = Callable[[Record, Freshness, float], AvailabilityVerdict]
"""A rule for who is free, at a moment of the monotonic clock."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many contacts: in all, by their last known state, by freshness, on the phone, and free."""

    total: int
    by_state: Mapping[PresenceState, int]
    by_freshness: Mapping[Level, int]
    on_the_phone: int
    available: int


@dataclass(frozen=True, slots=True)
class Summary:
    """The counts of all contacts, and of each group's."""

    counts: Counts
    groups: Mapping[str, Counts]
    revision: int


def count(
    contacts: Iterable[tuple[Record, Freshness]], judge: Judge, now: float, held: Callable[[str], Claim | None]
) -> Counts:
    """Count them at the moment `now`, claims counted."""
    states: Counter[PresenceState] = Counter()
    levels: Counter[Level] = Counter()
    phone = available = 0
    for record, freshness in contacts:
        states[record.state] += 1
        levels[freshness.level] += 1
        phone += record.presence is not None and record.presence.on_the_phone is True
        available += with_claim(judge(record, freshness, now), held(record.key)).available
    return Counts(
        states.total(),
        {state: states[state] for state in PresenceState},
        {level: levels[level] for level in Level},
        phone,
        available,
    )
