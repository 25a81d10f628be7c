"""Brings notifications to their endpoints: one GET each, in the background, with what faults do to it on the way.

Whether it arrives changes nothing at the node: its latch is closed when the notification is made.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable

from pws_soap.simulator.faults import FaultBox
from pws_soap.simulator.messages import Notice

Notify = Callable[[str], Awaitable[bool]]
"""Sends a GET to a url; whether it was answered with success. An OSError or a time-out is a failure too."""
Sleep = Callable[[float], Awaitable[None]]


class Delivery:
    """Sends notifications as tasks of the running event loop; `drain` waits for them, `aclose` drops them."""

    def __init__(self, faults: FaultBox, *, notify: Notify | None, sleep: Sleep, tries: int) -> None:
        self._faults = faults
        self.notify = notify
        """How a notification is sent; without it none is."""
        self._sleep = sleep
        self._tries = tries
        self._tasks: set[asyncio.Task[None]] = set()
        self._held: list[Notice] = []
        self.counts: Counter[str] = Counter()
        """Notifications sent, failed, dropped, delayed, duplicated, reordered."""

    def post(self, notices: Iterable[Notice]) -> None:
        """Send notifications in the background."""
        for notice in notices:
            if self.notify is None:
                self.counts["failed"] += 1
            else:
                self._spawn(self.send(notice))

    async def send(self, notice: Notice) -> None:
        """Send one notification, as the faults let it."""
        kinds = {fault.kind: fault for fault in self._faults.for_notification(notice.node)}
        if "drop-notification" in kinds:
            self.counts["dropped"] += 1
            return
        if "delay-notification" in kinds:
            self.counts["delayed"] += 1
            await self._sleep(kinds["delay-notification"].seconds)
        if "reorder-notification" in kinds:
            self.counts["reordered"] += 1
            self._held.append(notice)
            await self._sleep(kinds["reorder-notification"].seconds)
            if notice not in self._held:
                return  # the next one has taken it along
            self._held.remove(notice)
            await self._get(notice)
            return
        await self._get(notice)
        if "duplicate-notification" in kinds:
            self.counts["duplicated"] += 1
            await self._get(notice)
        while self._held:
            await self._get(self._held.pop(0))

    async def drain(self) -> None:
        """Wait until nothing is on its way any more."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def aclose(self) -> None:
        """Drop what is on its way."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _get(self, notice: Notice) -> None:
        if self.notify is None:
            return
        for _ in range(self._tries):
            try:
                if await self.notify(notice.url):
                    self.counts["sent"] += 1
                    return
            except OSError:  # a time-out is one as well
                pass
        self.counts["failed"] += 1
