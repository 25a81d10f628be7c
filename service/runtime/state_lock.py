"""One service for each state file: two would end each other's sessions, and lose each other's changes.

The lock is the system's (flock), so that it ends with the process, however that ends; the file beside the state file
stays, and holds the number of the process that had it last. Where the system has no such locks, or the place cannot be
written to, the service goes on without one.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger("pws.state")


class LockHeld(Exception):
    """Another process holds the lock. `pid` is its number where it is known, else empty."""

    def __init__(self, pid: str) -> None:
        self.pid = pid
        super().__init__(f"held by process {pid or 'unknown'}")


@contextlib.contextmanager
def alone_with(state: Path | None) -> Iterator[None]:
    """Be the only service with this state file as long as the `with` lasts. Raises LockHeld."""
    try:
        import fcntl
    except ImportError:  # not on this system
        yield
        return
    if state is None:
        yield
        return
    path = state.with_name(state.name + ".lock")
    try:
        number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        log.warning(
            "the lock file %s cannot be created (%s): a second service with this state file would not be noticed",
            path,
            error.strerror,
        )
        yield
        return
    try:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.read(number, 20).decode("ascii", "replace").strip()
            raise LockHeld(pid if pid.isdecimal() else "") from None
        except OSError as error:
            log.warning(
                "the lock file %s cannot be locked (%s): a second service with this state file would not be noticed",
                path,
                error.strerror,
            )
        else:
            os.ftruncate(number, 0)
            os.write(number, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(number)
