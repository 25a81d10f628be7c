"""Which problem document an error becomes: the one place where an exception turns into an answer.

What is refused on purpose is a `RequestRefused` already. Exceptions of core and of the framework are translated into
one: `_TRANSLATIONS` is the table. The handler is a coroutine although it waits for nothing: Starlette runs others in a
thread.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match, Route

from service.access.errors import RequestRefused
from service.api.paths import asked, root_of
from service.api.problems import InvalidParameters, WrongParameter, problem, shortened
from service.core.engine import NotAvailable
from service.core.events.commits import NotCommitted
from service.core.events.history import HistoryOff
from service.core.presence.cursors import CursorExpired
from service.core.presence.query import Unknown

_BY_STATUS: Final = {404: "not-found", 405: "method-not-allowed", 413: "body-too-large", 500: "internal-error"}
_NO_OBJECT: Final = "model_attributes_type"
"""What pydantic calls a body that is no JSON object, or that FastAPI left alone since it is not called JSON."""
_JSON: Final = re.compile(r"application/(.+\+)?json")
_WORDS: Final = {
    "bool_parsing": "true or false",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number, and no such long one",
    "float_parsing": "a number",
    "missing": "a value",
    "extra_forbidden": "no parameter of this name",
    "json_invalid": "a JSON document",
    _NO_OBJECT: "a JSON object",
}


def install(app: Starlette) -> None:
    """Make every error of `app` a problem document."""
    app.add_exception_handler(RequestRefused, _answer)
    for exception in _TRANSLATIONS:
        app.add_exception_handler(exception, _answer)


async def _answer(request: Request, error: Exception) -> Response:
    refused = error if isinstance(error, RequestRefused) else _translated(request, error)
    # The path as it was asked for: in `request.url` a strange Host header may become a part of it.
    return problem(refused, *asked(request.scope))


def _translated(request: Request, error: Exception) -> RequestRefused:
    return next(translate(request, error) for kind, translate in _TRANSLATIONS.items() if isinstance(error, kind))


# Any: each function takes the exception that it is registered for.
def _http(request: Request, error: Any) -> RequestRefused:
    if error.status_code == 400:  # FastAPI could not read the body, such as one that is no UTF-8
        return InvalidParameters(WrongParameter("body", "body", "a JSON document"))
    detail = {
        404: f"No such path; {root_of(request.scope)}/docs lists those that there are",
        405: f"{request.method} is not possible here",
    }.get(error.status_code, str(error.detail))
    headers = dict(error.headers or {})
    if error.status_code == 405 and (allowed := _allowed(request)):
        headers["Allow"] = ", ".join(allowed)  # of all routes with this path: Starlette's own is of the first
    return RequestRefused(detail, headers, kind=_BY_STATUS.get(error.status_code, ""), status=error.status_code)


def _allowed(request: Request) -> list[str]:
    """The methods that the routes of this path know."""
    found: dict[str, None] = {}
    for route in request.app.routes:
        if isinstance(route, Route) and route.matches(request.scope)[0] is Match.PARTIAL:
            found |= dict.fromkeys(sorted(route.methods or ()))
    return list(found)


def _invalid(request: Request, error: Any) -> RequestRefused:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if any(each.get("type") == _NO_OBJECT for each in error.errors()) and not _JSON.fullmatch(media_type):
        # The body was not even looked at.
        expected = f"application/json, {f'not {shortened(media_type)}' if media_type else 'and there is none'}"
        return InvalidParameters(WrongParameter("header", "Content-Type", expected))
    return InvalidParameters(*map(_wrong, error.errors()))


def _unknown(_request: Request, error: Any) -> RequestRefused:
    return InvalidParameters(WrongParameter("query", error.parameter, error.expected))


def _cursor_expired(_request: Request, _error: Any) -> RequestRefused:
    detail = "The order of these pages is kept no longer; ask without a cursor to begin anew"
    return RequestRefused(detail, kind="cursor-expired")


def _history_off(_request: Request, _error: Any) -> RequestRefused:
    detail = "No history is kept; history.per_contact in the configuration turns it on"
    return RequestRefused(detail, kind="history-off")


def _not_available(_request: Request, error: Any) -> RequestRefused:
    headers = {"Retry-After": str(max(1, round(error.retry_after)))} if error.retry_after is not None else None
    return RequestRefused(error.reason, headers, kind="server-not-available")


def _not_committed(_request: Request, _error: Any) -> RequestRefused:
    detail = (
        "The replica that owns the sessions cannot say now whether this was done: ask again soon, for a claim with the "
        "same Idempotency-Key"
    )
    return RequestRefused(detail, {"Retry-After": "3"}, kind="no-owner")


_TRANSLATIONS: Final[Mapping[type[Exception], Callable[[Request, Any], RequestRefused]]] = {
    HTTPException: _http,
    RequestValidationError: _invalid,
    Unknown: _unknown,
    CursorExpired: _cursor_expired,
    HistoryOff: _history_off,
    NotAvailable: _not_available,
    NotCommitted: _not_committed,
}
"""Exceptions of core and of the framework, and what each is to a client."""


# Any: pydantic describes its errors in plain dictionaries.
def _wrong(error: Mapping[str, Any]) -> WrongParameter:
    where, *rest = error.get("loc", ()) or ("body",)
    name = ""
    for part in rest:
        name += f"[{part}]" if isinstance(part, int) else f".{part}" if name else str(part)
    kind = error.get("type", "")
    if kind == "json_invalid":
        name = ""
    return WrongParameter(str(where), name or str(where), _WORDS.get(kind) or _expected(str(error.get("msg", ""))))


def _expected(message: str) -> str:
    """What an error's message asks for. Pydantic's own are "Input should be ..."; ours say nothing else."""
    subject, *rest = message.split(" ", 3)
    if len(rest) == 3 and rest[0] == "should" and rest[1] in {"be", "have"} and subject.isidentifier():
        return rest[2]
    return message
