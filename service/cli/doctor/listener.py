"""The service's callback route with a recorder behind it: `pws doctor` listens in place of the service."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pws_soap.models import Notification, Secret
from service.access.networks import Sources
from service.api.routes.callback import Callback, alone
from service.config import Config
from service.core.clock import SystemClock
from service.runtime.server import serve


class NotificationListener:
    """Records the notifications that arrive: a Receiver that does nothing else."""

    def __init__(self) -> None:
        self.received: set[tuple[str, int]] = set()
        """Notifications, by the node's token and the subscription's id."""
        self.others = 0
        """Requests that were answered with an error."""
        self.foreign: set[str] = set()
        """Addresses that `callback.allow_from` does not name."""
        self.given_up = False
        self.changed = asyncio.Event()

    def notified(self, notification: Notification, node: str) -> None:
        """See Receiver."""
        self.received.add((node, notification.subscription_id))
        self.changed.set()

    def rejected(self) -> None:
        """See Receiver. The answer is counted."""


def program(config: Config, notifications: NotificationListener, secret: Secret) -> ASGIApp:
    """The application that answers notifications as the service would, for this secret."""
    callback = config.callback
    sources = Sources(callback.allow_from, callback.trusted_proxies)
    route = alone(
        Callback(notifications, secret, SystemClock(), sources, callback.prefix), config.limits.max_body_bytes
    )

    async def counting(scope: Scope, receive: Receive, send: Send) -> None:
        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] != 200:
                notifications.others += 1
            await send(message)

        if scope["type"] != "http":
            await route(scope, receive, send)
            return
        peer = scope["client"][0] if scope.get("client") else None
        source = sources.of(peer, Headers(scope=scope).getlist("x-forwarded-for"))
        if not sources.allow(source):
            notifications.foreign.add(str(source or peer))
        await route(scope, receive, counted)

    return counting


def place(config: Config) -> tuple[str, int]:
    """Host and port where the service listens for notifications."""
    callback, http = config.callback, config.http
    return callback.listener(http) if callback.is_apart else (http.host, http.port)


def opened(host: str, port: int) -> socket.socket:
    """A listening socket. Raises OSError where the address or the port cannot be had."""
    found = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    found.setblocking(False)
    return found


@contextlib.asynccontextmanager
async def answering(app: ASGIApp, listener: socket.socket) -> AsyncIterator[None]:
    """Serve an application on a socket, as the service would, until the end of the block."""
    stop = asyncio.Event()
    serving = asyncio.create_task(serve(app, listener, stop), name="http")
    try:
        yield
    finally:
        stop.set()
        await serving
