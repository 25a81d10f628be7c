"""Random faults and changes against service and simulator, under a virtual clock, with the promise checked after each.

Hypothesis chooses the history and shrinks one that breaks the promise; what it found is kept as plain tests in
`test_found.py`. The default run is small; `pytest -m long` plays thousands of histories.
"""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.support.examples import examples
from tests.support.fault_histories import QUIET, Faults


def test_the_promise_holds_in_any_history() -> None:
    """A few dozen histories in the default run, the same ones each time."""
    few = settings(
        max_examples=examples(25),
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=QUIET,
        print_blob=True,
        derandomize=True,
        database=None,
    )
    run_state_machine_as_test(Faults, settings=few)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_the_promise_holds_in_many_histories() -> None:
    """Thousands of steps."""
    many = settings(
        max_examples=600, stateful_step_count=60, deadline=None, suppress_health_check=QUIET, print_blob=True
    )
    run_state_machine_as_test(Faults, settings=many)
