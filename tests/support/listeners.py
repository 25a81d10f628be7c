"""A service on real sockets, its API and the server's notifications on listeners of their own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from pws_soap.models import Secret
from service.access.networks import Sources
from service.api.app import create_app
from service.api.middleware.limits import MAX_BODY
from service.api.routes.callback import Callback, alone
from service.runtime.server import Beside, listen, serve
from tests.support.bare_service import SECRET, BareService


@asynccontextmanager
async def running(
    office: BareService, callback: Callback | None, **rest: Callable[[], object]
) -> AsyncIterator[list[int]]:
    """Serve it; the ports."""
    sockets = [listen("127.0.0.1", 0)]
    beside = []
    if callback is not None:
        sockets.append(listen("127.0.0.1", 0))
        beside.append(Beside(alone(callback, MAX_BODY), sockets[1]))
    stop = asyncio.Event()
    ports = [each.getsockname()[1] for each in sockets]
    serving = asyncio.create_task(serve(office.app, sockets[0], stop, beside=beside, **rest))
    try:
        yield ports
    finally:
        stop.set()
        await serving


def apart(sources: Sources | None = None) -> tuple[BareService, Callback]:
    """An office whose notifications come in elsewhere."""
    office = BareService()
    office.app = create_app(office.engine, office.core, callback_secret=None, version="1")
    return office, Callback(office.engine, Secret(SECRET), office.clock, sources)
