"""Which contacts an answer holds: filters, pages and counts over the store, at one moment.

A page begins after a contact, not at a number: contacts are ordered by their key, and the cursor is the last key of the
page before. So whoever walks the pages meets every contact that is there all the time exactly once, whatever is added,
removed or changed meanwhile.
"""

from __future__ import annotations

import base64
import binascii
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple

from pws_soap.models import PresenceState, same_contact
from service.availability import Availability, Opinion, Verdict, among
from service.claims.model import Claim, Claims, NoClaims
from service.clock import Clock
from service.freshness import Freshness, Level, assess
from service.records import Record
from service.store import Store

_CURSOR: Final = b"after:"
_Judge = Callable[[Record, Freshness, float], Verdict]
MAX_CURSOR: Final = 2048
"""Characters of a cursor: the longest contact URI fits with all of its characters in four bytes."""


class Known(NamedTuple):
    """A contact, how sure its state is, whether it is free, and the claim that holds it."""

    record: Record
    freshness: Freshness
    verdict: Verdict
    claim: Claim | None = None


class Told(NamedTuple):
    """A contact as it is told of, and what the rule of each of its groups says (claims left aside)."""

    known: Known
    opinions: tuple[Opinion, ...]


CLAIMED: Final = Verdict(False, "claimed")
"""What is said of somebody whom the rules call free and a claim holds."""


class Unknown(ValueError):
    """A filter or cursor that means nothing here. `parameter` is its name, `expected` says what would."""

    def __init__(self, parameter: str, expected: str) -> None:
        self.parameter = parameter
        self.expected = expected
        super().__init__(f"{parameter}: expected {expected}")


@dataclass(frozen=True, slots=True)
class Filter:
    """What must hold of a contact: all of the kinds given, and of each kind at least one. Empty means any.

    `activities` are without regard to case; `text` is a part of the contact's URI or of its display name. Where one
    group is named, its rule alone decides who is `available`; None means any. `within` are the groups that the asker
    may see: others are as if they did not exist, and so are contacts of none of them; None means all.
    """

    states: frozenset[PresenceState] = frozenset()
    activities: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    levels: frozenset[Level] = frozenset()
    text: str = ""
    available: bool | None = None
    within: frozenset[str] | None = None


_ANY: Final = Filter()


@dataclass(frozen=True, slots=True)
class Page:
    """Some contacts in order; `cursor` leads to the next ones, None when there are none."""

    contacts: tuple[Known, ...]
    cursor: str | None
    revision: int


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


class Reader:
    """Reads the store with freshness and availability decided for the moment of reading.

    `bound` in seconds, see `service.freshness`; `availability` knows the same groups, and by default one rule for all.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        bound: float,
        groups: Mapping[str, Iterable[str]],
        availability: Availability | None = None,
        claims: Claims | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._bound = bound
        self._groups = {name: frozenset(map(same_contact, contacts)) for name, contacts in groups.items()}
        self._availability = availability or Availability(self._groups)
        self._claims = claims or NoClaims()

    @property
    def groups(self) -> Mapping[str, frozenset[str]]:
        """The keys of each group's contacts, watched or not."""
        return self._groups

    def one(self, contact: str, bound: float | None = None, within: frozenset[str] | None = None) -> Known | None:
        """The contact, or None when it is not watched or in no group of `within`.

        A `bound` below the usual one is the asker's own.
        """
        record = self._store.get(contact)
        if record is None or (within is not None and not self.is_visible(record.key, within)):
            return None
        now, (_, freshness) = self._clock.monotonic(), next(self._assessed([record], bound))
        return self._known(record, freshness, self._availability.judge(record, freshness, now, within))

    def is_visible(self, key: str, within: frozenset[str] | None) -> bool:
        """Whether an asker who may see the groups `within` may see the contact."""
        return within is None or any(key in self._groups.get(name, ()) for name in within)

    def opinions(self, known: Known, within: frozenset[str] | None = None) -> list[Opinion]:
        """What the rule of each of the contact's groups says now; of the groups `within` only, where given."""
        found = self._availability.opinions(known.record, known.freshness, self._clock.monotonic())
        return [each for each in found if within is None or each.group in within]

    def _known(self, record: Record, freshness: Freshness, verdict: Verdict) -> Known:
        claim = self._claims.held(record.key)
        return Known(record, freshness, CLAIMED if claim is not None and verdict.available else verdict, claim)

    def told(self, record: Record) -> Told:
        """All that is said of a contact now."""
        now, (_, freshness) = self._clock.monotonic(), next(self._assessed([record]))
        known = self._known(record, freshness, self._availability.judge(record, freshness, now))
        return Told(known, tuple(self._availability.opinions(record, freshness, now)))

    def view(self, told: Told, wanted: Filter) -> Known | None:
        """The contact as an asker with this filter sees it; None where it does not pass. For events, which keep a past.

        Raises Unknown for a group that is none.
        """
        known, opinions = told
        record, freshness, _, claim = known
        members = self._members(wanted)
        if not _passes(record, freshness, wanted, members):
            return None
        groups = wanted.groups if len(wanted.groups) == 1 else wanted.within
        if groups is not None and freshness.level is Level.LIVE:
            verdict = among(opinions, groups, alone=len(wanted.groups) == 1)
            known = Known(record, freshness, CLAIMED if claim is not None and verdict.available else verdict, claim)
        if wanted.available is not None and known.verdict.available is not wanted.available:
            return None
        return known

    @property
    def bound(self) -> float:
        """Seconds without confirmation after which a state is stale."""
        return self._bound

    def older(self, max_age: float, wanted: Filter) -> list[str]:
        """The contacts that `wanted` may be about and that were not confirmed within `max_age` seconds.

        State, activity, freshness and availability do not count: whether they hold is what is to be found out.
        """
        now, members = self._clock.monotonic(), self._members(wanted)
        asked = Filter(groups=wanted.groups, text=wanted.text)
        return [
            record.contact
            for record, freshness in self._assessed(self._store.records())
            if _passes(record, freshness, asked, members) and not _is_younger(freshness, max_age, now)
        ]

    def page(self, wanted: Filter, limit: int, cursor: str | None = None, bound: float | None = None) -> Page:
        """At most `limit` contacts that pass `wanted`. Raises Unknown for a group or cursor that is none."""
        members, now = self._members(wanted), self._clock.monotonic()
        judge = self._judge(wanted)
        found: list[Known] = []
        more, any_will_do = False, wanted == _ANY
        records = self._store.records(_after(cursor) if cursor is not None else "")
        for record, freshness in self._assessed(records, bound):
            if not (any_will_do or _passes(record, freshness, wanted, members)):
                continue
            known = self._known(record, freshness, judge(record, freshness, now))
            if wanted.available is not None and known.verdict.available is not wanted.available:
                continue
            if len(found) == limit:
                more = True
                break
            found.append(known)
        follows = _cursor(found[-1].record.key) if more else None
        return Page(tuple(found), follows, self._store.revision)

    def summary(self, within: frozenset[str] | None = None) -> Summary:
        """Counts of all and by group; a group counts those of its contacts that are watched, free by its own rule.

        Of the groups `within` only, where given.
        """
        now, availability, held = self._clock.monotonic(), self._availability, self._claims.held
        every = {
            record.key: (record, freshness)
            for record, freshness in self._assessed(self._store.records())
            if self.is_visible(record.key, within)
        }
        groups = {
            name: _count(
                (every[key] for key in contacts if key in every), partial(availability.judge_for, name), now, held
            )
            for name, contacts in self._groups.items()
            if within is None or name in within
        }
        judge = partial(availability.judge, within=within)
        return Summary(_count(every.values(), judge, now, held), groups, self._store.revision)

    def _judge(self, wanted: Filter) -> _Judge:
        if len(wanted.groups) == 1:
            (group,) = wanted.groups
            return partial(self._availability.judge_for, group)
        return partial(self._availability.judge, within=wanted.within) if wanted.within else self._availability.judge

    def _assessed(self, records: Iterable[Record], bound: float | None = None) -> Iterator[tuple[Record, Freshness]]:
        now, feeds = self._clock.monotonic(), self._store.feeds()
        bound = self._bound if bound is None else min(bound, self._bound)
        for record in records:
            yield record, assess(record, feeds[record.feed], now, bound)

    def _members(self, wanted: Filter) -> frozenset[str] | None:
        """The keys that the groups asked for, or else those that may be seen, have; None: all."""
        known = self._groups if wanted.within is None else {name: self._groups[name] for name in wanted.within}
        for name in wanted.groups:
            if name not in known:
                raise Unknown("group", "one of " + ", ".join(sorted(known)) if known else "no group")
        asked = wanted.groups or wanted.within
        return _union(known[name] for name in asked or ()) if asked or wanted.within is not None else None


def _union(sets: Iterable[frozenset[str]]) -> frozenset[str]:
    return frozenset().union(*sets)


def _is_younger(freshness: Freshness, max_age: float, now: float) -> bool:
    """Whether it is sure, and was confirmed at most so many seconds ago."""
    as_of = freshness.as_of
    return freshness.level is Level.LIVE and as_of is not None and now - as_of.monotonic <= max_age


def _passes(record: Record, freshness: Freshness, wanted: Filter, members: frozenset[str] | None) -> bool:
    """Whether all but the availability holds."""
    presence = record.presence
    if wanted.states and record.state not in wanted.states:
        return False
    if wanted.levels and freshness.level not in wanted.levels:
        return False
    if members is not None and record.key not in members:
        return False
    if wanted.activities and (
        presence is None or wanted.activities.isdisjoint(activity.casefold() for activity in presence.activities)
    ):
        return False
    if not wanted.text or wanted.text in record.key:
        return True
    return presence is not None and wanted.text in (presence.display_name or "").casefold()


def _count(
    contacts: Iterable[tuple[Record, Freshness]], judge: _Judge, now: float, held: Callable[[str], Claim | None]
) -> Counts:
    states: Counter[PresenceState] = Counter()
    levels: Counter[Level] = Counter()
    phone = available = 0
    for record, freshness in contacts:
        states[record.state] += 1
        levels[freshness.level] += 1
        phone += record.presence is not None and record.presence.on_the_phone is True
        available += judge(record, freshness, now).available and held(record.key) is None
    return Counts(
        states.total(),
        {state: states[state] for state in PresenceState},
        {level: levels[level] for level in Level},
        phone,
        available,
    )


def _cursor(key: str) -> str:
    return base64.urlsafe_b64encode(_CURSOR + key.encode()).decode().rstrip("=")


def _after(cursor: str) -> str:
    """The key that a cursor stands for."""
    try:
        plain = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        key = plain.removeprefix(_CURSOR).decode() if plain.startswith(_CURSOR) else ""
    except (binascii.Error, ValueError):
        key = ""
    if not key:
        raise Unknown("cursor", "a next_cursor of an earlier page, unchanged")
    return key
