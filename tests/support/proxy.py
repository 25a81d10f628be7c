"""A reverse proxy that has a service below a path, as nginx, Apache and Traefik do: with that path or without it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress


@asynccontextmanager
async def proxy(port: int, path: str, *, strips: bool) -> AsyncIterator[int]:
    """Listen on a free port, which is given back, and pass on what is below `path` to `port`; the rest is 502."""

    running: set[asyncio.Task[None]] = set()

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        running.add(task := asyncio.create_task(_pass_on(port, path.encode(), reader, writer, strips=strips)))
        task.add_done_callback(running.discard)

    server = await asyncio.start_server(accepted, "127.0.0.1", 0)
    try:
        found: int = server.sockets[0].getsockname()[1]
        yield found
    finally:
        server.close()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _pass_on(
    port: int, below: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, strips: bool
) -> None:
    """One request and its answer."""
    async with AsyncExitStack() as opened:
        opened.push_async_callback(_close, writer)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except EOFError:
            return
        method, target, rest = head.split(b" ", 2)
        bare, _, query = target.partition(b"?")
        if bare != below and not bare.startswith(below + b"/"):
            writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        if strips:
            target = (bare.removeprefix(below) or b"/") + (b"?" + query if query else b"")
        kept = [line for line in rest.split(b"\r\n")[:-2] if not line.lower().startswith(b"connection:")]
        theirs, ours = await asyncio.open_connection("127.0.0.1", port)
        opened.push_async_callback(_close, ours)
        ours.write(b" ".join((method, target, b"\r\n".join([*kept, b"Connection: close", b"", b""]))))
        both = [asyncio.create_task(_copy(reader, ours)), asyncio.create_task(_copy(theirs, writer))]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
    except OSError:
        pass
