"""Messages between the demo and its replicas: JSON, a line each, over a pair of sockets.

The replica's end is its standard input. Its end says that the other process is gone, however it went.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from typing import Any, Final, Self

LONGEST: Final = 1 << 20
"""Bytes of a message: the configuration with 5000 contacts takes 300 kB."""

Message = dict[str, Any]  # whatever the two have to say


class Channel:
    """One end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def of(cls, end: socket.socket) -> Self:
        """Over this socket, which belongs to the channel from now on."""
        return cls(*await asyncio.open_connection(sock=end, limit=LONGEST))

    def send(self, message: Message) -> None:
        """Send it; nothing is sent any more to an end that is gone."""
        if not self._writer.is_closing():
            self._writer.write(json.dumps(message).encode() + b"\n")

    async def receive(self) -> Message | None:
        """What the other one says next; None once it is gone."""
        try:
            line = await self._reader.readline()
        except (OSError, ValueError):
            return None
        if not line.endswith(b"\n"):
            return None
        message: Message = json.loads(line)
        return message

    async def close(self) -> None:
        """Close this end."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()
