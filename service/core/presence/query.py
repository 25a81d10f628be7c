"""Which contacts an answer holds, and what it says of each: filters and counts over the store, at one moment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from typing import Final, TypeVar

from pws_soap.models import same_contact
from service.core.clock import Clock
from service.core.presence.availability import Availability, AvailabilityVerdict, Opinion, Rule, among, together
from service.core.presence.claim import Claim, Claims, NoClaims
from service.core.presence.counts import Counts, Summary, count
from service.core.presence.cursors import replica_mark
from service.core.presence.filters import Filter, Unknown, passes
from service.core.presence.freshness import Freshness, Level, assess
from service.core.presence.look import Held, Look
from service.core.presence.paging import OrderUse, Page, Pager
from service.core.presence.records import Record
from service.core.presence.snapshot import ContactSnapshot, GroupedSnapshot, with_claim
from service.core.presence.sorting import BY_CONTACT, Sort
from service.core.presence.steps import Steps, at_once, in_turns
from service.core.presence.store import Store

__all__ = ["ContactSnapshot", "Counts", "Filter", "GroupedSnapshot", "Page", "Reader", "Summary", "Unknown"]

_MAX_KEPT_MEMBERS: Final = 64
"""Combinations of groups whose members are kept."""
_ANY: Final = Filter()
_TRIES: Final = 3
"""Times that very many contacts are asked in turns, before they are asked in one."""
T = TypeVar("T")
_Judge = Callable[[Record, Freshness, float], AvailabilityVerdict]
"""A rule for who is free, at a moment of the monotonic clock."""


class Reader:
    """Reads the store with freshness and availability decided for the moment of reading.

    `bound` in seconds, see `service.core.presence.freshness`; `availability` knows the same groups, and by default one
    rule for all.
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
        self._members_of: dict[tuple[frozenset[str], frozenset[str] | None], frozenset[str] | None] = {}
        self._pager = Pager(store, clock, self._passing)
        self._reread = 0
        store.changes.listen_for_reread(self._count_rereading)

    def name_replica(self, name: str) -> None:
        """Have the cursors of orders that are kept here say so: this is one of several replicas."""
        self._pager.replica = replica_mark(name)

    def _count_rereading(self) -> None:
        self._reread += 1

    @property
    def groups(self) -> Mapping[str, frozenset[str]]:
        """The keys of each group's contacts, watched or not."""
        return self._groups

    def one(
        self, contact: str, bound: float | None = None, within: frozenset[str] | None = None
    ) -> ContactSnapshot | None:
        """The contact, or None when it is not watched or in no group of `within`.

        A `bound` below the usual one is the client's own.
        """
        found = self.one_until(contact, bound, within)
        return None if found is None else found[0]

    def one_until(
        self, contact: str, bound: float | None = None, within: frozenset[str] | None = None
    ) -> tuple[ContactSnapshot, float] | None:
        """The same, and the monotonic moment up to which time alone changes nothing of it."""
        record = self._store.get(contact)
        if record is None or (within is not None and not self.is_visible(record.key, within)):
            return None
        look = self._look(bound, self._claims.held)
        _, freshness = next(look.assessed((record,)))
        verdict = self._availability.judge(record, freshness, look.now, within)
        return _contact(look, record, freshness, verdict, within), look.until

    def is_visible(self, key: str, within: frozenset[str] | None) -> bool:
        """Whether a client that may see the groups `within` may see the contact."""
        return within is None or any(key in self._groups.get(name, ()) for name in within)

    def opinions(self, contact: ContactSnapshot, within: frozenset[str] | None = None) -> list[Opinion]:
        """What the rule of each of the contact's groups says now; of the groups `within` only, where given."""
        found = self._availability.opinions(contact.record, contact.freshness, self._clock.monotonic())
        return [each for each in found if within is None or each.group in within]

    def snapshot(self, record: Record) -> GroupedSnapshot:
        """The contact now, with the opinions of all its groups."""
        now = self._clock.monotonic()
        freshness = assess(record, self._store.feeds()[record.feed], now, self._bound)
        opinions = _shared(tuple(self._availability.opinions(record, freshness, now)))
        # What is not live is so for every group.
        verdict = together(opinions) if freshness.level is Level.LIVE else opinions[0].verdict
        claim = self._claims.held(record.key)
        return GroupedSnapshot(ContactSnapshot(record, freshness, with_claim(verdict, claim), claim), opinions)

    def rules(self, key: str) -> tuple[Rule, ...]:
        """The rules that a contact goes by, by its key."""
        return self._availability.rules(key)

    def held(self, key: str) -> Claim | None:
        """The claim on a contact, by its key."""
        return self._claims.held(key)

    def visible_to(self, snapshot: GroupedSnapshot, wanted: Filter) -> ContactSnapshot | None:
        """The contact of a snapshot, as a client with this filter sees it; None where it does not pass.

        Raises Unknown for an unknown group.
        """
        contact, opinions = snapshot.contact, snapshot.opinions
        record, freshness, verdict, claim = contact.record, contact.freshness, contact.verdict, contact.claim
        members = self.members(wanted)
        if not passes(record, freshness, wanted, members):
            return None
        groups = wanted.groups if len(wanted.groups) == 1 else wanted.within
        if groups is not None and freshness.level is Level.LIVE:
            verdict = with_claim(among(opinions, groups, alone=len(wanted.groups) == 1), claim)
        contact = ContactSnapshot(record, freshness, verdict, claim and claim.limited_to(wanted.within))
        if wanted.available is not None and contact.verdict.available is not wanted.available:
            return None
        return contact

    @property
    def bound(self) -> float:
        """Seconds without confirmation after which a state is stale."""
        return self._bound

    async def not_confirmed_within(self, max_age: float, wanted: Filter) -> list[str]:
        """The contacts that `wanted` may be about and that were not confirmed within `max_age` seconds.

        State, activity, freshness and availability do not count: whether they hold is what is to be found out.
        """
        return (await in_turns(self._not_confirmed_within(max_age, wanted), self._clock))[0]

    def _not_confirmed_within(self, max_age: float, wanted: Filter) -> Steps[list[str]]:
        look, members, found = self._look(), self.members(wanted), list[str]()
        asked = Filter(groups=wanted.groups, text=wanted.text)
        parts = look.parts()
        some = next(parts, None)
        while some is not None:
            found += [
                record.contact
                for record, freshness in look.assessed(some)
                if passes(record, freshness, asked, members) and not _is_younger(freshness, max_age, look.now)
            ]
            some = next(parts, None)
            yield
        return found

    async def page(
        self,
        wanted: Filter,
        limit: int,
        cursor: str | None = None,
        bound: float | None = None,
        *,
        sort: Sort = BY_CONTACT,
        key_name: str = "",
        client: str = "",
    ) -> Page:
        """At most `limit` contacts that pass, in several turns where there are very many contacts; see `Pager.page`."""
        asked = partial(self._pager.page, wanted=wanted, limit=limit, cursor=cursor)
        return await self._in_turns(partial(asked, sort=sort, key_name=key_name, client=client), bound)

    def use(self, order: OrderUse, client: str) -> bool:
        """Use the order of a page that is shown once more; False where it is kept no longer."""
        return self._pager.use(order, client)

    def _passing(
        self, look: Look, parts: Iterable[Sequence[Record]], wanted: Filter
    ) -> Iterator[ContactSnapshot | None]:
        """Those that pass, in the order in which they come; None between two parts."""
        members, judge, available = self.members(wanted), self._judge(wanted), wanted.available
        any_will_do = wanted == _ANY
        rest = iter(parts)
        some = next(rest, None)
        while some is not None:
            for record, freshness in look.assessed(some):
                if not (any_will_do or passes(record, freshness, wanted, members)):
                    continue
                contact = _contact(look, record, freshness, judge(record, freshness, look.now), wanted.within)
                if available is None or contact.verdict.available is available:
                    yield contact
            some = next(rest, None)  # before the pause: what it is made of is taken now
            if some is not None:
                yield None

    async def summary(self, within: frozenset[str] | None = None) -> Summary:
        """Counts of all and by group; a group counts those of its contacts that are watched, free by its own rule.

        Of the groups `within` only, where given. In several turns where there are very many contacts.
        """
        return await self._in_turns(partial(self._summary, within=within))

    def _summary(self, look: Look, within: frozenset[str] | None) -> Steps[Summary]:
        groups = [name for name in self._groups if within is None or name in within]
        counts, by_group = yield from count(look, self._availability, groups, within)
        return Summary(counts, by_group, look.revision, look.until)

    def _look(self, bound: float | None = None, held: Held | None = None) -> Look:
        bound = self._bound if bound is None else min(bound, self._bound)
        held = self._claims.taken().get if held is None else held
        return Look(self._store, self._availability, held, bound, self._clock.monotonic(), lambda: self._reread)

    async def _in_turns(self, asked: Callable[[Look], Steps[T]], bound: float | None = None) -> T:
        """What was so when it was asked, and that nothing of it that is called live is in doubt by now.

        It is asked anew where something is. In the end it is asked in one turn: an answer may hold up others, but it
        may not be wrong.
        """
        for _ in range(_TRIES):
            look = self._look(bound)
            found, has_paused = await in_turns(asked(look), self._clock)
            if not (has_paused and look.is_refuted()):
                return found
        return at_once(asked(self._look(bound)))

    def _judge(self, wanted: Filter) -> _Judge:
        if len(wanted.groups) == 1:
            (group,) = wanted.groups
            return partial(self._availability.judge_for, group)
        return partial(self._availability.judge, within=wanted.within) if wanted.within else self._availability.judge

    def members(self, wanted: Filter) -> frozenset[str] | None:
        """The keys that the groups asked for, or else those that may be seen, have; None: all. Raises Unknown."""
        asked = (wanted.groups, wanted.within)
        if asked not in self._members_of:  # a stream asks for each event
            if len(self._members_of) >= _MAX_KEPT_MEMBERS:
                self._members_of.clear()
            self._members_of[asked] = self._members(wanted)
        return self._members_of[asked]

    def _members(self, wanted: Filter) -> frozenset[str] | None:
        visible = self._groups if wanted.within is None else {name: self._groups[name] for name in wanted.within}
        for name in wanted.groups:
            if name not in visible:
                raise Unknown("group", "one of " + ", ".join(sorted(visible)) if visible else "no group")
        asked = wanted.groups or wanted.within
        if asked and len(asked) == 1:
            (name,) = asked
            return visible[name]
        return _union(visible[name] for name in asked or ()) if asked or wanted.within is not None else None


def _contact(
    look: Look,
    record: Record,
    freshness: Freshness,
    verdict: AvailabilityVerdict,
    within: frozenset[str] | None = None,
) -> ContactSnapshot:
    claim = look.held(record.key)
    if claim is None:
        return ContactSnapshot(record, freshness, verdict)
    return ContactSnapshot(record, freshness, with_claim(verdict, claim), claim.limited_to(within))


@lru_cache(maxsize=4096)
def _shared(opinions: tuple[Opinion, ...]) -> tuple[Opinion, ...]:
    """The same for all contacts of whom the same is said: there are few, and the event log keeps them."""
    return opinions


def _union(sets: Iterable[frozenset[str]]) -> frozenset[str]:
    return frozenset().union(*sets)


def _is_younger(freshness: Freshness, max_age: float, now: float) -> bool:
    """Whether it is sure, and was confirmed at most so many seconds ago."""
    as_of = freshness.as_of
    return freshness.level is Level.LIVE and as_of is not None and now - as_of.monotonic <= max_age
