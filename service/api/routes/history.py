"""What became of a contact lately, where the configuration keeps it."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from service.access.errors import NotAllowed
from service.access.principal import Principal, Scope
from service.api.context import Context
from service.api.etags import Representation, Tags, tagged
from service.api.models import HistoryView, TransitionView
from service.api.parameters.checks import ContactPath, check_query, path_contact
from service.api.paths import CONTACT
from service.api.problems import ContactNotWatched, ProblemView
from service.api.responses import INVALID, documented
from service.core.events.history import HistoryOff

_NONE: Final[dict[int | str, dict[str, Any]]] = {
    404: {"model": ProblemView, "description": "The contact is not watched, or no history is kept"}
}


class HistoryQuery(BaseModel):
    """How much of it."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(default=100, ge=1, le=1000, description="transitions, the newest ones")


def router(context: Context) -> APIRouter:
    """`/v1/presence/{contact}/history`."""
    routes = APIRouter(prefix="/v1", tags=["presence"])
    reads = Depends(context.authenticator.require(Scope.READ))

    @routes.get(
        f"/presence/{CONTACT}/history",
        summary="The last transitions of a contact",
        operation_id="getHistory",
        responses={**documented(HistoryView, "Transitions, the newest first"), **_NONE, **INVALID},
    )
    async def history(
        request: Request,
        contact: ContactPath,
        query: Annotated[HistoryQuery, Query()],
        who: Principal = reads,
    ) -> Response:
        """A transition is a change of state, activities, phone, freshness or availability.

        Kept in memory while the contact is watched, as many and as long as `[history]` of the configuration says; by
        default none is.
        """
        check_query(request, "limit")
        uri = path_contact(contact)
        if not who.details:
            raise NotAllowed("This key sees who is available, and no more; it has no history")
        if not context.core.history.is_on:
            raise HistoryOff
        snapshot = context.reader.one(uri, within=who.groups)
        if snapshot is None:
            raise ContactNotWatched([uri])
        past = context.core.history.of(snapshot.record.key, query.limit, who.groups)
        view = HistoryView(
            contact=snapshot.record.contact,
            transitions=[TransitionView.of(each) for each in past.transitions],
            complete=past.complete,
        )
        representation = Representation(view.model_dump_json().encode(), shown=1)
        response = tagged(representation, Tags.of_request(request, who), context.log.last)
        context.audit.look(request.scope, who, 1, unchanged=response.status_code == 304)
        return response

    return routes
