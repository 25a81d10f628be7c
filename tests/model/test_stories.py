"""Replays of counterexamples: wrong with the earlier rule, impossible or right with the mended rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.model.cases import KINDS
from tests.model.explorer import explore, replay
from tests.model.protocol import Protocol
from tests.model.rules import Bounds, Rules
from tests.model.stories import A_STALE_REFUSAL, STORIES
from tests.model.values import World


def ends_wrong(protocol: Protocol, story: Sequence[str]) -> bool:
    """Whether the story can be replayed, and ends in a wrong state."""
    try:
        states = replay(protocol.start(), protocol.moves, story)
    except LookupError:
        return False
    assert not any(protocol.wrong(state) for state in states[:-1]), "it is wrong before the end already"
    return protocol.wrong(states[-1]) is not None


def test_every_kind_has_its_story() -> None:
    """And every story its kind."""
    assert STORIES.keys() == KINDS.keys()


@pytest.mark.parametrize("kind", STORIES)
def test_as_it_was_the_story_ends_with_a_wrong_answer(kind: str) -> None:
    """With the earlier rule."""
    assert ends_wrong(KINDS[kind].protocol, STORIES[kind])


@pytest.mark.parametrize("kind", STORIES)
def test_with_the_mended_rules_it_does_not(kind: str) -> None:
    """The client acts differently on the way, or its last answer is right."""
    assert not ends_wrong(replace(KINDS[kind].protocol, rules=Rules()), STORIES[kind])


def test_a_refused_old_key_does_not_end_the_newer_session() -> None:
    """Else the pending reset is forgotten with the session."""
    bounds = Bounds(faults=3)
    careless = Protocol(replace(Rules(), tell_keys_apart=False), bounds=bounds)
    assert ends_wrong(careless, A_STALE_REFUSAL)
    assert not ends_wrong(Protocol(bounds=bounds), A_STALE_REFUSAL)


@pytest.mark.long(ci=True)
def test_every_sentence_leads_to_one_state() -> None:
    """Two moves of a state with the same label have the same effect, so a story is unambiguous."""
    protocol = Protocol(bounds=Bounds())

    def ambiguous(state: World) -> str | None:
        found: dict[str, World] = {}
        for move in protocol.moves(state):
            if found.setdefault(move.label, move.state) != move.state:
                return move.label
        return None

    assert explore(protocol.start(), protocol.moves, ambiguous).wrong is None
