"""The HTTP program, put together from its parts. It owns nothing that lives: `lifespan` does, and is the caller's.

The server that runs it must not write an access log: the callback's path holds a secret (uvicorn: `access_log=False`).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from fastapi import FastAPI

from pws_soap.models import Secret
from service import problems
from service.access.door import Door
from service.contact_json import ContactJson
from service.engine import Engine
from service.guard import Guard
from service.knowledge import Knowledge
from service.routes import contacts, presence, probes, status
from service.routes.callback import Callback
from service.routes.context import Context
from service.views import CONTACT_EXAMPLE

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]

_DESCRIPTION = """\
Who is free right now, from Cisco's IM and Presence server.

Every contact has a `freshness`: **live** is true within its bound, **stale** was true at `as_of` and may no longer be,
**unknown** was never read. Times are UTC (RFC 3339). Errors are problem documents (RFC 9457)."""


def create_app(
    engine: Engine,
    knowledge: Knowledge,
    *,
    callback_secret: Secret,
    version: str,
    door: Door | None = None,
    lifespan: Lifespan | None = None,
) -> FastAPI:
    """The program.

    `door` says who may ask; without one everybody may. `lifespan` starts the engine and stops it. ValueError: the
    callback's secret is empty.
    """
    json, clock = ContactJson(), knowledge.clock
    knowledge.store.changes.listen(json.forget)
    context = Context(engine, knowledge, json, door or Door(), version)
    app = FastAPI(
        title="Presence",
        version=version,
        description=_DESCRIPTION,
        lifespan=lifespan,
        redoc_url=None,
        # A redirect would repeat the path, and with it what must not be repeated.
        redirect_slashes=False,
    )
    app.router.routes.extend(Callback(engine, callback_secret, clock).routes())
    for module in (presence, contacts, status, probes):
        app.include_router(module.router(context))
    problems.install(app)
    app.add_middleware(Guard)
    _describe(app)
    return app


def _describe(app: FastAPI) -> None:
    """Let OpenAPI say what FastAPI cannot: that errors are `application/problem+json`, and nulls in an example."""
    made = app.openapi

    # Any: an OpenAPI document is plain JSON.
    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = made()
            answers = [
                answer
                for path in document["paths"].values()
                for operation in path.values()
                for answer in operation["responses"].values()
            ]
            for answer in answers:
                content = answer.get("content", {})
                if content.get("application/json", {}).get("schema", {}).get("$ref", "").endswith("/ProblemView"):
                    content[problems.MEDIA_TYPE] = content.pop("application/json")
            document["components"]["schemas"]["ContactView"]["examples"] = [CONTACT_EXAMPLE]
        return made()

    # FastAPI's documented way to extend the description.
    app.openapi = openapi  # type: ignore[method-assign]
