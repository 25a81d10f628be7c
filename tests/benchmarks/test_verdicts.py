"""What decides whether a benchmark has failed: results, and times only where they are asked for."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from benchmarks import chaos, kills, rich, streams
from benchmarks.details import DETECTABLE, details
from pws_soap.simulator import Fault
from pws_soap.simulator.faults.kinds import FORMS, REQUEST_FAULTS

GOOD: dict[str, Any] = {
    "faults_wanted": 300,
    "faults_injected": 3,
    "wrong_live_answers": 0,
    "changes_lost": 0,
    "late": ["restart after 60 s"],
    "bugs": [],
    "exit_code_of_service": 0,
    "left_at_the_server": {"sessions": 0},
}


def test_no_time_decides_a_chaos_run() -> None:
    """Neither rounds that healed late nor a run that ended early."""
    assert chaos.verdict(GOOD) == []


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("wrong_live_answers", 2, "2 wrong live answers"),
        ("changes_lost", 1, "1 changes lost"),
        ("bugs", ["Traceback"], "a process broke"),
        ("exit_code_of_service", 1, "a process broke"),
        ("left_at_the_server", {"sessions": 1}, "something is left at the server"),
        ("told", {"wrong": 3, "states": 5}, "3 states told over SOAP were wrong"),
        ("told", {"wrong": 0, "states": 0}, "nothing was told over SOAP"),
    ],
)
def test_what_is_wrong_or_lost_decides_it(name: str, value: object, why: str) -> None:
    """Each alone."""
    assert chaos.verdict({**GOOD, name: value}) == [why]


def test_only_results_decide_where_that_is_asked_for() -> None:
    """Slow and right fails without --results-only; wrong always fails."""
    found = kills.Run(1, late=["settled only after 50 s"], exit_code=0)
    assert kills.verdict(found, results_only=True) == []
    assert kills.verdict(found, results_only=False) == found.late
    found.failed.append("the server held too much")
    assert kills.verdict(found, results_only=True) == found.failed

    def figures(client_ratio: float, wrong: int) -> rich.Figures:
        return rich.Figures("cdata", 300, 1.0, 1.0, 1.0, 1.0, 1.0, client_ratio, 1.0, wrong)

    assert figures(1.0, 0).kept(results_only=False)
    assert figures(1000.0, 0).kept(results_only=True)
    assert not figures(1000.0, 0).kept(results_only=False)
    assert not figures(1.0, 1).kept(results_only=True)

    one = streams.Figures(1, 0, 1.0, 1000.0, 1000.0, 0, 0.1, 0.001, 0.01)
    many = streams.Figures(100, 0, 1.0, 1.0, 100.0, 2, 0.1, 0.001, 0.01)
    assert streams.lost([one, many]) == ["2 changes did not arrive (100 streams)"]
    assert streams.slow([one, many]) == ["100 streams are 1000 times slower than one"]


@pytest.mark.parametrize("kind", REQUEST_FAULTS)
def test_what_chance_chooses_is_a_fault(kind: str) -> None:
    """Every form comes up."""
    dice = random.Random(1)  # noqa: S311  the same choices every time
    faults = [Fault.of({"kind": kind, **details(kind, dice)[0]}) for _ in range(200)]
    assert {fault.form for fault in faults} == set(DETECTABLE.get(kind, FORMS.get(kind, ("",))))


def test_the_page_names_every_program() -> None:
    """benchmarks/README.md, with the option where there is one."""
    page = (Path(__file__).parents[2] / "benchmarks" / "README.md").read_text("utf-8")
    for name in ("chaos", "kills", "memory", "rich", "streams"):
        section = page.partition(f"## {name}.py")[2].partition("\n## ")[0]
        assert ("--results-only" in section) == (name != "chaos")
