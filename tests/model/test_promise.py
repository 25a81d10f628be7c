"""The promise, `a live answer was true at some moment since its as_of`, checked in every state of small worlds.

`python -m tests.model` prints the numbers and the counterexamples.
"""

from __future__ import annotations

import sys

import pytest

from tests.model.cases import DROPPED, EQUIVALENT, KINDS, MENDED, MENDED_LONG, OTHERS, Case


def holds(case: Case, at_least: int) -> None:
    """The exploration is complete, no state is wrong, and every state heals within a few steps."""
    seen = case.explore()
    sys.stdout.write(f"{case}: {seen}\n")
    assert seen.wrong is None, f"\n{seen.wrong}"
    assert seen.unhealed is None, f"\n{seen.unhealed}"
    assert seen.complete
    assert seen.states >= at_least
    assert 0 < seen.healing < 30


def breaks(case: Case) -> None:
    """A wrong live answer is found."""
    seen = case.explore()
    sys.stdout.write(f"{case}: {seen}\n{seen.wrong}\n")
    assert seen.wrong is not None
    assert "is called live" in seen.wrong.what


IN_CI = pytest.mark.long(ci=True)


@pytest.mark.parametrize("case", [*MENDED[:1], *(pytest.param(case, marks=IN_CI) for case in MENDED[1:])], ids=str)
def test_the_mended_rules_keep_the_promise(case: Case) -> None:
    """Within small bounds."""
    holds(case, at_least=5_000)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("case", MENDED_LONG, ids=str)
def test_the_mended_rules_keep_the_promise_in_a_larger_world(case: Case) -> None:
    """Within larger bounds."""
    holds(case, at_least=50_000)


@IN_CI
@pytest.mark.parametrize("case", KINDS.values(), ids=KINDS)
def test_each_mended_rule_is_needed(case: Case) -> None:
    """With the earlier rule a wrong state is called live."""
    breaks(case)


@IN_CI
@pytest.mark.parametrize("case", OTHERS.values(), ids=OTHERS)
def test_the_older_rules_are_needed(case: Case) -> None:
    """Without one of them a wrong state is called live."""
    breaks(case)


@IN_CI
@pytest.mark.parametrize("case", DROPPED.values(), ids=DROPPED)
def test_each_assumption_is_needed(case: Case) -> None:
    """Without it the mended rules fail; docs/promise.md lists them."""
    breaks(case)


@IN_CI
@pytest.mark.parametrize("case", EQUIVALENT, ids=str)
def test_other_rules_that_hold_as_well(case: Case) -> None:
    """They could replace the one that was chosen."""
    holds(case, at_least=5_000)
