"""For whoever runs the service: is it alive, is it of use, and where things are."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from service.routes.answers import plain
from service.routes.context import Context
from service.views import AliveView, IndexView, ReadyView


def router(context: Context) -> APIRouter:
    """`/livez`, `/readyz` and `/`. They overlook query parameters: probes add what they like."""
    routes = APIRouter(tags=["probes"])

    @routes.get("/livez", summary="The process answers", responses={200: {"model": AliveView}})
    async def livez() -> Response:
        """Says nothing of the presence server: restarting this service would not mend that one."""
        return plain(AliveView().model_dump_json().encode())

    @routes.get(
        "/readyz",
        summary="Answers would be live",
        responses={200: {"model": ReadyView}, 503: {"model": ReadyView, "description": "Nothing is live"}},
    )
    async def readyz() -> Response:
        """503 when nothing is live, with the reason."""
        ready, reason = context.engine.ready()
        return plain(ReadyView(ready=ready, reason=reason).model_dump_json().encode(), 200 if ready else 503)

    @routes.get("/", summary="Where things are", responses={200: {"model": IndexView}})
    async def index() -> Response:
        """Leads to the description of the API."""
        return plain(IndexView(version=context.version).model_dump_json().encode())

    return routes
