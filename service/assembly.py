"""A configuration made into a running service: every part built once, here, and handed what it needs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from urllib.parse import urlsplit

import uvicorn
from fastapi import FastAPI

from pws_soap import lifecycle
from pws_soap.client import PwsClient
from pws_soap.models import PresenceType, Secret
from pws_soap.transport import AiohttpTransport, Transport, Trust
from service.app import create_app
from service.availability import Availability
from service.clock import Clock, SystemClock
from service.config import Config
from service.freshness import default_bound
from service.gate import BudgetedTransport, Gate
from service.keeper import Credentials
from service.knowledge import Knowledge
from service.lines import PumpSettings
from service.living import LivingEngine
from service.statefile import StateFile
from service.store import MemoryStore, Store

log = logging.getLogger("pws.service")


class CannotStart(Exception):
    """The service cannot run, for a reason that waiting does not mend. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Assembly:
    """The parts that belong together."""

    app: FastAPI
    engine: LivingEngine
    knowledge: Knowledge

    @property
    def store(self) -> Store:
        """What is known."""
        return self.knowledge.store


def package_version() -> str:
    """The installed version, or a word for a checkout that is not installed."""
    try:
        return version("pws-presence")
    except PackageNotFoundError:
        return "0+unknown"


def state_path(config: Config) -> Path | None:
    """Where the state file lies: as configured, else beside the configuration file; None where there is none."""
    if config.state.file is not None:
        return config.state.file
    return config.file.with_suffix(".state.json") if config.file is not None else None


def assemble(config: Config, clock: Clock | None = None) -> Assembly:
    """Build the service. Nothing is sent and nothing listens before its lifespan begins."""
    clock = clock or SystemClock()
    secret = config.callback.secret or Secret(secrets.token_urlsafe(32))
    # Microseconds since the epoch: no revision of an earlier run comes again, and JavaScript can still count them.
    store = MemoryStore(clock, revision=int(clock.now() * 1e6))
    bound = default_bound(config.fetch.safety_interval)
    groups = {name: group.contacts for name, group in config.groups.items()}
    availability = Availability(
        groups,
        {name: group.rule(config.available) for name, group in config.groups.items()},
        config.available.rule(),
    )
    knowledge = Knowledge.of(store, clock, bound, groups, availability)
    engine = LivingEngine(
        settings=lifecycle.Settings(
            nodes=config.server.urls(),
            endpoint_expires=config.lifecycle.endpoint_expires,
            subscription_expires=config.lifecycle.subscription_expires,
            renew_at=config.lifecycle.renew_at,
            take_over=config.application.take_over,
            seed=secrets.randbits(64),
        ),
        pump=PumpSettings(
            safety_interval=config.fetch.safety_interval,
            reconcile_interval=config.fetch.reconcile_interval,
            max_parallel=config.fetch.max_parallel,
            heartbeat_interval=config.fetch.heartbeat_interval,
            late=2 * config.server.read_timeout,
            rich=frozenset(each.end_user for each in config.watch if each.presence_type is PresenceType.RICH),
        ),
        credentials=Credentials(
            config.application.username, config.application.password, config.callback.address(secret)
        ),
        connect=_Connector(config, clock),
        store=store,
        clock=clock,
        file=StateFile(state_path(config), clock, frozenset(urlsplit(url).scheme for url in config.server.urls())),
        bound=bound,
        patience=config.server.read_timeout,
    )

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        engine.start({each.end_user: each.contacts for each in config.watch})
        ticking = asyncio.create_task(knowledge.log.run(), name="log")
        try:
            yield
        finally:
            ticking.cancel()
            await engine.stop(config.lifecycle.stop_timeout)

    app = create_app(
        engine,
        knowledge,
        callback_secret=secret,
        version=package_version(),
        lifespan=lifespan,
    )
    return Assembly(app, engine, knowledge)


class _Connector:
    """Makes the client of a node; all share one budget a node."""

    def __init__(self, config: Config, clock: Clock) -> None:
        self._server = config.server
        self._rate = config.lifecycle.requests_per_second
        self._clock = clock

    def __call__(self, node: str) -> PwsClient:
        server = self._server
        transport: Transport = AiohttpTransport(
            Trust(server.ca_file, server.fingerprint),
            connect_timeout=server.connect_timeout,
            read_timeout=server.read_timeout,
            max_reply_bytes=server.max_reply_bytes,
        )
        budgeted = BudgetedTransport(transport, Gate(self._rate, self._clock))
        return PwsClient(node, wsdl=server.wsdl, soap=server.soap, transport=budgeted)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises CannotStart with the reason, such as a port that is in use."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        if family == socket.AF_INET:
            host = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)[0][4][0]  # type: ignore[assignment]
        found = socket.socket(family, socket.SOCK_STREAM)
        try:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.bind((host, port))
            found.listen(2048)
        except BaseException:
            found.close()
            raise
    except OSError as error:
        reason = "it is in use by another program" if error.errno == 98 else error.strerror or str(error)
        raise CannotStart(f"cannot listen on {host}:{port} (http.host, http.port): {reason}") from None
    found.setblocking(False)
    return found


class Server(uvicorn.Server):
    """uvicorn, stopped by whoever runs it: signals are the command line's business."""

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]  # noqa: ANN201  # as uvicorn declares it
        yield


def _is_worth_telling(record: logging.LogRecord) -> bool:
    """uvicorn shows a trace for each request that is cut off when the service stops; one line says it already."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


async def serve(app: FastAPI, listening: socket.socket, stop: asyncio.Event) -> None:
    """Serve `app` on a socket until `stop` is set."""
    config = uvicorn.Config(
        app, access_log=False, log_config=None, lifespan="on", timeout_graceful_shutdown=3, server_header=False
    )
    logging.getLogger("uvicorn.error").addFilter(_is_worth_telling)
    server = Server(config)
    running = asyncio.create_task(server.serve(sockets=[listening]), name="http")
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([running, stopped], return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        await running
    finally:
        stopped.cancel()
        listening.close()
