"""One service for each state file: two would end each other's sessions, and lose each other's changes.

The locks are the system's (flock), so that they end with the process, however that ends. There are two. The lock of the
file beside the state file (`.lock`) stays while the state file is replaced; that file holds the number of the process
that had it last. The lock of the state file itself is found under any name of it, such as a hard link; `StateFile`
takes it anew for each file that it writes.

Where the place cannot be written to, or something else than a file of ours lies there, the service goes on without a
lock, and says so; where the system has no such locks, it says nothing.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from service.sync import regular_file

log = logging.getLogger("pws.state")

_LONGEST: Final = 20
"""Bytes of a lock file at most: the number of a process, and the end of the line."""
_OURS: Final = re.compile(rb"[0-9]{0,19}\n?")

"""What a lock file of ours holds: nothing yet, or the number of a process."""


class LockHeld(Exception):
    """Another process holds the lock. `pid` is its number where it is known, else empty."""

    def __init__(self, pid: str = "") -> None:
        self.pid = pid
        super().__init__(f"held by process {pid or 'unknown'}")


@contextlib.contextmanager
def alone_with(state: Path | None) -> Iterator[None]:
    """Be the only service with this state file as long as the `with` lasts. Raises LockHeld."""
    if state is None or not regular_file.CAN_LOCK:
        yield
        return
    with contextlib.ExitStack() as held:
        try:
            regular_file.check(state)
        except OSError as error:
            _warn("state file", state, "locked", error)
        else:
            _lock_beside(state.with_name(state.name + ".lock"), held)
            _lock_itself(state, held)
        yield


def holder(state: Path | None) -> LockHeld | None:
    """What `alone_with` would raise for this state file now; None where no process holds it. Nothing is written.

    For a moment the lock is taken: a service that starts just then is refused.
    """
    if state is None or not regular_file.CAN_LOCK:
        return None
    try:
        descriptor = regular_file.open_regular(state.with_name(state.name + ".lock"), os.O_RDONLY)
    except OSError:
        return None  # no service has run with it, or this user may not know
    try:
        content = os.read(descriptor, _LONGEST + 1)
        regular_file.lock(descriptor)
    except BlockingIOError:
        return LockHeld(content.decode("ascii", "replace").strip() if _OURS.fullmatch(content) else "")
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return None


def _lock_beside(path: Path, held: contextlib.ExitStack) -> None:
    """Lock the lock file, and write our number into it, until `held` ends. Raises LockHeld."""
    try:
        descriptor = regular_file.open_regular(path, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        _warn("lock file", path, "created", error)
        return
    held.callback(os.close, descriptor)
    try:
        content = os.read(descriptor, _LONGEST + 1)
        if not _OURS.fullmatch(content):
            raise OSError(errno.EINVAL, "it holds something else than the number of a process")  # noqa: TRY301
        regular_file.lock(descriptor)
    except BlockingIOError:
        raise LockHeld(content.decode("ascii").strip()) from None
    except OSError as error:
        _warn("lock file", path, "locked", error)
        return
    with contextlib.suppress(OSError):  # a full disk costs the number, not the lock
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)


def _lock_itself(path: Path, held: contextlib.ExitStack) -> None:
    """Lock the state file, where there is one, until `held` ends. Raises LockHeld."""
    try:
        descriptor = regular_file.open_regular(path, os.O_RDONLY)
    except OSError:
        return  # there is none, or `StateFile` logs why it cannot be read
    held.callback(os.close, descriptor)
    try:
        regular_file.lock(descriptor)
    except BlockingIOError:
        raise LockHeld from None
    except OSError as error:
        log.debug(  # its lock file is
            "the state file %(file)s cannot be locked (%(error)s)",
            {"file": path, "error": error.strerror},
            extra={"event": "state.not-locked"},
        )


def _warn(what: str, path: Path, done: str, error: OSError) -> None:
    log.warning(
        "the %(what)s %(file)s cannot be %(action)s (%(error)s): a second service with this state file would not be "
        "noticed",
        {"what": what, "file": path, "action": done, "error": error.strerror},
        extra={"event": "state.lock-failed"},
    )
