"""Pauses, what a target may ask for, and the pace."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.webhooks.retries import BURST, LONGEST_PAUSE, MOST_ASKED, Pace, pause, retry_after
from tests.support.examples import examples

NOW = 1_800_000_000.0


def test_pauses_double_up_to_the_longest() -> None:
    assert [pause(failures, lambda: 1.0) for failures in (1, 2, 3, 4, 10, 11, 1000)] == [1, 2, 4, 8, 512, 600, 600]
    assert pause(1, lambda: 0.0) == 0.5
    assert pause(1000, lambda: 0.0) == LONGEST_PAUSE / 2


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("99999999999", MOST_ASKED),
        ("Fri, 15 Jan 2027 08:01:40 GMT", 100.0),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0.0),
        ("Fri, 15 Jan 2038 07:00:00 GMT", MOST_ASKED),
        (None, None),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("\u0661\u0662", None),
        ("Fri, 99 Jan 2027 08:00:10 GMT", None),
        ("1" * 100, None),
    ],
)
def test_what_a_target_asks_for(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, NOW) == seconds


@settings(max_examples=examples(30))
@given(st.text(max_size=40))
def test_no_header_is_too_strange(header: str) -> None:
    found = retry_after(header, NOW)
    assert found is None or 0 <= found <= MOST_ASKED


@given(st.lists(st.floats(0, 2), max_size=60))
def test_a_pace_is_kept(waits: list[float]) -> None:
    """In no second begin more than so many, and those that were saved up."""
    pace, now, begun = Pace(10.0), 0.0, []
    for wait in waits:
        now = max(now + wait, pace.due(now + wait))
        pace.begin(now)
        begun.append(now)
    for first in begun:
        assert sum(first <= each < first + 1 for each in begun) <= 10 + 10 * BURST + 1
