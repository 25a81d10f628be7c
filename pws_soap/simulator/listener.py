"""A listening socket with an ASGI program behind it, on uvicorn's HTTP protocol.

uvicorn's own server is left out: it owns the process's signals, looks for its end ten times a second, and cannot close
and open its socket again while the program lives, which is what a node that goes down and comes back does.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 seconds: closing sends RST at once


class SimulatorProtocol(HttpToolsProtocol):
    """Puts itself into the scope of each request, as `scope["state"]["connection"]`."""

    requests = 0
    gone: asyncio.Event

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected (asyncio)."""
        self.gone = asyncio.Event()
        super().connection_made(cast("asyncio.Transport", transport))  # uvicorn's signature is narrower than asyncio's

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone (asyncio)."""
        super().connection_lost(exc)
        self.gone.set()

    def on_message_begin(self) -> None:
        """A request begins (httptools)."""
        super().on_message_begin()
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

    def finish(self) -> None:
        """Send what has been written, then close."""
        self.transport.close()

    def copy(self, *, together: bool) -> Callable[[], None]:
        """Keep a copy of the reply that is sent next; what is returned sends the copy (`app.Connection`)."""
        copied = Copied(self.transport, together=together)
        self.cycle.transport = cast("asyncio.Transport", copied)  # of this one request
        return copied.send_copy


class Copied:
    """A transport that keeps a copy of what is written; with `together` nothing is sent before `send_copy`."""

    def __init__(self, transport: asyncio.Transport, *, together: bool) -> None:
        self._transport = transport
        self._together = together
        self._written: list[bytes] = []

    def __getattr__(self, name: str) -> Any:  # whatever a transport has
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send bytes, and keep them."""
        self._written.append(data)
        if not self._together:
            self._transport.write(data)

    def close(self) -> None:
        """Close once everything has been sent, the copy too where it is sent together with the rest."""
        if self._together:
            self.send_copy()
        self._transport.close()

    def send_copy(self) -> None:
        """Send what was kept, once, unless the connection is gone."""
        data = b"".join(self._written)
        self._written.clear()
        if data and not self._transport.is_closing():
            self._transport.write(data * 2 if self._together else data)


class Listener:
    """Serves an ASGI program at one address; can be closed and opened again at the same port."""

    def __init__(
        self,
        app: Callable[..., Any],
        host: str,
        port: int,
        tls: ssl.SSLContext | None = None,
        server: str = "gSOAP/2.8",
    ) -> None:
        self.host = host
        self.port = port
        """The port; after `open` the real one where 0 was asked for."""
        self._tls = tls
        self._config = Config(
            app, interface="asgi3", http=SimulatorProtocol, ws="none", lifespan="off", log_config=None,
            access_log=False, proxy_headers=False, server_header=False, date_header=False, timeout_keep_alive=86400,
        )  # fmt: skip
        self._config.load()
        self._state = ServerState()
        self._state.default_headers = [(b"server", server.encode())]
        self._server: asyncio.Server | None = None

    @property
    def is_open(self) -> bool:
        """Whether it listens."""
        return self._server is not None

    async def open(self) -> None:
        """Listen. Raises OSError when the address is taken."""
        if self._server is None:
            self._server = await asyncio.get_running_loop().create_server(
                self._protocol, self.host, self.port, ssl=self._tls, backlog=512
            )
            self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Stop listening and break every connection, at once."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in list(self._state.connections):
            if isinstance(connection, SimulatorProtocol):
                connection.reset()

    async def aclose(self) -> None:
        """Close, and end the requests that are still worked on."""
        self.close()
        tasks = list(self._state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for connection in list(self._state.connections):
            if isinstance(connection, SimulatorProtocol):
                await connection.gone.wait()

    def _protocol(self) -> SimulatorProtocol:
        return SimulatorProtocol(self._config, self._state, {})
