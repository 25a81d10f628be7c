"""What happens, as it happens: server-sent events."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Query
from fastapi.requests import Request
from pydantic import Field
from starlette.responses import Response

from service.access.principal import Principal, Scope
from service.api.context import Context
from service.api.parameters.presence import FilterQuery
from service.api.problems import ProblemView
from service.api.responses import INVALID
from service.api.sse.broadcast import Broadcast
from service.api.sse.response import EventStream
from service.api.sse.resume import MAX_LENGTH
from service.api.sse.subscriber import Subscriber
from service.api.sse.view import FrameCache, SubscriberView, ViewKey
from service.api.writers.event import EVENTS, StreamEvent
from service.core.events.commits import NotCommitted

_EXAMPLE: Final = """\
    retry: 1000

    event: snapshot
    id: 1795254000000041
    data: {"contacts":[{"contact":"ann@example.com","state":"BUSY", ...}],"revision":1795254000000041,"reason":"start"}

    event: change
    id: 1795254000000042
    data: {"contact":"ann@example.com","state":"AVAILABLE", ...}

    event: subscription.lost
    id: 1795254000000043
    data: {"at":"2026-11-21T10:00:03.120Z","revision":1795254000000043,"end_user":"dispatcher", ...}

    : keep-alive"""
_EVENTS: Final = "\n".join(f"- `{kind.name}`: {kind.when}" for kind in EVENTS)
# Any: a fragment of OpenAPI.
_STREAM: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "model": StreamEvent,
        "description": "Events, without an end. The schema is that of one event: the fields of its lines, and what is "
        f"in its line `data` read as JSON.\n\n{_EVENTS}\n\n{_EXAMPLE}",
    },
    429: {
        "model": ProblemView,
        "description": "As many streams and waiting requests are open as may be",
        "headers": {"Retry-After": {"schema": {"type": "integer"}, "description": "seconds"}},
    },
}


class EventQuery(FilterQuery):
    """Which contacts, and from where on."""

    last_event_id: str | None = Field(
        default=None,
        max_length=MAX_LENGTH,
        description="for those who cannot set the header Last-Event-ID, which goes before it",
    )


def router(context: Context, keep_alive: float) -> APIRouter:
    """`/v1/events`. `keep_alive`: seconds of silence after which a sign of life is sent."""
    routes = APIRouter(prefix="/v1", tags=["events"])
    reads = Depends(context.authenticator.require(Scope.READ))
    frames = FrameCache()
    broadcast = Broadcast(context.log, context.clock)

    @routes.get(
        "/events",
        summary="What happens, as it happens (server-sent events)",
        operation_id="followEvents",
        response_class=Response,
        responses={**_STREAM, **INVALID},
    )
    async def events(
        request: Request,
        query: Annotated[EventQuery, Query()],
        last_event_id: Annotated[
            str | None, Header(description="the id of the last event that came: go on behind it")
        ] = None,
        who: Principal = reads,
    ) -> Response:
        """First a snapshot, then every change in order, each with the id to resume from.

        A client that comes back with `Last-Event-ID` and the same filters gets exactly what it missed, or a new
        snapshot that says why: `not-kept`. One that reads too slowly gets the last change of each contact, under ids of
        the form `REVISION.BEGIN.END`, and in the end a snapshot with the reason `behind`. Send ids back as they came.
        """
        if context.log.is_silent:
            raise NotCommitted
        wanted = broadcast.shared(ViewKey(query.filter(who), who.details)).wanted
        view = SubscriberView(context.reader, context.store, context.json, frames, wanted, who)
        subscriber = Subscriber(context.log, view, last_event_id or query.last_event_id or None, context.core.meter)
        slot = partial(context.authenticator.slots.take, context.authenticator.client(request, who), stream=True)
        audited = context.audit.stream(request.scope, who, view.most_shown, slot)
        return EventStream(subscriber, audited, broadcast, context.authenticator, context.clock, keep_alive)

    return routes
