"""The cache of frames: what many streams share, in bounded memory whatever their filters are."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import pytest

from service.api.sse.view import FrameCache, ViewKey
from service.core.presence.query import Filter

LIMIT = 256 * 1024


def view(text: str = "") -> ViewKey:
    return ViewKey(Filter(text=text), True)


def test_what_was_kept_comes_back_for_anybody_who_sees_the_same() -> None:
    cache = FrameCache()
    cache.keep(b"one", view("a"), 7)
    cache.keep(b"part", view("a"), 7, 1)
    cache.keep(b"", view("b"), 7)
    assert cache.get(view("a"), 7) == b"one"
    assert cache.get(view("a"), 7, 1) == b"part"
    assert cache.get(view("b"), 7) == b""
    assert cache.get(view("a"), 8) is None
    assert cache.get(view("c"), 7) is None
    assert cache.get(ViewKey(Filter(text="a"), False), 7) is None


def test_a_frame_that_is_kept_again_takes_the_place_of_the_old_one() -> None:
    cache = FrameCache()
    cache.keep(b"old", view(), 7)
    before = repr(cache)
    cache.keep(b"new", view(), 7)
    assert cache.get(view(), 7) == b"new"
    assert repr(cache) == before


def test_the_oldest_make_room() -> None:
    cache = FrameCache(LIMIT)
    for number in range(100):
        cache.keep(b"x" * 10_000, view(), number)
    assert cache.get(view(), 0) is None
    assert cache.get(view(), 99) is not None


def test_a_frame_that_is_larger_than_all_room_is_not_kept() -> None:
    cache = FrameCache(LIMIT)
    cache.keep(b"small", view(), 1)
    cache.keep(b"x" * LIMIT, view("other"), 2)
    assert repr(cache) == "<FrameCache 0, 0 bytes>"
    cache.keep(b"small", view(), 3)
    assert cache.get(view(), 3) == b"small"


@pytest.mark.parametrize(
    "wanted",
    [
        pytest.param(lambda number: Filter(text=f"{number} " * 10_000), id="long texts"),
        pytest.param(lambda number: Filter(text=f"{number} €" * 3_000), id="long texts of wide characters"),
        pytest.param(
            lambda number: Filter(activities=frozenset(f"{number}.{part}" for part in range(200))), id="many activities"
        ),
        pytest.param(
            lambda number: Filter(groups=frozenset({f"{number}", f"{number}" * 9}), within=frozenset({f"{number}x"})),
            id="groups",
        ),
        pytest.param(lambda number: Filter(text=str(number)), id="many small ones"),
        pytest.param(lambda _number: Filter(), id="one"),
    ],
)
@pytest.mark.parametrize("frame", [b"", b"x" * 2_000], ids=["empty frames", "frames"])
def test_it_holds_no_more_than_its_limit_filters_included(wanted: Callable[[int], Filter], frame: bytes) -> None:
    """Measured, not counted: a client may send as many filters as it likes, and each is kept with its frames.

    The least of several measurements: what else the process does meanwhile, such as counting coverage, only adds.
    """
    held = min(_held(wanted, frame) for _ in range(3))
    assert held <= LIMIT, held


def _held(wanted: Callable[[int], Filter], frame: bytes) -> int:
    """Bytes that a new cache holds, once it has been given far more than it may."""
    cache = FrameCache(LIMIT)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(2_000 if wanted(1) == wanted(2) or not wanted(1).activities else 500):
            cache.keep(bytes(bytearray(frame)), ViewKey(wanted(number), True), 1795254000000000 + number)
        held = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert cache.get(ViewKey(wanted(number), True), 1795254000000000 + number) == frame
    return held
