"""The rule of claims against a model of it: whatever happens, in whatever order.

The model knows the truth (who is watched, read, live, free; by plain dictionaries and the clock) and hears what the
claim service tells, as its users do. It never looks into the service's memory.
"""

from __future__ import annotations

from typing import Final

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from service.core.claims.coverage import PATIENCE, CoverageChange
from service.core.claims.model import (
    ClaimEvent,
    ClaimEventKind,
    Granted,
    Lease,
    NotEnoughFree,
    PassedOver,
    Pick,
    RejectReason,
)
from service.core.claims.service import ClaimRules
from service.core.claims.wait_queue import Ticket
from service.core.presence.query import Filter
from tests.support import one_turn
from tests.support.branch import AVAILABLE, AWAY, BOUND, BUSY, FEED, Branch, short, uri
from tests.support.examples import examples

GROUPS: Final = {"support": ("ann", "bob", "cid", "dan"), "sales": ("cid", "dan", "eve"), "desk": ("ann", "eve", "fay")}
PICKS: Final = {
    "support": Pick.LONGEST_AVAILABLE,
    "sales": Pick.ROUND_ROBIN,
    "desk": Pick.LEAST_RECENTLY_CLAIMED,
}
FLOORS: Final = {"support": 2, "sales": 1}
PEOPLE: Final = ("ann", "bob", "cid", "dan", "eve", "fay")
MAX_WAITING: Final = 5
RESERVE: Final = 6.0

people = st.sampled_from(PEOPLE)
groups = st.sampled_from(sorted(GROUPS))
counts = st.sampled_from((1, 1, 1, 2, 3))
spans = st.sampled_from((0.5, 5.0, 20.0, 65.0))


class Claims(RuleBasedStateMachine):
    """Steps of users, of presence and of time."""

    def __init__(self) -> None:
        super().__init__()
        self.branch = Branch(GROUPS, ClaimRules(max_waiting=MAX_WAITING, reserve=RESERVE, picks=PICKS, floors=FLOORS))
        self.state: dict[str, object] = {}  # of those that are watched and read
        self.watched: set[str] = set()
        self.read_at: dict[str, float] = {}
        self.confirmed = float("-inf")
        self.doubted = True
        self.leases: dict[str, Lease] = {}
        self.held: dict[str, str] = {}
        self.away: set[str] = set()
        self.waiting: list[Ticket] = []
        self.since: dict[str, float] = {}
        self.last: dict[str, str] = {}
        self.recent: dict[str, int] = {}
        self.made = 0
        self.attended = True
        self.first: dict[str, float] = {}
        self.seen: dict[str, set[str]] = {group: set() for group in FLOORS}
        self.counts: set[str] = set()
        self.low: set[str] = set()
        self.runs: dict[str, float] = {}  # by group: since when somebody waits, with short breaks
        self.quiet: dict[str, float] = {}  # by group: since when nobody does
        self.withheld: dict[str, float] = {}  # since when somebody is free and would satisfy one who waits

    # --- the truth

    @property
    def now(self) -> float:
        return self.branch.clock.monotonic()

    def is_live(self, name: str) -> bool:
        if name not in self.read_at or self.doubted:
            return False
        return self.now - max(self.read_at[name], self.confirmed) <= BOUND

    def is_free(self, name: str) -> bool:
        return self.is_live(name) and self.state[name] is AVAILABLE

    def kept_before(self, ticket: Ticket) -> set[str]:
        """Those who may be kept for earlier requests."""
        return {name for each in self.waiting if each.number < ticket.number for name in GROUPS[each.request.group]}

    def could_have(self, ticket: Ticket) -> list[str]:
        kept = self.kept_before(ticket)
        return [
            name
            for name in GROUPS[ticket.request.group]
            if self.is_free(name) and name not in self.held and name not in kept
        ]

    def rank(self, group: str, name: str) -> tuple[object, ...]:
        """Its place in the group's order."""
        match PICKS[group]:
            case Pick.LONGEST_AVAILABLE:
                return (self.since[name], name)
            case Pick.ROUND_ROBIN:
                return (name <= self.last.get(group, ""), name)
            case Pick.LEAST_RECENTLY_CLAIMED:
                return (self.recent.get(name, 0), name)

    # --- what the log and the claim service get to know

    def noticed(self, *names: str) -> None:
        """The log has looked at these."""
        for name in names or PEOPLE:
            if self.is_free(name):
                self.since.setdefault(name, self.now)
                self.away.discard(name)
            else:
                self.since.pop(name, None)

    def step(self, *names: str) -> None:
        """Something was done about `names`: let the claim service attend, and take in what it tells."""
        if names:
            self.noticed(*names)
        self.digest()
        self.branch.attend()
        self.noticed()
        self.digest()
        self.attended = True
        self.look_at_coverage()
        self.look_at_those_who_wait()

    def look_at_those_who_wait(self) -> None:
        for group in GROUPS:
            if any(each.request.group == group for each in self.waiting):
                self.runs.setdefault(group, self.now)
                self.quiet.pop(group, None)
            elif self.now >= self.quiet.setdefault(group, self.now) + RESERVE:
                self.runs.pop(group, None)
        wanted = {name for each in self.waiting if each.request.count == 1 for name in GROUPS[each.request.group]}
        for name in PEOPLE:
            if name in wanted and self.is_free(name) and name not in self.held:
                self.withheld.setdefault(name, self.now)
            else:
                self.withheld.pop(name, None)

    def may_be_passed_by(self, name: str) -> bool:
        """Whether those who wait for somebody have done so for long enough that nobody is kept for them any more."""
        return any(self.runs.get(group, self.now) + RESERVE <= self.now for group in GROUPS if name in GROUPS[group])

    def digest(self) -> None:
        events, self.branch.claim_events[:] = list(self.branch.claim_events), []
        for event in events:
            self.take(event)
        for ticket in [each for each in self.waiting if each.outcome is not None]:
            self.waiting.remove(ticket)
            self.judge(ticket)

    def take(self, event: ClaimEvent) -> None:
        lease, names = event.lease, [short(person.contact) for person in event.lease.people]
        match event.kind:
            case ClaimEventKind.MADE:
                assert self.held.keys().isdisjoint(names), "two holders"
                assert all(self.is_free(name) and name in self.watched for name in names), "not free when picked"
                assert set(names) <= set(GROUPS[lease.group])
                assert lease.expires.monotonic > self.now
                self.check_order(lease, names)
                self.leases[lease.id] = lease
                self.held |= dict.fromkeys(names, lease.id)
                self.away.difference_update(names)
                self.made += 1
                self.last[lease.group] = names[-1]
                self.recent |= dict.fromkeys(names, self.made)
            case ClaimEventKind.RENEWED:
                assert self.leases[lease.id].expires.monotonic > self.now
                self.leases[lease.id] = lease
            case ClaimEventKind.EXPIRED | ClaimEventKind.RELEASED:
                before = self.leases.pop(lease.id)
                assert (before.expires.monotonic <= self.now) is (event.kind is ClaimEventKind.EXPIRED)
                for name in names:
                    del self.held[name]
                    self.away.discard(name)
                    if name in self.since:
                        self.since[name] = self.now
            case ClaimEventKind.UNAVAILABLE:
                assert event.person is not None
                name = short(event.person.contact)
                assert self.held[name] == lease.id
                assert not self.is_free(name)
                assert name not in self.away, "told twice"
                if name not in self.watched:
                    del self.held[name]
                    self.leases[lease.id] = lease
                else:
                    self.away.add(name)

    def check_order(self, lease: Lease, names: list[str]) -> None:
        """Nobody who would have come first was passed over, and the picked come in their order."""
        ranks = [self.rank(lease.group, name) for name in names]
        assert ranks == sorted(ranks)
        waiting = next((each for each in self.waiting if each.request.holder == lease.holder), None)
        kept = self.kept_before(waiting) if waiting is not None else self.kept_before_all()
        for name in set(GROUPS[lease.group]) - set(names) - kept - self.held.keys():
            if self.is_free(name) and name in self.since:
                assert self.rank(lease.group, name) > ranks[-1], f"{name} was passed by"

    def kept_before_all(self) -> set[str]:
        return {name for each in self.waiting if each.outcome is None for name in GROUPS[each.request.group]}

    def judge(self, ticket: Ticket) -> None:
        """A request has its answer."""
        group, outcome = ticket.request.group, ticket.outcome
        match outcome:
            case Granted(lease, passed_over):
                assert len(lease.people) == ticket.request.count, "all or none"
                assert not [
                    each
                    for each in self.waiting
                    if each.number < ticket.number
                    and each.request.group == group
                    and each.request.count <= ticket.request.count
                ], "an earlier request of the same group, which wants no more, still waits"
                kept = self.kept_before(ticket).intersection(short(each.contact) for each in lease.people)
                assert all(map(self.may_be_passed_by, kept)), "kept for an earlier request"
                self.check_reasons(group, {short(each.contact) for each in lease.people}, passed_over)
            case NotEnoughFree(free, _, passed_over):
                assert free < ticket.request.count
                self.check_reasons(group, set(), passed_over)
            case _:
                assert outcome is RejectReason.FULL

    def check_reasons(self, group: str, picked: set[str], passed_over: tuple[PassedOver, ...]) -> None:
        told = {short(each.contact): each for each in passed_over}
        assert told.keys() | picked == set(GROUPS[group])
        assert told.keys().isdisjoint(picked)
        for name, each in told.items():
            if name not in self.watched:
                assert each.reason == "not watched"
            elif each.free:
                assert self.is_free(name)
            elif each.reason != "claimed":
                assert not self.is_free(name)

    def look_at_coverage(self) -> None:
        for event in self.branch.events:
            if isinstance(event.data, CoverageChange):
                group = event.data.group
                assert (event.name == "coverage.low") is (group not in self.low), "told twice"
                self.low ^= {group}
        self.branch.events.clear()
        for group in FLOORS:
            members = set(GROUPS[group])
            live = {name for name in members if self.is_live(name)}
            self.seen[group] = (self.seen[group] | live) & self.watched
            if live:
                self.first.setdefault(group, self.now)
            if self.seen[group] and members & self.watched <= self.seen[group]:
                self.counts.add(group)
            if group in self.first and self.now >= self.first[group] + PATIENCE:
                self.counts.add(group)

    # --- steps

    @initialize(states=st.lists(st.sampled_from((AVAILABLE, AVAILABLE, BUSY)), min_size=5, max_size=5))
    def opens(self, states: list[object]) -> None:
        self.watch_all(PEOPLE[:-1])
        self.the_feed(works=True)
        for name, state in zip(PEOPLE, states, strict=False):
            self.reads(name, state)

    def watch_all(self, names: tuple[str, ...]) -> None:
        self.branch.store.watch([uri(name) for name in names], FEED)
        self.watched.update(names)
        self.step()

    @rule(name=people)
    def watch(self, name: str) -> None:
        self.watch_all((name,))

    @rule(name=people)
    def unwatch(self, name: str) -> None:
        self.branch.store.unwatch([uri(name)])
        self.watched.discard(name)
        for known in (self.state, self.read_at, self.recent):
            known.pop(name, None)
        self.away.discard(name)
        self.step(name)

    @rule(name=people, state=st.sampled_from((AVAILABLE, AVAILABLE, BUSY, AWAY)))
    def reads(self, name: str, state: object) -> None:
        if name in self.watched:
            self.branch.put(name, state)  # type: ignore[arg-type]  # one of the states above
            self.state[name], self.read_at[name] = state, self.now
            self.step(name)

    @rule(works=st.sampled_from((True, True, True, False)))
    def the_feed(self, works: bool) -> None:
        if works:
            self.branch.store.trust(FEED)
        else:
            self.branch.store.doubt(FEED, "lost")
        self.doubted = not works
        self.step()

    @rule(states=st.lists(st.sampled_from((AVAILABLE, AVAILABLE, BUSY)), min_size=6, max_size=6))
    def everybody_is_read(self, states: list[object]) -> None:
        self.the_feed(works=True)
        for name, state in zip(PEOPLE, states, strict=True):
            self.reads(name, state)

    @precondition(lambda self: not self.doubted)
    @rule()
    def all_is_confirmed(self) -> None:
        self.branch.store.confirm(FEED, self.branch.store.begin())
        self.confirmed = self.now
        self.step()

    @rule(seconds=spans)
    def time_passes(self, seconds: float) -> None:
        self.branch.clock.advance(seconds)
        self.step()

    @rule(seconds=spans)
    def time_passes_and_nobody_looks(self, seconds: float) -> None:
        """The claim service's task is late; requests must be right all the same."""
        self.branch.clock.advance(seconds)
        self.attended = False

    @rule()
    def a_long_time_passes(self) -> None:
        self.time_passes(BOUND + 100)

    @rule(group=groups, seconds=spans)
    def asks_and_waits(self, group: str, seconds: float) -> None:
        self.asks(group, 1, seconds, 60.0)

    @rule(
        group=groups,
        count=st.sampled_from((1, 1, 1, 2, 3)),
        seconds=spans,
        wait=st.sampled_from((0.0, 0.0, 10.0, 60.0)),
    )
    def asks(self, group: str, count: int, seconds: float, wait: float) -> None:
        if not self.attended and self.waiting:
            self.step()  # what those who wait get then is looked at in its own step
        ticket = self.branch.ask(group, count, seconds, wait)
        self.noticed(*GROUPS[group])
        if ticket.outcome is None:
            self.digest()
            self.waiting.append(ticket)
            assert len(self.waiting) <= MAX_WAITING
        else:
            self.digest()
            self.judge(ticket)
        self.step()

    @rule(group=groups, other=groups)
    def some_wait_for_more_than_are_free(self, group: str, other: str) -> None:
        """And one behind them for somebody."""
        free = sum(self.is_free(name) and name not in self.held for name in GROUPS[group])
        self.asks(group, min(free + 1, len(GROUPS[group])), 5.0, 60.0)
        self.asks(other, 1, 5.0, 60.0)

    @rule()
    def a_moment_passes(self) -> None:
        self.time_passes(RESERVE - 1)

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), seconds=spans)
    def renews(self, data: st.DataObject, seconds: float) -> None:
        lease = self.leases[data.draw(st.sampled_from(list(self.leases)))]
        renewed = self.branch.claim_service.renew(lease.id, seconds)
        assert (renewed is None) is (lease.expires.monotonic <= self.now)
        self.step()

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def releases(self, data: st.DataObject) -> None:
        lease = self.leases[data.draw(st.sampled_from(list(self.leases)))]
        assert self.branch.claim_service.release(lease.id) is (lease.expires.monotonic > self.now)
        self.step()

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def leaves(self, data: st.DataObject) -> None:
        ticket = data.draw(st.sampled_from(self.waiting))
        self.waiting.remove(ticket)
        self.branch.claim_service.leave(ticket)
        granted = ticket.outcome
        assert granted is None
        self.step()

    # --- what always holds

    @invariant()
    def claims_are_what_was_told(self) -> None:
        claims = self.branch.core.leases
        for name in PEOPLE:
            lease = self.held.get(name)
            expired = lease is not None and self.leases[lease].expires.monotonic <= self.now
            claim = claims.held(uri(name))
            assert (claim and claim.id) == (None if expired else lease)

    @invariant()
    def a_contact_shows_its_claim(self) -> None:
        """And a group's page calls nobody available whom somebody holds."""
        for group, names in GROUPS.items():
            page = one_turn.page(self.branch.core.reader, Filter(groups=frozenset({group})), 100)
            shown = {short(each.record.contact): each for each in page.contacts}
            assert shown.keys() == set(names) & self.watched
            for name, known in shown.items():
                held = self.branch.core.leases.held(uri(name)) is not None
                assert known.verdict.available is (self.is_free(name) and not held)

    @precondition(lambda self: self.attended)
    @invariant()
    def leases_end_in_time(self) -> None:
        assert all(lease.expires.monotonic > self.now for lease in self.leases.values())

    @precondition(lambda self: self.attended)
    @invariant()
    def nobody_waits_for_what_is_there(self) -> None:
        for ticket in self.waiting:
            assert len(self.could_have(ticket)) < ticket.request.count
            assert ticket.until > self.now
            assert len(set(GROUPS[ticket.request.group]) & self.watched) >= ticket.request.count

    @precondition(lambda self: self.attended)
    @invariant()
    def nobody_is_withheld_for_longer_than_the_bound(self) -> None:
        """Who is free, and would alone satisfy one who waits, goes to somebody within it."""
        assert all(since + RESERVE > self.now for since in self.withheld.values())

    @precondition(lambda self: self.attended)
    @invariant()
    def who_is_held_and_away_was_told_of(self) -> None:
        assert self.away == {name for name in self.held if not self.is_free(name)}

    @precondition(lambda self: self.attended)
    @invariant()
    def coverage_is_as_told(self) -> None:
        for group, floor in FLOORS.items():
            free = [name for name in GROUPS[group] if self.is_free(name) and name not in self.held]
            assert (group in self.low) is (group in self.counts and len(free) < floor)

    def teardown(self) -> None:
        """In the end everybody is let go."""
        self.branch.attend(10_000)
        assert not self.branch.claim_service.leases()
        assert self.branch.claim_service.waiting == 0


TestClaims = Claims.TestCase
TestClaims.settings = settings(max_examples=examples(60), stateful_step_count=40, deadline=None)
