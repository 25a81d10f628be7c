"""The file of the audit: whole lines in their order, whatever happens to the disk or the file, and nobody waits."""

from __future__ import annotations

import json
import logging
import os
import resource
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from service.access.audit import AuditAction, AuditEntry
from service.core.clock import ManualClock
from service.runtime.audit_file import AuditFile

LIMIT: Final = 30.0
"""Seconds: far more than anything here takes."""


def entry(number: int, asked: str = "GET /v1/presence") -> AuditEntry:
    return AuditEntry(1795254000.123, AuditAction.LOOK, "board", "10.0.0.7", asked, number, {"details": True})


def numbers(path: Path) -> list[int]:
    return [json.loads(line)["shown"] for line in path.read_text().splitlines()]


class Trial:
    """An audit file that tries again at once by default, and the names of the events that it has logged."""

    def __init__(self, path: Path, caplog: pytest.LogCaptureFixture, **options: Any) -> None:  # as AuditFile has them
        self.path = path
        self._caplog = caplog
        self.file = AuditFile(path, ManualClock(), **{"retry": 0.01, **options})
        self.file.start()

    def record(self, *entries: AuditEntry) -> None:
        for each in entries:
            self.file.record(each)

    def until(self, check: Callable[[], bool]) -> None:
        """Wait for the thread."""
        done = threading.Event()
        for _ in range(int(LIMIT / 0.01)):
            if check():
                return
            done.wait(0.01)
        raise AssertionError("not within the limit")

    def written(self, count: int) -> None:
        """Wait until so many lines are in the file."""
        self.until(lambda: self.path.exists() and self.path.read_bytes().count(b"\n") == count)

    @property
    def last(self) -> str:
        """What it logged last."""
        return [record.getMessage() for record in self._caplog.records if record.name == "pws.audit"][-1]

    @property
    def events(self) -> list[str]:
        return [vars(record)["event"] for record in self._caplog.records if record.name == "pws.audit"]


@pytest.fixture
def trial(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Callable[..., Trial]]:
    made: list[Trial] = []

    def make(path: Path = tmp_path / "audit.jsonl", **options: Any) -> Trial:
        made.append(Trial(path, caplog, **options))
        return made[-1]

    with caplog.at_level(logging.DEBUG):
        yield make
        for each in made:
            each.file.close(LIMIT)


def test_an_entry_is_a_line(trial: Callable[..., Trial]) -> None:
    """ASCII alone, so that no name looks like another, for its owner alone; all is written when it is closed."""
    made = trial()
    made.record(entry(3, "GET /v1/presence/\u202eann\n"))
    made.file.close(LIMIT)
    line = made.path.read_text()
    assert line.isascii()
    assert line.count("\n") == 1
    assert json.loads(line) == {
        "time": "2026-11-21T09:40:00.123Z",
        "action": "look",
        "key": "board",
        "address": "10.0.0.7",
        "asked": "GET /v1/presence/\u202eann\n",
        "shown": 3,
        "details": True,
    }
    assert made.path.stat().st_mode & 0o777 == 0o600


def test_lines_are_in_order_behind_those_that_are_there(trial: Callable[..., Trial], tmp_path: Path) -> None:
    """The last of which a process that was killed may have left in its middle."""
    path = tmp_path / "audit.jsonl"
    path.write_text('{"shown":-1}\n{"sho')
    made = trial()
    made.record(*map(entry, range(2000)))
    made.file.close(LIMIT)
    first, torn, *rest = path.read_text().splitlines()
    assert (first, torn) == ('{"shown":-1}', '{"sho')
    assert [json.loads(line)["shown"] for line in rest] == list(range(2000))


def test_a_file_that_was_moved_is_begun_anew(trial: Callable[..., Trial], tmp_path: Path) -> None:
    """With a signal, as logrotate sends one, and without."""
    made = trial()
    orders: list[Callable[[], object]] = [made.file.reopen, lambda: None]
    for number, order in enumerate(orders):
        made.record(entry(number))
        made.written(1)
        made.path.rename(tmp_path / f"moved-{number}")
        order()
    made.record(entry(2))
    made.file.close(LIMIT)
    assert [numbers(tmp_path / name) for name in ("moved-0", "moved-1", "audit.jsonl")] == [[0], [1], [2]]


def test_a_long_file_is_renamed_and_the_oldest_deleted(trial: Callable[..., Trial]) -> None:
    made = trial(max_bytes=300, keep=2)
    for number in range(9):
        made.record(entry(number))
        made.until(lambda: not made.file._entries)
    made.file.close(LIMIT)
    names = ["audit.jsonl.2", "audit.jsonl.1", "audit.jsonl"]
    assert sorted(each.name for each in made.path.parent.iterdir()) == sorted(names)
    left = [number for name in names for number in numbers(made.path.with_name(name))]
    assert left == list(range(9 - len(left), 9))
    assert all(made.path.with_name(name).stat().st_size <= 300 for name in names)


def test_a_file_that_cannot_be_renamed_grows_on(trial: Callable[..., Trial]) -> None:
    made = trial(max_bytes=150, keep=1)
    made.path.with_name("audit.jsonl.1").mkdir()
    for number in range(3):
        made.record(entry(number))
        made.until(lambda: not made.file._entries)
    made.file.close(LIMIT)
    assert numbers(made.path) == [0, 1, 2]
    assert made.events == ["audit.rotate-failed"]


def test_a_full_disk_warns_once_and_holds_up_nobody(trial: Callable[..., Trial]) -> None:
    made = trial(Path("/dev/full"), most_waiting=10)
    made.record(*map(entry, range(25)))
    made.until(lambda: bool(made.events))
    made.file.close(LIMIT)
    assert made.file.lost == 15
    assert made.events == ["audit.write-failed", "audit.entries-lost"]
    assert made.last.startswith("25 audit entries"), "those that found no room to wait are lost as well"


def test_what_waits_is_written_when_there_is_room_again(trial: Callable[..., Trial], tmp_path: Path) -> None:
    """In its order, and the file itself says how many were lost."""
    place = tmp_path / "place"
    made = trial(place / "audit.jsonl", most_waiting=10)
    made.record(entry(0))
    made.until(lambda: bool(made.events))
    made.record(*map(entry, range(1, 15)))
    place.mkdir()
    made.written(11)
    made.record(entry(99))
    made.file.close(LIMIT)
    *waited, lost, last = map(json.loads, made.path.read_text().splitlines())
    assert [line["shown"] for line in waited] == list(range(10))
    assert (lost["action"], lost["lost"]) == ("audit.lost", 5)
    assert last["shown"] == 99
    assert made.events == ["audit.write-failed", "audit.written-again"]


def test_a_line_is_whole_where_the_disk_fills_in_its_middle(trial: Callable[..., Trial]) -> None:
    """A limit on the size of files, which a disk reaches as well: part of a batch fits."""
    one = len(json.dumps({"shown": 0}))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    made = trial(retry=LIMIT)  # each try has half a line in the file for a moment, in which nobody shall look
    made.record(entry(0))
    made.written(1)
    size = made.path.stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (3 * size + one, hard))
    try:
        made.record(*map(entry, range(1, 6)))
        made.until(lambda: "audit.write-failed" in made.events)
        assert numbers(made.path) == [0, 1, 2]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    made.file.close(LIMIT)
    assert numbers(made.path) == [0, 1, 2, 3, 4, 5]
    assert made.events == ["audit.write-failed", "audit.written-again"]


def test_a_pipe_that_nobody_reads_holds_up_nobody(trial: Callable[..., Trial], tmp_path: Path) -> None:
    """Not even the end."""
    os.mkfifo(tmp_path / "audit.jsonl")
    made = trial()
    made.record(entry(0))
    made.until(lambda: bool(made.events))
    made.file.close(LIMIT)
    assert made.events == ["audit.write-failed", "audit.entries-lost"]


def test_a_torn_line_of_a_pipe_is_written_again(trial: Callable[..., Trial], tmp_path: Path) -> None:
    """It cannot be taken back: the whole line follows on a line of its own."""
    path = tmp_path / "audit.jsonl"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        made = trial()
        made.record(*(entry(number, "x" * 1900) for number in range(100)))
        read = b""
        while read.count(b"\n") < 100 or not read.endswith(b"\n") or b'"shown":99,' not in read:
            try:
                read += os.read(reader, 5000)
            except BlockingIOError:
                made.until(lambda: True)
        made.file.close(LIMIT)
    finally:
        os.close(reader)
    whole = [json.loads(line)["shown"] for line in read.splitlines() if line.endswith(b"}") and line.startswith(b"{")]
    assert whole == list(range(100))


def test_closing_twice_or_before_the_start_does_nothing(tmp_path: Path) -> None:
    made = AuditFile(tmp_path / "audit.jsonl", ManualClock())
    made.close(LIMIT)
    made.start()
    made.close(LIMIT)
    made.close(LIMIT)
    assert not (tmp_path / "audit.jsonl").exists()
