"""A TCP proxy that cuts, stalls and delays each direction: the way between a replica and its engine, or a client and
the service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager


class Direction:
    """What happens to the bytes of one direction."""

    def __init__(self) -> None:
        self.delay = 0.0
        """Seconds by which each piece is late."""
        self.bytes = 0
        """How many have gone through."""
        self._open = asyncio.Event()
        self._open.set()

    def stall(self) -> None:
        """Let nothing through; what comes waits."""
        self._open.clear()

    def go_on(self) -> None:
        """Let through what has waited, and what comes."""
        self._open.set()

    async def copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what comes, until the end."""
        while piece := await reader.read(65536):
            if self.delay:
                await asyncio.sleep(self.delay)
            await self._open.wait()
            self.bytes += len(piece)
            writer.write(piece)
            await writer.drain()


class TcpProxy:
    """Passes connections to its `port` on to another. `there` leads to the server, `back` to the client."""

    def __init__(self, target: int | Callable[[], int]) -> None:
        self.target = target
        self.port = 0
        self.there = Direction()
        self.back = Direction()
        self.refuses = False
        """Whether connections are closed as soon as they are there."""
        self.connections = 0
        """How many have been passed on."""
        self._tasks: set[asyncio.Task[None]] = set()

    def cut(self) -> None:
        """Break off all connections, without a word."""
        for task in self._tasks:
            task.cancel()

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        ours: asyncio.StreamWriter | None = None
        try:
            if self.refuses:
                return
            target = self.target if isinstance(self.target, int) else self.target()
            theirs, ours = await asyncio.open_connection("127.0.0.1", target)
            self.connections += 1
            ways = (self.there.copy(reader, ours), self.back.copy(theirs, writer))
            both = [asyncio.create_task(way) for way in ways]
            try:
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task_of_one in both:
                    task_of_one.cancel()
                await asyncio.gather(*both, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            for each in (writer, ours):
                if each is not None:
                    each.transport.abort()

    async def close(self) -> None:
        """Break off all connections and wait until they are gone."""
        tasks = list(self._tasks)
        self.cut()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def tcp_proxy(target: int | Callable[[], int]) -> AsyncIterator[TcpProxy]:
    """Listen on a free port of loopback, `TcpProxy.port`, and pass on to the port `target`, or that which it gives."""
    proxy = TcpProxy(target)
    server = await asyncio.start_server(proxy.pass_on, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
