"""Lines on standard output."""

from __future__ import annotations

import io

import pytest

from service.cli.terminal import lines


def test_a_name_that_the_encoding_lacks_does_not_stop_the_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding="ascii"))
    lines.write(["Hallström"])
    assert raw.getvalue() == b"Hallstr?m\n"
