"""Whether a contact can be given a task now: a small rule for each group, decided when it is asked.

A state says how a person is, not whether the next call may go there: that depends on the task. So each group has a
`Rule`, and the first row that fits decides:

| what is so | free |
|---|---|
| the presence is not live | no: nothing is sure |
| a call, a meeting, or another activity that never does | no |
| the state is not one of the free ones | no |
| idle for longer than the bound | no |
| the last call ended too short a time ago (wrap-up) | no |
| all this has been so for too short a time (dwell) | no |
| otherwise | yes |

A contact of several groups is free if each of their rules says so, one of no group by the common rule. Reasons hold no
number that runs, so that an answer is the same as long as nothing changes. Times are monotonic.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from pws_soap.models import PresenceState, same_contact
from pws_soap.pidf.rule import IN_CALL, MEETINGS, RINGING
from service.core.presence.freshness import Freshness, Level
from service.core.presence.records import Record

NEVER: Final = ("on-the-phone", "alerting", "meeting")
"""Activities that no task goes with, where a rule does not say otherwise."""
_SAME: Final = (IN_CALL, RINGING, MEETINGS)
"""Words that mean the same: a rule that names one means all of them."""


class AvailabilityVerdict(NamedTuple):
    """Whether the contact is free, and why (not)."""

    available: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Rule:
    """What counts as free for a task. Times in seconds.

    `states`: those that are free. `never`: activities that are not, whatever the state; one of the words for a call,
    ringing or a meeting stands for all of them. `max_idle`: idle for longer is not free; None: idle does not matter.
    `dwell`: free only after having been so for that long. `wrap_up`: not free for that long after a call.
    """

    states: frozenset[PresenceState] = frozenset({PresenceState.AVAILABLE})
    never: frozenset[str] = frozenset(NEVER)
    max_idle: float | None = 600.0
    dwell: float = 0.0
    wrap_up: float = 0.0

    def __post_init__(self) -> None:
        never = {word.casefold() for word in self.never}
        for words in _SAME:
            if not words.isdisjoint(never):
                never |= words
        object.__setattr__(self, "never", frozenset(never))  # the documented way in a frozen dataclass


DEFAULT: Final = Rule()
_UNSURE: Final = {
    Level.STALE: AvailabilityVerdict(False, "stale: its last known state may no longer be true"),
    Level.UNKNOWN: AvailabilityVerdict(False, "it was never read"),
}
_LIVE: Final = Level.LIVE
_UNREAD: Final = _UNSURE[Level.UNKNOWN]
_ON_THE_PHONE: Final = AvailabilityVerdict(False, "on the phone")
_IN_MEETING: Final = AvailabilityVerdict(False, "in a meeting")
_FREE: Final = {state: AvailabilityVerdict(True, f"is {state}") for state in PresenceState}
_NOT_FREE: Final = {state: AvailabilityVerdict(False, f"is {state}") for state in PresenceState}


def decide(record: Record, freshness: Freshness, rule: Rule, now: float) -> AvailabilityVerdict:
    """The table above. `now` is monotonic."""
    if freshness.level is not _LIVE:
        return _UNSURE[freshness.level]
    presence, spans = record.presence, record.spans
    if presence is None or spans is None:
        return _UNREAD
    never = rule.never
    if presence.on_the_phone and not never.isdisjoint(IN_CALL):
        return _ON_THE_PHONE
    if presence.in_meeting and not never.isdisjoint(MEETINGS):
        return _IN_MEETING
    activities = presence.activities
    if activities and not never.isdisjoint(activities):
        return _doing(next(word for word in activities if word in never))
    if presence.state not in rule.states:
        return _NOT_FREE[presence.state]
    if spans.idle is not None and rule.max_idle is not None and now - spans.idle > rule.max_idle:
        return _within("idle for more than", rule.max_idle)
    if rule.wrap_up and spans.call_ended is not None and now - spans.call_ended < rule.wrap_up:
        return _within("wrap-up: a call ended within the last", rule.wrap_up)
    if rule.dwell and now - spans.same < rule.dwell:
        return _within("dwell: so for less than", rule.dwell)
    return _FREE[presence.state]


@lru_cache(maxsize=256)
def _doing(word: str) -> AvailabilityVerdict:
    return AvailabilityVerdict(False, f"activity {word}")


@lru_cache(maxsize=256)
def _within(what: str, seconds: float) -> AvailabilityVerdict:
    return AvailabilityVerdict(False, f"{what} {seconds:g} s")


@lru_cache(maxsize=1024)
def _named(group: str, reason: str) -> AvailabilityVerdict:
    return AvailabilityVerdict(False, f"{group}: {reason}")


class Opinion(NamedTuple):
    """What the rule of one group says; `group` is None for the common rule."""

    group: str | None
    verdict: AvailabilityVerdict


def among(opinions: Iterable[Opinion], groups: frozenset[str], *, alone: bool) -> AvailabilityVerdict:
    """What some groups' rules say together of a contact that is live. `alone`: a reason needs no group's name."""
    found = _UNREAD
    for group, verdict in opinions:
        if group not in groups:
            continue
        if not verdict.available:
            return verdict if alone or group is None else _named(group, verdict.reason)
        found = verdict
    return found


def together(opinions: Iterable[Opinion]) -> AvailabilityVerdict:
    """What all rules of a contact that is live say together, as `Availability.judge` does."""
    found = _UNREAD
    for group, verdict in opinions:
        if not verdict.available:
            return verdict if group is None else _named(group, verdict.reason)
        found = verdict
    return found


class Availability:
    """The rules of all groups over the contacts in them. `common` is for contacts of no group."""

    def __init__(
        self,
        groups: Mapping[str, Iterable[str]],
        rules: Mapping[str, Rule] | None = None,
        common: Rule = DEFAULT,
    ) -> None:
        rules = rules or {}
        self._common = common
        self._rules = {name: rules.get(name, common) for name in groups}
        self._of: dict[str, tuple[tuple[str, Rule], ...]] = {}  # by contact's key
        for name, contacts in groups.items():
            for key in dict.fromkeys(map(same_contact, contacts)):
                self._of[key] = (*self._of.get(key, ()), (name, self._rules[name]))
        self._rules_of = {key: tuple(rule for _, rule in each) for key, each in self._of.items()}
        self._commonly = (common,)

    def __repr__(self) -> str:
        return f"<Availability of {len(self._rules)} groups>"

    def judge(
        self, record: Record, freshness: Freshness, now: float, within: frozenset[str] | None = None
    ) -> AvailabilityVerdict:
        """What all rules of the contact say together; a reason against names the group whose rule it is.

        Of the groups `within` only, where given.
        """
        groups = self._of.get(record.key)
        if groups is None or freshness.level is not _LIVE:  # what is not live is so for every group
            return decide(record, freshness, self._common, now)
        verdict = _UNREAD
        for name, rule in groups:
            if within is not None and name not in within:
                continue
            verdict = decide(record, freshness, rule, now)
            if not verdict.available:
                return _named(name, verdict.reason)
        return verdict

    def judge_for(self, group: str, record: Record, freshness: Freshness, now: float) -> AvailabilityVerdict:
        """What the rule of one group says. KeyError: there is no such group."""
        return decide(record, freshness, self._rules[group], now)

    def groups(self, key: str) -> tuple[tuple[str, Rule], ...]:
        """The groups of a contact and their rules, by its key."""
        return self._of.get(key, ())

    def rules(self, key: str) -> tuple[Rule, ...]:
        """The rules that a contact goes by, by its key."""
        return self._rules_of.get(key, self._commonly)

    def opinions(self, record: Record, freshness: Freshness, now: float) -> list[Opinion]:
        """What each rule of the contact says."""
        groups = self._of.get(record.key)
        if groups is None:
            return [Opinion(None, decide(record, freshness, self._common, now))]
        return [Opinion(name, decide(record, freshness, rule, now)) for name, rule in groups]
