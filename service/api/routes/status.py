"""How the service is doing, and two orders to it: read from the server now, go to another node."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from pws_soap.models import MAX_CONTACTS_PER_SUBSCRIPTION
from service.access.principal import Principal, Scope
from service.api.context import Context
from service.api.etags import plain
from service.api.models import FailoverView, RefreshView, StatusView
from service.api.parameters.checks import ContactText, no_query
from service.api.problems import ContactNotWatched, InvalidParameters, WrongParameter
from service.api.responses import INVALID, NOT_AVAILABLE, NOT_WATCHED, TOO_LARGE
from service.core.engine import NoSuchEndUser, NoSuchNode


class RefreshBody(BaseModel):
    """What to read."""

    model_config = ConfigDict(extra="forbid", title="RefreshRequest")

    contacts: list[ContactText] | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_CONTACTS_PER_SUBSCRIPTION,
        description="watched contacts to read again; without it, whatever is new in all subscriptions",
        examples=[["ann@example.com"]],
    )


class FailoverBody(BaseModel):
    """Who goes where."""

    model_config = ConfigDict(extra="forbid", title="FailoverRequest")

    node: str = Field(
        min_length=1, max_length=300, description="as in the configuration or the status", examples=["imp1.example.com"]
    )
    end_user: str | None = Field(default=None, description="all of them by default")


def router(context: Context) -> APIRouter:
    """`/v1/status`, `/v1/refresh` and `/v1/failover`."""
    routes = APIRouter(prefix="/v1", tags=["service"], dependencies=[Depends(no_query)])
    # As a default value: FastAPI reads annotations without the names that are known here.
    reader, admin = (
        Depends(context.authenticator.require(Scope.READ)),
        Depends(context.authenticator.require(Scope.ADMIN)),
    )

    @routes.get(
        "/status",
        summary="How the service is doing",
        operation_id="getStatus",
        responses={200: {"model": StatusView, "description": "The state of everything, without secrets"}, **INVALID},
    )
    async def status(who: Principal = reader) -> Response:
        """`problems` says in words what is wrong and since when. A key that is limited sees that something is wrong."""
        shown, now = context.engine.status(), context.clock.now()
        if who.limited:
            view = StatusView.limited(shown, context.version, now)
        else:
            view = StatusView.of(
                shown,
                context.store.summary(),
                context.webhooks.status(),
                context.facade.status(),
                context.version,
                now,
            )
        return plain(view.as_json())

    @routes.post(
        "/refresh",
        summary="Read from the server now",
        operation_id="refreshPresence",
        responses={
            200: {"model": RefreshView, "description": "What was read"},
            **NOT_WATCHED,
            **TOO_LARGE,
            **INVALID,
            **NOT_AVAILABLE,
        },
    )
    async def refresh(
        request: Request, body: Annotated[RefreshBody | None, Body()] = None, who: Principal = admin
    ) -> Response:
        """Usually not needed: changes come by themselves. Answers when the server has answered."""
        contacts = list(dict.fromkeys(body.contacts)) if body is not None and body.contacts is not None else None
        strangers = [contact for contact in contacts or () if context.store.get(contact) is None]
        if strangers:
            raise ContactNotWatched(strangers)
        context.audit.changed(request.scope, who, contacts)
        report = await context.engine.refresh(contacts)
        return plain(RefreshView.of(report, context.store.revision).model_dump_json().encode())

    @routes.post(
        "/failover",
        summary="Take end users to another node",
        operation_id="failOver",
        status_code=202,
        responses={202: {"model": FailoverView, "description": "They are on their way"}, **TOO_LARGE, **INVALID},
    )
    async def failover(request: Request, body: Annotated[FailoverBody, Body()], who: Principal = admin) -> Response:
        """The service leaves a node that fails by itself, and stays where it went. This takes it back, or away."""
        try:
            node = context.engine.move(body.node, body.end_user)
        except (NoSuchNode, NoSuchEndUser) as error:
            field = "node" if isinstance(error, NoSuchNode) else "end_user"
            raise InvalidParameters(WrongParameter("body", field, f"one of {', '.join(error.known)}")) from None
        context.audit.changed(request.scope, who, node=node, end_user=body.end_user)
        view = FailoverView(node=node, end_user=body.end_user)
        return plain(view.model_dump_json().encode(), 202)

    return routes
