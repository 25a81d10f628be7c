"""How answers are sent: with an entity tag, and the little that routes have in common about requests."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final
from urllib.parse import parse_qsl

from fastapi import Path, Request
from fastapi.exceptions import RequestValidationError
from pydantic import AfterValidator, WithJsonSchema
from starlette.responses import Response

from pws_soap.models import MAX_CONTACT_LENGTH, is_contact, same_contact
from service.access.principal import Principal
from service.api.problems import ProblemView

JSON: Final = "application/json"
VARY: Final = "Accept, Authorization, X-API-Key"
_TAG: Final = re.compile(r'"[^"]*"')
_MOST: Final = 100
"""Tags that are looked at; with more of them some answer is sent once too often."""
_REVISION: Final = re.compile(r"[0-9]{1,18}")

_CONTACT_CHARS: Final = r"[!$%()*+\-.0-9=A-Z\[\]^_`a-z{|}~]+"
ContactPath = Annotated[
    str,
    Path(
        description="user@domain, in any case",
        examples=["ann@example.com"],
        # Only in the description, which names ASCII alone: `contact_uri` decides, and has the better words.
        json_schema_extra={"pattern": f"^{_CONTACT_CHARS}@{_CONTACT_CHARS}$", "maxLength": MAX_CONTACT_LENGTH},
    ),
]
"""A contact in a path, to be read with `path_contact`."""

# Any: OpenAPI fragments, as FastAPI takes them.
_Responses = dict[int | str, dict[str, Any]]

INVALID: Final[_Responses] = {422: {"model": ProblemView, "description": "The request is not as expected"}}
NOT_WATCHED: Final[_Responses] = {404: {"model": ProblemView, "description": "The contact is not watched"}}
NOT_ACCEPTABLE: Final[_Responses] = {406: {"model": ProblemView, "description": "There is no such form of the answer"}}
EXPIRED: Final[_Responses] = {410: {"model": ProblemView, "description": "The cursor's order is kept no longer"}}
NOT_AVAILABLE: Final[_Responses] = {
    503: {
        "model": ProblemView,
        "description": "The presence server cannot be asked now",
        "headers": {"Retry-After": {"schema": {"type": "integer"}, "description": "seconds, where that is known"}},
    }
}
TOO_LARGE: Final[_Responses] = {413: {"model": ProblemView, "description": "The body is too large"}}


def documented(view: Any, description: str) -> _Responses:
    """What OpenAPI says of an answer with an entity tag. `view` is a model, or a union of models."""
    headers = {
        "ETag": {"schema": {"type": "string"}, "description": "of exactly this answer"},
        "Preference-Applied": {"schema": {"type": "string"}, "description": "wait=N, where somebody asked to wait"},
        "Vary": {"schema": {"type": "string"}, "description": "the headers of the request that the answer depends on"},
    }
    return {
        200: {"model": view, "description": description, "headers": headers},
        304: {"description": "Nothing changed since the answer with that entity tag", "headers": headers},
    }


@dataclass(frozen=True, slots=True)
class Said:
    """What an answer says, before anybody knows whether the asker has it already."""

    body: bytes
    media_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


class Tags:
    """The entity tags of one question, and those that came with it.

    `"REVISION-QUESTIONCONTENT"`: the revision says up to which event its owner knows what happened, so that one can
    wait for the next; the question is a hash of who asks for what, the content one of the very bytes. The tag is
    strong, as it has to be for answers whose freshness may change without any revision.
    """

    def __init__(self, request: Request, who: Principal, media_type: str = JSON) -> None:
        question = (who.name, media_type, request.scope["path"], request.scope["query_string"])
        self._question = _hash(repr(question).encode(errors="backslashreplace"), 4)
        self._asked = request.headers.getlist("if-none-match")
        self._given = _TAG.findall(",".join(self._asked))[:_MOST]

    @property
    def any_will_do(self) -> bool:
        """Whether whatever there is counts as known: `If-None-Match: *`."""
        return any(each.strip() == "*" for each in ",".join(self._asked).split(","))

    @property
    def are_given(self) -> bool:
        """Whether the asker says what it knows."""
        return bool(self._asked)

    @property
    def known(self) -> int | None:
        """The newest revision up to which the asker knows the answer to this question; None where it does not say."""
        found = [int(revision) for revision, rest in map(_split, self._given) if rest.startswith(self._question)]
        return max(found, default=None)

    def of(self, body: bytes, revision: int) -> str:
        """The tag of an answer. Of the same bytes it is the one that the asker has."""
        rest = self._question + _hash(body, 12)
        for revision_known, rest_known in map(_split, self._given):
            if rest_known == rest:
                return f'"{revision_known}-{rest}"'
        return f'"{revision}-{rest}"'

    def has(self, tag: str) -> bool:
        """Whether the asker has the answer with this tag."""
        return tag in self._given


def _split(tag: str) -> tuple[str, str]:
    """Revision and hash of a tag; one of another form has neither."""
    revision, _, rest = tag.strip('"').partition("-")
    return (revision, rest) if _REVISION.fullmatch(revision) else ("0", "")


def _hash(content: bytes, size: int) -> str:
    return hashlib.blake2b(content, digest_size=size).hexdigest()


def tagged(said: Said, tags: Tags, revision: int, headers: Mapping[str, str] | None = None) -> Response:
    """An answer with its entity tag, or 304 when the asker has it already. `revision` is the log's last."""
    tag = tags.of(said.body, revision)
    # May be kept by the caller alone, and must be asked for each time: that is what makes the tag useful.
    sent = {"ETag": tag, "Cache-Control": "private, no-cache", "Vary": VARY, **(headers or {})}
    if tags.any_will_do or tags.has(tag):
        return Response(status_code=304, headers=sent)
    return Response(said.body, 200, sent | dict(said.headers), said.media_type)


def plain(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """JSON as it is."""
    return Response(body, status, headers, JSON)


async def no_query(request: Request) -> None:
    """A dependency of routes without query parameters: a misspelt one must not be taken for one that works."""
    names = dict.fromkeys(request.query_params.keys())
    if names:
        raise RequestValidationError([{"type": "extra_forbidden", "loc": ("query", name)} for name in names])


def check_query(request: Request, *single: str) -> None:
    """What a model of parameters cannot see: text that is no UTF-8, and two values of a parameter that has one.

    Either would quietly mean something else than was asked. `single` are the parameters with one value.
    """
    wrong: list[tuple[tuple[str, ...], str]] = []
    raw: bytes = request.scope["query_string"]
    if b"%" in raw:
        try:
            parse_qsl(raw.decode("latin-1"), errors="strict")
        except UnicodeDecodeError:
            wrong.append((("query",), "text in UTF-8, percent-encoded"))
    given = request.query_params
    if len(given.multi_items()) > len(given):
        wrong += [(("query", name), "one value") for name in single if len(given.getlist(name)) > 1]
    if wrong:
        raise RequestValidationError(
            [{"type": "value_error", "loc": loc, "msg": f"Value error, expected {what}"} for loc, what in wrong]
        )


def path_contact(text: str) -> str:
    """The contact that a path names, as `contact_uri`; the error is the asker's."""
    try:
        return contact_uri(text)
    except ValueError as error:
        raise RequestValidationError(
            [{"type": "value_error", "loc": ("path", "contact"), "msg": f"Value error, {error}"}]
        ) from None


def contact_uri(text: str) -> str:
    """A contact as a caller writes it, `sip:` included, in the form to look up. ValueError: it is none."""
    contact = same_contact(text)
    if len(contact) > MAX_CONTACT_LENGTH:
        raise ValueError(f"expected a contact URI of at most {MAX_CONTACT_LENGTH} characters")
    if not is_contact(contact):
        raise ValueError("expected a contact URI, user@domain")
    return contact


ContactText = Annotated[
    str,
    AfterValidator(contact_uri),
    WithJsonSchema(
        {"type": "string", "pattern": f"^{_CONTACT_CHARS}@{_CONTACT_CHARS}$", "maxLength": MAX_CONTACT_LENGTH}
    ),
]
"""A contact in a body or a query; the description names ASCII alone, see `ContactPath`."""
