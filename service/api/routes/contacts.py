"""What is watched, and changing it while the service runs. What is added here lasts until the service ends."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Body, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from starlette.responses import Response

from pws_soap.models import MAX_CONTACTS_PER_SUBSCRIPTION, same_contact
from service.access.principal import Principal, Scope
from service.api.context import Context
from service.api.etags import plain
from service.api.models import AddedView, WatchedListView, WatchedView
from service.api.parameters.checks import ContactPath, ContactText, no_query, path_contact
from service.api.paths import CONTACT
from service.api.problems import ContactNotWatched, InvalidParameters, WrongParameter
from service.api.responses import INVALID, NOT_WATCHED, TOO_LARGE
from service.core.engine import NoSuchEndUser, Watched
from service.core.presence.sorting import in_order
from service.core.presence.steps import Steps, in_turns, slices

_VIEWS: Final = TypeAdapter(list[WatchedView])


class AddBody(BaseModel):
    """What to watch."""

    model_config = ConfigDict(extra="forbid", title="AddContactsRequest")

    contacts: list[ContactText] = Field(
        min_length=1,
        max_length=MAX_CONTACTS_PER_SUBSCRIPTION,
        description="user@domain each",
        examples=[["ann@example.com"]],
    )
    end_user: str | None = Field(default=None, description="whose subscription they join; the first one's by default")


class RemoveQuery(BaseModel):
    """What to watch no longer."""

    model_config = ConfigDict(extra="forbid")

    # More would not fit into a URL.
    contact: list[ContactText] = Field(min_length=1, max_length=100, description="may be given up to 100 times")


def router(context: Context) -> APIRouter:
    """`/v1/contacts` and `/v1/contacts/{contact}`."""
    routes = APIRouter(prefix="/v1", tags=["contacts"])
    # As a default value: FastAPI reads annotations without the names that are known here.
    reader, admin = (
        Depends(context.authenticator.require(Scope.READ)),
        Depends(context.authenticator.require(Scope.ADMIN)),
    )

    @routes.get(
        "/contacts",
        summary="What is watched",
        operation_id="listContacts",
        responses={200: {"model": WatchedListView, "description": "All contacts, and through whom"}, **INVALID},
        dependencies=[Depends(no_query)],
    )
    async def contacts(request: Request, who: Principal = reader) -> Response:
        """`configured` tells those of the configuration from those that were added while the service runs.

        A key that is limited to groups sees their contacts only.
        """
        (body, shown), _ = await in_turns(_listed(context, who), context.clock)
        context.audit.look(request.scope, who, shown)
        return plain(body)

    @routes.post(
        "/contacts",
        summary="Watch more contacts",
        operation_id="addContacts",
        responses={200: {"model": AddedView, "description": "Which of them are new"}, **TOO_LARGE, **INVALID},
        dependencies=[Depends(no_query)],
    )
    async def add(request: Request, body: Annotated[AddBody, Body()], who: Principal = admin) -> Response:
        """They are in every answer at once, with freshness `unknown` until the server has told of them."""
        asked = list(dict.fromkeys(body.contacts))
        try:
            added = context.engine.watch(asked, body.end_user)
        except NoSuchEndUser as error:
            raise InvalidParameters(WrongParameter("body", "end_user", _one_of(error.known))) from None
        context.audit.changed(request.scope, who, added, end_user=body.end_user)
        await context.engine.followed()
        new = set(added)
        view = AddedView(added=list(added), known=[each for each in asked if each not in new])
        return plain(view.model_dump_json().encode())

    @routes.delete(
        f"/contacts/{CONTACT}",
        summary="Watch a contact no longer",
        operation_id="removeContact",
        status_code=204,
        responses={**NOT_WATCHED, **INVALID},
        dependencies=[Depends(no_query)],
    )
    async def remove(request: Request, contact: ContactPath, who: Principal = admin) -> Response:
        """It leaves every answer at once. One of the configuration is back when the service starts anew."""
        uri = path_contact(contact)
        if not context.engine.unwatch([uri]):
            raise ContactNotWatched([uri])
        context.audit.changed(request.scope, who, [uri])
        await context.engine.followed()
        return Response(status_code=204)

    @routes.delete(
        "/contacts",
        summary="Watch several contacts no longer",
        operation_id="removeContacts",
        status_code=204,
        responses={**NOT_WATCHED, **INVALID},
    )
    async def remove_several(
        request: Request, query: Annotated[RemoveQuery, Query()], who: Principal = admin
    ) -> Response:
        """All or none: one that is not watched makes it 404 and leaves the others."""
        await context.engine.followed()
        strangers = [each for each in query.contact if context.store.get(each) is None]
        if strangers:
            raise ContactNotWatched(strangers)
        context.engine.unwatch(query.contact)
        context.audit.changed(request.scope, who, query.contact)
        await context.engine.followed()
        return Response(status_code=204)

    return routes


def _listed(context: Context, who: Principal) -> Steps[tuple[bytes, int]]:
    """A `WatchedListView` of what `who` may see, and how many that are, made in steps: there may be very many."""
    visible: list[Watched] = []
    for part in slices(context.engine.watched()):
        visible += [each for each in part if context.reader.is_visible(same_contact(each.contact), who.groups)]
        yield
    ordered = yield from in_order(visible, lambda each: each.contact.casefold())
    written: list[bytes] = []
    for part in slices(ordered):
        views = [
            WatchedView.model_construct(
                contact=each.contact, end_user=None if who.limited else each.end_user, configured=each.configured
            )
            for each in part
        ]
        written.append(_VIEWS.dump_json(views)[1:-1])
        yield
    return b'{"contacts":[%b],"total":%d}' % (b",".join(written), len(ordered)), len(ordered)


def _one_of(known: tuple[str, ...]) -> str:
    return "one of the end users " + ", ".join(known)
