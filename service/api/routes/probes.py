"""For the operator: is the service alive, is it of use, and where things are."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.access.principal import Scope
from service.api.context import Context
from service.api.etags import plain
from service.api.models import AliveView, IndexView, ReadyView
from service.api.paths import root_of
from service.core.presence.freshness import Level


def router(context: Context, *, demo: bool = False) -> APIRouter:
    """`/livez`, `/readyz` and `/v1`. They overlook query parameters: probes add what they like."""
    routes = APIRouter(tags=["probes"])

    @routes.get(
        "/livez", summary="The process answers", operation_id="getLiveness", responses={200: {"model": AliveView}}
    )
    async def livez() -> Response:
        """Says nothing of the presence server: restarting this service would not mend that one."""
        return plain(AliveView().model_dump_json().encode())

    @routes.get(
        "/readyz",
        summary="Answers would be live",
        operation_id="getReadiness",
        responses={200: {"model": ReadyView}, 503: {"model": ReadyView, "description": "Nothing is live"}},
    )
    async def readyz(request: Request) -> Response:
        """503 when nothing is live, with the reason for clients that may read the status."""
        ready, reason = context.engine.ready()
        who = context.authenticator.principal(request)
        # For a moment it stays ready although something is wrong; the words for that are nobody else's business either.
        if reason != Level.LIVE and (who is None or who.limited or Scope.READ not in who.scopes):
            reason = f"{'ready' if ready else 'not ready'}; see /v1/status"
        return plain(ReadyView(ready=ready, reason=reason).model_dump_json().encode(), 200 if ready else 503)

    @routes.get("/v1", summary="Where things are", operation_id="getIndex", responses={200: {"model": IndexView}})
    async def index(request: Request) -> Response:
        """Leads to the description of the API. Needs no key."""
        anonymous = context.authenticator.rules.anonymous
        needs_key = anonymous is None or Scope.READ not in anonymous.scopes
        view = IndexView(version=context.version, demo=demo, needs_key=needs_key).below(root_of(request.scope))
        return plain(view.model_dump_json().encode())

    return routes
