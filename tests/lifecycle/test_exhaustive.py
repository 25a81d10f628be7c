"""Every history of the lifecycle with one end user and a few faults: the invariants hold, and it heals.

In every state: no second request for a thing while one is pending; only ids and sessions that the server gave are used;
no endpoint or subscription is left behind that the state file does not cover, and at most one of each per fault; a
process that follows another makes nothing before the session is reset; no subscription is used that an abandoned fetch
or alteration could still touch; after a stop without faults nothing is left at the server. Without further faults every
state leads to a live subscription, or to the end of a stop, within a few steps.

Run with `-s` to see the numbers.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Final

import pytest

from pws_soap.lifecycle import CallReported, Command, Event, Memory, Settings, State, begin, step
from tests.lifecycle.driver import A, B
from tests.lifecycle.histories import Bounds, moves, start
from tests.lifecycle.invariants import healed, wrong
from tests.model.explorer import Explored, explore

MOST_STEPS = 30
"""From any state to a healed one, without further faults."""
SETTINGS = Settings((A,), leftover_life=4000.0)
"""Nothing lives longer than an hour here."""


@pytest.fixture(autouse=True)
def _constant_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    """The jitter depends on the number of the request, which is no part of what tells states apart."""
    monkeypatch.setattr("pws_soap.lifecycle.backoff.chance", lambda *_: 0.5)


def explored(bounds: Bounds, settings: Settings = SETTINGS) -> Explored:
    """Explore all histories within these bounds."""
    return explore(
        start(settings, bounds),
        lambda world: moves(world, bounds),
        wrong,
        healed=healed,
    )


def holds(bounds: Bounds, at_least: int, settings: Settings = SETTINGS) -> None:
    """The exploration is complete, nothing is wrong, and every state heals."""
    seen = explored(bounds, settings)
    sys.stdout.write(f"{bounds}: {seen}\n")
    assert seen.wrong is None, f"\n{seen.wrong}"
    assert seen.unhealed is None, f"\n{seen.unhealed}"
    assert seen.complete
    assert seen.states >= at_least
    assert 0 < seen.healing <= MOST_STEPS


def test_without_faults() -> None:
    """It starts, renews, alters, and stops."""
    holds(Bounds(faults=0, alterations=2), at_least=500)


@pytest.mark.long(ci=True)
def test_with_one_fault() -> None:
    """At any moment: a lost or late request, a refusal, something forgotten, or a crash."""
    holds(Bounds(faults=1), at_least=10_000)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("jitter", [0.0, 1.0])
def test_with_one_fault_and_other_pauses(jitter: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shortest pauses, and the longest."""
    monkeypatch.setattr("pws_soap.lifecycle.backoff.chance", lambda *_: jitter)
    holds(Bounds(faults=1), at_least=10_000)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_with_one_fault_and_two_alterations() -> None:
    """A contact joins and leaves, with any fault in between."""
    holds(Bounds(faults=1, alterations=2), at_least=50_000)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_with_two_subscriptions_and_one_fault() -> None:
    """They share a session, and the server may give the id of one to the other."""
    holds(Bounds(room=2, both=True), at_least=100_000, settings=replace(SETTINGS, contacts_per_subscription=1))


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_with_two_nodes_and_two_moves() -> None:
    """The end user is moved to the other node and back, at any moments."""
    holds(Bounds(faults=0, moves=2), at_least=100_000, settings=replace(SETTINGS, nodes=(A, B)))


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("room", [1, 3])
def test_with_two_faults(room: int) -> None:
    """At a server that has room for one of each, and for three."""
    holds(Bounds(faults=2, room=room), at_least=100_000)


# The explorer notices


def test_a_state_file_that_says_nothing_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint would be orphaned by a crash."""
    monkeypatch.setattr("tests.lifecycle.histories.remember", lambda _: Memory())
    seen = explored(Bounds(faults=1))
    assert seen.wrong is not None
    assert "does not know" in seen.wrong.what


def test_a_start_that_ignores_the_state_file_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Something would be made in the session of a dead process."""
    monkeypatch.setattr("tests.lifecycle.one_process.begin", lambda settings, now, _=None: begin(settings, now))
    seen = explored(Bounds(faults=1))
    assert seen.wrong is not None
    assert "before the reset" in seen.wrong.what or "does not know" in seen.wrong.what


def test_a_lost_fetch_that_ends_no_session_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It could consume changes later."""

    def careless(state: State, event: Event, now: float) -> tuple[State, list[Command]]:
        if isinstance(event, CallReported):
            event = replace(event, consumes=False)
        return step(state, event, now)

    monkeypatch.setattr("tests.lifecycle.one_process.step", careless)
    seen = explored(Bounds(faults=1))
    assert seen.wrong is not None
    assert "abandoned fetch" in seen.wrong.what


def test_an_alteration_that_is_simply_repeated_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It could be executed once more, later."""

    def careless(state: State, event: Event, now: float) -> tuple[State, list[Command]]:
        failure = getattr(event, "failure", None)
        if failure is not None and not isinstance(event, CallReported):
            event = replace(event, failure=replace(failure, may_have_acted=False))
        return step(state, event, now)

    monkeypatch.setattr("tests.lifecycle.one_process.step", careless)
    seen = explored(Bounds(faults=1, alterations=1))
    assert seen.wrong is not None


# Found

NO_LONGER_WANTED: Final = (
    "executed: make application",
    "reply to make application: ok",
    "the service is told to stop",
    "make endpoint: 138 or 139: no room",
    "reply to make endpoint: 138 or 139: no room",
)
OLDER_ALTERATION: Final = (
    "executed: make application",
    "reply to make application: ok",
    "executed: make end-user",
    "executed: make endpoint",
    "wanted: joe, rita",
    "reply to make end-user: ok",
    "reply to make endpoint: ok",
    "executed: make subscription +joe +rita",
    "reply to make subscription +joe +rita: ok",
    "wanted: joe",
    "wanted: joe, rita",
    "a forgets: every subscription",
    "fetch 1: 133: no such subscription",
    "executed: make subscription +joe +rita",
    "reply to make subscription +joe +rita: ok",
    "executed: alter subscription 1 -rita",
)


def problems(story: tuple[str, ...]) -> list[str]:
    """What goes wrong in a history. What is not possible any more is left out."""
    bounds = Bounds(faults=2, alterations=3)
    states = [start(SETTINGS, bounds)]
    for label in story:
        states += [move.state for move in moves(states[-1], bounds) if move.label == label][:1]
    return [problem for state in states if (problem := wrong(state))]


def test_no_room_for_what_is_no_longer_wanted() -> None:
    """Its session needs no reset: it is about to end."""
    assert problems(NO_LONGER_WANTED) == []


def test_a_pending_alteration_of_a_lost_subscription_does_not_reach_the_next() -> None:
    """Both have the same id and the same session key."""
    assert problems(OLDER_ALTERATION) == []
