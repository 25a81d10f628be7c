"""Ports of the loopback interface for servers that a test starts later: no two processes of tests are given the same.

A port that is merely free when it is looked at can be given to two tests that run at once. So each process takes blocks
of ports, and holds the lock of a file for each until it ends, however it ends. They lie outside the range from which
Linux chooses the ports of outgoing connections (from 32768 on).
"""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from collections import deque
from pathlib import Path
from typing import Final

FIRST: Final = 20000
SIZE: Final = 50
"""Ports of a block."""
BLOCKS: Final = 240

_CHANCE: Final = random.SystemRandom()
"""Not the one that Hypothesis seeds."""


class Ports:
    """The ports of one process. `folder` holds the locks of all processes; the blocks begin at the port `first`."""

    def __init__(self, folder: Path, first: int = FIRST, blocks: int = BLOCKS) -> None:
        self._folder = folder
        self._first = first
        self._blocks = blocks
        self._locks: dict[int, int] = {}
        """The file descriptor of each block's lock. The end of the process closes them."""
        self._waiting: deque[int] = deque()

    def free(self) -> int:
        """A port that nobody listens on. It is given again only where no block is left, and then as late as can be."""
        for _ in range(self._blocks * SIZE):
            if not self._waiting:
                self._waiting.extend(self._another_block())
            port = self._waiting.popleft()
            with socket.socket() as probe:
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    continue
            return port
        raise AssertionError(f"no port is free from {self._first} to {self._first + self._blocks * SIZE - 1}")

    def in_a_row(self, count: int) -> int:
        """The first of so many such ports, each one higher than the one before."""
        found = [self.free()]
        while len(found) < count:
            port = self.free()
            found = [*found, port] if port == found[-1] + 1 else [port]
        return found[0]

    def close(self) -> None:
        """Give the blocks back."""
        for lock in self._locks.values():
            os.close(lock)
        self._locks.clear()
        self._waiting.clear()

    def _another_block(self) -> range | list[int]:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for block in _CHANCE.sample(range(self._blocks), self._blocks):
            if block in self._locks:
                continue
            lock = os.open(self._folder / str(block), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(lock)
                continue
            self._locks[block] = lock
            return self._ports(block)
        assert self._locks, f"every block of ports is held by another process of tests: {self._folder}"
        return [port for block in self._locks for port in self._ports(block)]

    def _ports(self, block: int) -> range:
        first = self._first + block * SIZE
        return range(first, first + SIZE)


_OWN: Final = Ports(Path(tempfile.gettempdir()) / f"pws-test-ports-{os.getuid()}")


def free_port() -> int:
    """A port that nobody listens on, and that no other process of tests is given."""
    return _OWN.free()


def free_ports(count: int) -> int:
    """The first of so many such ports in a row, as for the nodes of `pws simulate --nodes`."""
    return _OWN.in_a_row(count)
