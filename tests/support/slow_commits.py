"""Commits that a test accepts or refuses by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from service.core.events.commits import LogEntry, NotCommitted
from service.core.events.log import EventLog


class SlowCommits:
    """What is offered waits until `accept`. `log` is to be set once there is one."""

    is_immediate = False

    def __init__(self) -> None:
        self.log: EventLog
        self.waiting: list[LogEntry] = []
        self.accepted: list[LogEntry] = []
        self._reached: list[tuple[int, asyncio.Future[None]]] = []

    def offer(self, entries: Sequence[LogEntry]) -> None:
        self.waiting += entries

    async def reached(self, id: int) -> None:  # noqa: A002  # as in Event
        if not self.waiting and (not self.accepted or self.accepted[-1].id >= id):
            return
        future = asyncio.get_running_loop().create_future()
        self._reached.append((max([id, *(entry.id for entry in self.waiting)]), future))
        await future

    @property
    def asked(self) -> int:
        """How many wait for something to be accepted."""
        return sum(not future.done() for _, future in self._reached)

    def accept(self, number: int | None = None) -> None:
        """Accept the first entries that wait, by default all, and tell the log."""
        entries = self.waiting[:number]
        del self.waiting[: len(entries)]
        self.accepted += entries
        if entries:
            self.log.told(entries[-1].id)
        for id_, future in self._reached:
            if not future.done() and (not self.waiting or id_ <= self.accepted[-1].id):
                future.set_result(None)

    def refuse(self) -> None:
        """The tenure is over: nothing that waits is accepted."""
        self.waiting.clear()
        for _, future in self._reached:
            if not future.done():
                future.set_exception(NotCommitted())
