"""The picture of the last hours: how many were free, busy, on the phone or not sure."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
from starlette.responses import Response

from service.access.principal import Principal, Scope
from service.api.context import Context
from service.api.etags import Representation, Tags, tagged
from service.api.models import AnyTrendsView
from service.api.models.trends import trends_view
from service.api.parameters.checks import check_query
from service.api.problems import InvalidParameters, WrongParameter
from service.api.responses import INVALID, documented


class TrendsQuery(BaseModel):
    """Of whom."""

    model_config = ConfigDict(extra="forbid")

    group: Annotated[str | None, WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 200})] = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="a group of the configuration; all contacts without it",
    )


def router(context: Context) -> APIRouter:
    """`/v1/trends`."""
    routes = APIRouter(prefix="/v1", tags=["presence"])
    reads = Depends(context.authenticator.require(Scope.READ))

    @routes.get(
        "/trends",
        summary="How many were free, busy, on the phone or not sure in the last hours",
        operation_id="getTrends",
        responses={**documented(AnyTrendsView, "Samples, the oldest first"), **INVALID},
    )
    async def trends(request: Request, query: Annotated[TrendsQuery, Query()], who: Principal = reads) -> Response:
        """Numbers alone, and nobody's name: one sample a minute for twelve hours, in memory.

        A restart of the service forgets them. Of fewer than three contacts there are none. A key that is limited to
        several groups names one of them, and gets no samples without. One that is limited sees no `lag`, which is of
        all contacts, and no `marks` of subscriptions that have no contact of its groups.
        """
        check_query(request, "group")
        visible = sorted(name for name in context.reader.groups if who.groups is None or name in who.groups)
        group = query.group or (visible[0] if who.groups is not None and len(visible) == 1 else None)
        if group is not None and group not in visible:
            raise InvalidParameters(
                WrongParameter("query", "group", "one of " + ", ".join(visible) if visible else "no group")
            )
        kept = context.core.trends
        samples = kept.samples(group) if group is not None or who.groups is None else ()
        if who.groups is not None:  # that somebody else's presence changed is not for it
            samples = [sample._replace(lag=None) for sample in samples]
        view = trends_view(group, kept.interval, samples, kept.marks(who.groups), details=who.details)
        return tagged(Representation(view.model_dump_json().encode()), Tags.of_request(request, who), context.log.last)

    return routes
