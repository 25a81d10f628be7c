"""One service for one state file."""

from __future__ import annotations

import errno
import logging
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from pws_soap.lifecycle import Memory
from service.runtime.state_lock import LockHeld, alone_with, holder
from service.sync.state_file import StateFile


def is_free(state: Path) -> bool:
    """Whether another service could start with it."""
    try:
        with alone_with(state):
            return True
    except LockHeld:
        return False


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


def test_who_has_it_can_be_asked(tmp_path: Path) -> None:
    """Nothing is made or changed by that, and it can be had afterwards."""
    state = tmp_path / "pws.state.json"
    assert holder(None) is None
    assert holder(state) is None
    assert list(tmp_path.iterdir()) == []
    with alone_with(state):
        other = holder(state)
        assert other is not None
        assert other.pid == str(os.getpid())
    assert holder(state) is None
    assert is_free(state)


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


def linked(state: Path) -> Path:
    """The same directory by another name."""
    other = state.parent.with_name("other")
    other.symlink_to(state.parent, target_is_directory=True)
    return other / state.name


def relative(state: Path) -> Path:
    return Path(os.path.relpath(state))


def roundabout(state: Path) -> Path:
    return state.parent / ".." / state.parent.name / "." / state.name


def hard_linked(state: Path) -> Path:
    other = state.with_name("another.json")
    other.hardlink_to(state)
    return other


@pytest.mark.parametrize("name", [linked, relative, roundabout, hard_linked])
def test_a_file_by_another_name_is_the_same_file(tmp_path: Path, name: Callable[[Path], Path]) -> None:
    """Also after it was replaced, by those who know it by its new name and by those who know the old file."""
    state = tmp_path / "here" / "pws.state.json"
    state.parent.mkdir()
    StateFile(state).write(Memory())
    other = name(state)
    assert is_free(other)
    with alone_with(state):
        assert not is_free(other)
        file = StateFile(state)
        file.read()
        file.write(Memory(unknown=True))
        assert not is_free(other)
        if name is hard_linked:
            other.unlink()
            assert not is_free(name(state))
    del file
    assert is_free(other)


def test_a_link_made_while_the_service_runs_is_found(tmp_path: Path) -> None:
    """Where there was no file yet, too."""
    state = tmp_path / "pws.state.json"
    with alone_with(state):
        file = StateFile(state)
        file.write(Memory())
        other = hard_linked(state)
        assert not is_free(other)
    del file
    assert is_free(other)


def precious(at: Path) -> Path:
    found = at.with_name("precious")
    found.write_text("keep this")
    return found


def link(at: Path) -> None:
    at.symlink_to(precious(at))


def hard_link(at: Path) -> None:
    at.hardlink_to(precious(at))


def device(at: Path) -> None:
    try:
        os.mknod(at, 0o600 | stat.S_IFCHR, os.makedev(1, 3))  # as /dev/null
    except PermissionError:
        pytest.skip("only root makes devices")


@pytest.mark.parametrize("make", [link, hard_link, os.mkfifo, Path.mkdir, device])
def test_what_is_no_lock_file_of_ours_stays_as_it_is(
    tmp_path: Path, make: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    """It costs the lock alone."""
    state = tmp_path / "pws.state.json"
    lock = tmp_path / "pws.state.json.lock"
    make(lock)
    before = lock.lstat()
    with alone_with(state):
        assert "would not be noticed" in caplog.text
        assert is_free(state)
    assert (lock.lstat().st_ino, lock.lstat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    kept = tmp_path / "precious"
    assert not kept.exists() or kept.read_text() == "keep this"


@pytest.mark.parametrize("make", [link, os.mkfifo, Path.mkdir, device])
def test_beside_what_is_no_state_file_nothing_is_made(tmp_path: Path, make: Callable[[Path], None]) -> None:
    state = tmp_path / "pws.state.json"
    make(state)
    before = sorted(tmp_path.iterdir())
    with alone_with(state):
        assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("call", ["pwrite", "ftruncate"])
def test_a_full_disk_costs_the_number_of_the_process_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def full(*_args: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, call, full)
    state = tmp_path / "pws.state.json"
    with alone_with(state):
        with pytest.raises(LockHeld) as caught, alone_with(state):
            pass
        assert caught.value.pid == ""
