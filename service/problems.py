"""How the service says no: problem documents (RFC 9457), whatever the reason, with types that stay.

| type | status | when |
|---|---|---|
| /problems/contact-not-watched | 404 | a contact that is not watched |
| /problems/invalid-parameters | 422 | query, path or body are not as expected; `errors` lists each one |
| /problems/server-not-available | 503 | the presence server cannot be asked now |
| /problems/body-too-large | 413 | a request body over the cap |
| /problems/not-found | 404 | no such path |
| /problems/method-not-allowed | 405 | the path knows other methods; `Allow` names them |
| /problems/internal-error | 500 | our mistake; the log knows more, the answer does not |
| about:blank | any other | what HTTP's own words say |

`detail` is for people and may change; `type` and `status` are for programs and stay. Neither repeats what could be a
secret: the callback's path is never named.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from service.engine import NotAvailable
from service.query import Unknown

MEDIA_TYPE: Final = "application/problem+json"
CALLBACK_ROOT: Final = "/pws"
"""Paths below it are never shown: one part of them is a secret."""
MAX_SHOWN: Final = 200

_TITLES: Final = {
    "contact-not-watched": "The contact is not watched",
    "invalid-parameters": "The request is not as expected",
    "server-not-available": "The presence server cannot be asked now",
    "body-too-large": "The request body is too large",
    "not-found": "There is nothing here",
    "method-not-allowed": "The method is not allowed here",
    "internal-error": "The service failed",
}
_BY_STATUS: Final = {404: "not-found", 405: "method-not-allowed", 413: "body-too-large", 500: "internal-error"}


class ParameterError(BaseModel):
    """One thing that is not as expected."""

    where: str = Field(alias="in", description="query, path or body")
    parameter: str
    expected: str


class ProblemView(BaseModel):
    """A problem document (RFC 9457)."""

    model_config = ConfigDict(
        title="Problem",
        json_schema_extra={
            "examples": [
                {
                    "type": "/problems/contact-not-watched",
                    "title": _TITLES["contact-not-watched"],
                    "status": 404,
                    "detail": "zoe@example.com is not among the contacts that are watched",
                    "instance": "/v1/presence/zoe@example.com",
                }
            ]
        },
    )

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[ParameterError] | None = Field(default=None, description="only of /problems/invalid-parameters")


class ContactNotWatched(Exception):
    """A contact that nobody asked to watch."""

    def __init__(self, contacts: Sequence[str]) -> None:
        self.contacts = tuple(contacts)
        super().__init__(f"not watched: {len(self.contacts)} contacts")


def shown_path(path: str) -> str:
    """A request's path as it may be shown or logged: without the callback's secret, and not at any length."""
    if path == CALLBACK_ROOT or path.startswith(f"{CALLBACK_ROOT}/"):
        return CALLBACK_ROOT
    return shortened(path)


def shortened(text: str) -> str:
    """Text of a stranger, in an answer to that stranger."""
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 3] + "..."


def problem(
    kind: str,
    status: int,
    detail: str,
    path: str,
    *,
    errors: Iterable[Mapping[str, str]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A problem document. `kind` is the last part of the type, or empty where HTTP's own words say all."""
    body: dict[str, object] = {
        "type": f"/problems/{kind}" if kind else "about:blank",
        "title": _TITLES[kind] if kind else HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": quote(shown_path(path), safe="/@:!$&'()*+,;=~", errors="replace"),
    }
    if errors is not None:
        body["errors"] = list(errors)
    return Response(json.dumps(body), status, headers, MEDIA_TYPE)


def internal_error(path: str) -> Response:
    """What the caller hears of a mistake of ours: nothing that it could be about."""
    return problem("internal-error", 500, "The service failed while answering; its log says more", path)


def install(app: FastAPI) -> None:
    """Make every error of `app` a problem document, in its answers and in its description."""
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Unknown, _unknown)
    app.add_exception_handler(ContactNotWatched, _not_watched)
    app.add_exception_handler(NotAvailable, _not_available)


# Starlette registers handlers by the exception's class and types them with the base class, hence the assertions.


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    kind = _BY_STATUS.get(error.status_code, "")
    detail = {
        404: "No such path; /docs lists those that there are",
        405: f"{request.method} is not possible here",
    }.get(error.status_code, str(error.detail))
    return problem(kind, error.status_code, detail, request.url.path, headers=error.headers)


def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    return _refused(request, [_told(each) for each in error.errors()])


def _unknown(request: Request, error: Exception) -> Response:
    assert isinstance(error, Unknown)  # noqa: S101
    return _refused(request, [{"in": "query", "parameter": error.parameter, "expected": error.expected}])


def _not_watched(request: Request, error: Exception) -> Response:
    assert isinstance(error, ContactNotWatched)  # noqa: S101
    names = ", ".join(shortened(contact) for contact in error.contacts[:5])
    more = f" and {len(error.contacts) - 5} more" if len(error.contacts) > 5 else ""
    verb = "is" if len(error.contacts) == 1 else "are"
    detail = f"{names}{more} {verb} not among the contacts that are watched"
    return problem("contact-not-watched", 404, detail, request.url.path)


def _not_available(request: Request, error: Exception) -> Response:
    assert isinstance(error, NotAvailable)  # noqa: S101
    headers = {"Retry-After": str(max(1, round(error.retry_after)))} if error.retry_after is not None else None
    return problem("server-not-available", 503, error.reason, request.url.path, headers=headers)


def _refused(request: Request, errors: list[dict[str, str]]) -> Response:
    told = "; ".join(f"{each['parameter']}: expected {each['expected']}" for each in errors[:5])
    more = f"; and {len(errors) - 5} more" if len(errors) > 5 else ""
    return problem("invalid-parameters", 422, told + more, request.url.path, errors=errors)


# Any: pydantic describes its errors in plain dictionaries.
def _told(error: Mapping[str, Any]) -> dict[str, str]:
    where, *rest = error.get("loc", ()) or ("body",)
    name = ""
    for part in rest:
        name += f"[{part}]" if isinstance(part, int) else f".{part}" if name else str(part)
    kind = error.get("type", "")
    if kind == "json_invalid":
        name, expected = str(where), "a JSON document"
    elif kind == "model_attributes_type":
        expected = "a JSON object, sent as application/json"
    elif kind == "extra_forbidden":
        expected = "no parameter of this name"
    elif kind == "missing":
        expected = "a value"
    else:
        expected = re.sub(r"^(Input should (be|have) |Value error, (expected )?)", "", str(error.get("msg", "")))
    return {"in": str(where), "parameter": shortened(name or str(where)), "expected": expected}
