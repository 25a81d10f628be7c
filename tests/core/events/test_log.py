"""The log of events: what is told, when, in which order, and for how long it is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pws_soap.models import PresenceState
from service.core.clock import Moment
from service.core.events.event import CHANGE, REMOVED, Event
from service.core.events.log import GAP, TICK, EventLog, _says_the_same
from service.core.presence.freshness import Level
from service.core.presence.memory_store import MemoryStore
from service.core.presence.query import Filter, Reader
from service.core.presence.records import Change, Source
from service.core.presence.snapshot import GroupedSnapshot
from tests.support.bare_service import AVAILABLE, AWAY, BUSY, presence
from tests.support.followed_log import ANN, BOB, BOUND, CID, FEED, GROUPS, FollowedLog

OTHER = "supervisor"


def levels(events: Sequence[Event]) -> list[tuple[str, Level]]:
    """Whom the events are about, and how sure they are now."""
    return [
        (event.key.partition("@")[0], event.after.known.freshness.level)
        for event in events
        if event.after and event.key
    ]


def available(told: GroupedSnapshot | None) -> bool:
    assert told is not None
    return told.known.verdict.available


# --- what the store tells


def test_a_change_of_presence_is_an_event_with_its_revision() -> None:
    """And with what was told before."""
    desk = FollowedLog().watch(ANN)
    desk.read(ANN, BUSY)
    added, read = desk.events()
    assert [added.name, read.name] == [CHANGE, CHANGE]
    assert added.before is None
    assert read.before == added.after
    assert read.after is not None
    assert read.after.known.record.state is BUSY
    assert read.id == desk.store.revision == desk.log.last == read.after.known.record.revision


def test_whoever_is_no_longer_watched_is_removed() -> None:
    """Once; touching what is gone tells nothing."""
    desk = FollowedLog().watch(ANN)
    desk.store.unwatch([ANN])
    desk.log.touch([ANN])
    assert [event.name for event in desk.events()] == [CHANGE, REMOVED]
    assert desk.log.told(ANN) is None
    assert desk.log.everybody() == []


def test_what_was_there_before_the_log_is_told_as_new() -> None:
    """A log that is made late still knows everybody."""
    desk = FollowedLog().watch(ANN, BOB)
    late = EventLog(desk.store, desk.reader, desk.clock)
    assert [told.known.record.key for told in late.everybody()] == [ANN, BOB]


def test_ids_ascend_even_where_somebody_heard_of_a_change_first() -> None:
    """A listener before the log may touch and tell while the store hands a change round."""
    desk = FollowedLog()
    late: list[EventLog] = []
    fresh = MemoryStore(desk.clock, revision=1000)
    reader = Reader(fresh, desk.clock, BOUND, GROUPS, desk.availability)

    def meddle(_changes: Sequence[Change]) -> None:
        late[0].touch([ANN])
        late[0].tell("noted", {})

    fresh.changes.listen(meddle)
    late.append(EventLog(fresh, reader, desk.clock))
    fresh.watch([ANN], FEED)
    ids = [event.id for event in late[0].since(1000) or ()]
    assert ids == sorted(set(ids))
    assert len(ids) >= 2


# --- what changes with time


async def test_live_becomes_stale_without_a_reading() -> None:
    """A tick after the bound at the latest."""
    desk = FollowedLog().watch(ANN)
    desk.read(ANN)
    async with desk.running():
        await desk.clock.run(BOUND - TICK)
        seen = desk.log.last
        await desk.clock.run(2 * TICK + GAP)
        assert levels(desk.events(seen)) == [("ann", Level.STALE)]


async def test_confirmations_keep_it_live_without_an_event() -> None:
    """`as_of` moves on, and nobody is told of that."""
    desk = FollowedLog().watch(CID)
    desk.read(CID)
    async with desk.running():
        seen = desk.log.last
        for _ in range(5):
            await desk.clock.run(BOUND / 2)
            desk.store.confirm(FEED, desk.store.begin())
        assert desk.events(seen) == []
        (told,) = desk.log.everybody()
        assert desk.log.confirmed(told).known.freshness.as_of == Moment.of(desk.clock)


async def test_a_dwell_ends() -> None:
    """Somebody is free once it has been so for long enough, and that is an event."""
    desk = FollowedLog().watch(ANN)
    desk.read(ANN)
    assert not available(desk.log.told(ANN))
    async with desk.running():
        seen = desk.log.last
        await desk.clock.run(5.0 + 2 * TICK)
        assert [event.name for event in desk.events(seen)] == [CHANGE]
        assert available(desk.log.told(ANN))


async def test_a_wrap_up_ends() -> None:
    """Long after the dwell has."""
    desk = FollowedLog().watch(ANN)
    desk.read(ANN, on_the_phone=True)
    desk.read(ANN, on_the_phone=False)
    async with desk.running():
        await desk.clock.run(19.0)
        assert not available(desk.log.told(ANN))
        await desk.clock.run(1.0 + 2 * TICK)
        assert available(desk.log.told(ANN))


def test_a_confirmation_that_is_taken_back_counts_no_longer() -> None:
    """It came while the feed was broken already, and was the only thing that kept the contact live."""
    desk = FollowedLog().watch(CID)
    desk.read(CID)
    desk.clock.advance(60.0)
    desk.store.confirm(FEED, desk.store.begin())
    desk.claims.hold(CID, 1000.0)
    desk.log.touch()  # a closer look, with that confirmation
    desk.store.doubt(FEED, "lost", Moment(desk.clock.monotonic() - 30.0, desk.clock.now() - 30.0))
    desk.store.trust(FEED)
    desk.clock.advance(60.0)
    seen = desk.log.last
    desk.log.touch()
    assert levels(desk.events(seen)) == [("cid", Level.STALE)]


async def test_somebody_is_idle_for_too_long() -> None:
    """The same the other way round."""
    desk = FollowedLog().watch(CID)
    desk.read(CID, idle=True)
    assert available(desk.log.told(CID))
    async with desk.running():
        await desk.clock.run(30.0 + 2 * TICK)
        assert not available(desk.log.told(CID))


async def test_a_doubt_is_told_before_the_next_tick() -> None:
    """Of a whole feed, and of one contact; and so is its end."""
    desk = FollowedLog().watch(ANN, CID)
    desk.read(ANN)
    desk.read(CID)
    async with desk.running():
        seen = desk.log.last
        desk.store.doubt(FEED, "lost")
        await desk.turns()
        assert levels(desk.events(seen)) == [("ann", Level.STALE), ("cid", Level.STALE)]
        await desk.clock.run(GAP)
        seen = desk.log.last
        desk.store.trust(FEED)
        await desk.turns()
        assert levels(desk.events(seen)) == [("ann", Level.LIVE), ("cid", Level.LIVE)]
        await desk.clock.run(GAP)
        seen = desk.log.last
        desk.store.doubt_contacts([CID], "a reply was lost")
        await desk.turns()
        assert levels(desk.events(seen)) == [("cid", Level.STALE)]


async def test_many_doubts_in_one_turn_are_one_look() -> None:
    """What is taken back at once is not told."""
    desk = FollowedLog().watch(ANN)
    desk.read(ANN)
    async with desk.running():
        seen = desk.log.last
        desk.store.doubt(FEED, "lost")
        desk.store.trust(FEED)
        await desk.turns()
        assert desk.events(seen) == []


def test_a_claim_is_told_when_touched() -> None:
    """By any spelling of the contact, and once."""
    desk = FollowedLog().watch(CID)
    desk.read(CID)
    seen = desk.log.last
    desk.claims.hold(CID)
    desk.log.touch(["sip:CID@example.com"])
    desk.log.touch([CID])
    (event,) = desk.events(seen)
    assert event.key == CID
    assert event.after is not None
    assert event.after.known.verdict.reason == "claimed"


async def test_the_looking_survives_a_bug() -> None:
    """Else nothing would ever become stale again."""
    desk = FollowedLog().watch(ANN)
    desk.read(ANN)
    told, broken = desk.reader.snapshot, True

    def sometimes(record: Any) -> GroupedSnapshot:  # of a store
        if broken:
            raise ZeroDivisionError
        return told(record)

    desk.reader.snapshot = sometimes  # type: ignore[method-assign]
    async with desk.running():
        await desk.clock.run(BOUND + 2)
        broken = False
        await desk.clock.run(3 * TICK)
        assert desk.log.told(ANN) is not None
        assert levels(desk.events()[-1:]) == [("ann", Level.STALE)]


def test_a_look_at_thousands_asks_about_nobody_of_whom_nothing_can_have_changed() -> None:
    """The cost of a tick: a comparison for each, and an answer for those few whose moment has come."""
    names = [f"p{number:04d}@example.com" for number in range(5000)]
    desk = FollowedLog().watch(*names)
    reading = desk.store.begin()
    desk.store.put([presence(name) for name in names], reading, source=Source.SUBSCRIBED)
    desk.read(names[7], idle=True)
    asked: list[str] = []
    told = desk.reader.snapshot

    def counted(record: Any) -> GroupedSnapshot:  # of a store
        asked.append(record.key)
        return told(record)

    desk.reader.snapshot = counted  # type: ignore[method-assign]
    for _ in range(20):
        desk.clock.advance(1.0)
        desk.store.confirm(FEED, desk.store.begin())
        desk.log.touch()
    assert asked == []
    desk.clock.advance(10.0)
    desk.log.touch()
    assert asked == [names[7]], "idle for more than 30 seconds"


# --- how long it is kept


def test_since_gives_what_came_after_an_id() -> None:
    """All of it, or the first few."""
    desk = FollowedLog()
    for number in range(5):
        desk.log.tell("noted", number)
    assert [event.data for event in desk.events(1002)] == [2, 3, 4]
    limited = desk.log.since(1002, 2)
    assert limited is not None
    assert [event.data for event in limited] == [2, 3]
    assert desk.log.since(1005) == []


def test_ids_that_are_not_ours_are_not_resumed_from() -> None:
    """One before the first, of an earlier run, and one that is still to come."""
    desk = FollowedLog()
    desk.log.tell("noted")
    assert desk.log.since(999) is None
    assert desk.log.since(1002) is None
    assert desk.log.since(1000) is not None


def test_the_log_is_bounded_and_keeps_as_many_as_promised() -> None:
    """At least `size`, and not many more; what it says it has is whole."""
    desk = FollowedLog(size=10)
    for number in range(95):
        desk.log.tell("noted", number)
        last = desk.log.last
        kept = desk.log.since(max(1000, last - 10))
        assert kept is not None
        assert [event.id for event in kept] == list(range(max(1000, last - 10) + 1, last + 1))
    held = [after for after in range(1000, desk.log.last + 1) if desk.log.since(after) is not None]
    assert len(held) <= 13
    oldest = desk.log.since(held[0])
    assert oldest is not None
    assert oldest[0].id == held[0] + 1, "nothing is missing behind the oldest id"


# --- who follows


def test_what_a_follower_tells_comes_after_what_it_heard() -> None:
    """For every follower, in the same order, whoever was first."""
    desk = FollowedLog().watch(ANN)
    heard: dict[str, list[int]] = {"first": [], "last": []}

    def teller(events: Sequence[Event]) -> None:
        heard["first"] += [event.id for event in events]
        for event in events:
            if event.name == CHANGE and event.after is not None and event.after.known.claim is None:
                desk.claims.hold(ANN)
                desk.log.touch([ANN])
                desk.log.tell("claim.made")

    desk.log.follow(teller)
    desk.log.follow(lambda events: heard["last"].extend(event.id for event in events))
    desk.read(ANN)
    told = [event.name for event in desk.events()]
    assert told == [CHANGE, CHANGE, CHANGE, "claim.made"]
    assert heard["first"] == heard["last"] == sorted(heard["first"])


def test_a_follower_that_fails_costs_the_others_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged."""
    desk = FollowedLog()
    heard: list[str] = []

    def broken(_events: Sequence[Event]) -> None:
        raise ZeroDivisionError

    desk.log.follow(broken)
    desk.log.follow(lambda events: heard.extend(event.name for event in events))
    desk.log.tell("noted")
    assert heard == ["noted"]
    assert "a follower of events failed" in caplog.text


def test_whoever_stops_following_hears_no_more() -> None:
    """Also twice; bells the same."""
    desk = FollowedLog()
    heard: list[str] = []
    stops = [desk.log.follow(lambda _: heard.append("follower")), desk.log.ring(lambda: heard.append("bell"))]
    desk.log.tell("noted")
    for stop in stops * 2:
        stop()
    desk.log.tell("noted")
    desk.log.close()
    assert sorted(heard) == ["bell", "follower"]


async def test_whoever_waits_for_news_is_woken_by_news_and_by_the_end() -> None:
    """And does not wait for what is there already."""
    desk = FollowedLog()
    waiting = asyncio.create_task(desk.log.news(desk.log.last))
    await desk.turns()
    assert not waiting.done()
    desk.log.tell("noted")
    await waiting
    await desk.log.news(1000)
    waiting = asyncio.create_task(desk.log.news(desk.log.last))
    await desk.turns()
    desk.log.close()
    await waiting
    await desk.log.news(desk.log.last)


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


def carry_out(desk: FollowedLog, step: Any) -> None:  # of STEPS
    store, log = desk.store, desk.log
    match step:
        case ("read", who, state, calls, idle):
            now = datetime.fromtimestamp(desk.clock.now(), UTC)
            since = None if idle is None else now - timedelta(seconds=idle)
            desk.read(who, state, on_the_phone=calls, idle=idle is not None, idle_since=since)
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
            desk.claims.hold(who, seconds)
        case ("release", who):
            desk.claims.release(who)
        case ("wait", seconds):
            desk.clock.advance(seconds)
        case ("tell",):
            log.tell("noted", {})
        case ("touch", who):
            log.touch([who])
        case ("look",):
            log.touch()


@settings(max_examples=300, deadline=None)
@given(st.lists(STEPS, max_size=40))
def test_no_change_is_missed_and_none_is_told_twice(steps: list[Any]) -> None:
    """After a look the log says of everybody what a query would; each event begins where the one before ended."""
    desk = FollowedLog(size=10_000).watch(ANN, BOB, CID)
    for step in steps:
        carry_out(desk, step)
        if step[0] == "look":
            for record in desk.store.records():
                told = desk.log.told(record.key)
                assert told is not None
                assert _says_the_same(told, desk.reader.snapshot(record)), step
                assert desk.log.confirmed(told).known.freshness[:2] == desk.reader.snapshot(record).known.freshness[:2]
    known: dict[str, GroupedSnapshot] = {}
    last = 0
    for event in desk.events():
        assert event.id > last
        last = event.id
        if event.key is None:
            continue
        before = known.get(event.key)
        assert (before is None) == (event.before is None)
        assert before is None or event.before is None or _says_the_same(before, event.before)
        if event.after is None:
            del known[event.key]
        else:
            assert before is None or not _says_the_same(before, event.after), "nothing changed"
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


@settings(max_examples=300, deadline=None)
@given(st.lists(STEPS, max_size=25), FILTERS)
def test_a_view_of_what_was_told_is_what_a_page_shows(steps: list[Any], wanted: Filter) -> None:
    """The same contacts, freshness, verdicts and claims, for whatever filter and whoever asks."""
    desk = FollowedLog().watch(ANN, BOB, CID)
    for step in steps:
        carry_out(desk, step)
    views = (desk.reader.visible_to(desk.log.confirmed(told), wanted) for told in desk.log.everybody())
    shown = [known for known in views if known is not None]
    assert [_plain(known) for known in shown] == [_plain(known) for known in desk.reader.page(wanted, 100).contacts]


def _plain(known: Any) -> Any:  # a Known, the reason aside: how long it has not been confirmed
    return known.record, known.freshness[:2], known.verdict, known.claim


def test_events_that_show_many_contacts_take_the_room_of_many() -> None:
    """So that memory is bounded by what is kept, not by how many events it is; the newest is always kept."""
    desk = FollowedLog().watch("ann@example.com")
    desk.log._size = 100
    first = desk.log.last
    for number in range(200):
        desk.log.tell("claim.made", number, ["ann@example.com"], weight=50)
        kept = desk.log._events
        assert sum(event.weight for event in kept) <= 125
    assert [event.data for event in kept] == [198, 199]
    assert desk.log.since(first) is None
    assert len(desk.log.since(desk.log.floor) or ()) == 2
    desk.log.tell("claim.made", 200, weight=1000)
    assert [event.data for event in desk.log._events] == [200]
    assert desk.log.since(desk.log.last) == []


def test_what_is_told_of_the_same_contacts_shares_their_names() -> None:
    """A subscription of thousands is renewed again and again."""
    desk = FollowedLog().watch("ann@example.com")
    for _ in range(2):
        desk.log.tell("subscription.renewed", None, [f"p{number}@example.com" for number in range(10)])
    one, other = desk.log._events[-2:]
    assert one.keys is other.keys
