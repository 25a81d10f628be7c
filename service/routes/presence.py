"""Who is free: one contact, many contacts, and how many are in which state."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from pws_soap.models import PresenceState
from service.engine import NotAvailable
from service.explaining import ExplainedContactView, ExplainView
from service.freshness import Level
from service.problems import ContactNotWatched, shortened
from service.query import MAX_CURSOR, Filter
from service.routes.answers import INVALID, NOT_WATCHED, contact_uri, documented, no_query, tagged
from service.routes.context import Context
from service.views import ContactListView, SummaryView

MAX_LIMIT = 1000
DEFAULT_LIMIT = 100


MaxAge = Annotated[
    float | None,
    Field(
        ge=0,
        le=86400,
        allow_inf_nan=False,
        description="seconds; what was confirmed longer ago is read from the server first, and is stale in this answer "
        "where that is not possible; Cache-Status says what happened",
    ),
]


class ContactQuery(BaseModel):
    """How old the answer may be, and how much it tells."""

    model_config = ConfigDict(extra="forbid")

    max_age: MaxAge = None
    explain: bool = Field(default=False, description="tell why it is so, and all that the document says")


class ListQuery(BaseModel):
    """Which contacts, and how many. A parameter that is given several times means any of its values."""

    model_config = ConfigDict(extra="forbid")

    state: list[PresenceState] = Field(default=[], description="the last known state", examples=[["AVAILABLE"]])
    activity: list[Annotated[str, Field(min_length=1, max_length=100)]] = Field(
        default=[], description="an activity, such as on-the-phone or meeting", examples=[["on-the-phone"]]
    )
    group: list[Annotated[str, Field(min_length=1, max_length=200)]] = Field(
        default=[], description="a group of the configuration"
    )
    freshness: list[Level] = Field(default=[], description="how sure the state is", examples=[["live"]])
    available: bool | None = Field(
        default=None, description="free or not; with one group by its rule, else by the rules of each contact's groups"
    )
    q: str | None = Field(
        default=None, min_length=1, max_length=200, description="a part of the contact's URI or display name"
    )
    limit: int = Field(default=DEFAULT_LIMIT, ge=1, le=MAX_LIMIT, description="contacts on a page")
    cursor: str | None = Field(default=None, max_length=MAX_CURSOR, description="next_cursor of the page before")
    max_age: MaxAge = None

    def filter(self) -> Filter:
        """The same as the query module takes it."""
        return Filter(
            frozenset(self.state),
            frozenset(activity.casefold() for activity in self.activity),
            frozenset(self.group),
            frozenset(self.freshness),
            (self.q or "").casefold(),
            self.available,
        )


def router(context: Context) -> APIRouter:
    """`/v1/presence`, `/v1/presence/{contact}`, `/v1/summary`."""
    routes = APIRouter(prefix="/v1", tags=["presence"])

    @routes.get(
        "/presence",
        summary="All contacts, or those that pass the filters",
        responses={**documented(ContactListView, "A page of contacts, ordered by contact"), **INVALID},
    )
    async def contacts(request: Request, query: Annotated[ListQuery, Query()]) -> Response:
        """Filters of different kinds must all hold; of one kind, any of the values.

        Pages stay consistent while presence changes: a contact that is watched all the time is on exactly one of them.
        """
        began = context.clock.monotonic()
        wanted = query.filter()
        older = [] if query.max_age is None else context.reader.older(query.max_age, wanted)
        story = await _read_through(context, older, query.max_age)
        bound = _bound(context, query.max_age, began)
        page = context.reader.page(wanted, query.limit, query.cursor, bound)
        return _told(tagged(request, context.json.page(page)), story)

    @routes.get(
        "/presence/{contact}",
        summary="One contact",
        responses={**documented(ExplainedContactView, "The contact"), **NOT_WATCHED, **INVALID},
    )
    async def contact(
        request: Request,
        contact: Annotated[str, Path(description="user@domain, in any case", examples=["ann@example.com"])],
        query: Annotated[ContactQuery, Query()],
    ) -> Response:
        """A state that cannot be confirmed is still shown, beside its age: `freshness` says how sure it is.

        With `explain=true` the answer also has `explain`: which element of the document decided, and why it is
        available or not.
        """
        try:
            uri = contact_uri(contact)
        except ValueError as error:
            raise RequestValidationError(
                [{"type": "value_error", "loc": ("path", "contact"), "msg": f"Value error, {error}"}]
            ) from None
        began = context.clock.monotonic()
        known = context.reader.one(uri)
        if known is None:
            raise ContactNotWatched([uri])
        story = None
        if query.max_age is not None:
            exactly = Filter(text=known.record.key)
            older = [each for each in context.reader.older(query.max_age, exactly) if each == known.record.contact]
            story = await _read_through(context, older, query.max_age)
            known = context.reader.one(uri, _bound(context, query.max_age, began))
            if known is None:
                raise ContactNotWatched([uri])
        body = context.json.one(known)
        if query.explain:
            why = ExplainView.of(known, context.reader.opinions(known), context.reader.bound)
            body = b'%b,"explain":%b}' % (body[:-1], why.model_dump_json().encode())
        return _told(tagged(request, body), story)

    @routes.get(
        "/summary",
        summary="How many are in which state",
        responses={**documented(SummaryView, "Counts of all contacts and of each group"), **INVALID},
        dependencies=[Depends(no_query)],
    )
    async def summary(request: Request) -> Response:
        """`by_state` counts the last known state of each contact; `by_freshness` says how many of them are live."""
        return tagged(request, SummaryView.of(context.reader.summary()).model_dump_json().encode())

    return routes


async def _read_through(context: Context, older: list[str], max_age: float | None) -> str | None:
    """Read what is too old; what to tell of it in Cache-Status (RFC 9211), None where nothing was asked."""
    if max_age is None:
        return None
    if not older:
        return "pws-presence; hit"
    try:
        report = await context.engine.read(older)
    except NotAvailable as error:
        reason = error.reason
    else:
        if not report.failures:
            return "pws-presence; fwd=stale"
        reason = report.failures[0].reason
    safe = "".join(char if " " <= char <= "~" and char not in '"\\' else "?" for char in shortened(reason))
    return f'pws-presence; hit; detail="could not be read: {safe}"'


def _bound(context: Context, max_age: float | None, began: float) -> float | None:
    """What was read while the answer was being made is not too old for it."""
    return None if max_age is None else max_age + context.clock.monotonic() - began


def _told(answer: Response, story: str | None) -> Response:
    if story is not None:
        answer.headers["Cache-Status"] = story
    return answer
