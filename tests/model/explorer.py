"""Explores every reachable state of a model, breadth first, so that a counterexample is as short as possible.

A model is a start state and a function that yields the moves of a state. The label of a move is a sentence. Labels of
the moves of one state differ, so a list of labels is a trace that can be replayed. The first move of a state that is no
fault is what happens without faults: following those moves, every state must reach a healed state.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, NamedTuple, TypeVar

S = TypeVar("S", bound=Hashable)

_NOWHERE: Final = -1


class Move(NamedTuple, Generic[S]):
    """One step. `fault`: it need not happen (faults, crashes, changes)."""

    label: str
    state: S
    fault: bool = False


@dataclass(frozen=True)
class Finding:
    """A wrong state, and the shortest trace to it."""

    what: str
    trace: tuple[str, ...]

    def __str__(self) -> str:
        """The story, one numbered sentence a line."""
        lines = [f"{number:3}. {label}" for number, label in enumerate(self.trace, 1)]
        return "\n".join([*lines, f"     => {self.what}"])


@dataclass(frozen=True)
class Explored:
    """The result of an exploration. `complete`: it covered every reachable state.

    `depth` is the number of moves to the farthest state. `healing` is the largest number of moves from any state to a
    healed one without faults; `unhealed` is a state that never gets there.
    """

    states: int
    transitions: int
    depth: int
    complete: bool
    wrong: Finding | None = None
    unhealed: Finding | None = None
    healing: int = 0

    def __str__(self) -> str:
        """One line of numbers."""
        end = "all" if self.complete else "the first"
        healing = f", healed within {self.healing} steps" if self.healing else ""
        return f"{end} {self.states} states, {self.transitions} transitions, depth {self.depth}{healing}"


def explore(
    start: S,
    moves: Callable[[S], Iterable[Move[S]]],
    wrong: Callable[[S], str | None],
    *,
    healed: Callable[[S], bool] | None = None,
    most: int = 5_000_000,
) -> Explored:
    """Explore until a state is wrong, more than `most` states are known, or every state is explored.

    With `healed`, a complete exploration also checks that each state heals.
    """
    states: list[S] = [start]
    known = {start: 0}
    came_from, depths = array("l", [_NOWHERE]), array("l", [0])
    well = array("l")
    transitions = 0

    def trace(number: int) -> tuple[str, ...]:
        found = []
        while number > 0:
            before, after = states[came_from[number]], states[number]
            found.append(next(move.label for move in moves(before) if move.state == after))
            number = came_from[number]
        return tuple(reversed(found))

    if what := wrong(start):
        return Explored(1, 0, 0, complete=False, wrong=Finding(what, ()))
    here = 0
    while here < len(states):
        first = _NOWHERE
        for _, after, fault in moves(states[here]):
            transitions += 1
            number = known.get(after)
            if number is None:
                number = known[after] = len(states)
                states.append(after)
                came_from.append(here)
                depths.append(depths[here] + 1)
                if what := wrong(after):
                    found = Finding(what, trace(number))
                    return Explored(len(states), transitions, depths[-1], complete=False, wrong=found)
            if first == _NOWHERE and not fault:
                first = number
        well.append(first)
        if len(states) > most:
            return Explored(len(states), transitions, depths[-1], complete=False)
        here += 1
    healing, unhealed = 0, None
    if healed is not None:
        healing, stuck = _heals([healed(state) for state in states], well)
        if stuck is not None:
            unhealed = Finding(f"it does not heal: {states[stuck]}", trace(stuck))
    return Explored(len(states), transitions, depths[-1], complete=True, unhealed=unhealed, healing=healing)


def _heals(healed: Sequence[bool], well: Sequence[int]) -> tuple[int, int | None]:
    """The largest number of moves to a healed state, or 0 and the first state that never gets there."""
    steps = array("l", (0 if well_now else _NOWHERE for well_now in healed))
    for number in range(len(steps)):
        way: list[int] = []
        seen: set[int] = set()
        here = number
        while here != _NOWHERE and steps[here] == _NOWHERE and here not in seen:
            way.append(here)
            seen.add(here)
            here = well[here]
        if here == _NOWHERE or here in seen:
            return 0, number
        for before in reversed(way):
            steps[before] = steps[here] + 1
            here = before
    return max(steps, default=0), None


def replay(start: S, moves: Callable[[S], Iterable[Move[S]]], trace: Iterable[str]) -> list[S]:
    """The states along a trace, the start first. Raises LookupError for a label that no move has."""
    states = [start]
    for label in trace:
        found = {move.label: move.state for move in moves(states[-1])}
        if label not in found:
            possible = "\n  ".join(found)
            raise LookupError(f"after {len(states) - 1} steps not possible: {label!r}; possible:\n  {possible}")
        states.append(found[label])
    return states
