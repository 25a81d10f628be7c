"""Whom a look asks about: all of whom something else would be said now, and of the others as few as possible."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pws_soap.models import PresenceState
from service.core.events.agenda import Agenda
from service.core.events.moments import Moments
from service.core.events.validity import says_the_same
from service.core.presence.freshness import Level
from service.core.presence.records import Source
from service.core.presence.snapshot import GroupedSnapshot
from tests.support.bare_service import AVAILABLE, presence
from tests.support.examples import examples
from tests.support.followed_log import ANN, BOB, BOUND, CID, FEED, FollowedLog
from tests.support.log_histories import STEPS, WHO, carry_out


def asked_by(followed: FollowedLog) -> list[str]:
    """Whom the log asks the reader about from now on."""
    asked: list[str] = []
    snapshot = followed.reader.snapshot

    def counted(record: Any) -> GroupedSnapshot:  # of a store
        asked.append(record.key)
        return snapshot(record)

    followed.reader.snapshot = counted  # type: ignore[method-assign]
    return asked


def thousands(count: int = 3000, feeds: int = 3) -> tuple[FollowedLog, list[str]]:
    """Contacts in some feeds, all of them read and confirmed, after a look."""
    followed = FollowedLog(size=10)
    names = [f"p{number:05d}@example.com" for number in range(count)]
    for feed in range(feeds):
        mine = names[feed::feeds]
        followed.store.watch(mine, f"feed {feed}")
        followed.store.trust(f"feed {feed}")
        reading = followed.store.begin()
        followed.store.put([presence(name) for name in mine], reading, source=Source.SUBSCRIBED)
        followed.store.confirm(f"feed {feed}", reading)
    followed.log.touch()
    return followed, names


# --- nothing is missed


LONG_HOLD = [("read", ANN, AVAILABLE, False, None, None), ("hold", ANN, 30.0), ("garble", ANN)]
"""A claim that lasts longer than the moment that its contact had before."""


@settings(max_examples=examples(600), deadline=None)
@example(
    [*((step, False) for step in LONG_HOLD[:2]), (LONG_HOLD[2], True), (("wait", 20.0), True), (("wait", 20.0), False)]
)
@given(st.lists(st.tuples(STEPS, st.booleans()), max_size=40))
def test_after_a_look_a_look_at_all_finds_nothing_more(steps: list[tuple[Any, bool]]) -> None:
    """Whatever happened since the look before, and however long ago that was."""
    followed = FollowedLog(size=10_000).watch(ANN, BOB, CID)
    for step, looks in [*steps, (("wait", 0.0), True)]:
        carry_out(followed, step)
        if not looks:
            continue
        followed.log.touch()
        for record in followed.store.records():
            told, now = followed.log.snapshot(record.key), followed.reader.snapshot(record)
            assert told is not None
            assert says_the_same(told, now), (step, told.contact, now.contact)
            assert followed.log.confirmed(told).contact.freshness[:2] == now.contact.freshness[:2]


@settings(max_examples=examples(200), deadline=None)
@given(st.lists(STEPS, max_size=25), st.frozensets(WHO))
def test_those_that_are_caught_up_with_are_as_a_look_at_all_has_them(steps: list[Any], some: frozenset[str]) -> None:
    """A group's people, before one of them is picked."""
    followed = FollowedLog(size=10_000).watch(ANN, BOB, CID)
    for step in steps:
        carry_out(followed, step)
    followed.log.catch_up(some)
    for record in followed.store.records():
        if record.key in some:
            told = followed.log.snapshot(record.key)
            assert told is not None
            assert says_the_same(told, followed.reader.snapshot(record))


LOOKED_AT_JUST_BEFORE_A_BOUNDARY: list[Any] = [
    ("read", ANN, AVAILABLE, False, None, None),
    ("read", ANN, AVAILABLE, False, None, None),
    ("wait", 4.9999999),
    ("touch", ANN),
    ("wait", 0.0005),
]


@settings(max_examples=examples(300), deadline=None)
@example(LOOKED_AT_JUST_BEFORE_A_BOUNDARY)
@given(st.lists(STEPS, max_size=30))
def test_what_is_certain_now_is_what_the_reader_says(steps: list[Any]) -> None:
    """At every moment, with or without a look before; claims left aside."""
    followed = FollowedLog(size=10_000).watch(ANN, BOB, CID)
    for step in steps:
        carry_out(followed, step)
        for record in followed.store.records():
            told, now = followed.log.as_now(record), followed.reader.snapshot(record)
            assert told.opinions == now.opinions
            assert told.contact.freshness.level is now.contact.freshness.level


def test_what_is_certain_is_not_asked_again() -> None:
    """Neither of hundreds, nor at each of many moments; what happens to one is asked of that one."""
    followed, names = thousands(300)
    asked = asked_by(followed)
    for _ in range(50):
        followed.clock.advance(0.1)
        for record in followed.store.records():
            followed.log.as_now(record)
    assert asked == []
    followed.store.doubt_contacts([names[7]], "a reply was lost")
    for record in followed.store.records():
        followed.log.as_now(record)
    assert asked == [names[7]]


# --- few are asked about


def test_an_idle_look_asks_about_nobody() -> None:
    """Feeds are confirmed, time passes, also beyond the bound of the first readings."""
    followed, names = thousands()
    asked = asked_by(followed)
    for _ in range(4 * int(BOUND)):
        followed.clock.advance(1.0)
        for feed in range(3):
            followed.store.confirm(f"feed {feed}", followed.store.begin())
        followed.log.touch()
    assert len(asked) <= len(names), "once, when the bound of the first reading came"


def test_what_happens_to_a_few_costs_a_look_at_these() -> None:
    """A doubt, a reading that changes nothing, somebody's time to idle."""
    followed, names = thousands()
    followed.read(names[5], idle=True)
    asked = asked_by(followed)
    followed.store.doubt_contacts([names[7]], "a reply was lost")
    followed.store.put([presence(names[9])], followed.store.begin(), source=Source.POLLED)
    followed.log.touch()
    assert asked == [names[7], names[9]]
    followed.clock.advance(30.1)
    followed.log.touch()
    assert asked[2:] == [names[5]]


def test_a_lost_feed_costs_a_look_at_its_contacts() -> None:
    """And so does its bound, when no confirmation comes."""
    followed, names = thousands()
    asked = asked_by(followed)
    followed.store.doubt("feed 1", "lost")
    followed.log.touch()
    assert asked == names[1::3]
    followed.store.doubt("feed 1", "for another reason")
    followed.log.touch()
    assert asked == names[1::3]


def test_a_first_confirmation_asks_about_those_alone_that_wait_for_it() -> None:
    """Thousands are live by their own reading; one was read too long ago."""
    followed = FollowedLog(size=10)
    names = [f"p{number:04d}@example.com" for number in range(1000)]
    followed.store.watch(names, FEED)
    followed.store.trust(FEED)
    followed.store.put([presence(names[0])], followed.store.begin(), source=Source.SUBSCRIBED)
    followed.clock.advance(BOUND + 1)
    followed.store.put([presence(name) for name in names[1:]], followed.store.begin(), source=Source.SUBSCRIBED)
    followed.log.touch()
    asked = asked_by(followed)
    followed.store.confirm(FEED, followed.store.begin())
    followed.log.touch()
    assert asked == [names[0]]


async def test_a_look_at_thousands_lets_others_work_in_between() -> None:
    """In slices, the last of which ends with nobody left."""
    followed, names = thousands()
    for feed in range(3):
        followed.store.doubt(f"feed {feed}", "lost")
    sizes: list[int] = []
    followed.log.follow(lambda events: sizes.append(len(events)))
    await followed.log.settle()
    assert sum(sizes) == len(names)
    assert max(sizes) <= 500
    told = (followed.log.snapshot(name) for name in names)
    assert {one.contact.freshness.level for one in told if one is not None} == {Level.STALE}


# --- the heap


def test_confirmations_and_readings_do_not_make_the_heap_grow() -> None:
    """A contact's moment moves on and back at each of them."""
    followed, names = thousands(60)
    agenda = followed.log._agenda
    for number in range(2000):
        followed.clock.advance(0.5)
        some = names[number % 7 :: 7]
        state = (AVAILABLE, PresenceState.BUSY)[number % 2]
        followed.store.put(
            [presence(name, state, idle=bool(number % 3)) for name in some],
            followed.store.begin(),
            source=Source.POLLED,
        )
        if number % 5 == 0:
            followed.store.confirm("feed 0", followed.store.begin())
        followed.log.touch()
        assert len(agenda._moments) <= 64 + 2 * len(names)


def test_who_is_forgotten_leaves_nothing_behind() -> None:
    """Neither its feed, nor a wish to be looked at; what is left in the heap is passed over."""
    followed, names = thousands(9)
    asked = asked_by(followed)
    followed.store.doubt_contacts(names, "a reply was lost")
    followed.store.unwatch(names)
    followed.clock.advance(2 * BOUND)
    followed.log.touch()
    agenda = followed.log._agenda
    assert asked == []
    assert (agenda._feeds, agenda._contacts, agenda._suspects) == ({}, {}, {})
    assert len(agenda._moments) == 0


def test_moments_come_in_their_order_and_once() -> None:
    """Those that never come are not entered; keys that share a moment come together."""
    moments = Moments()
    for key, moment in [("a", 3.0), ("b", 1.0), ("c", 3.0), ("d", inf)]:
        moments.enter(key, moment)
    assert len(moments) == 3
    assert list(moments.come(0.5)) == []
    assert list(moments.come(3.0)) == [(1.0, ["b"]), (3.0, ["a", "c"])]
    assert list(moments.come(9.0)) == []
    moments.rebuild([("e", 5.0)])
    assert (len(moments), list(moments.come(9.0))) == (1, [(5.0, ["e"])])
    assert repr(moments) == "<Moments 0 entries at 0 moments>"


@pytest.mark.parametrize("among", [frozenset({"a"}), frozenset("abcdef")])
def test_suspects_among_some(among: frozenset[str]) -> None:
    """Whichever of the two is smaller."""
    agenda = Agenda(BOUND, lambda _feed: ())
    agenda.suspect("xyza")
    assert agenda.due(0.0, {}, among) == ["a"]
    assert agenda.due(0.0, {}) == ["a", "x", "y", "z"]
