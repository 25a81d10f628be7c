"""The audit as a file: one JSON line for each entry, written by a thread, so that a slow disk holds up no answer.

Whatever happens to the disk, the service goes on. What cannot be written waits, up to `MOST_WAITING` entries; further
ones are lost, and the file itself says how many, once it can be written again. A line is whole, or it is written again.
logrotate may move the file: the next line goes into a new one.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import stat
import threading
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from service.access.audit import AuditEntry
from service.core.clock import Clock

MOST_WAITING: Final = 20_000
"""Entries that wait for the disk. At 300 bytes each they take 6 MB."""
RETRY: Final = 1.0
"""Seconds between two tries to write what could not be written."""
GATHER: Final = 0.05
"""Seconds for which entries are gathered: under load the thread wakes twenty times a second, not for each of them."""
_BATCH: Final = 500
"""Entries that are written at once."""
_FLAGS: Final = (
    os.O_WRONLY
    | os.O_APPEND
    | os.O_CREAT
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_NONBLOCK", 0)
)
"""Not blocking: a pipe that nobody reads is an error, and holds up not even the end of the service."""

_log = logging.getLogger("pws.audit")


class AuditFile:
    """An AuditLog that appends to a file, between `start` and `close`.

    `max_bytes`: the file is renamed before it grows longer, and `keep` renamed ones stay; 0: never.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        max_bytes: int = 0,
        keep: int = 10,
        most_waiting: int = MOST_WAITING,
        retry: float = RETRY,
    ) -> None:
        self._path = path
        self._clock = clock
        self._max_bytes = max_bytes
        self._keep = keep
        self._most_waiting = most_waiting
        self._retry = retry
        self._entries: deque[AuditEntry] = deque()  # the thread takes from its left what it has written
        self._woken = threading.Event()
        self._closing = threading.Event()
        self._reopen = threading.Event()
        self._thread: threading.Thread | None = None
        self._descriptor: int | None = None
        self._torn = False
        """Whether the file ends in the middle of a line."""
        self._failing = False
        self._said_lost = 0
        self.lost = 0
        """Entries that were lost since the start: so many waited already."""

    def record(self, entry: AuditEntry) -> None:
        """See AuditLog."""
        if len(self._entries) >= self._most_waiting:
            self.lost += 1
            return
        self._entries.append(entry)
        if not self._woken.is_set():
            self._woken.set()

    def reopen(self) -> None:
        """Write to a new file from now on, where this one was moved."""
        self._reopen.set()
        self._woken.set()

    def start(self) -> None:
        """Begin to write."""
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
        self._thread.start()

    def close(self, limit: float) -> None:
        """Write what waits, for `limit` seconds at most. Blocks."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._closing.set()
        self._woken.set()
        thread.join(limit)
        # Those that found no room to wait are in no file either, unless a line of it says so.
        lost = len(self._entries) + self.lost - self._said_lost
        if lost:
            what, verb = ("entry", "is") if lost == 1 else ("entries", "are")
            _log.warning(
                "%(entries)d audit %(_what)s could not be written to %(file)s and %(_verb)s lost",
                {"entries": lost, "file": self._path, "_what": what, "_verb": verb},
                extra={"event": "audit.entries-lost"},
            )

    # --- in the thread

    def _run(self) -> None:
        while True:
            self._woken.wait()
            self._closing.wait(GATHER)
            self._woken.clear()
            is_last = self._closing.is_set()  # before writing: what was recorded before `close` is written
            if self._reopen.is_set():
                self._reopen.clear()
                self._close()
            is_written = self._write()
            if is_last:
                break
            if not is_written:
                self._closing.wait(self._retry)
                self._woken.set()
        self._close()

    def _write(self) -> bool:
        """Write what waits; whether that could be done."""
        try:
            while self._entries:
                waiting = min(_BATCH, len(self._entries))
                written = self._append([_line(self._entries[place]) for place in range(waiting)])
                for _ in range(written):
                    self._entries.popleft()
            lost = self.lost
            if lost > self._said_lost:
                self._append([self._lost_line(lost - self._said_lost)])
            self._is_written(lost)
        except OSError as error:
            self._cannot_be_written(error)
            return False
        return True

    def _append(self, lines: list[bytes]) -> int:
        """Append lines; how many of them are whole in the file. Raises OSError where it is none."""
        data = b"".join(lines)
        descriptor = self._opened(len(data))
        size = self._size(descriptor)
        begin = b"\n" if self._torn else b""
        taken = os.write(descriptor, begin + data) - len(begin)
        self._torn = taken < 0
        if taken == len(data):
            return len(lines)
        whole = length = 0
        for line in lines:
            if length + len(line) > taken:
                break
            whole, length = whole + 1, length + len(line)
        try:
            os.ftruncate(descriptor, size + len(begin) + length)
        except OSError:  # a device, or a pipe
            self._torn = True
        if not whole:
            raise OSError(errno.ENOSPC, "there is no room for a whole line")
        return whole

    def _opened(self, more: int) -> int:
        """The file's descriptor: of a new one where the old one was moved, or would get too long by `more` bytes."""
        if self._descriptor is not None and not self._is_there(self._descriptor):
            self._close()
        descriptor = self._open() if self._descriptor is None else self._descriptor
        size = self._size(descriptor)
        if self._max_bytes and size and size + more > self._max_bytes and self._rotate():
            self._close()
            descriptor = self._open()
        return descriptor

    def _open(self) -> int:
        descriptor = self._descriptor = os.open(self._path, _FLAGS, 0o600)
        if stat.S_ISREG(os.fstat(descriptor).st_mode):  # a process may have been killed in the middle of a line
            self._torn = bool(self._size(descriptor)) and not _ends_a_line(self._path)
        return descriptor

    def _rotate(self) -> bool:
        """Give the files other names; whether that could be done."""
        try:
            for number in range(self._keep, 0, -1):
                before = self._numbered(number - 1) if number > 1 else self._path
                with contextlib.suppress(FileNotFoundError):
                    before.replace(self._numbered(number))
        except OSError as error:
            _log.warning(
                "the audit file %(file)s cannot be renamed (%(error)s): it grows on",
                {"file": self._path, "error": error.strerror},
                extra={"event": "audit.rotate-failed"},
            )
            self._max_bytes = 0
            return False
        return True

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")

    def _is_there(self, descriptor: int) -> bool:
        try:
            there = self._path.stat()
        except OSError:
            return False
        return os.path.samestat(there, os.fstat(descriptor))

    @staticmethod
    def _size(descriptor: int) -> int:
        status = os.fstat(descriptor)
        return status.st_size if stat.S_ISREG(status.st_mode) else 0

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def _lost_line(self, lost: int) -> bytes:
        return _json({"time": _rfc3339(self._clock.now()), "action": "audit.lost", "lost": lost})

    def _cannot_be_written(self, error: OSError) -> None:
        if not self._failing:
            _log.warning(
                "the audit file %(file)s cannot be written (%(error)s): up to %(most)d entries wait",
                {"file": self._path, "error": error.strerror, "most": self._most_waiting},
                extra={"event": "audit.write-failed"},
            )
        self._failing = True
        self._close()

    def _is_written(self, lost: int) -> None:
        if self._failing:
            _log.warning(
                "the audit file %(file)s is written again; %(lost)d entries were lost",
                {"file": self._path, "lost": lost - self._said_lost},
                extra={"event": "audit.written-again"},
            )
        self._failing, self._said_lost = False, lost


def _ends_a_line(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"
    except OSError:  # it may be written, and not read
        return True


def _line(entry: AuditEntry) -> bytes:
    head = {
        "time": _rfc3339(entry.at),
        "action": entry.action,
        "key": entry.key,
        "address": entry.address,
        "asked": entry.asked,
        "shown": entry.shown,
    }
    return _json(head | dict(entry.more))


def _json(line: dict[str, object]) -> bytes:
    """All but ASCII is escaped: a name cannot look like another, and any program can read it."""
    written = msgspec.json.encode(line)  # many times faster, and it escapes nothing but what JSON must
    return (written if written.isascii() else json.dumps(line, separators=(",", ":")).encode()) + b"\n"


def _rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
