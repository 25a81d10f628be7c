"""Filters, pages and counts."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pws_soap.models import PresenceState
from service.core.clock import ManualClock
from service.core.presence.freshness import Level
from service.core.presence.memory_store import MemoryStore
from service.core.presence.query import Filter, Page, Reader, Unknown
from service.core.presence.records import Source
from tests.support import one_turn
from tests.support.bare_service import AVAILABLE, AWAY, BOUND, BUSY, presence
from tests.support.examples import examples

GROUPS = {"support": ("ANN@example.com", "bob@example.com", "nobody@example.com"), "sales": ("cid@example.com",)}


def reader() -> Reader:
    """Four contacts: ann is on the phone, bob is away and named, cid is stale, dan was never read."""
    clock = ManualClock()
    store = MemoryStore(clock)
    store.watch(["ann@example.com", "bob@example.com", "cid@example.com", "dan@example.com"], "f")
    store.trust("f")
    told = [
        presence("ann@example.com", BUSY, activities=("busy", "On-The-Phone"), on_the_phone=True),
        presence("bob@example.com", AWAY, activities=("away",), display_name="Robert Example"),
        presence("cid@example.com", AVAILABLE, on_the_phone=False),
    ]
    store.put(told, store.begin(), source=Source.SUBSCRIBED)
    store.doubt_contacts(["cid@example.com"], "its reply was lost")
    return Reader(store, clock, BOUND, GROUPS)


def names(page: Page) -> list[str]:
    """First names."""
    return [known.record.key.partition("@")[0] for known in page.contacts]


FILTERS = {
    "none": (Filter(), ["ann", "bob", "cid", "dan"]),
    "a state": (Filter(states=frozenset({BUSY})), ["ann"]),
    "either state": (Filter(states=frozenset({BUSY, AWAY})), ["ann", "bob"]),
    "never read is UNKNOWN": (Filter(states=frozenset({PresenceState.UNKNOWN})), ["dan"]),
    "an activity in any case": (Filter(activities=frozenset({"on-the-phone"})), ["ann"]),
    "either activity": (Filter(activities=frozenset({"busy", "away"})), ["ann", "bob"]),
    "a group": (Filter(groups=frozenset({"support"})), ["ann", "bob"]),
    "either group": (Filter(groups=frozenset({"support", "sales"})), ["ann", "bob", "cid"]),
    "live": (Filter(levels=frozenset({Level.LIVE})), ["ann", "bob"]),
    "not live": (Filter(levels=frozenset({Level.STALE, Level.UNKNOWN})), ["cid", "dan"]),
    "part of the URI": (Filter(text="an"), ["ann", "dan"]),
    "part of the name": (Filter(text="robert ex"), ["bob"]),
    "nobody's name": (Filter(text="zoe"), []),
    "all kinds at once": (Filter(frozenset({BUSY, AWAY}), levels=frozenset({Level.LIVE}), text="b"), ["bob"]),
    "contradicting kinds": (Filter(frozenset({BUSY}), groups=frozenset({"sales"})), []),
}


@pytest.mark.parametrize(("wanted", "expected"), FILTERS.values(), ids=FILTERS.keys())
def test_filter(wanted: Filter, expected: list[str]) -> None:
    """Of one kind any value, of several kinds all."""
    assert names(one_turn.page(reader(), wanted, 10)) == expected


@pytest.mark.parametrize(("groups", "expected"), [(GROUPS, "one of sales, support"), ({}, "no group")])
def test_an_unknown_group_is_told(groups: dict[str, tuple[str, ...]], expected: str) -> None:
    """Not an empty answer, which would look as if nobody was there."""
    clock = ManualClock()
    with pytest.raises(Unknown, match=f"group: expected {expected}"):
        one_turn.page(Reader(MemoryStore(clock), clock, BOUND, groups), Filter(groups=frozenset({"x"})), 1)


def test_pages_hold_everything_once() -> None:
    """The last page has no cursor, even when it is full."""
    board = reader()
    first = one_turn.page(board, Filter(), 2)
    second = one_turn.page(board, Filter(), 2, first.cursor)
    assert (names(first), names(second), second.cursor) == (["ann", "bob"], ["cid", "dan"], None)
    assert first.cursor is not None


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "!!!!",
        "YWZ0ZXI6",
        "YWZ0ZXI",
        "_____w",
        "YWZ0ZXI6/w",
        "YmVmb3JlOmFubg",
        "w6nDqcOpw6nDqcOpw6k",
        "é",
        "a=b=",
    ],
)
def test_a_cursor_that_is_none_is_told(cursor: str) -> None:
    """Whatever it is made of."""
    with pytest.raises(Unknown, match="cursor"):
        one_turn.page(reader(), Filter(), 2, cursor)


def test_summary_counts_all_and_groups() -> None:
    """A group counts its watched contacts only."""
    summary = one_turn.summary(reader())
    assert summary.counts.total == 4
    assert {state: number for state, number in summary.counts.by_state.items() if number} == {
        BUSY: 1,
        AWAY: 1,
        AVAILABLE: 1,
        PresenceState.UNKNOWN: 1,
    }
    assert set(summary.counts.by_state) == set(PresenceState)
    assert summary.counts.by_freshness == {Level.LIVE: 2, Level.STALE: 1, Level.UNKNOWN: 1}
    assert summary.counts.on_the_phone == 1
    assert (summary.groups["support"].total, summary.groups["sales"].total) == (2, 1)
    assert summary.revision == 7


@given(st.integers(0, 2**32), st.integers(1, 7))
@settings(max_examples=examples(50), deadline=None)
def test_walking_pages_while_contacts_come_and_go(seed: int, limit: int) -> None:
    """Who is there all the time is met exactly once, nobody twice, all in order."""
    dice = random.Random(seed)  # noqa: S311  a walk, not a secret
    clock = ManualClock()
    store = MemoryStore(clock)
    everybody = [f"user{number:02}@example.com" for number in range(40)]
    steady = set(dice.sample(everybody, 20))
    others = sorted(set(everybody) - steady)
    store.watch([*steady, *dice.sample(others, 10)], "f")
    board = Reader(store, clock, BOUND, {})
    met: list[str] = []
    cursor: str | None = None
    while True:
        page = one_turn.page(board, Filter(), limit, cursor)
        met += [known.record.key for known in page.contacts]
        cursor = page.cursor
        if cursor is None:
            break
        store.watch(dice.sample(others, 3), "f")
        store.unwatch(dice.sample(others, 3))
        store.put([presence(each, BUSY) for each in dice.sample(everybody, 5)], store.begin(), source=Source.POLLED)
    assert steady <= set(met)
    assert met == sorted(set(met))
