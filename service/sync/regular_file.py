"""Opens and locks regular files and nothing else: at a configured path may lie a device, a pipe or somebody's link.

Opening a pipe would wait for its other end, renaming a device would take it from everybody, and a link leads to a file
that is not ours. The errors are OSError, and say what is there instead.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Final

try:
    import fcntl
except ImportError:  # not on this system
    CAN_LOCK = False
else:
    CAN_LOCK = True

_KINDS: Final = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
)
_CAREFUL: Final = (
    getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOCTTY", 0)
)
"""Not every system has all of them."""


def check(path: Path) -> bool:
    """Whether there is a regular file at `path`. False: there is nothing. OSError: it is something else."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return False
    _check_mode(path, mode)
    return True


def open_regular(path: Path, flags: int) -> int:
    """The descriptor of the regular file at `path`; with O_CREAT a new one is for its owner alone."""
    check(path)  # before it is opened: a device may take being opened for an order
    descriptor = os.open(path, flags | _CAREFUL, 0o600)
    try:
        _check_mode(path, os.fstat(descriptor).st_mode)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def lock(descriptor: int) -> None:
    """Lock the file, which nobody else can then, until every descriptor of this opening is closed.

    BlockingIOError: somebody holds it. OSError: the file system, or the whole system, has no such locks.
    """
    if not CAN_LOCK:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _check_mode(path: Path, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        kind = next((words for is_kind, words in _KINDS if is_kind(mode)), "a device")
        raise OSError(errno.EINVAL, f"it is {kind}, not a regular file", str(path))
