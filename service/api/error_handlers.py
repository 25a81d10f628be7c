"""Which problem document becomes of which error: the one place where an exception turns into an answer.

The handlers are coroutines although they wait for nothing: Starlette runs others in a thread.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match, Route

from service.access.errors import AccessRefused
from service.access.stream_slots import TooMany
from service.api.negotiation import NotAcceptable
from service.api.problems import ContactNotWatched, problem, refusal, shortened
from service.core.engine import NotAvailable
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
}
_STREAMS_RETRY: Final = 5
"""Seconds after which one may try again for a stream: others come and go."""


def install(app: Starlette) -> None:
    """Make every error of `app` a problem document, in its answers and in its description."""
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Unknown, _unknown)
    app.add_exception_handler(CursorExpired, _cursor_expired)
    app.add_exception_handler(NotAcceptable, _not_acceptable)
    app.add_exception_handler(HistoryOff, _history_off)
    app.add_exception_handler(ContactNotWatched, _not_watched)
    app.add_exception_handler(NotAvailable, _not_available)
    app.add_exception_handler(AccessRefused, _not_let_in)
    app.add_exception_handler(TooMany, _too_many)


def _path(request: Request) -> str:
    """As it was asked for: in `request.url` a strange Host header may become a part of it."""
    return str(request.scope["path"])


# Starlette registers handlers by the exception's class and types them with the base class, hence the assertions.


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    if error.status_code == 400:  # FastAPI could not read the body, such as one that is no UTF-8
        return _refused(request, [{"in": "body", "parameter": "body", "expected": "a JSON document"}])
    kind = _BY_STATUS.get(error.status_code, "")
    detail = {
        404: "No such path; /docs lists those that there are",
        405: f"{request.method} is not possible here",
    }.get(error.status_code, str(error.detail))
    headers = dict(error.headers or {})
    if error.status_code == 405 and (allowed := _allowed(request)):
        headers["Allow"] = ", ".join(allowed)  # of all routes with this path: Starlette's own is of the first
    return problem(kind, error.status_code, detail, _path(request), headers=headers)


def _allowed(request: Request) -> list[str]:
    """The methods that the routes of this path know."""
    found: dict[str, None] = {}
    for route in request.app.routes:
        if isinstance(route, Route) and route.matches(request.scope)[0] is Match.PARTIAL:
            found |= dict.fromkeys(sorted(route.methods or ()))
    return list(found)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if any(each.get("type") == _NO_OBJECT for each in error.errors()) and not _JSON.fullmatch(kind):
        # The body was not even looked at.
        expected = f"application/json, {f'not {shortened(kind)}' if kind else 'and there is none'}"
        return _refused(request, [{"in": "header", "parameter": "Content-Type", "expected": expected}])
    return _refused(request, [_told(each) for each in error.errors()])


async def _unknown(request: Request, error: Exception) -> Response:
    assert isinstance(error, Unknown)  # noqa: S101
    return _refused(request, [{"in": "query", "parameter": error.parameter, "expected": error.expected}])


async def _cursor_expired(request: Request, _error: Exception) -> Response:
    detail = "The order of these pages is kept no longer; ask without a cursor to begin anew"
    return problem("cursor-expired", 410, detail, _path(request))


async def _not_acceptable(request: Request, error: Exception) -> Response:
    assert isinstance(error, NotAcceptable)  # noqa: S101
    return problem("not-acceptable", 406, f"There is {' and '.join(error.offers)}", _path(request))


async def _history_off(request: Request, _error: Exception) -> Response:
    detail = "No history is kept; history.per_contact in the configuration turns it on"
    return problem("history-off", 404, detail, _path(request))


async def _not_watched(request: Request, error: Exception) -> Response:
    assert isinstance(error, ContactNotWatched)  # noqa: S101
    names = ", ".join(shortened(contact) for contact in error.contacts[:5])
    more = f" and {len(error.contacts) - 5} more" if len(error.contacts) > 5 else ""
    verb = "is" if len(error.contacts) == 1 else "are"
    detail = f"{names}{more} {verb} not among the contacts that are watched"
    return problem("contact-not-watched", 404, detail, _path(request))


async def _not_available(request: Request, error: Exception) -> Response:
    assert isinstance(error, NotAvailable)  # noqa: S101
    headers = {"Retry-After": str(max(1, round(error.retry_after)))} if error.retry_after is not None else None
    return problem("server-not-available", 503, error.reason, _path(request), headers=headers)


async def _not_let_in(request: Request, error: Exception) -> Response:
    assert isinstance(error, AccessRefused)  # noqa: S101
    return refusal(error, _path(request))


async def _too_many(request: Request, error: Exception) -> Response:
    assert isinstance(error, TooMany)  # noqa: S101
    headers = {"Retry-After": str(_STREAMS_RETRY)}
    detail = f"{error.whose[:1].upper()}{error.whose[1:]} limit of {error.limit} open streams and requests is reached"
    return problem("too-many-streams", 429, detail, _path(request), headers=headers)


def _refused(request: Request, errors: list[dict[str, str]]) -> Response:
    told = "; ".join(f"{each['parameter']}: expected {each['expected']}" for each in errors[:5])
    more = f"; and {len(errors) - 5} more" if len(errors) > 5 else ""
    return problem("invalid-parameters", 422, told + more, _path(request), errors=errors)


# Any: pydantic describes its errors in plain dictionaries.
def _told(error: Mapping[str, Any]) -> dict[str, str]:
    where, *rest = error.get("loc", ()) or ("body",)
    name = ""
    for part in rest:
        name += f"[{part}]" if isinstance(part, int) else f".{part}" if name else str(part)
    kind = error.get("type", "")
    if kind == "json_invalid":
        name, expected = str(where), "a JSON document"
    elif kind == _NO_OBJECT:
        expected = "a JSON object"
    elif kind == "extra_forbidden":
        expected = "no parameter of this name"
    elif kind in _WORDS:
        expected = _WORDS[kind]
    elif kind == "missing":
        expected = "a value"
    else:
        expected = re.sub(r"^(\w+ should (be|have) |Value error, (expected )?)", "", str(error.get("msg", "")))
    return {"in": str(where), "parameter": shortened(name or str(where)), "expected": expected}
