"""The HTTP server: its sockets, and how it starts and stops."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from pws_soap.listening import stopped_listening
from service.api.disconnect import AnswerBrokenOff
from service.api.sse.response import STALLED, NotRead
from service.runtime.http_protocol import LimitedHttpConnection

KEEP_ALIVE: Final = 5
"""Seconds for which a connection is kept without a request."""


@dataclass(frozen=True, slots=True)
class Beside:
    """A program without a lifespan of its own, on a socket of its own; over TLS where there is a context for it."""

    app: ASGIApp
    listening: socket.socket
    tls: ssl.SSLContext | None = None
    keep_alive: int = KEEP_ALIVE
    most: int | None = None
    """Connections at once; a request on one more is answered with 503."""


class CannotStart(Exception):
    """The service cannot run, for a reason that waiting does not mend. The message says what to do."""


def listen(host: str, port: int, keys: str = "http.host, http.port") -> socket.socket:
    """A listening socket. Raises CannotStart with the reason, such as a port that is in use.

    `keys` are those of the configuration that say where.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        if family == socket.AF_INET:
            host = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)[0][4][0]  # type: ignore[assignment]
        found = socket.socket(family, socket.SOCK_STREAM)
        try:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux only: ends a connection whose client takes nothing
                found.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(1000 * STALLED))
            found.bind((host, port))
            found.listen(2048)
        except BaseException:
            found.close()
            raise
    except OSError as error:
        reason = "it is in use by another program" if error.errno == 98 else error.strerror or str(error)
        raise CannotStart(f"cannot listen on {host}:{port} ({keys}): {reason}") from None
    found.setblocking(False)
    return found


class Server(uvicorn.Server):
    """uvicorn without its own handling of signals, which the command line does; calls `on_started` when it listens."""

    def __init__(self, config: uvicorn.Config, on_started: Callable[[], object]) -> None:
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # uvicorn ends the connections that are made: one made afterwards would hold up the stop.
        for server in self.servers:
            await stopped_listening(server)
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]  # noqa: ANN201  # as uvicorn declares it
        yield


_CAUSED_BY_CLIENTS: Final = ("Invalid HTTP request", "Unsupported upgrade request", "No supported WebSocket library")
"""How uvicorn's warnings about bad requests begin: any client could fill the log with them."""


def _is_worth_logging(record: logging.LogRecord) -> bool:
    """uvicorn logs a trace for each request that is cut off when the service stops, whose client does not read, or
    whose answer another replica has broken off; our own log says so in one line."""
    if record.exc_info:
        return not isinstance(record.exc_info[1], asyncio.CancelledError | NotRead | AnswerBrokenOff)
    return not record.getMessage().startswith(_CAUSED_BY_CLIENTS)


def _server(program: Beside, on_started: Callable[[], object], *, owns_lifespan: bool) -> Server:
    config = uvicorn.Config(
        program.app,
        interface="asgi3",
        access_log=False,
        log_config=None,
        lifespan="on" if owns_lifespan else "off",
        timeout_graceful_shutdown=3,
        server_header=False,
        # uvicorn would believe whatever 127.0.0.1 says about who asks; callback.trusted_proxies is our own rule.
        proxy_headers=False,
        http=LimitedHttpConnection,
        ws="none",
        timeout_keep_alive=program.keep_alive,
        limit_concurrency=program.most,
    )
    config.load()
    config.ssl = program.tls
    return Server(config, on_started)


async def serve(
    app: ASGIApp,
    listening: socket.socket,
    stop: asyncio.Event,
    *,
    beside: Sequence[Beside] = (),
    ready: Callable[[], object] | None = None,
    closing: Callable[[], object] | None = None,
) -> None:
    """Serve `app` on a socket until `stop` is set.

    `beside` are served as long. `ready` is called when all are
    served, `closing` before the connections are closed.
    """

    def started() -> None:
        if ready is not None and all(server.started for server in servers):
            ready()

    logging.getLogger("uvicorn.error").addFilter(_is_worth_logging)
    sockets = [listening, *(each.listening for each in beside)]
    servers = [
        _server(Beside(app, listening), started, owns_lifespan=True),
        *(_server(each, started, owns_lifespan=False) for each in beside),
    ]
    running = [
        asyncio.create_task(server.serve(sockets=[each]), name="http")
        for server, each in zip(servers, sockets, strict=True)
    ]
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([*running, stopped], return_when=asyncio.FIRST_COMPLETED)
        if closing is not None:
            closing()
        for server in servers:
            server.should_exit = True
        await asyncio.gather(*running)
    finally:
        stopped.cancel()
        for opened in sockets:
            opened.close()
