"""Which ids may be resumed: exactly those whose events are the ones that the client saw."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.cluster.tenures import MOST, Tenures


def tenures(*starts: tuple[int, int]) -> Tenures:
    """Beginnings, with the last id before each."""
    made = Tenures()
    for begins, previous in starts:
        made.began(begins, previous)
    return made


@pytest.mark.parametrize(
    ("id_", "may"),
    [(9, False), (10, True), (50, True), (94, True), (95, False), (199, False), (200, True), (230, True), (231, False)],
)
def test_what_was_lost_is_not_resumed(id_: int, may: bool) -> None:
    """The engine has lost what came after 94; the next tenure began at 200. The log has 11 to 230."""
    assert tenures((5, 0), (200, 94)).may_resume(id_, floor=10, last=230) is may


def test_a_log_without_a_beginning() -> None:
    """Its only tenure began before what is kept."""
    assert Tenures().may_resume(15, 10, 20)
    assert not Tenures().may_resume(21, 10, 20)


def test_a_beginning_that_is_read_twice_is_one() -> None:
    """And a log that began anew has only the new ones."""
    made = tenures((5, 0), (200, 94), (200, 94))
    assert repr(made) == repr(tenures((5, 0), (200, 94)))
    made.began(100, 0)
    assert not made.may_resume(94, 0, 150)
    assert made.may_resume(120, 0, 150)


def test_tenures_are_forgotten_in_the_end() -> None:
    """The oldest first."""
    made = tenures(*((10 * number, 10 * number - 5) for number in range(1, MOST + 50)))
    assert made.may_resume(3, 0, 10**6)
    assert not made.may_resume(10 * MOST + 7, 0, 10**6)


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 5), st.integers(0, 4)), min_size=1, max_size=8))
def test_over_any_history(history: list[tuple[int, int, int]]) -> None:
    """Each tenure gives out some ids, the engine loses the last of them; a client may resume from what is left."""
    made, known, lost, last = Tenures(), set[int](), set[int](), 0
    for skipped, given_out, dropped in history:
        begins = max([last, *known, *lost]) + skipped
        made.began(begins, last)
        ids = list(range(begins, begins + given_out + 1))
        kept = ids[: max(1, len(ids) - dropped)]
        known |= set(kept)
        lost |= set(ids) - set(kept)
        last = kept[-1]
    final = {each for each in lost if each < last}
    for each in known:
        assert made.may_resume(each, 0, last)
    for each in final:
        assert not made.may_resume(each, 0, last)


def test_a_tenure_that_was_lost_from_its_beginning_on() -> None:
    """The engine has gone back behind two owners: what the first of them told is lost as well."""
    tenures = Tenures()
    tenures.began(10, 0)
    tenures.began(100, 20)
    tenures.began(200, 150)
    tenures.began(300, 15)
    assert tenures.may_resume(15, 0, 400)
    for lost in (16, 20, 100, 120, 150, 200, 250):
        assert not tenures.may_resume(lost, 0, 400), lost
    assert tenures.may_resume(300, 0, 400)
