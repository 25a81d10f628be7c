"""The load balancer of `pws demo --replicas`: hands each connection to a replica that is ready, byte by byte.

A connection stays where it is until one of both ends closes it; it is not made whole when its replica goes, since that
is what clients have to cope with.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Sequence
from typing import Final

from pws_soap.listening import stopped_listening

HOST: Final = "127.0.0.1"
CONNECT: Final = 1.0
"""Seconds for a connection to a replica; the next one is tried then."""
CHUNK: Final = 64 * 1024


class Balancer:
    """See the module. `ports` are those of the replicas for the connection with that number, in the order in which they
    are to be tried."""

    def __init__(self, ports: Callable[[int], Sequence[int]]) -> None:
        self._ports = ports
        self._turn = 0
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def start(self, listening: socket.socket) -> None:
        """Serve this socket, which belongs to the balancer from now on."""
        self._server = await asyncio.start_server(self._came, sock=listening)

    async def stop(self) -> None:
        """Close everything."""
        if self._server is not None:
            await stopped_listening(self._server)
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    def _came(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer), name="balancer")
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = None
        try:
            there = await self._replica()
            if there is not None:
                await _both((reader, there[1]), (there[0], writer))
        finally:
            for end in (writer, *((there[1],) if there is not None else ())):
                with contextlib.suppress(OSError):
                    end.close()

    async def _replica(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        self._turn += 1
        for port in self._ports(self._turn):
            with contextlib.suppress(OSError, TimeoutError):
                return await asyncio.wait_for(asyncio.open_connection(HOST, port), CONNECT)
        return None


async def _both(
    request: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    answer: tuple[asyncio.StreamReader, asyncio.StreamWriter],
) -> None:
    """Copy both ways until the replica has ended its own."""
    asking = asyncio.create_task(_copy(*request))
    try:
        await _copy(*answer)
    finally:
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()
