"""The picture over time: what is counted as things happen is what a count of all contacts finds."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pws_soap.models import PresenceState
from service.core.events.event import Event, SubscriptionChange
from service.core.events.trends import FEWEST, Activity, Trends, activity_of
from service.core.presence.snapshot import GroupedSnapshot
from tests.support.bare_service import AVAILABLE, AWAY, BUSY
from tests.support.examples import examples
from tests.support.followed_log import ANN, BOB, BOUND, CID, GROUPS, FollowedLog
from tests.support.log_histories import STEPS, carry_out


def followed_trends(interval: float = 60.0, most: int = 720) -> tuple[FollowedLog, Trends]:
    """Three contacts, of whom nothing is known yet."""
    followed = FollowedLog()
    trends = Trends(followed.clock, GROUPS, interval, most)
    trends.follow(followed.log)
    followed.watch(ANN, BOB, CID)
    return followed, trends


def counted(followed: FollowedLog, group: str | None) -> Counter[Activity]:
    """The plain way: each contact is asked."""
    found: Counter[Activity] = Counter()
    for record in followed.store.records():
        snapshot = followed.reader.snapshot(record)
        if group is None:
            found[activity_of(snapshot.contact, available=snapshot.contact.verdict.available)] += 1
        for name, available in snapshot.available_by_group():
            if group is not None and name == group:
                found[activity_of(snapshot.contact, available=available)] += 1
    return found


@settings(max_examples=examples(300), deadline=None)
@given(st.lists(STEPS, max_size=40))
def test_after_any_history_the_counts_are_those_of_all_contacts(steps: list[Any]) -> None:
    """Of all and of each group, after a look."""
    followed, trends = followed_trends()
    for step in steps:
        carry_out(followed, step)
        followed.log.touch()
        for group in (None, *GROUPS):
            assert Counter(trends.counts(group)) == counted(followed, group), (step, group)


def test_what_was_never_told_is_not_missed() -> None:
    """As at a replica that lost the ownership before it could tell, and follows another owner since."""
    followed, _ = followed_trends()
    trends, all_told = Trends(followed.clock, GROUPS), Trends(followed.clock, GROUPS)
    told: list[Event] = []
    followed.log.follow(told.extend)
    for state in (BUSY, AVAILABLE, AWAY):
        followed.read(CID, state)
    followed.read(BOB, AVAILABLE)
    untold = next(event for event in told if event.after is not None and event.after.contact.record.state is AVAILABLE)
    trends._take([event for event in told if event is not untold])
    all_told._take(told)
    for group in (None, *GROUPS):
        assert trends.counts(group) == all_told.counts(group)


@pytest.mark.parametrize(
    ("state", "phone", "is_held", "expected"),
    [
        (AVAILABLE, False, False, Activity.FREE),
        (AVAILABLE, False, True, Activity.CLAIMED),
        (AVAILABLE, True, False, Activity.ON_THE_PHONE),
        (BUSY, True, True, Activity.ON_THE_PHONE),
        (BUSY, False, False, Activity.BUSY),
        (PresenceState.DND, False, False, Activity.BUSY),
        (AWAY, False, False, Activity.AWAY),
        (PresenceState.UNAVAILABLE, False, False, Activity.AWAY),
        (PresenceState.VACATION, None, False, Activity.AWAY),
        (PresenceState.UNKNOWN, None, False, Activity.AWAY),
    ],
)
def test_what_a_contact_counts_as(state: PresenceState, phone: bool | None, is_held: bool, expected: Activity) -> None:
    """The first that fits."""
    followed, _ = followed_trends()
    activities = ("on-the-phone",) if phone else ()
    followed.read(CID, state, on_the_phone=phone, activities=activities)
    if is_held:
        followed.claims.hold(CID)
    record = followed.store.get(CID)
    assert record is not None
    snapshot: GroupedSnapshot = followed.reader.snapshot(record)
    assert activity_of(snapshot.contact, available=snapshot.contact.verdict.available) is expected


def test_who_is_not_live_is_unsure_whatever_the_state_was() -> None:
    """Before the first reading, and when it is too long ago."""
    followed, trends = followed_trends()
    assert trends.counts()[Activity.UNSURE] == 3
    followed.read(CID)
    assert trends.counts()[Activity.UNSURE] == 2
    followed.clock.advance(BOUND + 1)
    followed.log.touch()
    assert trends.counts() == dict.fromkeys(Activity, 0) | {Activity.UNSURE: 3}


def test_samples_are_bounded_and_keep_how_it_was() -> None:
    """The oldest goes."""
    followed, trends = followed_trends(most=3)
    for number in range(5):
        followed.read(CID, AVAILABLE if number % 2 else AWAY)
        trends.sample()
        followed.clock.advance(60)
    samples = trends.samples()
    assert [sample.counts[Activity.FREE] for sample in samples] == [0, 1, 0]
    assert [round(sample.at.monotonic - samples[0].at.monotonic) for sample in samples] == [0, 60, 120]


def test_of_few_contacts_no_sample_is_shown() -> None:
    """It would be the day of a person."""
    _, trends = followed_trends()
    trends.sample()
    assert FEWEST == 3
    assert len(trends.samples()) == 1
    assert [len(trends.samples(group)) for group in GROUPS] == [0, 0, 0]
    with pytest.raises(KeyError):
        trends.samples("nobody's")


def test_the_longest_lag_since_the_sample_before_is_kept() -> None:
    """And none where there was none."""
    _, trends = followed_trends()
    trends.lagged(0.5)
    trends.lagged(0.25)
    trends.sample()
    trends.sample()
    assert [sample.lag for sample in trends.samples()] == [0.5, None]


def test_what_happens_to_subscriptions_is_marked_as_long_as_there_are_samples_of_that_time() -> None:
    """Other events are not marked, and who it was about is not kept."""
    followed, trends = followed_trends(most=2)
    lost = SubscriptionChange("dispatcher", "imp1", "gone")
    followed.log.tell("subscription.lost", lost, frozenset())
    followed.claims.hold(ANN)
    followed.log.touch()
    trends.sample()
    assert [(mark.name, mark.at.monotonic) for mark in trends.marks()] == [
        ("subscription.lost", followed.clock.monotonic())
    ]
    for _ in range(4):
        followed.clock.advance(60)
        trends.sample()
    assert trends.marks() == []


async def test_a_sample_is_taken_at_each_interval() -> None:
    """By the clock that it is given."""
    followed, trends = followed_trends(interval=5.0)
    task = asyncio.create_task(trends.run())
    await followed.clock.run(21.0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert len(trends.samples()) == 4
