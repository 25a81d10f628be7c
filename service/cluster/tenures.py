"""Which ids a replica may resume: those of events that it knows to be the ones the client saw.

The log begins anew with each owner, above every id that anybody is known to have seen, and each tenure's first entry
names the last id of the one before. Where the engine has lost the end of a tenure, its clients may know ids above that
last one. They name events that nobody has any more, so that a client with such an id gets a snapshot, never a
continuation.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Final, NamedTuple

MOST: Final = 1000
"""Tenures remembered; the oldest go first. Their entries have left the log long before."""


class TenureStart(NamedTuple):
    """A tenure began with the id `begins`; the one before it has ended with `previous`, as the engine knows it."""

    begins: int
    previous: int


class Tenures:
    """The beginnings of tenures, in their order."""

    def __init__(self) -> None:
        self._starts: list[TenureStart] = []

    def __repr__(self) -> str:
        return f"<Tenures {self._starts[-3:]}>"

    def began(self, begins: int, previous: int) -> None:
        """A tenure began. One that is known already may be told again. What began behind `previous` was lost whole."""
        while self._starts and (self._starts[-1].begins >= begins or self._starts[-1].begins > previous):
            self._starts.pop()
        self._starts.append(TenureStart(begins, previous))
        del self._starts[:-MOST]

    def may_resume(self, id: int, floor: int, last: int) -> bool:  # noqa: A002  # as in Event
        """Whether a client that has seen the event `id` lacks only what the log has after it.

        `floor` and `last` are the log's: the newest id that is kept no longer, and the newest one.
        """
        following = bisect_right(self._starts, id, key=lambda start: start.begins)
        is_lost = following < len(self._starts) and id > self._starts[following].previous
        return floor <= id <= last and not is_lost
