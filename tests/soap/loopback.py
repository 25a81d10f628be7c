"""A server of a few bytes on the loopback interface: it plays what it is told, and keeps what it was sent."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType
from typing import Self, TypeAlias


class Act(Enum):
    """What a server does beside answering."""

    RESET = "reads a request, then resets the connection"
    RESET_FIRST = "resets the connection before it has read anything"
    CLOSE = "reads a request, then closes the connection"
    SILENCE = "reads a request, and never answers"


Step: TypeAlias = bytes | Act


@dataclass(frozen=True)
class Received:
    """One request as it came over the wire."""

    line: str
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)


def http(body: bytes, status: int = 200, *headers: str, length: int | None = None) -> bytes:
    """An HTTP reply; `length` says another Content-Length than the body has."""
    lines = [f"HTTP/1.1 {status} Whatever", "Content-Type: text/xml; charset=utf-8", *headers]
    lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Loopback:
    """Plays one script per connection: each step answers one request. The last script is played for all further ones.

    After its last step a connection is closed, unless the step is SILENCE.
    """

    def __init__(self, *scripts: Sequence[Step], tls: ssl.SSLContext | None = None) -> None:
        self._scripts = list(scripts)
        self._tls = tls
        self.connections = 0
        self.received: list[Received] = []
        self.got_request = asyncio.Event()
        self.bytes_in = 0
        self._writers: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await self._server.wait_closed()
        await asyncio.sleep(0)  # lets the aborted connections say so

    async def has_read(self, count: int) -> None:
        """Wait for so many requests: a client that gives up early may do so before they are read here."""
        async with asyncio.timeout(30):
            while len(self.received) < count:
                self.got_request.clear()
                await self.got_request.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        script = self._scripts[min(self.connections, len(self._scripts) - 1)]
        self.connections += 1
        try:
            for step in script:
                if step is Act.RESET_FIRST:
                    _reset(writer)
                    return
                await self._read(reader)
                if step is Act.RESET:
                    _reset(writer)
                    return
                if step is Act.SILENCE:
                    return
                if isinstance(step, bytes):
                    writer.write(step)
                    await writer.drain()
            writer.close()
        except (OSError, asyncio.IncompleteReadError):
            writer.transport.abort()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        received, size = await read_request(reader)
        self.bytes_in += size
        self.received.append(received)
        self.got_request.set()


async def read_request(reader: asyncio.StreamReader) -> tuple[Received, int]:
    """One request, and how many bytes it had."""
    head = await reader.readuntil(b"\r\n\r\n")
    line, *rest = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in rest if each)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Received(line, headers, body), len(head) + len(body)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST instead of FIN: SO_LINGER with zero seconds."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
