"""Three replicas, the engine's twin and the simulator in one loop, and everything that can go wrong between them.

Hypothesis chooses the history and shrinks one that breaks the promise; `tests.support.cluster_history` plays many more
by plain dice. What is checked after every step stands in `tests.support.virtual_cluster`, what must be true in the end
in `History.healed`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.support.cluster_history import STEPS, WAITS, Begin, Dice, History, play, steps_of
from tests.support.virtual_time import VirtualLoop


class Troubles(RuleBasedStateMachine):
    """One history. Each of `STEPS` is a rule."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualLoop()
        self.history: History | None = None

    @initialize(
        clocks=st.lists(st.tuples(st.floats(-1000, 1000), st.floats(-0.0005, 0.0005)), min_size=3, max_size=3),
        nodes=st.sampled_from([("imp1",), ("imp1", "imp2")]),
        seed=st.integers(0, 1000),
        replicated=st.booleans(),
        streams=st.sampled_from([0, 3, 12]),
    )
    def begin(
        self, clocks: list[tuple[float, float]], nodes: tuple[str, ...], seed: int, streams: int, *, replicated: bool
    ) -> None:
        self.history = History(Begin(clocks, nodes, seed, replicated, streams))
        self.play(self.history.begun())

    def play(self, work: Coroutine[Any, Any, Any]) -> None:
        self.loop.run_until_complete(work)

    def teardown(self) -> None:
        history = self.history
        try:
            if history is not None:
                try:
                    self.play(history.healed())
                finally:
                    self.play(history.closed())
        finally:
            self.loop.close()


def _rule(name: str, choose: Callable[[Dice], dict[str, Any]]) -> Any:
    @rule(dice=st.randoms(use_true_random=False), then=st.sampled_from(WAITS))
    def step(self: Troubles, dice: Dice, then: float) -> None:
        assert self.history is not None
        self.play(getattr(self.history, name)(**choose(dice)))
        self.play(self.history.waited(then))

    step.__name__ = name
    return step


for _name, (_, _choose) in STEPS.items():
    setattr(Troubles, _name, _rule(_name, _choose))


def _play(examples: int, steps: int) -> None:
    run_state_machine_as_test(
        Troubles,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_whatever_happens() -> None:
    """A few histories each time, one of them by plain dice: it has more in it than Hypothesis begins with."""
    counts: Counter[str] = Counter()
    assert play(*steps_of(4, 25), counts) is None
    assert counts["live answers"] > 500
    _play(2, 10)


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_whatever_happens_for_long() -> None:
    """Many of them; more still are played by `python -m tests.support.cluster_history 0 3000`."""
    _play(300, 40)
