"""Sleeping until something wants attention, or until a time has passed."""

from __future__ import annotations

import asyncio

from service.core.clock import Clock


async def sleep_until_woken(woken: asyncio.Event, clock: Clock, seconds: float | None) -> None:
    """Return when `woken` is set, or after `seconds` of the clock; None: only then. Clearing it is the caller's."""
    waits: list[asyncio.Future[object]] = [asyncio.ensure_future(woken.wait())]
    if seconds is not None:
        waits.append(asyncio.ensure_future(clock.sleep(seconds)))
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
