"""Who is free: one contact, many contacts, and how many are in which state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from service.access.principal import Principal, Scope
from service.api import visibility
from service.api.answers import ContactAnswer, contact_answer, summary_answer
from service.api.context import Context
from service.api.etags import JSON, Representation, Tags, tagged
from service.api.long_poll import answer
from service.api.models import AnyListView, AnySummaryView
from service.api.models.explain import ContactAnswerView, ExplainView
from service.api.negotiation import preferred
from service.api.parameters.checks import ContactPath, check_query, no_query, path_contact
from service.api.parameters.presence import ContactQuery, ListQuery
from service.api.paths import CONTACT
from service.api.problems import ContactNotWatched, shortened
from service.api.responses import EXPIRED, INVALID, NOT_ACCEPTABLE, NOT_WATCHED, documented
from service.api.writers import csv_table
from service.api.writers.fields import COLUMNS, FIELDS
from service.core.engine import NotAvailable
from service.core.presence.query import Filter, Page, Unknown

_FORMS: Final = (JSON, csv_table.MEDIA_TYPE)
_PREFER: Final[dict[str, Any]] = {  # Any: a fragment of OpenAPI
    "parameters": [
        {
            "name": name,
            "in": "header",
            "required": False,
            "schema": {"type": "string"},
            "description": description,
        }
        for name, description in (
            ("If-None-Match", "entity tags of answers that the client has"),
            ("Prefer", "wait=N: up to N seconds, 1 to 300, for the next change; with If-None-Match since that answer"),
        )
    ]
}
_CSV: Final[dict[str, Any]] = {
    "schema": {"type": "string"},
    "example": "contact,state,available\r\nann@example.com,BUSY,false\r\n",
}
_LINK: Final = {"schema": {"type": "string"}, "description": 'rel="next": the next page, where there is one'}


def router(context: Context) -> APIRouter:
    """`/v1/presence`, `/v1/presence/{contact}`, `/v1/summary`."""
    routes = APIRouter(prefix="/v1", tags=["presence"])
    reads = Depends(context.authenticator.require(Scope.READ))
    listed = documented(AnyListView, "A page of contacts, as sort orders them")
    listed[200]["content"] = {csv_table.MEDIA_TYPE: _CSV}
    listed[200]["headers"] = listed[200]["headers"] | {"Link": _LINK}

    @routes.get(
        "/presence",
        summary="All contacts, or those that pass the filters",
        operation_id="listPresence",
        responses={**listed, **NOT_ACCEPTABLE, **EXPIRED, **INVALID},
        openapi_extra=_PREFER,
    )
    async def contacts(request: Request, query: Annotated[ListQuery, Query()], who: Principal = reads) -> Response:
        """Filters of different kinds must all hold; of one kind, any of the values.

        Pages stay consistent while presence changes: a contact that passes all the time is on exactly one of them. A
        cursor lasts for ten minutes after its last use, unless very many are in use; sorted by contact, for ever.
        `Accept: text/csv` makes the list a table.
        """
        check_query(request, "available", "q", "sort", "limit", "cursor", "max_age")
        form = preferred(request.headers.get("accept", ""), _FORMS)
        wanted, sort, fields = query.filter(who), query.order(who), query.shown(who)
        if form == csv_table.MEDIA_TYPE and "devices" in query.fields:
            raise Unknown("fields", "columns, one or more of " + ", ".join(COLUMNS))

        client = context.authenticator.client(request, who)

        async def make(bound: float | None = None) -> Representation:
            stamp = context.kept.stamp
            page = await context.reader.page(
                wanted, query.limit, query.cursor, bound, sort=sort, key_name=who.name, client=client
            )
            if not who.details:
                page = replace(page, contacts=tuple(context.brief(snapshot, who.groups) for snapshot in page.contacts))
            representation = _represent(context, page, form, fields, _next(request, page.cursor))
            if form == JSON and bound is None:
                context.kept.keep(*_question(request, who), representation, page.until, stamp, order=page.order)
            return representation

        if query.max_age is not None:
            began = context.clock.monotonic()
            older = await context.reader.not_confirmed_within(query.max_age, wanted)
            story = await _read_through(context, who, older)
            representation = await make(query.max_age + context.clock.monotonic() - began)
            return _at_once(context, request, who, representation, story, form)
        seen = visibility.visible_state(context.reader, wanted, {*(fields or FIELDS), sort.by}, details=who.details)
        return await answer(context, request, who, make, lambda event: visibility.is_visible_change(event, seen), form)

    @routes.get(
        f"/presence/{CONTACT}",
        summary="One contact",
        operation_id="getPresence",
        responses={
            **documented(ContactAnswerView, "The contact"),
            **NOT_WATCHED,
            **INVALID,
        },
        openapi_extra=_PREFER,
    )
    async def contact(
        request: Request,
        contact: ContactPath,
        query: Annotated[ContactQuery, Query()],
        who: Principal = reads,
    ) -> Response:
        """A state that cannot be confirmed is still shown, beside its age: `freshness` says how sure it is.

        With `explain=true` the answer also has `explain`: which element of the document decided, and why it is
        available or not.
        """
        check_query(request, "max_age", "explain")
        uri, fields = path_contact(contact), query.shown(who)

        def find(bound: float | None = None) -> ContactAnswer:
            found = contact_answer(context, who, uri, fields, bound)
            if found is None:
                raise ContactNotWatched([uri])
            return found

        async def make(bound: float | None = None) -> Representation:
            stamp = context.kept.stamp
            snapshot, representation, until = find(bound)
            if query.explain:
                why = ExplainView.of(snapshot, context.reader.opinions(snapshot, who.groups), context.reader.bound)
                body = b'%b,"explain":%b}' % (representation.body[:-1], why.model_dump_json().encode())
                return Representation(body, shown=1)
            if bound is None:
                context.kept.keep(*_question(request, who), representation, until, stamp, contact=uri)
            return representation

        snapshot = find().snapshot
        if query.max_age is not None:
            began = context.clock.monotonic()
            older = await context.reader.not_confirmed_within(query.max_age, Filter(text=snapshot.record.key))
            story = await _read_through(context, who, [each for each in older if each == snapshot.record.contact])
            representation = await make(query.max_age + context.clock.monotonic() - began)
            return _at_once(context, request, who, representation, story)
        key = snapshot.record.key
        shown = visibility.visible_state(
            context.reader, Filter(within=who.groups), fields or FIELDS, details=who.details
        )
        seen: visibility.Seen = (lambda snapshot: snapshot) if query.explain else shown
        return await answer(context, request, who, make, lambda event: visibility.is_visible_change(event, seen, key))

    @routes.get(
        "/summary",
        summary="How many are in which state",
        operation_id="getSummary",
        responses={
            **documented(AnySummaryView, "Counts of all contacts and of each group"),
            **INVALID,
        },
        dependencies=[Depends(no_query)],
        openapi_extra=_PREFER,
    )
    async def summary(request: Request, who: Principal = reads) -> Response:
        """`by_state` counts the last known state of each contact; `by_freshness` says how many of them are live."""

        async def make() -> Representation:
            stamp = context.kept.stamp
            counts = await context.core.counts.summary(who.groups)
            representation = summary_answer(context, who, counts)
            context.kept.keep(*_question(request, who), representation, counts.until, stamp)
            return representation

        seen = visibility.of_summary(context.reader, who.groups, details=who.details)
        return await answer(context, request, who, make, lambda event: visibility.is_visible_change(event, seen))

    return routes


def _question(request: Request, who: Principal) -> tuple[str, bytes, Principal]:
    """Who asks for what."""
    return request.scope["path"], request.scope["query_string"], who


def _represent(
    context: Context, page: Page, form: str, fields: Sequence[str] | None, links: Mapping[str, str]
) -> Representation:
    """A page in one of its forms."""
    if form == JSON:
        return Representation(context.json.page(page, fields), JSON, links, len(page.contacts))
    columns = [name for name in fields or COLUMNS if name in COLUMNS]
    disposition = {"Content-Disposition": 'attachment; filename="presence.csv"'}
    table = csv_table.table(page.contacts, columns)
    return Representation(table, csv_table.CONTENT_TYPE, disposition | dict(links), len(page.contacts))


def _next(request: Request, cursor: str | None) -> Mapping[str, str]:
    """The header that leads to the next page."""
    if cursor is None:
        return {}
    query = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
    return {"Link": f'<{request.scope["path"]}?{urlencode([*query, ("cursor", cursor)])}>; rel="next"'}


def _at_once(
    context: Context, request: Request, who: Principal, representation: Representation, story: str, form: str = JSON
) -> Response:
    """An answer that reads through: it has asked the server, and does not wait for a change as well."""
    tags = Tags.of_request(request, who, form)
    response = tagged(representation, tags, context.log.last, {"Cache-Status": story})
    context.audit.look(request.scope, who, representation.shown, unchanged=response.status_code == 304)
    return response


async def _read_through(context: Context, who: Principal, older: list[str]) -> str:
    """Read what is too old; what to tell of it in Cache-Status (RFC 9211)."""
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
    if who.limited:  # a reason may name nodes and users
        return 'pws-presence; hit; detail="could not be read"'
    safe = "".join(char if " " <= char <= "~" and char not in '"\\' else "?" for char in shortened(reason))
    return f'pws-presence; hit; detail="could not be read: {safe}"'
