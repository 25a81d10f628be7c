"""The table of all states and events: complete, connected, and walked cell by cell through `step`."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pws_soap.lifecycle import Act, FailureKind, Key, Kind, Phase, ResourceEvent, work
from pws_soap.lifecycle.table import IGNORED, NEVER, PAUSED, TRANSITIONS, UNDER_WAY, USABLE, follow
from tests.lifecycle.story import Story, app, endpoint, session, subscription

CELLS = [(phase, event) for phase in Phase for event in ResourceEvent]
LIFE = 3600.0


def reachable(start: Phase) -> set[Phase]:
    """All phases that can follow, the start included."""
    found, new = {start}, {start}
    while new:
        new = {after for (phase, _), (after, _) in TRANSITIONS.items() if phase in new} - found
        found |= new
    return found


@pytest.mark.parametrize(("phase", "event"), CELLS)
def test_every_cell_is_either_a_transition_or_ignored_with_a_reason(phase: Phase, event: ResourceEvent) -> None:
    """Exactly one of the two."""
    assert ((phase, event) in TRANSITIONS) != bool(IGNORED.get((phase, event)))


@pytest.mark.parametrize("phase", Phase)
def test_every_phase_can_be_reached_and_left_for_good(phase: Phase) -> None:
    """From the beginning, and to the end."""
    assert phase in reachable(Phase.ABSENT)
    assert Phase.GONE in reachable(phase)


@pytest.mark.parametrize("act", Act)
def test_every_act_is_the_act_of_a_transition(act: Act) -> None:
    """No request that nothing asks for."""
    assert act in {sent for _, sent in TRANSITIONS.values()}


@pytest.mark.parametrize("cell", TRANSITIONS)
def test_a_request_is_sent_exactly_when_a_phase_begins_that_waits_for_one(cell: tuple[Phase, ResourceEvent]) -> None:
    """LEAVING waits for a request that is under way already."""
    after, act = TRANSITIONS[cell]
    assert (act is not Act.NOTHING) == (after in UNDER_WAY and after is not Phase.LEAVING)


def test_phases_are_sorted_into_what_they_are_for() -> None:
    """A phase waits for a reply or for its time, and only LIVE and GONE for neither."""
    assert not UNDER_WAY & PAUSED
    assert set(Phase) - UNDER_WAY - PAUSED == {Phase.LIVE, Phase.GONE}
    assert not USABLE & PAUSED


@pytest.mark.parametrize(("phase", "event"), IGNORED)
def test_an_ignored_event_changes_nothing(phase: Phase, event: ResourceEvent) -> None:
    """The same phase, and nothing is sent."""
    assert follow(phase, event) == (phase, Act.NOTHING)


# How each transition comes about. Each recipe ends with the event that is the event.


def started(**users: str) -> Story:
    """One subscription live, or as many as there are contacts."""
    return Story(contacts_per_subscription=1).start(**(users or {"ann": "a"}))


def making(key: Key) -> Story:
    """A story in which that thing is just being made."""
    story = Story()
    story.want(ann="a")
    while key not in {each.key for each in story.open}:
        story.yes(story.open[0])
    return story


def renewing() -> Story:
    """The endpoint is just being renewed."""
    story = started()
    story.wait(0.8 * LIFE)
    story.yes(story.one(Act.RENEW, Kind.SUBSCRIPTION))
    return story


def altering() -> Story:
    """A contact is just being exchanged. The endpoint lives longer than the subscription."""
    story = Story(endpoint_expires=80000).start(ann="a")
    story.want(ann="b")
    return story


def resetting() -> Story:
    """The session of ann is just being logged out, since the reply to subscribe was lost; that of bob is live."""
    story = Story().start(bob="b")
    story.want(bob="b", ann="a")
    story.yes(story.one(Act.MAKE, Kind.END_USER))
    story.no(story.one(Act.MAKE, Kind.SUBSCRIPTION), FailureKind.UNKNOWN_OUTCOME)
    return story


def suspect() -> Story:
    """That logging out has failed."""
    story = resetting()
    story.no(story.one(Act.RESET), FailureKind.SERVER)
    return story


def removing() -> Story:
    """The second of two subscriptions is just being removed."""
    story = started(ann="ab")
    story.want(ann="a")
    return story


def lingering() -> Story:
    """That has failed."""
    story = removing()
    story.no(story.one(Act.REMOVE), FailureKind.SERVER)
    return story


def leaving() -> Story:
    """The end user is no longer wanted while its login is under way."""
    story = making(session())
    story.yes(story.one(Act.MAKE, Kind.ENDPOINT))
    story.want()
    story.yes(story.one(Act.REMOVE, Kind.ENDPOINT))
    return story


def the_application_is_lost(story: Story) -> None:
    """Noticed by bob."""
    story.used(subscription("bob"), FailureKind.SESSION_LOST)
    story.no(story.one(Act.MAKE, Kind.END_USER, "bob"), FailureKind.SESSION_LOST)


def long_after(story: Story) -> None:
    """The machine sleeps for longer than anything lives."""
    story.now += 2 * LIFE
    story.tick()


P, E = Phase, ResourceEvent
RECIPES: dict[tuple[Phase, ResourceEvent], tuple[Callable[[], Story], Callable[[Story], object]]] = {
    (P.ABSENT, E.READY): (lambda: making(app()), lambda s: s.yes(s.one(Act.MAKE))),
    (P.ABSENT, E.UNWANTED): (lambda: making(app()), lambda s: s.want()),
    (P.WAITING, E.READY): (lambda: making(app()), lambda s: (s.no(s.one(Act.MAKE), FailureKind.SERVER), s.wait(1))),
    (P.WAITING, E.UNWANTED): (lambda: making(app()), lambda s: (s.no(s.one(Act.MAKE), FailureKind.SERVER), s.want())),
    (P.MAKING, E.OK): (lambda: making(app()), lambda s: s.yes(s.one(Act.MAKE))),
    (P.MAKING, E.FAILED): (lambda: making(app()), lambda s: s.no(s.one(Act.MAKE), FailureKind.SERVER)),
    (P.MAKING, E.LOST): (
        lambda: making(session()),
        lambda s: s.no(s.one(Act.MAKE, Kind.END_USER), FailureKind.SESSION_LOST),
    ),
    (P.MAKING, E.UNWANTED): (lambda: making(app()), lambda s: s.want()),
    (P.LIVE, E.DUE): (started, lambda s: s.wait(0.8 * LIFE)),
    (P.LIVE, E.ALTERED): (started, lambda s: s.want(ann="b")),
    (P.LIVE, E.LOST): (started, lambda s: s.used(subscription(), FailureKind.SUBSCRIPTION_LOST)),
    (P.LIVE, E.TAINTED): (
        lambda: making(subscription()),
        lambda s: s.no(s.one(Act.MAKE, Kind.SUBSCRIPTION), FailureKind.UNKNOWN_OUTCOME),
    ),
    (P.LIVE, E.EXPIRED): (started, long_after),
    (P.LIVE, E.UNWANTED): (started, lambda s: s.want()),
    (P.RENEWING, E.OK): (renewing, lambda s: s.yes(s.one(Act.RENEW))),
    (P.RENEWING, E.FAILED): (renewing, lambda s: s.no(s.one(Act.RENEW), FailureKind.THROTTLED)),
    (P.RENEWING, E.LOST): (renewing, lambda s: s.no(s.one(Act.RENEW), FailureKind.ENDPOINT_LOST)),
    (P.RENEWING, E.EXPIRED): (renewing, lambda s: s.wait(LIFE)),
    (P.ALTERING, E.OK): (altering, lambda s: s.yes(s.one(Act.ALTER))),
    (P.ALTERING, E.FAILED): (altering, lambda s: s.no(s.one(Act.ALTER), FailureKind.SERVER)),
    (P.ALTERING, E.LOST): (altering, lambda s: s.no(s.one(Act.ALTER), FailureKind.SUBSCRIPTION_LOST)),
    (P.ALTERING, E.EXPIRED): (altering, long_after),
    (P.SUSPECT, E.READY): (suspect, lambda s: s.wait(1)),
    (P.SUSPECT, E.LOST): (suspect, the_application_is_lost),
    (P.SUSPECT, E.UNWANTED): (suspect, lambda s: s.want(bob="b")),
    (P.RESETTING, E.OK): (resetting, lambda s: s.yes(s.one(Act.RESET))),
    (P.RESETTING, E.FAILED): (resetting, lambda s: s.no(s.one(Act.RESET), FailureKind.SERVER)),
    (P.RESETTING, E.LOST): (resetting, lambda s: s.no(s.one(Act.RESET), FailureKind.SESSION_LOST)),
    (P.LEAVING, E.OK): (leaving, lambda s: s.yes(s.one(Act.MAKE))),
    (P.LEAVING, E.FAILED): (leaving, lambda s: s.no(s.one(Act.MAKE), FailureKind.SERVER)),
    (P.LEAVING, E.LOST): (leaving, lambda s: s.no(s.one(Act.MAKE), FailureKind.SESSION_LOST)),
    (P.REMOVING, E.OK): (removing, lambda s: s.yes(s.one(Act.REMOVE))),
    (P.REMOVING, E.FAILED): (removing, lambda s: s.no(s.one(Act.REMOVE), FailureKind.SERVER)),
    (P.REMOVING, E.LOST): (removing, lambda s: s.no(s.one(Act.REMOVE), FailureKind.SUBSCRIPTION_LOST)),
    (P.REMOVING, E.EXPIRED): (removing, long_after),
    (P.LINGERING, E.READY): (lingering, lambda s: s.wait(1)),
    (P.LINGERING, E.LOST): (lingering, lambda s: s.used(subscription(), FailureKind.SESSION_LOST)),
    (P.LINGERING, E.EXPIRED): (lingering, long_after),
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Phase, ResourceEvent]]:
    """The cells that `step` looks up, in order."""
    cells: list[tuple[Phase, ResourceEvent]] = []

    def recorded(phase: Phase, event: ResourceEvent) -> tuple[Phase, Act]:
        cells.append((phase, event))
        return follow(phase, event)

    monkeypatch.setattr(work, "follow", recorded)
    return cells


def test_there_is_a_recipe_for_every_transition() -> None:
    """No transition that nothing leads to."""
    assert set(RECIPES) == set(TRANSITIONS)


@pytest.mark.parametrize("cell", RECIPES)
def test_every_transition_comes_about(
    cell: tuple[Phase, ResourceEvent], asked: list[tuple[Phase, ResourceEvent]]
) -> None:
    """Walked by events alone; the lifecycle goes on well afterwards, and what cannot happen does not."""
    prepare, happens = RECIPES[cell]
    story = prepare()
    asked.clear()
    happens(story)
    assert cell in asked
    story.live_on(300)
    assert not story.open
    wanted = [key for key in story.state.resources if key.kind is Kind.SUBSCRIPTION]
    assert sorted(story.live(Kind.SUBSCRIPTION)) == sorted(wanted)
    assert [each for each in asked if IGNORED.get(each, "").startswith(NEVER)] == []
    assert endpoint() in story.live(Kind.ENDPOINT) or not wanted
