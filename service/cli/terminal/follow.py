"""Follows a service: its event stream, resumed after a break, and its status, as one sequence of updates.

After a break the watcher waits with backoff and jitter, so that a hundred watchers do not reconnect at once. A
connection that died silently is found by the status, which is requested every few seconds.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Final

from service.cli.shared.api import LATE, Api, Json, NoAnswer, Query, ServiceRefused, one_line
from service.cli.terminal.contact import time_of
from service.cli.terminal.sse import Message, Parser, TooLong
from service.core.clock import Clock

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 30.0
STATUS_EVERY: Final = 5.0
STATUS_PAUSE: Final = 1.0
"""Seconds between two requests for the status: at least, and while the service is not live."""
LIVE: Final = "live"
MAX_UNANSWERED: Final = 2
"""After so many requests for the status without an answer, the stream is given up."""
AHEAD: Final = 1000
"""Updates that wait to be shown. Beyond it the stream is not read, and the service coalesces events."""
_ID: Final = re.compile(r"[!-~]{1,200}")
"""Event ids that are sent back to resume: any that fits into a header."""
SERVICE_EVENTS: Final = ("subscription.", "claim.", "coverage.", "webhook.")


@dataclass(frozen=True, slots=True)
class Connected:
    """The stream is open."""


@dataclass(frozen=True, slots=True)
class ConnectionLost:
    """The stream ended or could not be opened: why, and in how many seconds the next attempt comes."""

    reason: str
    again_in: float


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """An event of the stream."""

    name: str
    id: int | None
    data: Json = field(repr=False)


@dataclass(frozen=True, slots=True)
class Health:
    """The service's status, `now` by its own clock; of each group its name, and how many are free of how many."""

    state: str
    problems: tuple[tuple[float | None, str], ...]
    now: float | None
    contacts: int | None = None
    groups: tuple[tuple[str, int, int], ...] = ()


Update = Connected | ConnectionLost | StreamEvent | Health


class NotAnEvent(ValueError):
    """A message of the stream that this version cannot read."""


class StreamFollower:
    """Follows one stream with its query. `patient`: it also retries when the first connection fails."""

    def __init__(
        self,
        api: Api,
        query: Query,
        clock: Clock,
        *,
        patient: bool = False,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._api = api
        self._query = query
        self._clock = clock
        self._patient = patient
        self._jitter = jitter
        self._last_id = ""
        self._base = FIRST_PAUSE
        self._unanswered = 0
        self._events = 0
        self._is_well = True
        self._status_wanted = asyncio.Event()
        self._connected = False
        self._out: asyncio.Queue[Update | ServiceRefused | NoAnswer] = asyncio.Queue(AHEAD)

    async def updates(self) -> AsyncGenerator[Update, None]:
        """The updates, until the generator is closed.

        Raises ServiceRefused; and NoAnswer when the first connection fails, unless `patient`.
        """
        work = [
            asyncio.create_task(self._stream(), name="stream"),
            asyncio.create_task(self._watch_status(), name="status"),
        ]
        try:
            while True:
                update = await self._out.get()
                if isinstance(update, ServiceRefused | NoAnswer):
                    raise update
                yield update
        finally:
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)

    # --- the stream

    async def _stream(self) -> None:
        failures = 0
        while True:
            parser, before = Parser(), self._events
            retry_after = None
            try:
                async with self._api.events(self._query, self._last_id) as pieces:
                    await self._read(pieces, parser)
                reason = "the service ended the stream"
            except ServiceRefused as error:
                await self._out.put(error)
                return
            except NoAnswer as error:
                if not self._patient:
                    await self._out.put(error)
                    return
                reason, retry_after = error.reason, error.retry_after
                if self._unanswered >= MAX_UNANSWERED:  # then `_check_status` has broken the stream
                    reason = LATE
            except (TooLong, NotAnEvent) as error:
                reason, self._last_id = f"what it sends cannot be read: {error}", ""
            finally:
                self._connected = False
            if self._events != before:
                failures = 0
            self._base = parser.retry or self._base
            wait = self._pause(failures, retry_after)
            failures += 1
            await self._out.put(ConnectionLost(reason, wait))
            await self._clock.sleep(wait)

    async def _read(self, pieces: AsyncIterator[bytes], parser: Parser) -> None:
        """Queue the events of the stream, until it ends."""
        self._connected = self._patient = True
        self._unanswered = 0
        await self._out.put(Connected())
        self._status_wanted.set()
        async for piece in pieces:
            for message in parser.feed(piece):
                event = event_of(message)
                await self._out.put(event)
                self._events += 1
                if _ID.fullmatch(message.id):
                    self._last_id = message.id
                if event.name.startswith(SERVICE_EVENTS):
                    self._status_wanted.set()

    def _pause(self, failures: int, retry_after: float | None) -> float:
        """Seconds until the next attempt: one half fixed, the other random."""
        base = min(LONGEST_PAUSE, self._base * 2 ** min(failures, 10))
        pause: float = base * (0.5 + self._jitter() / 2)
        return max(retry_after or 0.0, pause)

    # --- the status

    async def _watch_status(self) -> None:
        while True:
            await self._status_wanted.wait()
            self._status_wanted.clear()
            if self._connected:
                await self._check_status()
            await self._clock.sleep(STATUS_PAUSE)
            self._timer = asyncio.create_task(self._request_status())
            try:
                await self._status_wanted.wait()
            finally:
                self._timer.cancel()

    async def _request_status(self) -> None:
        await self._clock.sleep(STATUS_EVERY - STATUS_PAUSE if self._is_well else 0.0)
        self._status_wanted.set()

    async def _check_status(self) -> None:
        try:
            health = health_of(await self._api.get("/v1/status"), await self._groups())
        except ServiceRefused:  # the key may not see the status
            return
        except NoAnswer as error:
            self._unanswered = 0 if error.status is not None else self._unanswered + 1
            self._is_well = False  # so that it is requested again soon
            if self._unanswered >= MAX_UNANSWERED:
                self._api.interrupt()
            return
        self._unanswered = 0
        self._is_well = health.state == LIVE
        await self._out.put(health)

    async def _groups(self) -> Json:
        try:
            return await self._api.get("/v1/summary")
        except ServiceRefused:
            return {}


def event_of(message: Message) -> StreamEvent:
    """The event in a message. Raises NotAnEvent."""
    try:
        data = json.loads(message.data)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise NotAnEvent(f"an event {one_line(message.name)[:40]!r} without a JSON object")
    number = re.match(r"[0-9]{1,18}", message.id)  # further lines are the service's own business
    return StreamEvent(one_line(message.name), int(number[0]) if number else None, data)


def health_of(status: Json, summary: Json) -> Health:
    """The health in a status, as far as this key may see it."""
    problems = status.get("problems")
    groups = summary.get("groups")
    total = summary.get("total")
    return Health(
        state=one_line(status.get("state")) or "unknown",
        problems=tuple(
            (time_of(each.get("since")), one_line(each.get("what")))
            for each in (problems if isinstance(problems, list) else [])
            if isinstance(each, dict)
        ),
        now=time_of(status.get("now")),
        contacts=total if isinstance(total, int) else None,
        groups=tuple(
            (name, _number(counts.get("available")), _number(counts.get("total")))
            for name, counts in (groups.items() if isinstance(groups, dict) else ())
            if isinstance(counts, dict)
        ),
    )


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
