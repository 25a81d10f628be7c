"""What asyncio forgets where a listener is closed in the moment in which it accepts: python/cpython#109564.

Our own servers close their sockets with `pws_soap.listening`. Those of tests, of asyncio and aiohttp, leave a socket
open then, and the collector would find it in whatever test runs minutes later, which fails.
"""

from __future__ import annotations

import asyncio
import socket
import weakref
from asyncio.selector_events import BaseSelectorEventLoop
from collections.abc import Callable, Coroutine
from typing import Any

_accept: Callable[..., Coroutine[Any, Any, None]] = BaseSelectorEventLoop._accept_connection2  # type: ignore[attr-defined]


def close_what_nobody_takes() -> None:
    """From now on, in every event loop of this process."""
    BaseSelectorEventLoop._accept_connection2 = _accepted  # type: ignore[attr-defined]


def _accepted(
    loop: asyncio.AbstractEventLoop,
    factory: object,
    connection: socket.socket,
    extra: object,
    sslcontext: object = None,
    server: asyncio.Server | None = None,
    *rest: object,
    **named: object,
) -> Coroutine[Any, Any, None]:
    """As asyncio calls it for each socket that was accepted."""
    begun: list[bool] = []

    async def accept() -> None:
        begun.append(True)
        if server is not None and not server.sockets:
            connection.close()
        else:
            await _accept(loop, factory, connection, extra, sslcontext, server, *rest, **named)

    def gone() -> None:
        if not begun:
            connection.close()

    accepting = accept()
    weakref.finalize(accepting, gone)  # the loop may end before its first step
    return accepting
