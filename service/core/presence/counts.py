"""How many contacts are in which state: the counts of a summary."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf

from pws_soap.models import PresenceState
from service.core.presence.availability import Availability, decide
from service.core.presence.freshness import Level
from service.core.presence.look import Look
from service.core.presence.records import Record
from service.core.presence.snapshot import with_claim
from service.core.presence.steps import Steps


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
    """The counts of all contacts, and of each group's. Time alone changes nothing of it up to `until`, monotonic."""

    counts: Counts
    groups: Mapping[str, Counts]
    revision: int
    until: float = inf


class Tally:
    """Counts contacts one by one."""

    def __init__(self) -> None:
        self._states = dict.fromkeys(PresenceState, 0)
        self._levels = dict.fromkeys(Level, 0)
        self._on_the_phone = self._available = 0

    def add(self, record: Record, level: Level, *, available: bool, times: int = 1) -> None:
        """Count a contact; `available` with claims counted. `times`: -1 to count it no longer."""
        presence = record.presence
        self._levels[level] += times
        if available:
            self._available += times
        if presence is None:
            self._states[PresenceState.UNKNOWN] += times
            return
        self._states[presence.state] += times
        if presence.on_the_phone is True:
            self._on_the_phone += times

    def counts(self) -> Counts:
        """What was counted so far."""
        total = sum(self._levels.values())
        return Counts(total, dict(self._states), dict(self._levels), self._on_the_phone, self._available)


def count(
    look: Look, availability: Availability, groups: Iterable[str], within: frozenset[str] | None
) -> Steps[tuple[Counts, dict[str, Counts]]]:
    """Count all contacts that somebody sees who may see the groups `within`, and those of each of `groups`."""
    whole, by_group = Tally(), {name: Tally() for name in groups}
    parts = look.parts()
    some = next(parts, None)
    while some is not None:
        for record, freshness in look.assessed(some):
            groups_of = availability.groups(record.key)
            if within is not None and not any(name in within for name, _ in groups_of):
                continue
            level, claim = freshness.level, look.held(record.key)
            verdict = availability.judge(record, freshness, look.now, within)
            whole.add(record, level, available=with_claim(verdict, claim).available)
            for name, rule in groups_of:
                if name in by_group:
                    verdict = decide(record, freshness, rule, look.now)
                    by_group[name].add(record, level, available=with_claim(verdict, claim).available)
        some = next(parts, None)
        if some is not None:
            yield
    return whole.counts(), {name: tally.counts() for name, tally in by_group.items()}
