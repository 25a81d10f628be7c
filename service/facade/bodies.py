"""How much of requests may be in memory at once, before anybody knows who sends them.

A program may send a list of thousands, which takes a moment to arrive and to be read. So that nobody fills the memory
with bodies that arrive slowly, one address has a share of it, and all together have a limit; beyond, a request is told
to wait (212, HTTP 503) before its body is read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

SMALL: Final = 32_768
"""Bytes of a body that is not counted: nearly all have fewer."""
OF_ONE_ADDRESS: Final = 32 * 1024 * 1024
OF_ALL: Final = 256 * 1024 * 1024
"""Bytes of longer bodies that may be in memory at once: of one address, and of all."""


class BodyBudget:
    """Counts the bytes that are announced and not answered yet."""

    def __init__(self, of_one: int = OF_ONE_ADDRESS, of_all: int = OF_ALL) -> None:
        self._of_one = of_one
        self._of_all = of_all
        self._taken: Counter[str] = Counter()
        self._all = 0

    def has_room(self, address: str, length: int) -> bool:
        """Whether a body of that length may come from there now."""
        if length <= SMALL:
            return True
        return self._taken[address] + length <= self._of_one and self._all + length <= self._of_all

    @contextmanager
    def held(self, address: str, length: int) -> Iterator[None]:
        """Count a body as long as its request is answered."""
        if length <= SMALL:
            yield
            return
        self._taken[address] += length
        self._all += length
        try:
            yield
        finally:
            self._all -= length
            self._taken[address] -= length
            if not self._taken[address]:
                del self._taken[address]
