"""Counts that are kept beside counts of all records: the same at every moment, whatever happened in between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pws_soap.models import PresenceState
from service.core.clock import ManualClock
from service.core.events import kept_counts
from service.core.presence.availability import Availability, Rule
from service.core.presence.boundaries import SLACK
from service.core.presence.counts import Summary
from service.core.presence.freshness import Level
from service.core.presence.records import Source
from service.core.presence.snapshot import GroupedSnapshot
from tests.support import one_turn
from tests.support.branch import FEED, Branch, uri
from tests.support.examples import examples

GROUPS = {"support": ("ann", "bob", "cid"), "sales": ("bob", "cid", "dan")}
PEOPLE = ("ann", "bob", "cid", "dan", "eve")
WITHIN = (None, frozenset({"support"}), frozenset({"support", "sales"}), frozenset[str]())
FEEDS = (FEED, "supervisor")
person, feed = st.sampled_from(PEOPLE), st.sampled_from(FEEDS)
SECONDS = st.sampled_from([0.0005, 4.9995, 5.0, 19.9995, 20.0, 30.0, 60.0, 1000.0])


def counted(summary: Summary) -> tuple[object, ...]:
    """All but until when it holds: that may be earlier than need be."""
    return (summary.counts, summary.groups, summary.revision)


class Histories(RuleBasedStateMachine):
    """Whatever may happen, and counts for those who see some groups or all."""

    def __init__(self) -> None:
        super().__init__()
        groups = {name: [uri(each) for each in people] for name, people in GROUPS.items()}
        free = frozenset({PresenceState.AVAILABLE, PresenceState.AWAY})
        rules = {"support": Rule(free, dwell=20.0, wrap_up=30.0), "sales": Rule(max_idle=60.0)}
        self.branch = Branch(GROUPS, availability=Availability(groups, rules, Rule(dwell=5.0)))
        self.asked: set[frozenset[str] | None] = set()

    @initialize(early=st.booleans())
    def opens(self, early: bool) -> None:
        """Counts that are asked for first begin with nobody."""
        if early:
            self.asks(None)
        self.branch.opens(*PEOPLE)

    @rule(
        name=person,
        state=st.sampled_from(PresenceState),
        on_the_phone=st.sampled_from([None, True, False]),
        idle=st.booleans(),
    )
    def reads(self, name: str, state: PresenceState, on_the_phone: bool | None, idle: bool) -> None:
        self.branch.put(name, state, on_the_phone=on_the_phone, idle=idle)

    @rule()
    def reads_the_same_again(self) -> None:
        store = self.branch.store
        found = [record.presence for record in store.records() if record.presence is not None]
        store.put(found, store.begin(), source=Source.SUBSCRIBED)

    @rule(feed=feed)
    def confirms(self, feed: str) -> None:
        self.branch.store.confirm(feed, self.branch.store.begin())

    @rule(feed=feed, doubted=st.booleans())
    def doubts_or_trusts(self, feed: str, doubted: bool) -> None:
        if doubted:
            self.branch.store.doubt(feed, "it does not answer")
        else:
            self.branch.store.trust(feed)

    @rule(feed=feed, bound=st.sampled_from([None, 15.0]))
    def limits(self, feed: str, bound: float | None) -> None:
        self.branch.store.limit(feed, bound)

    @rule(name=person)
    def loses(self, name: str) -> None:
        self.branch.store.doubt_contacts([uri(name)], "its reply was lost")

    @rule(name=person, feed=feed, watched=st.booleans())
    def watches(self, name: str, feed: str, watched: bool) -> None:
        if watched:
            self.branch.store.watch([uri(name)], feed)
        else:
            self.branch.store.unwatch([uri(name)])

    @rule(group=st.sampled_from(sorted(GROUPS)), seconds=st.sampled_from([4.0, 60.0]))
    def claims(self, group: str, seconds: float) -> None:
        self.branch.ask(group, seconds=seconds)

    @rule(place=st.integers(0, 3))
    def lets_go(self, place: int) -> None:
        """Past the claim service: the log hears of it all the same."""
        leases = self.branch.core.leases.leases()
        if place < len(leases):
            self.branch.core.leases.end(leases[place].id)

    @rule(seconds=SECONDS)
    def waits(self, seconds: float) -> None:
        self.branch.clock.advance(seconds)

    @rule()
    def ticks(self) -> None:
        self.branch.attend()

    @rule(within=st.sampled_from(WITHIN))
    def asks(self, within: frozenset[str] | None) -> None:
        self.asked.add(within)
        self.the_counts_are_those_of_all_records()

    @rule(within=st.sampled_from(WITHIN))
    def waits_as_long_as_it_holds(self, within: frozenset[str] | None) -> None:
        summary = asyncio.run(self.branch.core.counts.summary(within))
        rest = summary.until - SLACK - self.branch.clock.monotonic()
        if 0 < rest < inf:
            self.branch.clock.advance(rest * 0.999)
            assert counted(one_turn.summary(self.branch.core.reader, within)) == counted(summary)

    @invariant()
    def the_counts_are_those_of_all_records(self) -> None:
        for within in self.asked:
            summary = asyncio.run(self.branch.core.counts.summary(within))
            assert counted(summary) == counted(one_turn.summary(self.branch.core.reader, within))


Histories.TestCase.settings = settings(max_examples=examples(120), stateful_step_count=30, deadline=None)
test_kept_counts_are_those_of_all_records = Histories.TestCase


class Interrupted(ManualClock):
    """A clock on which something happens between two turns."""

    def __init__(self) -> None:
        super().__init__()
        self.between: Callable[[], object] = lambda: None

    async def sleep(self, seconds: float) -> None:
        self.between()
        await asyncio.sleep(0)


@pytest.fixture
def few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Walks of three steps for five people."""
    monkeypatch.setattr(kept_counts, "SLICE", 2)


@pytest.mark.usefixtures("few_at_once")
@pytest.mark.parametrize("name", ["ann", "cid", "eve", "abe", "zoe"])
async def test_what_happens_while_all_are_counted_is_counted_once(name: str) -> None:
    clock = Interrupted()
    branch = Branch(GROUPS, clock=clock)
    branch.opens(*PEOPLE)
    changes: list[Callable[[], object]] = [
        lambda: branch.store.watch([uri(name)], FEED),
        lambda: branch.put(name, PresenceState.BUSY),
        lambda: branch.store.unwatch([uri("bob")]),
    ]
    clock.between = lambda: changes.pop(0)() if changes else None
    summary = await branch.core.counts.summary()
    assert counted(summary) == counted(one_turn.summary(branch.core.reader))
    branch.store.unwatch([uri(name)])
    assert counted(await branch.core.counts.summary()) == counted(one_turn.summary(branch.core.reader))


class CountedSnapshots:
    """How many snapshots of contacts a view of the counts has looked at."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.looks = 0
        count = kept_counts._View.count

        def counting(view: kept_counts._View, snapshot: GroupedSnapshot | None, times: int) -> None:
            self.looks += 1
            count(view, snapshot, times)

        monkeypatch.setattr(kept_counts._View, "count", counting)


@pytest.mark.usefixtures("few_at_once")
async def test_those_who_ask_at_the_same_time_share_one_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    branch = Branch(GROUPS)
    branch.opens(*PEOPLE)
    counts = CountedSnapshots(monkeypatch)
    answers = await asyncio.gather(*(branch.core.counts.summary() for _ in range(10)))
    assert {answer.counts.total for answer in answers} == {5}
    assert counts.looks == 5


async def test_a_summary_costs_what_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    branch = Branch({"support": tuple(f"p{number:03d}" for number in range(100))})
    branch.opens()
    await branch.core.counts.summary()
    counts = CountedSnapshots(monkeypatch)
    branch.put("p050", PresenceState.BUSY)
    assert (await branch.core.counts.summary()).counts.by_state[PresenceState.BUSY] == 1
    assert counts.looks == 2


async def test_where_very_many_are_uncertain_all_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_counts, "_MOST_UNCERTAIN", 2)
    branch = Branch(GROUPS)
    branch.opens(*PEOPLE)
    await branch.core.counts.summary()
    branch.store.doubt(FEED, "it does not answer")
    assert (await branch.core.counts.summary()).counts.by_freshness[Level.STALE] == 5
    branch.core.log.touch()
    assert (await branch.core.counts.summary()).counts.by_freshness[Level.STALE] == 5


async def test_counts_that_were_not_asked_for_lately_are_let_go() -> None:
    groups = {f"g{number}": ("ann",) for number in range(20)}
    branch = Branch(groups)
    branch.opens("ann")
    for name in groups:
        assert (await branch.core.counts.summary(frozenset({name}))).counts.total == 1
    assert repr(branch.core.counts) == "<KeptCounts for 16 sets of groups>"


@pytest.mark.usefixtures("few_at_once")
async def test_counts_that_had_to_make_room_while_all_were_counted_are_not_used() -> None:
    """They hear of nothing any more: what happened in the meantime would be missing for good."""
    groups = {f"g{number}": ("ann", "bob", "cid") for number in range(20)}
    branch = Branch(groups)
    branch.opens()
    asked = [asyncio.create_task(branch.core.counts.summary(frozenset({name}))) for name in groups]
    await asyncio.sleep(0)
    branch.put("ann", PresenceState.BUSY)
    for name, summary in zip(groups, await asyncio.gather(*asked), strict=True):
        assert counted(summary) == counted(one_turn.summary(branch.core.reader, frozenset({name})))


def test_a_claim_on_one_who_is_watched_no_longer_leaves_nothing_to_look_at() -> None:
    branch = Branch({"support": ("ann",)})
    branch.opens()
    branch.claim()
    branch.store.unwatch([uri("ann")])
    branch.core.log.touch()
    assert branch.core.log.uncertain() == []
