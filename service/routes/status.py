"""How the service is doing, and the order to read from the server now."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Depends
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from starlette.responses import Response

from pws_soap.models import MAX_CONTACTS_PER_SUBSCRIPTION
from service.problems import ContactNotWatched
from service.routes.answers import (
    INVALID,
    NOT_AVAILABLE,
    NOT_WATCHED,
    TOO_LARGE,
    contact_uri,
    no_query,
    plain,
)
from service.routes.context import Context
from service.views import RefreshView, StatusView


class RefreshBody(BaseModel):
    """What to read."""

    model_config = ConfigDict(extra="forbid", title="RefreshRequest")

    contacts: list[Annotated[str, AfterValidator(contact_uri)]] | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_CONTACTS_PER_SUBSCRIPTION,
        description="watched contacts to read again; without it, whatever is new in all subscriptions",
        examples=[["ann@example.com"]],
    )


def router(context: Context) -> APIRouter:
    """`/v1/status` and `/v1/refresh`."""
    routes = APIRouter(prefix="/v1", tags=["service"], dependencies=[Depends(no_query)])

    @routes.get(
        "/status",
        summary="How the service is doing",
        responses={200: {"model": StatusView, "description": "The state of everything, without secrets"}, **INVALID},
    )
    async def status() -> Response:
        """`problems` says in words what is wrong and since when."""
        view = StatusView.of(context.engine.status(), context.store.summary(), context.version, context.clock.now())
        return plain(view.model_dump_json().encode())

    @routes.post(
        "/refresh",
        summary="Read from the server now",
        responses={
            200: {"model": RefreshView, "description": "What was read"},
            **NOT_WATCHED,
            **TOO_LARGE,
            **INVALID,
            **NOT_AVAILABLE,
        },
    )
    async def refresh(body: Annotated[RefreshBody | None, Body()] = None) -> Response:
        """Usually not needed: changes come by themselves. Answers when the server has answered."""
        contacts = list(dict.fromkeys(body.contacts)) if body is not None and body.contacts is not None else None
        strangers = [contact for contact in contacts or () if context.store.get(contact) is None]
        if strangers:
            raise ContactNotWatched(strangers)
        report = await context.engine.refresh(contacts)
        return plain(RefreshView.of(report, context.store.revision).model_dump_json().encode())

    return routes
