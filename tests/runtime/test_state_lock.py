"""One service for one state file."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from service.runtime.state_lock import LockHeld, alone_with


def test_a_second_one_learns_who_has_it(tmp_path: Path) -> None:
    state = tmp_path / "pws.state.json"
    with alone_with(state):
        with pytest.raises(LockHeld) as caught, alone_with(state):
            pass
        assert caught.value.pid == str(os.getpid())
        with alone_with(tmp_path / "other.state.json"):
            pass
    with alone_with(state):
        pass


def test_it_is_released_however_it_ends(tmp_path: Path) -> None:
    state = tmp_path / "pws.state.json"
    with pytest.raises(ZeroDivisionError), alone_with(state):
        raise ZeroDivisionError
    with alone_with(state):
        assert (tmp_path / "pws.state.json.lock").read_text() == f"{os.getpid()}\n"


def test_where_nothing_is_kept_nothing_is_locked(tmp_path: Path) -> None:
    with alone_with(None), alone_with(None):
        assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_to_costs_the_lock_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state = tmp_path / "missing" / "pws.state.json"
    with caplog.at_level(logging.WARNING), alone_with(state), alone_with(state):
        pass
    assert "would not be noticed" in caplog.text
