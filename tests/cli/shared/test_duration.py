"""Durations on the command line."""

from __future__ import annotations

import pytest

from service.cli.command_line import run
from service.cli.shared import duration


@pytest.mark.parametrize("text", ["3x", "", "0", "0s", "-5", "1h30m", "s", "1e3", "99999999999"])
def test_a_time_that_is_none_is_refused_with_what_would_do(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["demo", f"--for={text}"]) == 2
    assert f"expected a time such as 30s, 2m, 1h, or seconds as a plain number, got {text!r}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("2m", 120), ("1h", 3600), ("45", 45), ("1.5 M", 90), ("0.2", 0.2)]
)
def test_a_time_is_a_number_with_or_without_a_unit(text: str, seconds: float) -> None:
    assert duration.Duration().convert(text, None, None) == pytest.approx(seconds)
    assert duration.Duration().convert(seconds * 1.0, None, None) == seconds
