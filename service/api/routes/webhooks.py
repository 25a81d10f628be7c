"""The targets of webhooks: what was sent and answered, and the order to send events once more."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Path, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from service.access.errors import RequestRefused
from service.access.principal import Principal, Scope
from service.api.context import Context
from service.api.etags import plain
from service.api.models import ReplayView, WebhookListView
from service.api.parameters.checks import no_query
from service.api.problems import ProblemView, shortened
from service.api.responses import INVALID, TOO_LARGE, Responses
from service.core.webhooks import EventsNotKept, NoSuchTarget

_REFUSED: Responses = {
    404: {"model": ProblemView, "description": "There is no such webhook"},
    410: {
        "model": ProblemView,
        "description": "Events after this id are kept no longer, or it is none of this service's: `floor` and `last` "
        "say from which id on one can replay",
    },
}
WebhookName = Annotated[
    str, Path(max_length=64, description="the name of a target in the configuration", examples=["crm"])
]


class ReplayBody(BaseModel):
    """From where on."""

    model_config = ConfigDict(extra="forbid", title="ReplayRequest")

    after: int = Field(
        strict=True,
        ge=0,
        le=2**63 - 1,
        description="the id of an event (its `revision`); those after it are sent",
        examples=[1795254000000041],
    )


def router(context: Context) -> APIRouter:
    """`/v1/webhooks`."""
    routes = APIRouter(prefix="/v1", tags=["webhooks"], dependencies=[Depends(no_query)])
    admin = Depends(context.authenticator.require(Scope.ADMIN))  # the attempts name contacts of all groups

    @routes.get(
        "/webhooks",
        operation_id="listWebhooks",
        summary="How deliveries to each target go",
        responses={200: {"model": WebhookListView, "description": "All targets, with their last attempts"}, **INVALID},
    )
    async def webhooks(request: Request, who: Principal = admin) -> Response:
        """Targets are made in the configuration alone; docs/webhooks.md says what is sent to them."""
        targets = context.webhooks.status()
        shown = {attempt.contact for target in targets for attempt in target.attempts if attempt.contact is not None}
        context.audit.look(request.scope, who, len(shown))
        return plain(WebhookListView.of(targets, context.log.last).model_dump_json().encode())

    @routes.post(
        "/webhooks/{name}/replay",
        operation_id="replayEvents",
        summary="Send events once more",
        status_code=202,
        responses={202: {"model": ReplayView, "description": "They are queued"}, **_REFUSED, **TOO_LARGE, **INVALID},
    )
    async def replay(
        request: Request, name: WebhookName, body: Annotated[ReplayBody, Body()], who: Principal = admin
    ) -> Response:
        """Queues the events after an id for one target, and tries a parked one again. Of several events about one
        contact the last one is sent; a receiver gets messages that it had before, with the ids that they had."""
        try:
            queued = context.webhooks.replay(name, body.after)
        except NoSuchTarget as error:
            known = ", ".join(error.known)
            hint = f"there are: {known}" if known else "the configuration has none"
            raise RequestRefused(f"No webhook {shortened(name)!r}; {hint}", kind="no-such-webhook") from None
        except EventsNotKept as error:
            detail = f"Events after {error.after} are not all kept: a replay can begin at {error.floor} to {error.last}"
            members = {"after": error.after, "floor": error.floor, "last": error.last}
            raise RequestRefused(detail, kind="events-not-kept", members=members) from None
        context.audit.changed(request.scope, who, webhook=name, after=body.after, queued=queued)
        view = ReplayView(webhook=name, after=body.after, queued=queued)
        return plain(view.model_dump_json().encode(), 202)

    return routes
