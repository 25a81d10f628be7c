"""What becomes of a reply: changes, their order, and what is doubted."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pws_soap.models import Device, PresenceState, PresenceType
from service.core.clock import ManualClock, Moment
from service.core.presence.changes import LocalBus
from service.core.presence.freshness import Freshness, Level, assess
from service.core.presence.memory_store import MemoryStore
from service.core.presence.records import Change, ChangeKind, PutReport, ReadingStart, Source
from tests.support.bare_service import AVAILABLE, AWAY, BOUND, BUSY, presence

ANN, BOB, CID = "ann@example.com", "bob@example.com", "cid@example.com"


class Case:
    """A store whose feed works, with the words the tests need."""

    def __init__(self, *contacts: str) -> None:
        self.clock = ManualClock()
        self.store = MemoryStore(self.clock)
        self.store.watch(contacts, "f")
        self.store.trust("f")

    def put(
        self,
        contact: str,
        state: PresenceState,
        reading: ReadingStart | None = None,
        source: Source = Source.SUBSCRIBED,
    ) -> PutReport:
        """A reply about one contact; without a reading, of a fetch that begins now."""
        return self.store.put([presence(contact, state)], reading or self.store.begin(), source=source)

    def level(self, contact: str) -> Level:
        """How sure its state is."""
        return self.freshness(contact).level

    def freshness(self, contact: str) -> Freshness:
        """How sure its state is, since when, and why."""
        record = self.store.get(contact)
        assert record is not None
        return assess(record, self.store.feeds()[record.feed], self.clock.monotonic(), BOUND)

    def state(self, contact: str) -> PresenceState:
        """What is shown."""
        record = self.store.get(contact)
        assert record is not None
        return record.state


# --- what is watched


def test_contacts_are_found_in_any_spelling_and_shown_in_the_first() -> None:
    """Case and sip: do not count; how the contact was first written is what people see."""
    case = Case(" sip:Ann@Example.COM ")
    case.store.watch(["ann@example.com"], "f")
    case.put("ANN@EXAMPLE.COM", BUSY)
    record = case.store.get("sip:ann@EXAMPLE.com")
    assert record is not None
    assert (record.contact, record.key, record.state) == ("Ann@Example.COM", ANN, BUSY)
    assert len(case.store.records()) == 1


def test_records_are_ordered_and_can_begin_after_a_key() -> None:
    """The order is that of the keys, whatever the order of watching."""
    case = Case(CID, "B@example.com", ANN)
    assert [record.key for record in case.store.records()] == [ANN, "b@example.com", CID]
    assert [record.key for record in case.store.records(after=ANN)] == ["b@example.com", CID]
    assert [record.key for record in case.store.records(after="b")] == ["b@example.com", CID]
    assert list(case.store.records(after=CID)) == []


def test_watching_and_unwatching_are_changes() -> None:
    """Anybody who follows the revisions learns who came and who went."""
    case = Case()
    added = case.store.watch([ANN, BOB], "f")
    removed = case.store.unwatch(["ANN@example.com", "nobody@example.com"])
    assert [(change.revision, change.kind, change.record.key) for change in added + removed] == [
        (1, ChangeKind.ADDED, ANN),
        (2, ChangeKind.ADDED, BOB),
        (3, ChangeKind.REMOVED, ANN),
    ]
    assert case.store.get(ANN) is None
    assert [record.key for record in case.store.records()] == [BOB]
    assert repr(case.store) == "<MemoryStore 1 contacts, revision 3>"


def test_watching_again_changes_nothing() -> None:
    """Neither the revision nor what is known."""
    case = Case(ANN)
    case.put(ANN, BUSY)
    assert case.store.watch([ANN], "f") == []
    assert case.state(ANN) is BUSY
    assert case.level(ANN) is Level.LIVE


def test_a_contact_that_moves_to_another_feed_is_stale_until_read() -> None:
    """What the new subscription confirms was not true for this contact before it was in it."""
    case = Case(ANN)
    case.put(ANN, BUSY)
    case.store.watch([ANN], "g")
    case.store.trust("g")
    case.store.confirm("g", case.store.begin())
    assert case.freshness(ANN).reason == "not read since it moved to another subscription"
    case.put(ANN, BUSY)
    assert case.level(ANN) is Level.LIVE


def test_a_contact_that_comes_back_is_not_remembered() -> None:
    """Its presence is gone, and a reading from before does not count as its first."""
    case = Case(ANN)
    before = case.store.begin()
    case.put(ANN, BUSY)
    case.store.unwatch([ANN])
    case.store.watch([ANN], "f")
    assert (case.state(ANN), case.level(ANN)) == (PresenceState.UNKNOWN, Level.UNKNOWN)
    case.put(ANN, AWAY, before)
    assert (case.state(ANN), case.level(ANN)) == (AWAY, Level.STALE)
    case.put(ANN, AWAY)
    assert case.level(ANN) is Level.LIVE


# --- what is read


def test_only_a_change_takes_a_revision() -> None:
    """The same presence again is a reading, not a change."""
    case = Case(ANN)
    first = case.put(ANN, BUSY)
    changed_at = Moment.of(case.clock)
    case.clock.advance(60)
    second = case.put(ANN, BUSY, source=Source.POLLED)
    record = case.store.get(ANN)
    assert record is not None
    assert [change.revision for change in first.changes] == [2]
    assert second.changes == ()
    assert (record.revision, record.changed_at, record.source) == (2, changed_at, Source.POLLED)
    assert record.reading is not None
    assert record.reading.at == Moment.of(case.clock)


@pytest.mark.parametrize(
    "difference",
    [
        {"activities": ("busy",)},
        {"on_the_phone": True},
        {"display_name": "Ann"},
        {"note": "back at noon"},
        {"idle": False},
        {"devices": (Device("d", True),)},
    ],
    ids=lambda difference: next(iter(difference)),
)
def test_whatever_is_shown_counts_as_a_change(difference: dict[str, object]) -> None:
    """Not the state alone."""
    case = Case(ANN)
    case.put(ANN, BUSY)
    report = case.store.put([presence(ANN, BUSY, **difference)], case.store.begin(), source=Source.SUBSCRIBED)
    assert len(report.changes) == 1


@pytest.mark.parametrize("hidden", [{"type": PresenceType.RICH}, {"document": b"<presence/>"}])
def test_what_is_not_shown_is_no_change(hidden: dict[str, object]) -> None:
    """Nobody could tell the difference."""
    case = Case(ANN)
    case.put(ANN, BUSY)
    report = case.store.put([presence(ANN, BUSY, **hidden)], case.store.begin(), source=Source.SUBSCRIBED)
    assert report.changes == ()


def test_a_change_tells_before_and_after() -> None:
    """A listener need not remember."""
    case = Case(ANN)
    case.put(ANN, BUSY)
    (change,) = case.put(ANN, AWAY).changes
    assert change.kind is ChangeKind.CHANGED
    assert change.before is not None
    assert (change.before.state, change.record.state) == (BUSY, AWAY)


def test_strangers_are_counted_and_nothing_else() -> None:
    """The server may know more than is watched."""
    case = Case(ANN)
    report = case.put(BOB, BUSY)
    assert (report.strangers, report.changes) == (1, ())
    assert case.store.summary().strangers == 1
    assert case.store.get(BOB) is None


def test_named_twice_the_last_one_counts() -> None:
    """One reply, one truth."""
    case = Case(ANN)
    both = [presence(ANN, BUSY), presence("ANN@example.com", AWAY)]
    report = case.store.put(both, case.store.begin(), source=Source.SUBSCRIBED)
    assert (case.state(ANN), len(report.changes), report.contested) == (AWAY, 1, ())


def test_a_reading_counts_from_its_begin() -> None:
    """The server may have looked right after the request was sent."""
    case = Case(ANN)
    began = case.store.begin()
    case.clock.advance(BOUND + 1)
    case.put(ANN, BUSY, began)
    assert (case.level(ANN), case.freshness(ANN).as_of) == (Level.STALE, began.at)


# --- readings at the same time


@pytest.mark.parametrize("later_arrives_first", [True, False])
def test_overlapping_readings_that_disagree_are_contested(later_arrives_first: bool) -> None:
    """Nobody can tell which the server answered last: shown is the one that began later, live is none."""
    case = Case(ANN)
    early, late = case.store.begin(), case.store.begin()
    replies = [(AWAY, late), (BUSY, early)] if later_arrives_first else [(BUSY, early), (AWAY, late)]
    first, second = (case.put(ANN, state, reading) for state, reading in replies)
    assert (first.contested, second.contested) == ((), (ANN,))
    assert (case.state(ANN), case.level(ANN)) == (AWAY, Level.STALE)
    assert case.freshness(ANN).reason == "two readings at the same time disagreed"
    assert case.store.unsettled() == [ANN]
    assert case.store.summary().contested == 1
    case.put(ANN, BUSY)
    assert (case.state(ANN), case.level(ANN)) == (BUSY, Level.LIVE)


def test_overlapping_readings_that_agree_are_not_contested() -> None:
    """And the one that began earlier does not make the contact look older."""
    case = Case(ANN)
    early, late = case.store.begin(), case.store.begin()
    case.put(ANN, BUSY, late, Source.POLLED)
    assert case.put(ANN, BUSY, early).contested == ()
    record = case.store.get(ANN)
    assert record is not None
    assert (record.reading, record.source, case.level(ANN)) == (late, Source.POLLED, Level.LIVE)


def test_readings_one_after_the_other_are_never_contested() -> None:
    """Also when the clock does not move between them."""
    case = Case(ANN)
    for state in (BUSY, AWAY, AVAILABLE):
        assert case.put(ANN, state).contested == ()
        assert (case.state(ANN), case.level(ANN)) == (state, Level.LIVE)


def test_an_agreeing_reading_under_way_does_not_settle_a_doubt() -> None:
    """Only one that began after the doubt does."""
    case = Case(ANN)
    case.put(ANN, BUSY)
    under_way = case.store.begin()
    case.store.doubt_contacts([ANN], "its reply was lost")
    case.put(ANN, BUSY, under_way)
    assert case.freshness(ANN).reason == "its reply was lost"
    case.put(ANN, BUSY)
    assert case.level(ANN) is Level.LIVE


# --- what cannot be read


def test_an_unreadable_document_keeps_the_state_and_makes_it_stale() -> None:
    """What it said is not known, that it said something is."""
    case = Case(ANN)
    case.put(ANN, BUSY)
    known = Moment.of(case.clock)
    case.clock.advance(5)
    broken = presence(ANN, PresenceState.UNKNOWN, problem="ends too early")
    report = case.store.put([broken], case.store.begin(), source=Source.SUBSCRIBED)
    record = case.store.get(ANN)
    assert record is not None
    assert (report.unreadable, report.changes) == ((ANN,), ())
    assert (record.state, record.problem) == (BUSY, "ends too early")
    case.store.confirm("f", case.store.begin())
    expected = Freshness(Level.STALE, known, "its document could not be read: ends too early")
    assert case.freshness(ANN) == expected
    assert case.store.summary().unreadable == 1


def test_a_readable_document_settles_the_problem() -> None:
    """The next good reading is as good as any."""
    case = Case(ANN)
    case.store.put([presence(ANN, problem="broken")], case.store.begin(), source=Source.SUBSCRIBED)
    assert case.freshness(ANN) == Freshness(Level.UNKNOWN, None, "broken")
    case.put(ANN, AWAY)
    record = case.store.get(ANN)
    assert record is not None
    assert (record.state, record.problem, case.level(ANN)) == (AWAY, None, Level.LIVE)


# --- feeds


def test_a_new_feed_is_in_doubt_until_trusted() -> None:
    """Nothing is live before there is a subscription, polled or not."""
    clock = ManualClock()
    store = MemoryStore(clock)
    store.watch([ANN], "f")
    store.put([presence(ANN)], store.begin(), source=Source.POLLED)
    record, feed = store.get(ANN), store.feeds()["f"]
    assert record is not None
    assert assess(record, feed, clock.monotonic(), BOUND).reason == "not subscribed yet"
    store.trust("f")
    assert assess(record, store.feeds()["f"], clock.monotonic(), BOUND).level is Level.LIVE


def test_a_confirmation_keeps_unnamed_contacts_live() -> None:
    """A change-only fetch is silent about what has not changed."""
    case = Case(ANN, BOB)
    case.put(ANN, BUSY)
    case.clock.advance(BOUND)
    reading = case.store.begin()
    case.clock.advance(1)
    case.store.confirm("f", reading)
    assert case.freshness(ANN) == Freshness(Level.LIVE, reading.at)
    assert case.level(BOB) is Level.UNKNOWN


def test_confirmations_out_of_order_count_the_latest() -> None:
    """An older fetch that ends later takes nothing back."""
    case = Case(ANN)
    case.put(ANN, BUSY)
    old = case.store.begin()
    case.clock.advance(10)
    new = case.store.begin()
    case.store.confirm("f", new)
    case.store.confirm("f", old)
    assert case.freshness(ANN).as_of == new.at


def test_a_broken_feed_makes_its_contacts_stale_and_no_others() -> None:
    """Each end user's subscription stands for itself."""
    case = Case(ANN)
    case.store.watch([BOB], "g")
    case.store.trust("g")
    case.put(ANN, BUSY)
    case.put(BOB, BUSY)
    case.store.doubt("f", "subscription lost")
    assert case.freshness(ANN).reason == "subscription lost"
    assert case.level(BOB) is Level.LIVE
    case.store.trust("f")
    assert case.level(ANN) is Level.LIVE


def test_a_doubt_keeps_its_begin_and_takes_the_newest_reason() -> None:
    """Since when something is wrong matters more than what was tried last."""
    case = Case()
    began = Moment.of(case.clock)
    case.store.doubt("f", "time-out")
    case.clock.advance(30)
    case.store.doubt("f", "connection refused")
    doubt = case.store.feeds()["f"].doubt
    assert doubt is not None
    assert (doubt.reason, doubt.since) == ("connection refused", began)


def test_what_was_confirmed_by_a_broken_feed_is_not_confirmed() -> None:
    """A feed that turns out to have been silent since noon confirmed nothing after noon."""
    case = Case(ANN)
    case.put(ANN, BUSY)
    read = Moment.of(case.clock)
    case.clock.advance(10)
    noon = Moment.of(case.clock)
    case.clock.advance(10)
    case.store.confirm("f", case.store.begin())
    case.store.doubt("f", "no notifications", since=noon)
    assert case.freshness(ANN).as_of == read


def test_a_subscription_made_anew_must_name_each_contact_once() -> None:
    """Between the old one and the new one changes were told to nobody."""
    case = Case(ANN, BOB, CID)
    case.put(ANN, BUSY)
    case.put(BOB, BUSY)
    under_way = case.store.begin()
    case.store.doubt("f", "subscription lost")
    anew = case.store.begin()
    case.store.trust("f", anew=anew)
    case.put(ANN, BUSY, anew)
    case.put(CID, BUSY, under_way)
    case.store.confirm("f", anew)
    assert (case.level(ANN), case.level(BOB), case.level(CID)) == (Level.LIVE, Level.STALE, Level.STALE)
    assert case.freshness(BOB).reason == "not read since the subscription was made anew"
    assert case.store.unsettled("f") == [BOB, CID]
    assert case.store.unsettled("other") == []


def test_unsettled_contacts_move_and_go_with_their_records() -> None:
    """Who is unwatched or moves is no longer read for its old feed."""
    case = Case(ANN, BOB, CID)
    assert case.store.unsettled() == [ANN, BOB, CID]
    case.put(BOB, BUSY)
    case.store.unwatch([CID])
    case.store.watch([ANN], "g")
    assert (case.store.unsettled("f"), case.store.unsettled("g"), case.store.unsettled()) == ([], [ANN], [ANN])
    case.put(ANN, BUSY)
    assert case.store.unsettled() == []


def test_a_new_subscription_of_one_feed_leaves_others_alone() -> None:
    """Feeds stand for themselves."""
    case = Case(ANN)
    case.store.watch([BOB], "g")
    case.store.trust("g")
    case.put(BOB, BUSY)
    case.store.trust("f", anew=case.store.begin())
    assert case.level(BOB) is Level.LIVE


def test_a_stronger_doubt_is_not_weakened() -> None:
    """A reply lost after the new subscription began is not settled by that subscription's first fetch."""
    case = Case(ANN)
    case.put(ANN, BUSY)
    anew = case.store.begin()
    case.store.doubt_contacts([ANN, "stranger@example.com"], "its reply was lost")
    case.store.trust("f", anew=anew)
    case.put(ANN, BUSY, anew)
    assert case.freshness(ANN).reason == "its reply was lost"


def test_a_doubted_contact_is_not_made_younger_by_its_feed() -> None:
    """The change that was lost may be this contact's: later confirmations do not count for it."""
    case = Case(ANN)
    case.put(ANN, BUSY)
    case.clock.advance(5)
    confirmed = case.store.begin()
    case.store.confirm("f", confirmed)
    case.clock.advance(5)
    case.store.doubt_contacts([ANN], "its reply was lost")
    case.clock.advance(5)
    case.store.confirm("f", case.store.begin())
    assert case.freshness(ANN) == Freshness(Level.STALE, confirmed.at, "its reply was lost")
    case.store.doubt_contacts([ANN], "lost again")
    assert case.freshness(ANN) == Freshness(Level.STALE, confirmed.at, "lost again")


def test_summary_counts() -> None:
    """How many are watched and how many were ever read."""
    case = Case(ANN, BOB)
    case.put(ANN, BUSY)
    summary = case.store.summary()
    assert (summary.contacts, summary.read, summary.revision) == (2, 1, 3)


# --- listeners


def test_listeners_hear_every_change_in_order() -> None:
    """Until they stop; nothing is told when nothing changed."""
    case = Case()
    heard: list[Sequence[Change]] = []
    stop = case.store.changes.listen(heard.append)
    case.store.watch([ANN, BOB], "f")
    case.put(ANN, BUSY)
    case.put(ANN, BUSY)
    stop()
    stop()
    case.put(ANN, AWAY)
    assert [[change.revision for change in batch] for batch in heard] == [[1, 2], [3]]


def test_a_broken_listener_disturbs_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, and the others hear of the change."""
    bus = LocalBus()
    heard: list[int] = []

    def broken(changes: Sequence[Change]) -> None:
        raise RuntimeError("cannot")

    bus.listen(broken)
    bus.listen(lambda changes: heard.append(len(changes)))
    store = MemoryStore(ManualClock(), bus)
    store.watch([ANN], "f")
    assert heard == [1]
    assert "a listener of changes failed" in caplog.text


def test_listeners_are_bounded() -> None:
    """Forgetting to stop shows early."""
    bus = LocalBus(limit=1)
    stop = bus.listen(lambda changes: None)
    with pytest.raises(RuntimeError, match="more than 1 listeners"):
        bus.listen(lambda changes: None)
    stop()
    bus.listen(lambda changes: None)
    assert len(bus) == 1
