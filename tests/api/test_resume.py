"""Ids that say what a client knows: a connection may break behind any event, and nothing is missing or told twice."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from typing import Any, overload

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pws_soap.models import PresenceState
from service.access.principal import Principal, Scope
from service.api.sse import subscriber, wire_format
from service.api.sse.resume import (
    MAX_LENGTH,
    MOST_NOTICES,
    CoalescedRange,
    StreamPosition,
    coalesce,
    one_by_one,
    replay,
)
from service.api.sse.subscriber import Subscriber
from service.api.sse.view import FrameCache, SubscriberView
from service.api.writers.contact import ContactJson
from service.core.clock import Moment
from service.core.events.event import CHANGE, Event
from service.core.presence.availability import Availability
from service.core.presence.query import Filter
from service.core.presence.snapshot import GroupedSnapshot
from tests.support.bare_service import AVAILABLE, AWAY, BUSY
from tests.support.examples import examples
from tests.support.followed_log import ANN, BOB, CID, GROUPS, FollowedLog
from tests.support.sse import Board, Reader, Sse

PEOPLE = (ANN, BOB, CID)
NEWS = "noted"
Story = list[tuple[list[tuple[str, PresenceState]], int, bool]]
WHOLE = 10_000
"""Events that a log keeps which keeps all of a story."""


def everything(events: Sequence[Event]) -> Sequence[Event]:
    """The view of a client that sees all."""
    return events


# --- the id as text


@pytest.mark.parametrize("text", ["0", "17", "17.3.20", "9" * 20, ".".join(["9" * 20] * 3)])
def test_an_id_is_read_as_it_is_written(text: str) -> None:
    """A number, or three: a client sends what it got."""
    position = StreamPosition.parse(text)
    assert position is not None
    assert len(text) <= MAX_LENGTH
    assert StreamPosition.parse(str(position)) in {position, StreamPosition(position.revision)}


def test_behind_the_last_event_of_a_range_everything_is_known() -> None:
    """Its id is a number again."""
    assert str(StreamPosition(20, CoalescedRange(3, 20))) == "20"
    assert str(StreamPosition(19, CoalescedRange(3, 20))) == "19.3.20"


@pytest.mark.parametrize("text", ["", ".", "1.", "1.2", "1.1.1.1", "3.4.5", "6.4.5", "1..2", "-1", "1.0.2 ", "٣.1.4"])
def test_what_is_no_id_stands_for_no_position(text: str) -> None:
    """Nor does a number outside of its range."""
    assert StreamPosition.parse(text) is None


@given(st.text(st.sampled_from("0123456789.")))
def test_ids_are_read_or_refused_and_nothing_else(text: str) -> None:
    """Whatever it is, an id that is accepted lies in its range."""
    position = StreamPosition.parse(text)
    if position is not None:
        assert position.known <= position.revision <= position.newest


# --- against the function that searched the whole log for every contact


def found_by_searching(
    events: Sequence[Event], place: int, ranges: Sequence[CoalescedRange]
) -> list[tuple[Event, tuple[GroupedSnapshot | None, ...]]]:
    """Every event behind `place`, the first of each contact against all that any client may know of it."""
    found: list[tuple[Event, tuple[GroupedSnapshot | None, ...]]] = []
    begun: set[str] = set()
    for event in events:
        if event.id <= place:
            continue
        if event.key is None:
            found.append((event, ()))
            continue
        before = [event.before]
        if event.key not in begun:
            begun.add(event.key)
            same = [each for each in events if each.key == event.key]
            for begin, end in ranges:
                if event.id <= end:
                    before.append(next(each.before for each in same if each.id > begin))
        found.append((event, tuple(before)))
    return found


CHANGES = st.lists(
    st.tuples(st.sampled_from([*PEOPLE, NEWS]), st.sampled_from([BUSY, AWAY, AVAILABLE])), min_size=1, max_size=40
)


def log_of(changes: Sequence[tuple[str, PresenceState]]) -> tuple[list[Event], int]:
    """The events of such a story, and the revision before the first of them."""
    followed = FollowedLog().watch(*PEOPLE)
    begin = followed.log.last
    for contact, state in changes:
        happen(followed, contact, state)
    return followed.events(begin), begin


def happen(followed: FollowedLog, contact: str, state: PresenceState) -> None:
    """A change of a contact, or something beside the contacts."""
    if contact == NEWS:
        followed.log.tell(NEWS)
    else:
        followed.read(contact, state)


@settings(max_examples=examples(150), deadline=None)
@given(CHANGES, st.data())
async def test_the_rest_of_a_range_is_what_a_search_of_the_whole_log_finds(
    changes: Sequence[tuple[str, PresenceState]], data: st.DataObject
) -> None:
    """The last event of each contact, against what that client knew; before and behind the range every event."""
    events, first = log_of(changes)
    begin = data.draw(st.sampled_from([first, *(event.id for event in events)]), "begin")
    inside = [event for event in events if event.id > begin]
    end = data.draw(st.sampled_from([begin, *(event.id for event in inside)]), "end")
    place = data.draw(st.integers(begin, end), "place")
    coalesced = CoalescedRange(begin, end)
    found = await replay(inside, StreamPosition(place, coalesced), everything)
    behind = one_by_one([event for event in events if event.id > end])
    searched = found_by_searching(inside, place, [coalesced])

    last = {event.key: event for event, _ in searched if event.id <= end}
    notices = [event for event, _ in searched if event.key is None and event.id <= end]
    assert [each.event for each in found if each.event.key is None] == notices
    assert {each.event.key: each.event for each in found if each.event.key} == {k: e for k, e in last.items() if k}
    for told in found:
        if told.event.key is not None:
            first_of_it = next(before for event, before in searched if event.key == told.event.key)
            assert told.before is first_of_it[-1], "what a client in this range knows of the contact"
    assert [(each.event, (each.before,)) for each in behind if each.event.key] == [
        (event, (event.before,)) for event, _ in searched if event.id > end and event.key
    ]
    ids = [each.event.id for each in (*found, *behind)]
    assert ids == sorted(set(ids))


@settings(max_examples=examples(100), deadline=None)
@given(CHANGES, st.integers(0, 40))
async def test_who_resumes_inside_a_range_gets_what_it_would_have_got(
    changes: Sequence[tuple[str, PresenceState]], cut: int
) -> None:
    """The same events with the same ids, whatever was cut off: so no process has to remember the range."""
    events, begin = log_of(changes)
    sent = await coalesce(events, begin, everything)
    cut %= len(sent)
    position = StreamPosition.parse(sent[cut].id)
    assert position is not None
    assert await replay(events, position, everything) == ([] if position.range is None else sent[cut + 1 :])
    assert position.newest <= events[-1].id


# --- how much work it is


class Counted(Sequence[Event]):
    """Events that count how often one of them is looked at."""

    def __init__(self, events: Sequence[Event], looks: Iterator[int]) -> None:
        self._events = events
        self._looks = looks

    @overload
    def __getitem__(self, at: int) -> Event: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Event]: ...
    def __getitem__(self, at: int | slice) -> Event | Sequence[Event]:
        if isinstance(at, slice):
            return Counted(self._events[at], self._looks)
        next(self._looks)
        return self._events[at]

    def __iter__(self) -> Iterator[Event]:
        for event in self._events:
            next(self._looks)
            yield event

    def __len__(self) -> int:
        return len(self._events)


@pytest.mark.parametrize("contacts", [1, 1_250, 5_000])
async def test_an_event_is_looked_at_a_fixed_number_of_times(contacts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many events and contacts there are; and other tasks get turns in between."""
    count = 2 * contacts + 10
    events = [Event(at + 1, CHANGE, Moment(0.0, 0.0), str(at % contacts)) for at in range(count)]
    looks = itertools.count()
    turns = 0

    async def turn(_seconds: float) -> None:
        nonlocal turns
        turns += 1

    monkeypatch.setattr(asyncio, "sleep", turn)
    found = await replay(Counted(events, looks), StreamPosition(1, CoalescedRange(0, count)), everything)
    assert len(found) == contacts
    assert next(looks) <= 2 * count
    assert turns >= count // 500


async def test_one_range_tells_the_newest_of_the_events_beside_the_contacts() -> None:
    """What waits to be sent is bounded by the contacts."""
    followed = FollowedLog().watch(ANN)
    begin = followed.log.last
    for _ in range(3 * MOST_NOTICES):
        followed.log.tell(NEWS)
    events = followed.events(begin)
    sent = await coalesce(events, begin, everything)
    assert [each.event for each in sent] == events[-MOST_NOTICES:]


# --- a client whose connection breaks anywhere, again and again


class Client:
    """Reads a stream event by event. Each connection is to another process: only the log is the same."""

    def __init__(self, followed: FollowedLog, wanted: Filter, who: Principal) -> None:
        self._followed = followed
        self._wanted = wanted
        self._who = who
        self.board = Board()
        self.snapshots: list[str] = []
        self.connect()

    def connect(self) -> None:
        """Come back with the id of the last event that was read; what was sent behind it is lost."""
        writer = ContactJson()
        self._followed.store.changes.listen(writer.forget)
        view = SubscriberView(
            self._followed.reader, self._followed.store, writer, FrameCache(), self._wanted, self._who
        )
        last = self.board.ids[-1] if self.board.ids else None
        self._subscriber = Subscriber(self._followed.log, view, last)
        self._frames = self._subscriber.frames()
        self._arrived: list[Sse] = []
        self._reader = Reader()

    async def read(self, count: int) -> bool:
        """Take so many events; False when there are no more."""
        for _ in range(count):
            while not self._arrived:
                self._subscriber.remind()
                frame = await anext(self._frames)
                if frame == wire_format.KEEP_ALIVE:
                    return False
                self._arrived += self._reader.feed(frame)
            event = self._arrived.pop(0)
            self.board.take(event)
            if event.name == "snapshot":
                self.snapshots.append(event.data["reason"])
        return True

    async def catch_up(self) -> None:
        """Until there is nothing more to read."""
        while await self.read(1):
            pass

    def knows(self) -> dict[str, Any]:  # JSON is of any type
        """Its contacts, but for what may move on without an event: `as_of`; without details, the revision too."""
        moves = {"as_of"} if self._who.details else {"as_of", "revision"}
        return {
            uri: {key: value for key, value in each.items() if key not in moves}
            for uri, each in self.board.contacts.items()
        }


STORY = st.lists(st.tuples(CHANGES, st.integers(0, 6), st.booleans()), min_size=2, max_size=12)
"""Rounds: what happens, how many events the client reads then, and whether its connection breaks behind the last."""
INSIDE: Story = [
    ([(ANN, AVAILABLE), (BOB, AVAILABLE), (CID, AVAILABLE)], 9, False),
    ([(BOB, BUSY), (BOB, AVAILABLE)], 1, False),
    (
        [(BOB, AVAILABLE), (CID, AWAY), (ANN, AVAILABLE), (CID, AVAILABLE), (ANN, BUSY), (BOB, BUSY), (CID, BUSY)],
        2,
        True,
    ),
    ([(ANN, AVAILABLE)], 6, False),
]
"""A connection that breaks inside a range, whatever the view."""
VIEWS = {
    "all": (Filter(), Principal("all", frozenset(Scope))),
    "some states": (Filter(states=frozenset({BUSY})), Principal("all", frozenset(Scope))),
    "one group": (Filter(within=frozenset({"support"})), Principal("one", frozenset(Scope), frozenset({"support"}))),
    "who is free": (Filter(available=True), Principal("brief", frozenset(Scope), details=False)),
}


async def follow(story: Story, view: str, buffer: int) -> int:
    """One client through a story; how often it broke off inside a range."""
    followed = FollowedLog(buffer, Availability(GROUPS)).watch(*PEOPLE)
    client = Client(followed, *VIEWS[view])
    inside = 0
    for changes, count, breaks in story:
        for contact, state in changes:
            happen(followed, contact, state)
        await client.read(count)
        if breaks:
            inside += bool(client.board.ids) and "." in client.board.ids[-1]
            client.connect()
    await client.catch_up()
    fresh = Client(followed, *VIEWS[view])
    await fresh.catch_up()
    assert client.knows() == fresh.knows()
    if buffer == WHOLE:
        assert "not-kept" not in client.snapshots, "the whole story is in the log"
    return inside


@pytest.mark.parametrize("view", sorted(VIEWS))
@pytest.mark.parametrize("buffer", [WHOLE, 12])
def test_who_breaks_off_anywhere_knows_in_the_end_what_there_is(
    view: str, buffer: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lags, breaks off inside a range, resumes elsewhere, and lags again: nothing is missing, or told twice.

    The board refuses to remove somebody whom it does not know, and to go back in time.
    """
    monkeypatch.setattr(subscriber, "LAG", 3)
    monkeypatch.setattr(subscriber, "TURN", 2)
    inside = 0

    @settings(max_examples=examples(40), deadline=None)
    @given(STORY)
    @example(INSIDE)
    def tell(story: Story) -> None:
        nonlocal inside
        inside += asyncio.run(follow(story, view, buffer))

    tell()
    assert inside, "some connection broke inside a range"
