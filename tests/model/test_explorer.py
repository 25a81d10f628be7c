"""The explorer, on puzzles whose answers are known."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.model.explorer import Move, explore, replay

Jugs = tuple[int, int]


def jugs(state: Jugs) -> Iterator[Move[Jugs]]:
    """Two jugs of 3 and 5 litres, a tap and a sink."""
    small, large = state
    yield Move("fill the small one", (3, large))
    yield Move("fill the large one", (small, 5))
    yield Move("empty the small one", (0, large))
    yield Move("empty the large one", (small, 0))
    poured = min(small, 5 - large)
    yield Move("pour the small one into the large one", (small - poured, large + poured))
    poured = min(large, 3 - small)
    yield Move("pour the large one into the small one", (small + poured, large - poured))


def test_it_sees_every_state() -> None:
    """Of 24 there are 16 that can be reached."""
    seen = explore((0, 0), jugs, lambda _: None)
    assert (seen.states, seen.transitions, seen.complete, seen.wrong) == (16, 16 * 6, True, None)


def test_it_finds_the_shortest_story() -> None:
    """Four litres take six steps."""
    seen = explore((0, 0), jugs, lambda state: "four litres" if 4 in state else None)
    assert seen.wrong is not None
    assert not seen.complete
    assert seen.wrong.trace == (
        "fill the large one",
        "pour the large one into the small one",
        "empty the small one",
        "pour the large one into the small one",
        "fill the large one",
        "pour the large one into the small one",
    )
    assert str(seen.wrong).splitlines()[-1] == "     => four litres"
    assert replay((0, 0), jugs, seen.wrong.trace)[-1] == (3, 4)


def test_a_story_that_cannot_be() -> None:
    """The message says where it ends, and what could be instead."""
    with pytest.raises(LookupError, match="after 1 steps not possible: 'drink'") as failure:
        replay((0, 0), jugs, ["fill the large one", "drink"])
    assert "empty the large one" in str(failure.value)


def test_it_ends_at_the_limit() -> None:
    """And says that this was not all."""
    assert not explore((0, 0), jugs, lambda _: None, most=10).complete


TRAP, CIRCLE = -1, -2


def countdown(number: int) -> Iterator[Move[int]]:
    """Counts down when all goes well; a fault may lead to a place without a way out, or into a circle."""
    if number > 0:
        yield Move("down", number - 1)
    if number == 3:
        yield Move("trap", TRAP, fault=True)
    if number == 2:
        yield Move("circle", CIRCLE, fault=True)
    if number == CIRCLE:
        yield Move("round", CIRCLE)


def test_healing_is_measured() -> None:
    """From the farthest state, by the moves that go well."""
    seen = explore(
        2,
        lambda number: (move for move in countdown(number) if not move.fault),
        lambda _: None,
        healed=lambda number: number == 0,
    )
    assert (seen.unhealed, seen.healing) == (None, 2)


@pytest.mark.parametrize(("start", "way"), [(3, "trap"), (2, "circle")])
def test_what_does_not_heal_is_reported(start: int, way: str) -> None:
    """With the way to it."""
    seen = explore(start, countdown, lambda _: None, healed=lambda number: number == 0)
    assert seen.unhealed is not None
    assert way in seen.unhealed.trace
