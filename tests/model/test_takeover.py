"""Take-overs by another replica, explored: which ways of beginning keep the promise, and who may go on with what."""

from __future__ import annotations

import sys
from typing import Final

import pytest

from tests.model.explorer import replay
from tests.model.takeover import TakeOverModel
from tests.model.takeover_values import HandOverRule, TakeOverRule, TakeOverRules

IN_CI = pytest.mark.long(ci=True)

_A_OWNS: Final = (
    "A takes the lease, the first one",
    "A sends: log in",
    "the server executes for A: log in",
    "A receives the reply to 'log in': key 1",
    "A sends: subscribe under key 1",
    "the server executes for A: subscribe under key 1",
    "A receives the reply to 'subscribe under key 1': subscription 1",
)
_A_READS: Final = (
    "A sends: fetch subscription 1 under key 1",
    "the server executes for A: fetch subscription 1 under key 1",
    "A receives the reply to 'fetch subscription 1 under key 1': state 0",
)
_B_LOGS_IN: Final = (
    "B sends: log in",
    "the server executes for B: log in",
    "B receives the reply to 'log in': key 1",
)
_B_TAKES_THE_CHANGE: Final = (
    "B sends: fetch subscription 1 under key 1",
    "the contact changes to 1",
    "A sends: fetch subscription 1 under key 1",
    "the server executes for B: fetch subscription 1 under key 1",
    "the server executes for A: fetch subscription 1 under key 1",
    "A receives the reply to 'fetch subscription 1 under key 1': nothing new",
)
WRONG: Final = {
    TakeOverRule.ADOPT: (
        *_A_OWNS,
        *_A_READS,
        "the lease of A is over, which goes on reading",
        "B takes the lease, to go on with the remembered subscription",
        *_B_LOGS_IN,
        *_B_TAKES_THE_CHANGE,
    ),
    TakeOverRule.CLEAN_UP: (
        *_A_OWNS,
        *_A_READS,
        "the lease of A is over, which goes on reading",
        "B takes the lease, to remove the remembered subscription under the same key and subscribe",
        *_B_LOGS_IN,
        "B sends: remove subscription 1 under key 1",
        "the server executes for B: remove subscription 1 under key 1",
        "B receives the reply to 'remove subscription 1 under key 1': nothing new",
        "B sends: subscribe under key 1",
        "the server executes for B: subscribe under key 1",
        "B receives the reply to 'subscribe under key 1': subscription 1",
        *_B_TAKES_THE_CHANGE,
    ),
}
"""The shortest ways to a wrong answer. The same steps under another rule lead to none."""


def holds(rules: TakeOverRules, at_least: int) -> None:
    """The exploration is complete, and no state is wrong."""
    model = TakeOverModel(rules)
    seen = model.explore()
    sys.stdout.write(f"{model}: {seen}\n")
    assert seen.wrong is None, f"\n{seen.wrong}"
    assert seen.complete
    assert seen.states >= at_least


def breaks(rules: TakeOverRules) -> tuple[str, ...]:
    """A wrong answer is found; the shortest way to it."""
    model = TakeOverModel(rules)
    seen = model.explore()
    sys.stdout.write(f"{model}: {seen}\n{seen.wrong}\n")
    assert seen.wrong is not None
    return seen.wrong.trace


@pytest.mark.parametrize("rule", WRONG, ids=lambda rule: rule.name)
def test_two_owners_under_one_key_and_id_are_wrong(rule: TakeOverRule) -> None:
    """The old one fetches what the new one has to know, or the other way round."""
    assert breaks(TakeOverRules(rule, losses=0)) == WRONG[rule]


@pytest.mark.parametrize("rule", WRONG, ids=lambda rule: rule.name)
def test_the_story_is_wrong_at_its_end_alone(rule: TakeOverRule) -> None:
    """And with the rule that is ours it cannot be told."""
    model = TakeOverModel(TakeOverRules(rule))
    states = replay(model.start(), model.moves, WRONG[rule])
    assert [model.wrong(state) is not None for state in states] == [False] * (len(states) - 1) + [True]
    ours = TakeOverModel()
    with pytest.raises(LookupError):
        replay(ours.start(), ours.moves, WRONG[rule])


@pytest.mark.parametrize("rule", [TakeOverRule.RESET, TakeOverRule.BESIDE], ids=lambda rule: rule.name)
def test_a_key_or_an_id_of_ones_own_is_right(rule: TakeOverRule) -> None:
    """Completely; of the two, only the reset leaves nothing behind that fills the server's limits."""
    holds(TakeOverRules(rule, losses=0), at_least=7_000)


def test_two_owners_for_a_while_are_no_harm() -> None:
    """The engine loses its data while a lease runs: both make sessions of their own, and each is told what is so."""
    holds(TakeOverRules(changes=1, losses=0, oblivions=1), at_least=20_000)


@IN_CI
@pytest.mark.parametrize("rule", [TakeOverRule.RESET, TakeOverRule.BESIDE], ids=lambda rule: rule.name)
def test_the_same_with_a_lost_reply(rule: TakeOverRule) -> None:
    """What nobody waits for any more may be executed at any time."""
    holds(TakeOverRules(rule), at_least=60_000)


@pytest.mark.parametrize(
    "rule",
    [
        HandOverRule.ANYBODY,
        pytest.param(HandOverRule.NAMED, marks=IN_CI),
        pytest.param(HandOverRule.NAMED_ONCE, marks=IN_CI),
    ],
    ids=lambda rule: rule.name,
)
def test_a_hand_over_that_the_engine_repeats_is_wrong(rule: HandOverRule) -> None:
    """It goes back to before the take-over, and somebody goes on with what is another's by now."""
    trace = breaks(TakeOverRules(hand_over=rule, changes=1, tenures=3, losses=0, rewinds=1))
    assert "the engine goes back to the hand-over" in trace


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_hand_over_to_one_replica_once_and_under_the_same_key_is_right() -> None:
    """Whatever the engine forgets of it."""
    holds(TakeOverRules(hand_over=HandOverRule.SAME_KEY, changes=1, tenures=3, losses=0, rewinds=1), at_least=50_000)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    "rules",
    [
        TakeOverRules(hand_over=HandOverRule.SAME_KEY, changes=1, tenures=3, rewinds=1),
        TakeOverRules(changes=1, oblivions=1),
        TakeOverRules(changes=2, tenures=3),
    ],
    ids=lambda rules: str(TakeOverModel(rules)),
)
def test_the_same_in_a_larger_world(rules: TakeOverRules) -> None:
    """Three tenures, and a lost reply."""
    holds(rules, at_least=100_000)
