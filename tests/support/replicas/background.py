"""An event loop in a thread of its own, and TCP proxies in it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self, TypeVar

from tests.support.tcp_proxy import Direction, TcpProxy, tcp_proxy

T = TypeVar("T")


class Background:
    """The loop. Leaving the `with` block closes the proxies and ends the thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="background")
        self._opened = AsyncExitStack()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.wait_for(self._opened.aclose())
        self.wait_for(self._loop.shutdown_asyncgens())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        """Run it there, and wait for its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def call(self, action: Callable[[], T]) -> T:
        """Call it there."""

        async def called() -> T:
            return action()

        return self.wait_for(called())

    def way_to(self, port: int | Callable[[], int]) -> Way:
        """A new way to a port, or to that which a function gives for each connection."""
        return Way(self, self.wait_for(self._opened.enter_async_context(tcp_proxy(port))))


class Way:
    """A TCP proxy: connections to its `port` go on to another, and fail on request."""

    def __init__(self, background: Background, proxy: TcpProxy) -> None:
        self._background = background
        self._proxy = proxy
        self.port = proxy.port

    @property
    def connections(self) -> int:
        """How many have been passed on."""
        return self._proxy.connections

    def stall(self, *, there: bool = True, back: bool = True) -> None:
        """Let nothing through in these directions; what comes waits, and nobody is told."""

        def stalled() -> None:
            for each in self._directions(there=there, back=back):
                each.stall()

        self._background.call(stalled)

    def delay(self, seconds: float, *, there: bool = True, back: bool = True) -> None:
        """Each piece is late by so much."""

        def late() -> None:
            for each in self._directions(there=there, back=back):
                each.delay = seconds

        self._background.call(late)

    def cut(self) -> None:
        """Break off all connections; new ones are closed at once, until it is mended."""

        def broken() -> None:
            self._proxy.refuses = True
            self._proxy.cut()

        self._background.call(broken)

    def drop(self) -> None:
        """Break off all connections; new ones work."""
        self._background.call(self._proxy.cut)

    def mend(self) -> None:
        """Everything goes through at once again."""

        def whole() -> None:
            self._proxy.refuses = False
            for each in self._directions(there=True, back=True):
                each.delay = 0.0
                each.go_on()

        self._background.call(whole)

    def _directions(self, *, there: bool, back: bool) -> list[Direction]:
        chosen = ((there, self._proxy.there), (back, self._proxy.back))
        return [direction for is_meant, direction in chosen if is_meant]
