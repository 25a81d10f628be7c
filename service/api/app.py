"""The HTTP program, put together from its parts. It owns nothing that lives: `lifespan` does, and is the caller's.

The server that runs it must not write an access log: the callback's path holds a secret (uvicorn: `access_log=False`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from pws_soap.models import Secret
from service.access.audit import AuditLog
from service.access.authentication import Authenticator
from service.access.networks import Sources
from service.api import error_handlers
from service.api.audit_trail import AuditTrail
from service.api.claim_endpoints import ClaimEndpoints
from service.api.claim_lane import ClaimLane
from service.api.context import Context
from service.api.hot_lane import HotLane, PresenceLane
from service.api.idempotency import Replays
from service.api.kept_answers import KeptAnswers
from service.api.middleware.authentication import AuthenticationMiddleware
from service.api.middleware.head import HeadMiddleware
from service.api.middleware.limits import MAX_BODY, RequestLimits
from service.api.middleware.long_answers import LongAnswers, finished
from service.api.middleware.root_path import RootPathMiddleware
from service.api.openapi import describe
from service.api.paths import asked
from service.api.problems import problem
from service.api.routes import (
    claims,
    contacts,
    dashboard,
    demo,
    events,
    history,
    metrics,
    presence,
    probes,
    status,
    trends,
    webhooks,
)
from service.api.routes.callback import Callback, WithoutPrefix
from service.api.writers.contact import ContactJson
from service.core.engine import Engine
from service.core.facade import Facade, NoFacade
from service.core.webhooks import NoWebhooks, Webhooks
from service.core.wiring import Core

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]

_DESCRIPTION = """\
Who is free right now, from Cisco's IM and Presence server.

Every contact has a `freshness`: **live** is true within its bound, **stale** was true at `as_of` and may no longer be,
**unknown** was never read. Times are UTC (RFC 3339). Errors are problem documents (RFC 9457)."""

_DOCS: Final = "/docs"
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "DELETE")
_SENT: Final = (
    "Authorization",
    "X-API-Key",
    "Content-Type",
    "If-None-Match",
    "Idempotency-Key",
    "Prefer",
    "Last-Event-ID",
)
_READ: Final = (
    "ETag",
    "Link",
    "Location",
    "Retry-After",
    "Preference-Applied",
    "Cache-Status",
    "Idempotency-Replayed",
)
"""Headers that pages of other origins may send and read, where there are such origins."""
_FOR_PAGES: Final[Any] = {"allow_methods": _METHODS, "allow_headers": _SENT, "expose_headers": _READ}
REFUSAL: Final = "pws.refusal"
"""The key of a request's scope under which `refusals` finds the `RequestRefused`."""

_NO_TELEMETRY: Final[Any] = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
"""FastAPI's own traces hold paths, and so the callback's secret and contacts; its logs hold tracebacks as they are.

Any: older ones have neither the traces nor the type, and pass over what they do not know.
"""


class Program:
    """The HTTP program: the hot lane, and behind it the framework's program."""

    def __init__(self, framework: FastAPI, hot_lane: HotLane, audit: AuditTrail) -> None:
        self._framework = framework
        self._hot_lane = hot_lane
        self.audit = audit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or see to the lifespan."""
        taken = self._hot_lane.take(scope, receive, send)
        rest = receive if taken is None else await taken
        if rest is not None:
            await finished(self._framework, scope, rest, send)

    @property
    def routes(self) -> Sequence[BaseRoute]:
        """The framework's routes: whatever the hot lane answers has one of them as well."""
        return self._framework.routes

    def openapi(self) -> dict[str, Any]:
        """The description of the API."""
        return self._framework.openapi()


def create_app(
    engine: Engine,
    core: Core,
    *,
    callback_secret: Secret | None,
    callback_prefix: str = "",
    root_path: str = "",
    version: str,
    authenticator: Authenticator | None = None,
    sources: Sources | None = None,
    max_body: int = MAX_BODY,
    keep_alive: float = 15.0,
    lifespan: Lifespan | None = None,
    simulator: demo.Playground | None = None,
    figures: metrics.MetricsPage | None = None,
    audit: AuditLog | None = None,
    targets: Webhooks | None = None,
    replays: Replays | None = None,
    facade: Facade | None = None,
) -> Program:
    """The program.

    `authenticator` says who may ask; without one everybody may. Without a `callback_secret` notifications come in
    elsewhere; `sources` says where they may come from, `callback_prefix` is the path of `callback.url`. `root_path` is
    the path that a proxy has the service below. `max_body`: bytes of a request's body. `keep_alive`: seconds between a
    stream's signs of life. `lifespan` starts the engine and stops it. `simulator` is what visitors of a demonstration
    may play with. `figures` are what `/metrics` shows; without them there is no such path. `audit`: where it is
    recorded who asked for whom. `targets` are those of webhooks; None: there are none. `replays`: the answers kept
    for repeated requests. `facade` is what the status says of one; None: there is none. ValueError: the callback's
    secret is empty.
    """
    json, clock = ContactJson(), core.clock
    core.store.changes.listen(json.forget)
    authenticator = authenticator or Authenticator()
    context = Context(
        engine,
        core,
        json,
        KeptAnswers(core),
        authenticator,
        version,
        AuditTrail(audit, clock),
        targets or NoWebhooks(),
        facade or NoFacade(),
    )
    app = FastAPIOffline(
        _DOCS,
        None,
        static_url=f"{_DOCS}/files",
        swagger_ui_parameters={"validatorUrl": None},  # else it would ask another host about our description
        title="Presence",
        version=version,
        description=_DESCRIPTION,
        lifespan=lifespan,
        # A redirect would repeat the path, and with it what must not be repeated.
        redirect_slashes=False,
        telemetry=_NO_TELEMETRY,
    )
    if callback_secret is not None:
        app.router.routes.extend(Callback(engine, callback_secret, clock, sources).routes())
    endpoints = ClaimEndpoints(context, replays)
    routers = [module.router(context) for module in (presence, history, trends)]
    routers += [
        claims.router(context, endpoints),
        contacts.router(context),
        status.router(context),
        webhooks.router(context),
    ]
    routers += [events.router(context, keep_alive), probes.router(context, demo=simulator is not None)]
    routers += [] if figures is None else [metrics.router(context, figures)]
    routers += (
        [dashboard.router(root_path)]
        if simulator is None
        else [dashboard.router(root_path), demo.router(context, simulator)]
    )
    for router in routers:
        # They are whole: `include_router` would work out each route's parameters a second time.
        app.router.routes.extend(router.routes)
    error_handlers.install(app)
    app.add_middleware(LongAnswers)
    app.add_middleware(AuthenticationMiddleware, authenticator=authenticator)
    app.add_middleware(RequestLimits, max_body=max_body)
    app.add_middleware(HeadMiddleware)
    if authenticator.rules.origins:  # around everything else: a page must be able to read why it was refused
        app.add_middleware(CORSMiddleware, allow_origins=authenticator.rules.origins, **_FOR_PAGES)
    app.add_middleware(WithoutPrefix, prefix=callback_prefix)
    app.add_middleware(RootPathMiddleware, root_path=root_path)
    describe(app, authenticator)
    lanes = (PresenceLane(context, root_path), ClaimLane(authenticator, endpoints, root_path))
    entries = {key: handler for lane in lanes for key, handler in lane.entries().items()}
    return Program(app, HotLane(entries, root_path), context.audit)


def refusals(authenticator: Authenticator, root_path: str = "") -> ASGIApp:
    """Refuses each request with what is in its scope, as the program does: only who is let in is told, and counted."""

    async def refused(scope: Scope, receive: Receive, send: Send) -> None:
        await problem(scope[REFUSAL], *asked(scope))(scope, receive, send)

    app: ASGIApp = HeadMiddleware(RequestLimits(AuthenticationMiddleware(refused, authenticator)))
    if authenticator.rules.origins:
        app = CORSMiddleware(app, allow_origins=authenticator.rules.origins, **_FOR_PAGES)
    return RootPathMiddleware(app, root_path)
