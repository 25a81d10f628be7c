"""How answers are sent: JSON with an entity tag, and the little that routes have in common about requests.

The tag is a hash of the very bytes. It is strong, as it has to be for answers whose freshness may change without any
revision, and it survives a restart.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.responses import Response

from pws_soap.models import is_contact, same_contact
from service.problems import ProblemView

# Any: OpenAPI fragments, as FastAPI takes them.
_Responses = dict[int | str, dict[str, Any]]

INVALID: Final[_Responses] = {422: {"model": ProblemView, "description": "The request is not as expected"}}
NOT_WATCHED: Final[_Responses] = {404: {"model": ProblemView, "description": "The contact is not watched"}}
NOT_AVAILABLE: Final[_Responses] = {
    503: {
        "model": ProblemView,
        "description": "The presence server cannot be asked now",
        "headers": {"Retry-After": {"schema": {"type": "integer"}, "description": "seconds, where that is known"}},
    }
}
TOO_LARGE: Final[_Responses] = {413: {"model": ProblemView, "description": "The body is too large"}}


def documented(view: type[BaseModel], description: str) -> _Responses:
    """What OpenAPI says of an answer with an entity tag."""
    tag = {"ETag": {"schema": {"type": "string"}, "description": "of exactly this answer"}}
    return {
        200: {"model": view, "description": description, "headers": tag},
        304: {"description": "Nothing changed since the answer with that entity tag"},
    }


def tagged(request: Request, body: bytes) -> Response:
    """JSON with its entity tag, or 304 when the caller has it already."""
    tag = f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'
    # May be kept by the caller alone, and must be asked for each time: that is what makes the tag useful.
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    asked = ",".join(request.headers.getlist("if-none-match"))
    if any(each.strip() in {"*", tag, f"W/{tag}"} for each in asked.split(",")):
        return Response(status_code=304, headers=headers)
    return plain(body, headers=headers)


def plain(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """JSON as it is."""
    return Response(body, status, headers, "application/json")


def no_query(request: Request) -> None:
    """A dependency of routes without query parameters: a misspelt one must not be taken for one that works."""
    names = dict.fromkeys(request.query_params.keys())
    if names:
        raise RequestValidationError([{"type": "extra_forbidden", "loc": ("query", name)} for name in names])


def contact_uri(text: str) -> str:
    """A contact as a caller writes it, `sip:` included, in the form to look up. ValueError: it is none."""
    contact = same_contact(text)
    if not is_contact(contact):
        raise ValueError("expected a contact URI, user@domain")
    return contact
