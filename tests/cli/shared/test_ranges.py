"""Numbers out of range are refused, and the message names the range."""

from __future__ import annotations

import click
import pytest

from service.cli.command_line import run
from service.cli.shared.ranges import Real, Whole


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["demo", "--port", "70000"], "'--port': expected a whole number from 0 to 65535, got '70000'"),
        (["demo", "--speed", "nan"], "'--speed': expected a number above 0, up to 1000000, got 'nan'"),
        (["simulate", "--nodes", "many"], "'--nodes': expected a whole number from 1 to 16, got 'many'"),
        (["fetch", "0"], "'ID': expected a whole number from 1 to 2147483647, got '0'"),
        (
            ["set", "joe", "BUSY", "--expires", "60"],
            "'--expires': expected a whole number from 3600 to 86400, got '60'",
        ),
    ],
)
def test_a_number_out_of_range_is_told_with_its_range(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Whole(), ""),
        (Whole(min=1), "from 1"),
        (Real(max=5), "up to 5"),
        (Real(0, 1, max_open=True), "from 0 below 1"),
        (Real(0.5, 2, min_open=True), "above 0.5, up to 2"),
    ],
)
def test_limits_in_words(kind: click.IntRange | click.FloatRange, words: str) -> None:
    assert kind._describe_range() == words
