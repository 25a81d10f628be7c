"""A listening socket with an ASGI program behind it, on uvicorn's HTTP protocol.

uvicorn's own server is not used: it handles the signals of the process, checks ten times a second whether it has to
stop, and cannot close its socket and open it again, as a node does that goes down and comes back.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from pws_soap.http_protocol import BoundedHttpProtocol
from pws_soap.listening import TURNS, stop_listening

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 seconds: closing sends RST at once


@dataclass
class Opening:
    """The time from `open` to `close` of a listener."""

    is_over: bool = False


class HttpConnection(BoundedHttpProtocol):
    """One connection. It puts itself into the scope of each request, as `scope["state"]["connection"]`."""

    requests = 0
    opening: Opening | None = None
    """In which it was accepted."""
    gone: asyncio.Event

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected (asyncio)."""
        self.gone = asyncio.Event()
        super().connection_made(transport)
        if self.opening is not None and self.opening.is_over:  # the listener was closed after it had been accepted
            self.reset()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone (asyncio)."""
        super().connection_lost(exc)
        self.gone.set()

    def on_request(self) -> None:
        """The head of a request has been read."""
        self.requests += 1
        self.scope["state"]["connection"] = self

    def reset(self) -> None:
        """Break the connection with a RST."""
        handle = self.transport.get_extra_info("socket")
        if handle is not None and handle.fileno() >= 0:
            # A second handle of the same socket, since asyncio and uvloop each show only parts of theirs.
            with socket.fromfd(handle.fileno(), handle.family, handle.type) as same:
                same.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()


class Listener:
    """Serves an ASGI program at one address; can be closed and opened again at the same port."""

    def __init__(
        self,
        app: Callable[..., Any],
        host: str,
        port: int,
        tls: ssl.SSLContext | None = None,
        server: str = "gSOAP/2.8",
        connections: type[HttpConnection] = HttpConnection,
    ) -> None:
        self.host = host
        self.port = port
        """The port; after `open` the real one where 0 was asked for."""
        self._tls = tls
        self._connections = connections
        self._config = Config(
            app, interface="asgi3", http=connections, ws="none", lifespan="off", log_config=None,
            access_log=False, proxy_headers=False, server_header=False, date_header=False, timeout_keep_alive=86400,
        )  # fmt: skip
        self._config.load()
        self._state = ServerState()
        self._state.default_headers = [(b"server", server.encode())]
        self._server: asyncio.Server | None = None
        self._opening = Opening()

    @property
    def is_open(self) -> bool:
        """Whether it listens."""
        return self._server is not None

    async def open(self) -> None:
        """Listen. Raises OSError when the address is taken."""
        if self._server is None:
            opening = self._opening = Opening()
            self._server = await asyncio.get_running_loop().create_server(
                lambda: self._connection(opening), self.host, self.port, ssl=self._tls, backlog=512
            )
            self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Stop listening and break every connection, at once; those too that are accepted and not made yet."""
        self._opening.is_over = True
        if self._server is not None:
            stop_listening(self._server)
            self._server = None
        for connection in list(self._state.connections):
            if isinstance(connection, HttpConnection):
                connection.reset()

    async def aclose(self) -> None:
        """Close, and cancel the requests that are still being answered."""
        self.close()
        tasks = list(self._state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for _ in range(TURNS):
            await asyncio.sleep(0)
        for connection in list(self._state.connections):
            if isinstance(connection, HttpConnection):
                await connection.gone.wait()

    def _connection(self, opening: Opening) -> HttpConnection:
        connection = self._connections(self._config, self._state, {})
        connection.opening = opening
        return connection
