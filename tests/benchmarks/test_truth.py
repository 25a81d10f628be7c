"""Whether the benchmark would notice a wrong answer."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from benchmarks.truth import Truth

ANN = "ann@example.com"
BOUND = 60.0
START = 1_800_000_000.0


def shown(state: str, as_of: float, freshness: str = "live") -> list[dict[str, Any]]:
    """An answer about Ann."""
    time = datetime.fromtimestamp(START + as_of, UTC).isoformat(timespec="milliseconds")
    return [{"contact": ANN, "state": state, "freshness": freshness, "as_of": time, "source": "x", "revision": 1}]


@pytest.fixture
def truth() -> Truth:
    """Ann is available, gets busy between the seconds 10.0 and 10.2, and away between 20.0 and 20.2."""
    truth = Truth([ANN], "AVAILABLE", START, BOUND)
    for state, at in (("BUSY", 10.0), ("AWAY", 20.0)):
        truth.begin(ANN, state, START + at).done = START + at + 0.2
    return truth


def wrong(truth: Truth, answer: list[dict[str, Any]], asked: float) -> list[str]:
    return truth.check(answer, START + asked, START + asked + 0.1).wrong


def test_a_state_that_held_since_as_of_is_right(truth: Truth) -> None:
    """Later changes need not be known yet."""
    assert wrong(truth, shown("AVAILABLE", 9.0), 30.0) == []
    assert wrong(truth, shown("BUSY", 15.0), 30.0) == []
    assert wrong(truth, shown("AWAY", 25.0), 30.0) == []


def test_a_state_that_was_over_at_as_of_is_wrong(truth: Truth) -> None:
    """It claims to have been confirmed after the change."""
    (problem,) = wrong(truth, shown("AVAILABLE", 10.5), 30.0)
    assert "shown AVAILABLE" in problem
    assert "BUSY" in problem


def test_a_state_that_was_still_to_come_is_wrong(truth: Truth) -> None:
    """Nobody can know it."""
    assert len(wrong(truth, shown("AWAY", 12.0), 15.0)) == 1


def test_while_a_change_is_being_made_both_states_are_right(truth: Truth) -> None:
    """Its request is under way."""
    assert wrong(truth, shown("AVAILABLE", 10.1), 10.15) == []
    assert wrong(truth, shown("BUSY", 10.1), 10.15) == []


def test_a_change_whose_reply_never_came_leaves_both_states_possible(truth: Truth) -> None:
    """It may have been made or not."""
    truth.begin(ANN, "DND", START + 30)
    assert wrong(truth, shown("AWAY", 40.0), 41.0) == []
    assert wrong(truth, shown("DND", 40.0), 41.0) == []
    assert len(wrong(truth, shown("BUSY", 40.0), 41.0)) == 1


def test_live_beyond_the_bound_is_wrong(truth: Truth) -> None:
    """However right the state is."""
    assert wrong(truth, shown("AWAY", 25.0), 25.0 + BOUND) == []
    (problem,) = wrong(truth, shown("AWAY", 25.0), 25.1 + BOUND)
    assert "last confirmed" in problem


def test_live_as_of_a_moment_that_has_not_come_is_wrong(truth: Truth) -> None:
    """A confirmation cannot come from there."""
    assert any("time to come" in problem for problem in wrong(truth, shown("AWAY", 50.0), 40.0))


def test_what_is_not_called_live_is_not_held_against_anybody(truth: Truth) -> None:
    """The service said that it is not sure; but it is a difference from the truth."""
    answer = shown("BUSY", 25.0, "stale")
    assert wrong(truth, answer, 30.0) == []
    assert truth.differences(answer) == [f"{ANN} is stale"]


def test_differences_are_about_the_last_state(truth: Truth) -> None:
    """Once all is well, nothing less will do."""
    assert truth.differences(shown("AWAY", 25.0)) == []
    assert truth.differences(shown("BUSY", 15.0)) == [f"{ANN} is shown BUSY instead of AWAY"]


def test_a_change_counts_as_seen_when_an_answer_shows_it(truth: Truth) -> None:
    """One that the next change overtook was never shown."""
    truth.check(shown("AWAY", 25.0), START + 30, START + 30.1)
    assert [change.seen for change in truth.changes] == [False, True]
    assert truth.unseen() == [10.0]
