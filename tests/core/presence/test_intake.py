"""A reply that says what is known moves a shared reading on: the same as if each contact had been read again."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as changed

from pws_soap.models import Presence, PresenceState, PresenceType
from service.core.clock import ManualClock
from service.core.presence import memory_store
from service.core.presence.freshness import Level, assess
from service.core.presence.memory_store import MemoryStore
from service.core.presence.records import PutReport, ReadingStart, Record, Source
from tests.support.bare_service import AVAILABLE, AWAY, BOUND, BUSY, presence
from tests.support.examples import examples

UNTIL = datetime.fromtimestamp(ManualClock().now() + 9, UTC)
PEOPLE = [f"p{number}@example.com" for number in range(6)]
Told = tuple[tuple[str, PresenceState, bool], ...]

WHOLE: Told = tuple((contact, BUSY, False) for contact in PEOPLE)


def _altered(change: tuple[int, PresenceState, bool]) -> Told:
    """All of them, one otherwise than usual: most of it is as in other such replies, in the same places."""
    place, state, broken = change
    return (*WHOLE[:place], (PEOPLE[place], state, broken), *WHOLE[place + 1 :])


told = st.one_of(
    st.just(WHOLE),
    st.tuples(st.integers(0, len(PEOPLE) - 1), st.sampled_from([BUSY, AWAY, PresenceState.UNKNOWN]), st.booleans()).map(
        _altered
    ),
    st.just(WHOLE[::-1]),
    st.just(WHOLE + WHOLE[:1]),
    st.just(tuple((contact, BUSY, False) for contact in PEOPLE[:4])),
    st.lists(
        st.tuples(st.sampled_from(PEOPLE), st.sampled_from([BUSY, AWAY, PresenceState.UNKNOWN]), st.booleans()),
        max_size=6,
        unique_by=lambda each: each[0],
    ).map(tuple),
)
"""A reply: contact, state, and whether its document cannot be read."""
steps = st.one_of(
    st.tuples(st.just("begin"), st.just(()), st.integers(0, 2)),
    st.tuples(st.just("put"), told, st.integers(0, 2)),
    st.tuples(st.just("again"), st.just(()), st.integers(0, 2)),
    st.tuples(st.just("poll"), told, st.integers(0, 2)),
    st.tuples(st.just("doubt"), told, st.just(0)),
    st.tuples(st.just("watch"), told, st.integers(0, 1)),
    st.tuples(st.just("unwatch"), told, st.just(0)),
    st.tuples(st.just("confirm"), st.just(()), st.integers(0, 2)),
    st.tuples(st.sampled_from(["anew", "feed", "untold"]), st.just(()), st.just(0)),
    st.tuples(st.just("lapse"), st.just(()), st.just(0)),
)


class OneByOne(MemoryStore):
    """The plain way: every contact of a reply is read anew, so no reading is ever shared by two."""

    def put(self, presences, reading, *, source):  # type: ignore[no-untyped-def]
        named = {each.contact: each for each in presences}
        reports = []
        for each in named.values():
            record = self.get(each.contact)
            if record is not None and record.presence is not None:
                # Never the same object, and not the same in every field.
                each = changed(each, note_language=f"{self.version}")
            reports.append(super().put([each], reading, source=source))
        report = PutReport()
        for each in reports:
            report = memory_store._together(report, each)
        return report


class Replies:
    """Makes presences, and gives out the same object again for the same words, as a client that keeps them does."""

    def __init__(self) -> None:
        self._lists: dict[Told, list[Presence]] = {}

    def list_of(self, words: Told) -> list[Presence]:
        """The reply that says this."""
        if words not in self._lists:
            self._lists[words] = [
                presence(
                    contact,
                    state,
                    problem="broken" if broken else None,
                    valid_until=UNTIL if state is AWAY else None,
                )
                for contact, state, broken in words
            ]
        return self._lists[words]


def _shown(store: MemoryStore, clock: ManualClock) -> list[object]:
    """All that can be seen of the contacts, revisions aside."""
    feeds = store.feeds()
    return [
        (
            record.contact,
            record.state,
            record.reading and record.reading.at,
            record.source,
            record.changed_at,
            record.doubt and (record.doubt.reason, record.doubt.since, record.doubt.as_of),
            record.problem,
            record.spans,
            assess(record, feeds[record.feed], clock.monotonic(), BOUND),
        )
        for record in store.records()
    ] + [store.unsettled(), store.unsettled("f"), store.summary().contacts, store.summary().read]


def _step(
    store: MemoryStore, replies: Replies, what: str, words: Told, number: int, begun: list[ReadingStart]
) -> object:
    contacts = [each[0] for each in words]
    reading = begun[-1 - number % len(begun)]
    match what:
        case "begin":
            begun.append(store.begin())
        case "put":
            report = store.put(replies.list_of(words), reading, source=Source.SUBSCRIBED)
            return sorted(report.contested), sorted(report.unreadable), report.strangers, len(report.changes)
        case "again":
            store.put(replies.list_of(WHOLE), begun[-1], source=Source.SUBSCRIBED)
        case "poll":
            report = store.put(replies.list_of(words), reading, source=Source.POLLED)
            return sorted(report.contested), sorted(report.unreadable), report.strangers, len(report.changes)
        case "doubt":
            store.doubt_contacts(contacts, "a reply was lost")
        case "watch":
            store.watch(contacts, "fg"[number])
        case "unwatch":
            store.unwatch(contacts)
        case "confirm":
            store.confirm("f", reading)
        case "feed":
            store.doubt("f", "lost")
        case "untold":
            store.trust("f")
        case "anew":
            store.trust("f", anew=store.begin())
        case _:
            store.lapse()
    return None


def _check_what_is_kept(store: MemoryStore, clock: ManualClock) -> None:
    """What is kept beside the records is what a walk over all of them gives."""
    records, feeds = list(store.records()), store.feeds()
    for bound in (BOUND, 3.0):
        levels = Counter(assess(each, feeds[each.feed], clock.monotonic(), bound).level for each in records)
        assert +Counter(store.levels(bound)) == levels
    for feed in feeds:
        mine = [each for each in records if each.feed == feed]
        assert set(store.keys(feed)) == {each.key for each in mine}
        assert set(store.unsettled(feed)) == {each.contact for each in mine if not each.presence or each.doubt}
        unknown = {each.key for each in mine if each.presence and each.presence.state is PresenceState.UNKNOWN}
        assert set(store.unknown(feed)) == unknown
        assert store.known(feed) == sum(each.state is not PresenceState.UNKNOWN for each in mine)
    for shared in {id(each.rests_on): each.rests_on for each in records if each.rests_on}.values():
        doubted = [each.doubt is not None for each in records if each.rests_on is shared]
        assert shared.sure == doubted.count(False)
        assert len(set(doubted)) == 1  # what may move on takes nobody along who is in doubt


@settings(max_examples=examples(500), deadline=None)
@given(st.lists(steps, max_size=25))
def test_moving_a_reading_on_is_the_same_as_reading_each_contact_again(history: list[tuple[str, Told, int]]) -> None:
    """Whatever is read, polled, doubted and watched in between: both ways show the same at every step."""
    clocks = ManualClock(), ManualClock()
    stores = MemoryStore(clocks[0]), OneByOne(clocks[1])
    begun: tuple[list[ReadingStart], ...] = ([], [])
    for store, own in zip(stores, begun, strict=True):
        store.watch(PEOPLE, "f")
        store.trust("f")
        own.append(store.begin())
    replies = Replies()
    for what, words, number in history:
        both = []
        for store, clock, own in zip(stores, clocks, begun, strict=True):
            clock.advance(1)
            both.append((_step(store, replies, what, words, number, own), _shown(store, clock)))
            _check_what_is_kept(store, clock)
        assert both[0] == both[1]


def _read(store: MemoryStore, replies: list[Presence]) -> None:
    store.put(replies, store.begin(), source=Source.SUBSCRIBED)


def _records(store: MemoryStore) -> list[Record]:
    return list(store.records())


def _store(count: int = 1000) -> tuple[MemoryStore, list[Presence]]:
    store = MemoryStore(ManualClock())
    people = [f"p{number:04}@example.com" for number in range(count)]
    store.watch(people, "f")
    store.trust("f")
    reply = [presence(contact, AVAILABLE) for contact in people]
    _read(store, reply)
    return store, reply


def test_who_is_in_doubt_is_not_moved_on_with_those_who_are_sure() -> None:
    """Neither as long as it is stale, nor once a poll that began before has settled it."""
    store, reply = _store(3)
    clock = store._clock
    assert isinstance(clock, ManualClock)
    was = store.get(reply[2].contact)
    assert was is not None
    known = was.reading
    clock.advance(1)
    store.doubt_contacts([reply[2].contact], "a reply was lost")
    clock.advance(1)
    poll = store.begin()
    clock.advance(1)
    _read(store, reply[:2])
    last = assess(_records(store)[2], store.feeds()["f"], clock.monotonic(), BOUND)
    assert known is not None
    assert (last.level, last.as_of) == (Level.STALE, known.at)
    store.put(reply[2:], poll, source=Source.SUBSCRIBED)
    last = assess(_records(store)[2], store.feeds()["f"], clock.monotonic(), BOUND)
    assert (last.level, last.as_of) == (Level.LIVE, poll.at)


def test_looking_through_a_long_reply_is_a_step_of_its_own() -> None:
    """Before the first contacts are taken in; a short one is taken in at once."""
    store, _ = _store()
    for count, steps in ((1000, 4), (200, 0)):
        told = [presence(record.contact, BUSY) for record in _records(store)[:count]]
        put = store.put_in_steps(told, store.begin(), source=Source.SUBSCRIBED)
        assert sum(1 for _ in put) == steps


def test_a_reply_that_differs_in_one_place_replaces_one_record() -> None:
    """Those before it and behind it stay as they are, whether a client gives out the same objects or equal ones."""
    store, reply = _store()
    for equal in (False, True):
        before = _records(store)
        again = [presence(each.contact, each.state) for each in reply] if equal else list(reply)
        again[500] = presence(reply[500].contact, AWAY if reply[500].state is BUSY else BUSY)
        reading = store.begin()
        report = store.put(again, reading, source=Source.SUBSCRIBED)
        assert [each.record.contact for each in report.changes] == [reply[500].contact]
        same = [one is other for one, other in zip(before, _records(store), strict=True)]
        assert same == [place != 500 for place in range(1000)]
        assert {record.reading for record in _records(store)} == {reading}
        reply = again


def test_a_repeated_reply_is_known_until_somebody_it_told_of_is_in_doubt() -> None:
    """Or is watched no longer, or has moved to another subscription, or something else was read."""
    for what in ("doubt", "unwatch", "move", "read"):
        store, reply = _store(5)
        kept = store.repeated(reply)
        assert kept is not None
        assert list(kept) == reply
        assert store.repeated(list(reply)) is kept
        assert store.repeated([*reply[:-1], presence(reply[-1].contact, AVAILABLE)]) is None
        assert store.repeated(reply[:-1]) is None
        contact = reply[3].contact
        match what:
            case "doubt":
                store.doubt_contacts([contact], "a reply was lost")
            case "unwatch":
                store.unwatch([contact])
            case "move":
                store.watch([contact], "g")
            case _:
                _read(store, [presence(contact, AWAY)])
        assert store.repeated(reply) is None


def test_a_reply_that_says_the_same_leaves_every_record_as_it_is() -> None:
    """Its reading counts for all of them all the same."""
    store, _ = _store()
    before = _records(store)
    again = [presence(record.contact, AVAILABLE) for record in before]
    reading = store.begin()
    store.put(again, reading, source=Source.SUBSCRIBED)
    assert all(one is other for one, other in zip(before, _records(store), strict=True))
    assert {record.reading for record in before} == {reading}


def test_only_what_changed_is_replaced() -> None:
    """One per cent of a reply says something else: one per cent of the records is new, and all are read anew."""
    store, reply = _store()
    before = _records(store)
    _read(store, [changed(each, state=BUSY) if place % 100 == 0 else each for place, each in enumerate(reply)])
    after = _records(store)
    assert sum(one is not other for one, other in zip(before, after, strict=True)) == 10
    assert len({id(record.rests_on) for record in after}) == 1


def test_the_very_same_reply_is_not_looked_through() -> None:
    """It is taken in with as many looks as a reply of one contact."""
    store, reply = _store()
    looks = 0
    get = store._table.get

    def counted(key: str) -> Record | None:
        nonlocal looks
        looks += 1
        return get(key)

    store._table.get = counted  # type: ignore[method-assign]
    _read(store, reply)
    assert looks == 1


def test_between_two_steps_nothing_is_said_of_what_is_not_taken_in_yet() -> None:
    """What a reply changes rests on the reading before it until its step comes."""
    store, reply = _store()
    old = store.begin()
    store.put(reply, old, source=Source.SUBSCRIBED)
    clock = store._clock
    assert isinstance(clock, ManualClock)
    clock.advance(5)
    new = store.begin()
    told = [changed(each, state=BUSY) if place % 3 == 0 else each for place, each in enumerate(reply)]
    for _ in store.put_in_steps(told, new, source=Source.SUBSCRIBED):
        for place, record in enumerate(store.records()):
            expected = (AVAILABLE, new) if place % 3 else (BUSY, new)
            assert (record.state, record.reading) in {expected, (AVAILABLE, old)}
            assert place % 3 == 0 or record.reading == new
    assert {record.reading for record in store.records()} == {new}


def test_a_document_that_lapses_is_counted_from_the_newer_reading() -> None:
    """Its moment is one of the server's clock, so that a wall clock that was set counts."""
    clock = ManualClock()
    store = MemoryStore(clock)
    store.watch(PEOPLE, "f")
    store.trust("f")

    until = datetime.fromtimestamp(clock.now() + 100, UTC)
    reply = [presence(each, type=PresenceType.RICH, valid_until=until) for each in PEOPLE]
    _read(store, reply)
    clock.jump(60)
    _read(store, reply)
    assert store.lapse() == clock.monotonic() + 40
