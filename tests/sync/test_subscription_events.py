"""The events of subscriptions for clients: stories of the pure lifecycle."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest

from pws_soap.lifecycle import Act, Event, FailureKind, Kind, Move, Stop
from service.core.clock import ManualClock
from service.core.events.event import SubscriptionChange
from service.core.presence.memory_store import MemoryStore
from service.sync.subscription_events import (
    FAILED_OVER,
    LOST,
    MISSED,
    RECREATED,
    RENEWED,
    Publisher,
    Slot,
    SubscriptionEvent,
    events_between,
)
from tests.lifecycle.driver import A, B
from tests.lifecycle.story import Story, subscription


@dataclass
class Published:
    """What was published."""

    events: list[tuple[str, SubscriptionChange, set[str]]] = field(default_factory=list)

    def publish(self, name: str, data: SubscriptionChange, keys: Iterable[str]) -> None:
        self.events.append((name, data, set(keys)))

    def names(self) -> list[str]:
        """The names of the events, which are forgotten then."""
        found = [name for name, _, _ in self.events]
        self.events.clear()
        return found


class PublishedStory(Story):
    """A story in which a publisher follows each step."""

    def __init__(self, *nodes: str, **settings: Any) -> None:  # of Settings
        self.published = Published()
        self.store = MemoryStore(ManualClock())
        self.publisher = Publisher(self.store, self.published.publish)
        super().__init__(*nodes, **settings)

    def post(self, event: Event) -> Any:  # as the story's own
        before = self.state
        commands = super().post(event)
        if self.state is not before:
            self.publisher.changed(before, self.state)
        return commands


def test_the_first_making_is_no_news() -> None:
    """Neither is a redirect on the way there, nor a first login that fails."""
    story = PublishedStory(A, B)
    story.want(ann="a")
    story.yes(story.one(Act.MAKE))
    story.no(story.one(Act.MAKE, Kind.ENDPOINT), FailureKind.SERVER)
    story.elsewhere(story.one(Act.MAKE, Kind.END_USER), "b.example")
    story.live_on(60)
    assert story.live(Kind.SUBSCRIPTION) == [subscription(node=B)]
    assert story.published.names() == []


def test_a_subscription_is_lost_and_made_anew() -> None:
    """One event each, with the reason, about the contacts of its feed."""
    story = PublishedStory().start()
    story.store.watch(["joe@example.com"], "ann")
    story.store.watch(["rita@example.com"], "bob")
    story.live_on(100)
    story.used(subscription(), FailureKind.SUBSCRIPTION_LOST)
    (lost,) = story.published.events
    reason = "the server says: subscription-lost"
    assert lost == (LOST, SubscriptionChange("ann", A, reason), {"joe@example.com"})
    story.live_on(60)
    assert story.published.names() == [LOST, RECREATED]


@pytest.mark.parametrize("failure_kind", [FailureKind.SESSION_LOST, FailureKind.ENDPOINT_LOST])
def test_what_it_hangs_on_takes_it_along(failure_kind: FailureKind) -> None:
    """The reason is that of the session or the endpoint."""
    story = PublishedStory().start()
    story.wait(2900)
    if failure_kind is FailureKind.ENDPOINT_LOST:
        story.no(story.one(Act.RENEW, Kind.ENDPOINT), failure_kind)
    else:
        story.used(subscription(), failure_kind)
    assert [(name, data.reason) for name, data, _ in story.published.events] == [
        (LOST, f"the server says: {failure_kind}")
    ]
    story.live_on(60)
    assert story.published.names() == [LOST, RECREATED]


def test_the_reason_is_the_newest_error() -> None:
    """Not that of a renewal which failed long before."""
    story = PublishedStory().start()
    story.wait(2900)
    story.no(story.one(Act.RENEW, Kind.SUBSCRIPTION), FailureKind.SERVER)
    story.used(subscription(), FailureKind.SESSION_LOST)
    ((_, data, _),) = story.published.events
    assert data.reason == "the server says: session-lost"


def test_one_session_that_is_lost_is_one_event_for_each_subscription() -> None:
    """However many calls notice it."""
    story = PublishedStory(contacts_per_subscription=2).start(ann="abcd", bob="e")
    for slot in (0, 1, 0, 1):
        if subscription("ann", slot) in story.live(Kind.SUBSCRIPTION):
            story.used(subscription("ann", slot), FailureKind.SESSION_LOST)
    assert story.published.names() == [LOST, LOST]
    story.live_on(60)
    assert story.published.names() == [RECREATED, RECREATED]


def test_a_renewal_is_published_once_for_each_life() -> None:
    """A renewal that fails is not, and the endpoint's is nobody's business."""
    story = PublishedStory().start()
    story.wait(2900)
    story.no(story.one(Act.RENEW, Kind.SUBSCRIPTION), FailureKind.SERVER)
    assert story.published.names() == []
    story.live_on(60)
    assert story.published.names() == [RENEWED]
    story.live_on(3600)
    assert story.published.names() == [RENEWED]


def test_one_that_runs_out_says_so() -> None:
    """Nobody renewed it: the server did not answer."""
    story = PublishedStory().start()
    story.wait(3700)
    assert [(name, data.reason) for name, data, _ in story.published.events] == [(LOST, "it was not renewed in time")]


def test_a_node_that_fails_is_published_with_the_node_that_follows() -> None:
    """Once for an end user, whatever it has; the end of the old subscription is no loss."""
    story = PublishedStory(A, B, contacts_per_subscription=2).start(ann="abcd")
    for _ in range(3):
        story.used(subscription(), FailureKind.UNREACHABLE)
    story.wait(15)
    ((name, data, _),) = story.published.events
    assert name == FAILED_OVER
    reason = f"{A} does not answer: the server says: unreachable"
    assert data == SubscriptionChange("ann", B, reason, A)
    story.published.names()
    story.serve_only(B, 60, FailureKind.UNREACHABLE)
    assert story.published.names() == [RECREATED, RECREATED]


def test_the_operators_wish_is_a_move_without_a_fault() -> None:
    """The same event, without a reason."""
    story = PublishedStory(A, B).start()
    story.post(Move(B))
    ((name, data, _),) = story.published.events
    assert (name, data.reason, data.origin, data.node) == (FAILED_OVER, None, A, B)
    story.live_on(60)
    assert story.published.names() == [FAILED_OVER, RECREATED]


def test_what_is_no_longer_wanted_ends_without_a_word() -> None:
    """An end user that is taken out, and the whole service."""
    story = PublishedStory().start(ann="a", bob="b")
    story.want(ann="a")
    story.live_on(60)
    story.post(Stop())
    story.serve()
    assert story.state.finished
    assert story.published.names() == []


def test_more_or_fewer_contacts_are_no_news() -> None:
    """The subscription is altered, and lives on."""
    story = PublishedStory().start(ann="ab")
    story.want(ann="bcd")
    story.live_on(60)
    assert story.published.names() == []


def test_a_change_that_nobody_announced() -> None:
    """Which end user, on which node."""
    story = PublishedStory().start()
    story.publisher.missed(subscription("ann", 1))
    ((name, data, _),) = story.published.events
    assert name == MISSED
    assert (data.end_user, data.node) == ("ann", A)


def test_events_name_their_slots() -> None:
    """A pure function of two states: what worked before is an argument."""
    before = Story().start()
    old = before.state
    before.used(subscription(), FailureKind.SUBSCRIPTION_LOST)
    found = events_between(old, before.state, {Slot("ann", 0)})
    assert [(each.name, each.slots) for each in found] == [(LOST, (Slot("ann", 0),))]
    assert isinstance(found[0], SubscriptionEvent)
    assert Slot("ann", 1).feed == "ann/2"
    assert events_between(old, old, ()) == []


def test_a_restart_knows_nothing_of_before() -> None:
    """What an earlier run left behind is no loss of this one."""
    story = PublishedStory().start()
    story.crash()
    story.publisher = Publisher(story.store, story.published.publish)
    story.start()
    story.live_on(60)
    assert story.live(Kind.SUBSCRIPTION) == [subscription()]
    assert story.published.names() == []
