"""What a replica does where the engine fails: it says so once, and asks again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, Final, TypeVar

from service.cluster.engine import ClusterEngineError
from service.core.clock import Clock

PAUSE: Final = 0.2
"""Seconds before the engine is asked again that did not answer."""

AGAIN: Final = 0.5
"""Seconds after which a task is cancelled again that has not ended; longer each time, so that it is met elsewhere."""
HANGS: Final = 5.0
"""Seconds for which a task is cancelled again and again. Then it is left alone, and the log says which one it is."""

_TENURE: Final = "tenure"

T = TypeVar("T")

log = logging.getLogger("pws.cluster")


LEAST: Final = 0.5
"""Seconds that each part of the end gets, even where the time for the whole is over."""


class EndBudget:
    """The time for the end of a replica, which the parts of it share: what one leaves over, the next ones have."""

    def __init__(self, clock: Clock, began: float, seconds: float) -> None:
        self._clock = clock
        self._until = began + seconds

    def left(self, *, kept: float = 0.0) -> float:
        """Seconds for a part, where `kept` are for those after it."""
        return max(LEAST, self._until - self._clock.monotonic() - kept)


class EngineTrouble:
    """Knows whether the engine can be used, as far as its last answers to each part of a replica say: an engine without
    memory goes on answering those parts that only read."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._problems: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"<EngineTrouble: {self.problem}>"

    @property
    def problem(self) -> str | None:
        """Why it cannot be used, in words; None: it can."""
        return next(iter(self._problems.values()), None)

    def fails(self, part: str, error: Exception) -> None:
        """It has not answered a part, or not as it should."""
        if not self._problems:
            log.warning("%(error)s", {"error": error}, extra={"event": "cluster.engine-failed"})
        self._problems[part] = str(error)

    def works(self, part: str) -> None:
        """It has answered a part, or is asked for nothing by it any more."""
        if self._problems.pop(part, None) is not None and not self._problems:
            log.info("the engine answers again", extra={"event": "cluster.engine-works"})

    async def within(self, seconds: float, part: str, work: Coroutine[Any, Any, None] | asyncio.Task[None]) -> None:
        """Wait for a part of the end, for so many seconds at most: then it is broken off. What goes wrong in it is
        logged: the rest has to be ended as well."""
        task, limit = asyncio.ensure_future(work), asyncio.ensure_future(self._clock.sleep(seconds))
        try:
            await asyncio.wait({task, limit}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            limit.cancel()
            is_late = not task.done()
            await cancelled([task])
        if is_late:
            log.warning(
                "the end does not wait any longer for this part of it: %(part)s",
                {"part": part},
                extra={"event": "cluster.end-late"},
            )
        elif not task.cancelled() and (error := task.exception()) is not None:
            log.error(
                "%(part)s: unexpected error, going on",
                {"part": part},
                exc_info=error,
                extra={"event": "internal.error"},
            )

    async def pause(self, seconds: float = PAUSE) -> None:
        """Wait a moment before it is asked again."""
        await self._clock.sleep(seconds)

    async def insist(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask until there is an answer, for the tenure that begins or goes on."""
        while True:
            try:
                answer = await ask()
            except ClusterEngineError as error:
                self.fails(_TENURE, error)
                await self.pause()
            else:
                self.works(_TENURE)
                return answer

    def tenure_ends(self) -> None:
        """Nothing is asked for it any more."""
        self._problems.pop(_TENURE, None)

    def task(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
        """Run what must not end. A bug in it is logged and costs a second; then it runs again."""
        return asyncio.create_task(self._for_ever(name, work), name=f"replica: {name}")

    async def _for_ever(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            try:
                await work()
            except Exception:
                log.exception("%(part)s: unexpected error, going on", {"part": name}, extra={"event": "internal.error"})
                await self.pause(1.0)
            else:
                return


async def cancelled(tasks: Iterable[asyncio.Task[None] | None]) -> None:
    """End these, as far as they are there, for some seconds at most.

    A task may lose a cancellation, where it comes together with what the task waits for: it is cancelled again.
    """
    running = {task for task in tasks if task is not None}
    pause, waited = AGAIN, 0.0
    for task in running:
        if not task.cancelling():  # else it may be cleaning up
            task.cancel()
    while running:
        _, running = await asyncio.wait(running, timeout=pause)
        for task in running:
            task.cancel()
        waited += pause
        pause *= 1.5
        if running and waited > HANGS:
            log.error(
                "not ended though cancelled: %(tasks)s",
                {"tasks": ", ".join(sorted(task.get_name() for task in running))},
                extra={"event": "cluster.task-hangs"},
            )
            return
