"""The benchmarks of speed, as somebody calls them, with little of everything; and how their figures are judged.

Only results decide: that both sides of every row give the same. No time is looked at.
"""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from benchmarks.performance import failures
from benchmarks.rows import table
from benchmarks.rows.measure import Figure, Spread, Target, differences, ratio, share
from tests.benchmarks.running import run

FAMILIES = ("1,2,3", "4,5,6", "7,16", "8,9,10", "11", "12", "13,15", "14", "17")
SELDOM = ("4,5,6", "7,16", "8,9,10", "12", "13,15", "17")
"""More than five seconds each. The others call the same program in every run."""


@pytest.mark.parametrize(
    "rows", [pytest.param(rows, marks=pytest.mark.long(ci=rows not in SELDOM)) for rows in FAMILIES]
)
def test_both_sides_give_the_same(rows: str) -> None:
    """Every row of a family is measured, and nothing is wrong."""
    found: dict[str, Any] = run("performance", "--quick", "--rows", rows)
    assert {figure["row"] for figure in found["figures"]} == set(map(int, rows.split(",")))
    assert [figure["wrong"] for figure in found["figures"]] == [[] for _ in found["figures"]]
    assert found["failed"] == []


@pytest.mark.long(ci=True)
def test_growth_is_drawn(tmp_path: Path) -> None:
    """With few contacts and streams."""
    found = run("growth", "--contacts", "20", "--streams", "3", "--svg", str(tmp_path / "growth.svg"))
    assert [each["contacts"] for each in found["contacts"]] == [1, 10, 20]
    assert [each["streams"] for each in found["streams"]] == [1, 3]
    assert len(etree.parse(tmp_path / "growth.svg").findall(".//{*}polyline")) == 6


def test_every_row_is_in_a_family() -> None:
    """Seventeen of them."""
    assert sorted(int(row) for rows in FAMILIES for row in rows.split(",")) == sorted(table.ROWS) == list(range(1, 18))


@pytest.mark.parametrize("row", table.ROWS)
def test_every_row_has_its_function(row: int) -> None:
    """The table names modules and functions."""
    entry = table.ROWS[row]
    assert callable(getattr(import_module(f"benchmarks.rows.{entry.module}"), entry.name))


SLOW = Figure(1, "5000 basic", Spread(8.0, 9.0, 10.0, 9), "x", Target(2.3))


def test_a_missed_target_is_a_failure_where_that_is_asked_for() -> None:
    """Otherwise no time decides."""
    assert failures([SLOW], targets=False) == []
    assert failures([SLOW], targets=True) == ["row 1, 5000 basic: 9.00x, not at most 2.30x"]
    assert failures([replace(SLOW, target=None)], targets=True) == []
    assert failures([replace(SLOW, target=Target(8.0, at_least=True))], targets=True) == []


def test_a_wrong_result_is_always_a_failure() -> None:
    """However quick it was."""
    wrong = replace(SLOW, value=Spread(1.0, 1.0, 1.0, 9), wrong=("client: 1 is not 2",))
    assert failures([wrong], targets=False) == ["row 1, 5000 basic: client: 1 is not 2"]
    assert table.verdict(wrong) == "WRONG"


def test_a_ratio_is_made_within_its_round() -> None:
    """So that a round on a busy machine counts like the others."""
    costs = {"product": [2.0, 40.0, 3.0], "limit": [1.0, 20.0, 1.0]}
    assert ratio(costs, "product", "limit") == Spread(2.0, 2.0, 3.0, 3)
    assert share(costs, "product", "limit").median == 50.0


def test_differences_are_short() -> None:
    """A reply of megabytes is not printed."""
    assert differences("bytes", b"same", b"same") == ()
    (problem,) = differences("bytes", b"x" * 100_000, b"")
    assert problem.startswith("bytes: b'xxx")
    assert len(problem) < 300


def test_the_table_has_every_figure_with_its_verdict() -> None:
    """In a terminal and on a page."""
    met = replace(SLOW, row=2, value=Spread(1.0, 2.0, 2.5, 9))
    lines = table.markdown([SLOW, met]).splitlines()
    assert "5000 basic | lxml on the bytes | 9.00x | 8.00x to 10.0x | at most 2.30x | no |" in lines[2]
    assert "| 2.00x | 1.00x to 2.50x | at most 2.30x | yes |" in lines[3]
    assert len(table.text([SLOW, met]).splitlines()) == 3
    assert [each["is_met"] for each in table.as_json([SLOW, met])] == [False, True]
