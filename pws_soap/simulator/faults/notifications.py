"""Carries out the faults of notifications: drops, delays, doubles and reorders them on their way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable

from pws_soap.server.messages import Notification
from pws_soap.simulator.faults.kinds import FaultBox
from pws_soap.simulator.faults.requests import Sleep


class NotificationFaults:
    """The way of notifications with faults on it (`pws_soap.server.ports.NotificationRoute`)."""

    def __init__(self, faults: FaultBox, *, sleep: Sleep, counts: Counter[str]) -> None:
        self._faults = faults
        self._sleep = sleep
        self._counts = counts
        self.on_dropped: Callable[[Notification], None] | None = None
        """Called with each notification that a fault drops."""
        self._held: list[Notification] = []
        """Those that wait for the next one to overtake them."""

    async def __call__(self, notification: Notification, send: Callable[[Notification], Awaitable[None]]) -> None:
        """Send one notification, as the faults let it."""
        hits = {fault.kind: fault for fault in self._faults.for_notification(notification.node)}
        if "drop-notification" in hits:
            self._counts["dropped"] += 1
            if self.on_dropped is not None:
                self.on_dropped(notification)
            return
        if "delay-notification" in hits:
            self._counts["delayed"] += 1
            await self._sleep(hits["delay-notification"].seconds)
        if "reorder-notification" in hits:
            self._counts["reordered"] += 1
            self._held.append(notification)
            await self._sleep(hits["reorder-notification"].seconds)
            if notification not in self._held:
                return  # the next one has sent it after itself
            self._held.remove(notification)
            await send(notification)
            return
        await send(notification)
        if "duplicate-notification" in hits:
            self._counts["duplicated"] += 1
            await send(notification)
        while self._held:
            await send(self._held.pop(0))
