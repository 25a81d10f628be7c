"""Answers that are kept for anybody who sends a request twice: which, for whom, how long, how many."""

from __future__ import annotations

import pytest

from service.api.idempotency import KEPT_AFTER, KeyReused, Name, Replays, RequestInProgress

ANN = Name("ann", "1")


def answered(replays: Replays, name: Name, lease: str, body: bytes = b"answer") -> None:
    assert replays.begin(name, "a", 0.0) is None
    replays.keep(name, lease, body, {})
    replays.drop(name)


def test_an_answer_is_kept_as_long_as_its_lease_lives_and_a_while_more() -> None:
    """Then the request is a new one."""
    replays = Replays()
    answered(replays, ANN, "l1")
    kept = replays.begin(ANN, "a", 1e6)
    assert kept is not None
    assert kept.body == b"answer"
    replays.ended("l1", 1e6)
    assert replays.begin(ANN, "a", 1e6 + KEPT_AFTER - 1) is not None
    assert replays.begin(ANN, "a", 1e6 + KEPT_AFTER) is None
    assert len(replays) == 0


def test_what_is_kept_is_what_a_request_would_get() -> None:
    """Nothing that is under way, nothing that has had its time."""
    replays, over, waits = Replays(), Name("ann", "2"), Name("ann", "3")
    answered(replays, ANN, "l1")
    answered(replays, over, "l2")
    assert replays.begin(waits, "a", 0.0) is None
    replays.ended("l2", 100.0)
    assert [name for name, _ in replays.kept(100.0 + KEPT_AFTER - 1)] == [ANN, over]
    assert [name for name, _ in replays.kept(100.0 + KEPT_AFTER)] == [ANN]


def test_a_name_belongs_to_one_request() -> None:
    """While it is answered and afterwards."""
    replays = Replays()
    assert replays.begin(ANN, "a", 0.0) is None
    with pytest.raises(RequestInProgress):
        replays.begin(ANN, "a", 0.0)
    with pytest.raises(KeyReused):
        replays.begin(ANN, "b", 0.0)
    replays.keep(ANN, "l1", b"", {})
    with pytest.raises(KeyReused):
        replays.begin(ANN, "b", 0.0)
    assert replays.begin(Name("bob", "1"), "b", 0.0) is None


def test_a_request_that_failed_leaves_nothing() -> None:
    """The next one is the first."""
    replays = Replays()
    assert replays.begin(ANN, "a", 0.0) is None
    replays.drop(ANN)
    assert replays.begin(ANN, "b", 0.0) is None


def test_memory_is_bounded_and_what_is_over_goes_first() -> None:
    """Then the oldest."""
    replays = Replays(max_bytes=5000)
    for number in range(4):
        answered(replays, Name("ann", str(number)), f"l{number}", b"x" * 600)
    replays.ended("l2", 0.0)
    for number in (4, 5):
        answered(replays, Name("ann", str(number)), f"l{number}", b"x" * 600)
    left = [number for number in range(6) if replays.begin(Name("ann", str(number)), "a", 0.0) is not None]
    assert left == [1, 3, 4, 5]
    replays.ended("l0", 0.0)  # of one that is not kept any more
    assert len(replays) == 4


def test_one_answer_is_kept_however_long_it_is() -> None:
    """A large group must not lose the promise altogether."""
    replays = Replays(max_bytes=100)
    answered(replays, ANN, "l1", b"x" * 1000)
    assert replays.begin(ANN, "a", 0.0) is not None
