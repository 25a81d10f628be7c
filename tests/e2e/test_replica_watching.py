"""What the watchers of replicas call wrong: streams and claims as they must not be."""

from __future__ import annotations

import pytest

from tests.support.replicas.watching import Heard, Hold, held_twice, wrong_streams


def change(id_: str, state: str = "BUSY") -> Heard:
    return Heard("change", id_, {"contact": "ann@example.com", "state": state, "as_of": id_})


def snapshot(id_: str, reason: str = "not-kept") -> Heard:
    return Heard("snapshot", id_, {"contacts": [], "reason": reason})


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        ([change("1"), change("2")], [change("1"), change("2")], ""),
        ([change("1"), change("2")], [change("2")], ""),
        ([change("1"), change("2"), change("3")], [change("1"), change("3")], r"\[2\] are missing"),
        ([change("1"), change("2"), change("3")], [change("1"), change("3.1.3")], ""),
        ([change("1"), change("2"), change("3")], [change("1"), snapshot("3")], ""),
        ([change("1"), change("2"), change("4")], [change("1"), change("2"), snapshot("1"), change("4")], ""),
        ([change("2"), change("1")], [], "change 1 after 2"),
        ([change("1"), change("1")], [], "change 1 after 1"),
        ([change("3"), snapshot("1"), change("2")], [], "change 2 after 3"),
        ([change("1"), change("2")], [change("1"), change("2", "AWAY")], "elsewhere"),
    ],
)
def test_streams(one: list[Heard], other: list[Heard], words: str) -> None:
    """Ids ascend and mean the same everywhere, and none is missing but where a snapshot or the id says so."""
    wrong = wrong_streams({0: one, 1: other})
    if words:
        with pytest.raises(AssertionError, match=words):
            assert wrong == [], "\n".join(wrong)
    else:
        assert wrong == []


def test_claims() -> None:
    """A contact is for one claim at a time; two readings of the same claim are one."""
    holds = [Hold("ann", "a", 0.0, 2.0), Hold("ann", "a", 1.0, 3.0), Hold("ann", "b", 3.0, 4.0), Hold("bob", "c", 0, 9)]
    assert held_twice(holds) == []
    assert len(held_twice([*holds, Hold("ann", "d", 2.5, 2.6)])) == 1
