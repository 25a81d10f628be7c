"""The log of events: what is told, when, in which order, and for how long it is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pws_soap.models import PresenceState
from service.core.clock import Moment
from service.core.events.event import CHANGE, REMOVED, Event, EventData
from service.core.events.log import GAP, TICK, EventLog
from service.core.events.validity import says_the_same
from service.core.presence.freshness import Level
from service.core.presence.memory_store import MemoryStore
from service.core.presence.query import Filter, Reader
from service.core.presence.records import Change, Source
from service.core.presence.snapshot import GroupedSnapshot
from tests.support import one_turn
from tests.support.bare_service import AVAILABLE, AWAY, BUSY, presence
from tests.support.examples import examples
from tests.support.followed_log import ANN, BOB, BOUND, CID, FEED, GROUPS, FollowedLog

OTHER = "supervisor"


@dataclass(frozen=True)
class Note(EventData):
    """An event's data: a number."""

    number: int


def levels(events: Sequence[Event]) -> list[tuple[str, Level]]:
    """Whom the events are about, and how sure they are now."""
    return [
        (event.key.partition("@")[0], event.after.contact.freshness.level)
        for event in events
        if event.after and event.key
    ]


def available(told: GroupedSnapshot | None) -> bool:
    assert told is not None
    return told.contact.verdict.available


# --- what the store tells


def test_a_change_of_presence_is_an_event_with_its_revision() -> None:
    """And with what was told before."""
    followed = FollowedLog().watch(ANN)
    followed.read(ANN, BUSY)
    added, read = followed.events()
    assert [added.name, read.name] == [CHANGE, CHANGE]
    assert added.before is None
    assert read.before == added.after
    assert read.after is not None
    assert read.after.contact.record.state is BUSY
    assert read.id == followed.store.revision == followed.log.last == read.after.contact.record.revision


def test_who_is_no_longer_watched_is_removed() -> None:
    """Once; touching what is gone tells nothing."""
    followed = FollowedLog().watch(ANN)
    followed.store.unwatch([ANN])
    followed.log.touch([ANN])
    assert [event.name for event in followed.events()] == [CHANGE, REMOVED]
    assert followed.log.snapshot(ANN) is None
    assert followed.log.everybody() == []


def test_what_was_there_before_the_log_is_told_as_new() -> None:
    """A log that is made late still knows everybody."""
    followed = FollowedLog().watch(ANN, BOB)
    late = EventLog(followed.store, followed.reader, followed.clock)
    assert [told.contact.record.key for told in late.everybody()] == [ANN, BOB]


def test_ids_ascend_even_where_somebody_heard_of_a_change_first() -> None:
    """A listener before the log may touch and tell while the store hands a change round."""
    followed = FollowedLog()
    late: list[EventLog] = []
    fresh = MemoryStore(followed.clock, revision=1000)
    reader = Reader(fresh, followed.clock, BOUND, GROUPS, followed.availability)

    def meddle(_changes: Sequence[Change]) -> None:
        late[0].touch([ANN])
        late[0].tell("noted")

    fresh.changes.listen(meddle)
    late.append(EventLog(fresh, reader, followed.clock))
    fresh.watch([ANN], FEED)
    ids = [event.id for event in late[0].since(1000) or ()]
    assert ids == sorted(set(ids))
    assert len(ids) >= 2


# --- what changes with time


async def test_live_becomes_stale_without_a_reading() -> None:
    """A tick after the bound at the latest."""
    followed = FollowedLog().watch(ANN)
    followed.read(ANN)
    async with followed.running():
        await followed.clock.run(BOUND - TICK)
        seen = followed.log.last
        await followed.clock.run(2 * TICK + GAP)
        assert levels(followed.events(seen)) == [("ann", Level.STALE)]


async def test_confirmations_keep_it_live_without_an_event() -> None:
    """`as_of` moves on, and nobody is told of that."""
    followed = FollowedLog().watch(CID)
    followed.read(CID)
    async with followed.running():
        seen = followed.log.last
        for _ in range(5):
            await followed.clock.run(BOUND / 2)
            followed.store.confirm(FEED, followed.store.begin())
        assert followed.events(seen) == []
        (told,) = followed.log.everybody()
        assert followed.log.confirmed(told).contact.freshness.as_of == Moment.of(followed.clock)


async def test_a_dwell_ends() -> None:
    """Somebody is free once it has been so for long enough, and that is an event."""
    followed = FollowedLog().watch(ANN)
    followed.read(ANN)
    assert not available(followed.log.snapshot(ANN))
    async with followed.running():
        seen = followed.log.last
        await followed.clock.run(5.0 + 2 * TICK)
        assert [event.name for event in followed.events(seen)] == [CHANGE]
        assert available(followed.log.snapshot(ANN))


async def test_a_wrap_up_ends() -> None:
    """Long after the dwell has."""
    followed = FollowedLog().watch(ANN)
    followed.read(ANN, on_the_phone=True)
    followed.read(ANN, on_the_phone=False)
    async with followed.running():
        await followed.clock.run(19.0)
        assert not available(followed.log.snapshot(ANN))
        await followed.clock.run(1.0 + 2 * TICK)
        assert available(followed.log.snapshot(ANN))


def test_a_confirmation_that_is_taken_back_counts_no_longer() -> None:
    """It came while the feed was broken already, and was the only thing that kept the contact live."""
    followed = FollowedLog().watch(CID)
    followed.read(CID)
    followed.clock.advance(60.0)
    followed.store.confirm(FEED, followed.store.begin())
    followed.claims.hold(CID, 1000.0)
    followed.log.touch()  # a closer look, with that confirmation
    followed.store.doubt(FEED, "lost", Moment(followed.clock.monotonic() - 30.0, followed.clock.now() - 30.0))
    followed.store.trust(FEED)
    followed.clock.advance(60.0)
    seen = followed.log.last
    followed.log.touch()
    assert levels(followed.events(seen)) == [("cid", Level.STALE)]


async def test_somebody_is_idle_for_too_long() -> None:
    """The same the other way round."""
    followed = FollowedLog().watch(CID)
    followed.read(CID, idle=True)
    assert available(followed.log.snapshot(CID))
    async with followed.running():
        await followed.clock.run(30.0 + 2 * TICK)
        assert not available(followed.log.snapshot(CID))


async def test_a_doubt_is_told_before_the_next_tick() -> None:
    """Of a whole feed, and of one contact; and so is its end."""
    followed = FollowedLog().watch(ANN, CID)
    followed.read(ANN)
    followed.read(CID)
    async with followed.running():
        seen = followed.log.last
        followed.store.doubt(FEED, "lost")
        await followed.turns()
        assert levels(followed.events(seen)) == [("ann", Level.STALE), ("cid", Level.STALE)]
        await followed.clock.run(GAP)
        seen = followed.log.last
        followed.store.trust(FEED)
        await followed.turns()
        assert levels(followed.events(seen)) == [("ann", Level.LIVE), ("cid", Level.LIVE)]
        await followed.clock.run(GAP)
        seen = followed.log.last
        followed.store.doubt_contacts([CID], "a reply was lost")
        await followed.turns()
        assert levels(followed.events(seen)) == [("cid", Level.STALE)]


async def test_many_doubts_in_one_turn_are_one_look() -> None:
    """What is taken back at once is not told."""
    followed = FollowedLog().watch(ANN)
    followed.read(ANN)
    async with followed.running():
        seen = followed.log.last
        followed.store.doubt(FEED, "lost")
        followed.store.trust(FEED)
        await followed.turns()
        assert followed.events(seen) == []


def test_a_claim_is_told_when_touched() -> None:
    """By any spelling of the contact, and once."""
    followed = FollowedLog().watch(CID)
    followed.read(CID)
    seen = followed.log.last
    followed.claims.hold(CID)
    followed.log.touch(["sip:CID@example.com"])
    followed.log.touch([CID])
    (event,) = followed.events(seen)
    assert event.key == CID
    assert event.after is not None
    assert event.after.contact.verdict.reason == "claimed"


async def test_the_looking_survives_a_bug() -> None:
    """Else nothing would ever become stale again."""
    followed = FollowedLog().watch(ANN)
    followed.read(ANN)
    told, broken = followed.reader.snapshot, True

    def sometimes(record: Any) -> GroupedSnapshot:  # of a store
        if broken:
            raise ZeroDivisionError
        return told(record)

    followed.reader.snapshot = sometimes  # type: ignore[method-assign]
    async with followed.running():
        await followed.clock.run(BOUND + 2)
        broken = False
        await followed.clock.run(3 * TICK)
        assert followed.log.snapshot(ANN) is not None
        assert levels(followed.events()[-1:]) == [("ann", Level.STALE)]


def test_a_look_at_thousands_asks_about_nobody_of_whom_nothing_can_have_changed() -> None:
    """The cost of a tick: a comparison for each, and an answer for those few whose moment has come."""
    names = [f"p{number:04d}@example.com" for number in range(5000)]
    followed = FollowedLog().watch(*names)
    reading = followed.store.begin()
    followed.store.put([presence(name) for name in names], reading, source=Source.SUBSCRIBED)
    followed.read(names[7], idle=True)
    asked: list[str] = []
    told = followed.reader.snapshot

    def counted(record: Any) -> GroupedSnapshot:  # of a store
        asked.append(record.key)
        return told(record)

    followed.reader.snapshot = counted  # type: ignore[method-assign]
    for _ in range(20):
        followed.clock.advance(1.0)
        followed.store.confirm(FEED, followed.store.begin())
        followed.log.touch()
    assert asked == []
    followed.clock.advance(10.0)
    followed.log.touch()
    assert asked == [names[7]], "idle for more than 30 seconds"


# --- how long it is kept


def test_since_gives_what_came_after_an_id() -> None:
    """All of it, or the first few."""
    followed = FollowedLog()
    for number in range(5):
        followed.log.tell("noted", Note(number))
    assert [event.data for event in followed.events(1002)] == [Note(2), Note(3), Note(4)]
    limited = followed.log.since(1002, 2)
    assert limited is not None
    assert [event.data for event in limited] == [Note(2), Note(3)]
    assert followed.log.since(1005) == []


def test_ids_that_are_not_ours_are_not_resumed_from() -> None:
    """One before the first, of an earlier run, and one that is still to come."""
    followed = FollowedLog()
    followed.log.tell("noted")
    assert followed.log.since(999) is None
    assert followed.log.since(1002) is None
    assert followed.log.since(1000) is not None


def test_the_log_is_bounded_and_keeps_as_many_as_promised() -> None:
    """At least `size`, and not many more; what it says it has is whole."""
    followed = FollowedLog(size=10)
    for number in range(95):
        followed.log.tell("noted", Note(number))
        last = followed.log.last
        kept = followed.log.since(max(1000, last - 10))
        assert kept is not None
        assert [event.id for event in kept] == list(range(max(1000, last - 10) + 1, last + 1))
    held = [after for after in range(1000, followed.log.last + 1) if followed.log.since(after) is not None]
    assert len(held) <= 13
    oldest = followed.log.since(held[0])
    assert oldest is not None
    assert oldest[0].id == held[0] + 1, "nothing is missing behind the oldest id"


# --- who follows


def test_what_a_follower_tells_comes_after_what_it_heard() -> None:
    """For every follower, in the same order, no matter who was first."""
    followed = FollowedLog().watch(ANN)
    heard: dict[str, list[int]] = {"first": [], "last": []}

    def teller(events: Sequence[Event]) -> None:
        heard["first"] += [event.id for event in events]
        for event in events:
            if event.name == CHANGE and event.after is not None and event.after.contact.claim is None:
                followed.claims.hold(ANN)
                followed.log.touch([ANN])
                followed.log.tell("claim.made")

    followed.log.follow(teller)
    followed.log.follow(lambda events: heard["last"].extend(event.id for event in events))
    followed.read(ANN)
    told = [event.name for event in followed.events()]
    assert told == [CHANGE, CHANGE, CHANGE, "claim.made"]
    assert heard["first"] == heard["last"] == sorted(heard["first"])


def test_a_follower_that_fails_costs_the_others_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged."""
    followed = FollowedLog()
    heard: list[str] = []

    def broken(_events: Sequence[Event]) -> None:
        raise ZeroDivisionError

    followed.log.follow(broken)
    followed.log.follow(lambda events: heard.extend(event.name for event in events))
    followed.log.tell("noted")
    assert heard == ["noted"]
    assert "a follower of events failed" in caplog.text


def test_who_stops_following_hears_no_more() -> None:
    """Also twice; bells the same."""
    followed = FollowedLog()
    heard: list[str] = []
    stops = [followed.log.follow(lambda _: heard.append("follower")), followed.log.ring(lambda: heard.append("bell"))]
    followed.log.tell("noted")
    for stop in stops * 2:
        stop()
    followed.log.tell("noted")
    followed.log.close()
    assert sorted(heard) == ["bell", "follower"]


async def test_who_waits_for_news_is_woken_by_news_and_by_the_end() -> None:
    """And does not wait for what is there already."""
    followed = FollowedLog()
    waiting = asyncio.create_task(followed.log.wait_for_event(followed.log.last))
    await followed.turns()
    assert not waiting.done()
    followed.log.tell("noted")
    await waiting
    await followed.log.wait_for_event(1000)
    waiting = asyncio.create_task(followed.log.wait_for_event(followed.log.last))
    await followed.turns()
    followed.log.close()
    await waiting
    await followed.log.wait_for_event(followed.log.last)


# --- whatever happens

STATES = (AVAILABLE, BUSY, AWAY, PresenceState.UNKNOWN)
WHO = st.sampled_from([ANN, BOB, CID])
STEPS = st.one_of(
    st.tuples(st.just("read"), WHO, st.sampled_from(STATES), st.booleans(), st.sampled_from([None, 0, 20, 90])),
    st.tuples(st.just("garble"), WHO),
    st.tuples(st.just("confirm")),
    st.tuples(st.just("doubt"), st.sampled_from([FEED, OTHER])),
    st.tuples(st.just("trust"), st.sampled_from([FEED, OTHER]), st.booleans()),
    st.tuples(st.just("doubt contact"), WHO),
    st.tuples(st.just("watch"), WHO, st.sampled_from([FEED, OTHER])),
    st.tuples(st.just("unwatch"), WHO),
    st.tuples(st.just("hold"), WHO, st.sampled_from([1.0, 30.0])),
    st.tuples(st.just("release"), WHO),
    st.tuples(st.just("wait"), st.sampled_from([0.1, 1.0, 4.9999999, 5.0, 20.0, 29.9, 30.0, 60.0, 60.1, 99.9, 100.0])),
    st.tuples(st.just("tell")),
    st.tuples(st.just("touch"), WHO),
    st.tuples(st.just("look")),
)


def carry_out(followed: FollowedLog, step: Any) -> None:  # of STEPS
    store, log = followed.store, followed.log
    match step:
        case ("read", who, state, calls, idle):
            now = datetime.fromtimestamp(followed.clock.now(), UTC)
            since = None if idle is None else now - timedelta(seconds=idle)
            followed.read(who, state, on_the_phone=calls, idle=idle is not None, idle_since=since)
        case ("garble", who):
            store.put([presence(who, problem="not XML")], store.begin(), source=Source.POLLED)
        case ("confirm",):
            store.confirm(FEED, store.begin())
        case ("doubt", feed):
            store.doubt(feed, "lost")
        case ("trust", feed, anew):
            store.trust(feed, anew=store.begin() if anew else None)
        case ("doubt contact", who):
            store.doubt_contacts([who], "a reply was lost")
        case ("watch", who, feed):
            store.watch([who], feed)
        case ("unwatch", who):
            store.unwatch([who])
        case ("hold", who, seconds):
            followed.claims.hold(who, seconds)
        case ("release", who):
            followed.claims.release(who)
        case ("wait", seconds):
            followed.clock.advance(seconds)
        case ("tell",):
            log.tell("noted")
        case ("touch", who):
            log.touch([who])
        case ("look",):
            log.touch()


@settings(max_examples=examples(300), deadline=None)
@given(st.lists(STEPS, max_size=40))
def test_no_change_is_missed_and_none_is_told_twice(steps: list[Any]) -> None:
    """After a look the log says of everybody what a query would; each event begins where the one before ended."""
    followed = FollowedLog(size=10_000).watch(ANN, BOB, CID)
    for step in steps:
        carry_out(followed, step)
        if step[0] == "look":
            for record in followed.store.records():
                told = followed.log.snapshot(record.key)
                assert told is not None
                assert says_the_same(told, followed.reader.snapshot(record)), step
                assert (
                    followed.log.confirmed(told).contact.freshness[:2]
                    == followed.reader.snapshot(record).contact.freshness[:2]
                )
    known: dict[str, GroupedSnapshot] = {}
    last = 0
    for event in followed.events():
        assert event.id > last
        last = event.id
        if event.key is None:
            continue
        before = known.get(event.key)
        assert (before is None) == (event.before is None)
        assert before is None or event.before is None or says_the_same(before, event.before)
        if event.after is None:
            del known[event.key]
        else:
            assert before is None or not says_the_same(before, event.after), "nothing changed"
            known[event.key] = event.after


SOME_GROUPS = st.frozensets(st.sampled_from(sorted(GROUPS)), max_size=3)
FILTERS = st.builds(
    Filter,
    states=st.frozensets(st.sampled_from(STATES), max_size=2),
    activities=st.frozensets(st.sampled_from(["busy", "meeting"]), max_size=1),
    groups=SOME_GROUPS,
    levels=st.frozensets(st.sampled_from(Level), max_size=2),
    text=st.sampled_from(["", "ann", "b", "zoe"]),
    available=st.sampled_from([None, True, False]),
    within=st.one_of(st.none(), SOME_GROUPS),
).filter(lambda wanted: wanted.within is None or wanted.groups <= wanted.within)


@settings(max_examples=examples(300), deadline=None)
@given(st.lists(STEPS, max_size=25), FILTERS)
def test_a_view_of_what_was_told_is_what_a_page_shows(steps: list[Any], wanted: Filter) -> None:
    """The same contacts, freshness, verdicts and claims, for every filter and everybody who asks."""
    followed = FollowedLog().watch(ANN, BOB, CID)
    for step in steps:
        carry_out(followed, step)
    views = (followed.reader.visible_to(followed.log.confirmed(told), wanted) for told in followed.log.everybody())
    shown = [known for known in views if known is not None]
    page = one_turn.page(followed.reader, wanted, 100)
    assert [_plain(known) for known in shown] == [_plain(known) for known in page.contacts]


def _plain(known: Any) -> Any:  # a Known, the reason aside: how long it has not been confirmed
    return known.record, known.freshness[:2], known.verdict, known.claim


def test_events_that_show_many_contacts_take_the_room_of_many() -> None:
    """So that memory is bounded by what is kept, not by how many events it is; the newest is always kept."""
    followed = FollowedLog().watch("ann@example.com")
    followed.log._size = 100
    first = followed.log.last
    for number in range(200):
        followed.log.tell("claim.made", Note(number), ["ann@example.com"], weight=50)
        kept = followed.log._events
        assert sum(event.weight for event in kept) <= 125
    assert [event.data for event in kept] == [Note(198), Note(199)]
    assert followed.log.since(first) is None
    assert len(followed.log.since(followed.log.floor) or ()) == 2
    followed.log.tell("claim.made", Note(200), weight=1000)
    assert [event.data for event in followed.log._events] == [Note(200)]
    assert followed.log.since(followed.log.last) == []


def test_what_is_told_of_the_same_contacts_shares_their_names() -> None:
    """A subscription of thousands is renewed again and again."""
    followed = FollowedLog().watch("ann@example.com")
    for _ in range(2):
        followed.log.tell("subscription.renewed", None, [f"p{number}@example.com" for number in range(10)])
    one, other = followed.log._events[-2:]
    assert one.keys is other.keys
