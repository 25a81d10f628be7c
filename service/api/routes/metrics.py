"""Figures for Prometheus."""

from __future__ import annotations

from typing import Final, Protocol

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from service.access.principal import Scope
from service.api.context import Context
from service.api.paths import METRICS

_EXAMPLE: Final = """\
# HELP pws_contacts Contacts that are watched, by freshness: live, stale or unknown
# TYPE pws_contacts gauge
pws_contacts{freshness="live"} 41.0
"""


class MetricsPage(Protocol):
    """Writes the figures."""

    async def render(self, accept: str) -> tuple[bytes, str]:
        """All of them now, and their media type; `accept` is what the client would like."""
        ...


def router(context: Context, metrics: MetricsPage) -> APIRouter:
    """`/metrics`. It overlooks query parameters, as Prometheus' own do."""
    routes = APIRouter(tags=["probes"], dependencies=[Depends(context.authenticator.require(Scope.METRICS))])

    @routes.get(
        METRICS,
        summary="Figures for Prometheus",
        operation_id="getMetrics",
        response_class=Response,
        responses={
            200: {
                "description": "Text as Prometheus reads it, or OpenMetrics where `Accept` asks for that",
                "content": {"text/plain": {"schema": {"type": "string"}, "example": _EXAMPLE}},
            }
        },
    )
    async def figures(request: Request) -> Response:
        """Numbers about the service as a whole and about its groups; no contact is named in them."""
        body, media_type = await metrics.render(request.headers.get("accept", ""))
        return Response(body, headers={"Content-Type": media_type})

    return routes
