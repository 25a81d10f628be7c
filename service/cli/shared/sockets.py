"""The sockets of aiohttp's connections, so that all of them are closed when a command has closed its session.

aiohttp breaks a TLS connection off politely: it says goodbye and waits for the other side's, half a minute at most, but
`ClientSession.close` does not wait for that. A loop that ends before leaves the socket open.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import Final

from aiohttp import AddrInfoType

_TURNS: Final = 100
"""Turns of the loop within which a transport that was shut down closes its socket: it takes about five."""


class Sockets:
    """Makes the sockets of one `aiohttp.TCPConnector`, as its `socket_factory`."""

    def __init__(self) -> None:
        self._made: list[socket.socket] = []

    def make(self, address: AddrInfoType) -> socket.socket:
        """A socket for an address. Raises OSError."""
        family, kind, protocol, *_ = address
        made = socket.socket(family, kind, protocol)
        self._made = [*self._open(), made]
        return made

    async def close(self) -> None:
        """End what still says goodbye. Call it when the session is closed."""
        for each in self._open():
            with suppress(OSError):  # not connected yet, or not any more
                each.shutdown(socket.SHUT_RDWR)  # its transport reads an end, and closes it
        for _ in range(_TURNS):
            if not self._open():
                return
            await asyncio.sleep(0)

    def _open(self) -> list[socket.socket]:
        return [each for each in self._made if each.fileno() >= 0]
