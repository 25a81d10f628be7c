"""How the service says no: problem documents (RFC 9457), whatever the reason, with types that stay.

| type | status | when |
|---|---|---|
| /problems/key-required | 401 | no key where one is needed, or one that nobody has |
| /problems/not-allowed | 403 | the key lacks a scope, or must not see what was asked for |
| /problems/origin-not-allowed | 403 | a page of another origin would change something without a key |
| /problems/contact-not-watched | 404 | a contact that is not watched |
| /problems/history-off | 404 | no history is kept |
| /problems/no-such-claim | 404 | a claim that has ended, never was, or that the key must not see |
| /problems/not-acceptable | 406 | the answer has no form that `Accept` names; the detail lists those that there are |
| /problems/not-enough-free | 409 | too few of the group are free: `free` says how many, `passed_over` why |
| /problems/request-in-progress | 409 | a request with this `Idempotency-Key` still waits for its answer |
| /problems/cursor-expired | 410 | the order that a cursor leads through is kept no longer: begin without one |
| /problems/invalid-parameters | 422 | query, path or body are not as expected; `errors` lists each one |
| /problems/host-not-allowed | 421 | a name that is none of ours, where no key is needed |
| /problems/too-many-requests | 429 | more than one asker may make; `Retry-After` says when to go on |
| /problems/too-many-streams | 429 | as many streams and waiting requests are open as may be; `Retry-After` too |
| /problems/too-many-waiting | 429 | as many wait for somebody to be free as may; `Retry-After` too |
| /problems/stopping | 503 | the service ends, and waits for nothing any more; `Retry-After` too |
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
from typing import Final
from urllib.parse import quote, unquote

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from service.access.errors import AccessRefused
from service.core.callback_url import ROOT

MEDIA_TYPE: Final = "application/problem+json"
MAX_SHOWN: Final = 200
_KEY: Final = re.compile(r"pws_[A-Za-z0-9_-]{16,}")

_TITLES: Final = {
    "key-required": "A key is needed",
    "not-allowed": "This key does not allow it",
    "origin-not-allowed": "Pages of this origin may change nothing",
    "host-not-allowed": "The service does not go by this name",
    "too-many-requests": "There were too many requests",
    "too-many-streams": "Too many streams are open",
    "not-enough-free": "Too few are free",
    "no-such-claim": "There is no such claim",
    "request-in-progress": "The same request is still being answered",
    "too-many-waiting": "Too many wait already",
    "stopping": "The service is stopping",
    "contact-not-watched": "The contact is not watched",
    "history-off": "No history is kept",
    "not-acceptable": "The answer has no such form",
    "cursor-expired": "The cursor is no longer valid",
    "invalid-parameters": "The request is not as expected",
    "server-not-available": "The presence server cannot be asked now",
    "body-too-large": "The request body is too large",
    "not-found": "There is nothing here",
    "method-not-allowed": "The method is not allowed here",
    "internal-error": "The service failed",
}


class ParameterError(BaseModel):
    """One thing that is not as expected."""

    where: str = Field(alias="in", description="query, path, header or body")
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
                },
                {
                    "type": "/problems/invalid-parameters",
                    "title": _TITLES["invalid-parameters"],
                    "status": 422,
                    "detail": "limit: expected a whole number",
                    "instance": "/v1/presence",
                    "errors": [{"in": "query", "parameter": "limit", "expected": "a whole number"}],
                },
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
    """A request's path as it may be shown or logged: without the callback's secret, and not at any length.

    A path that only looks different counts too: with more slashes, dots, capitals, or escaped once more; also behind
    the prefix of another proxy.
    """
    plain = path
    for _ in range(3):
        plain = unquote(plain)
    parts: list[str] = []
    for part in re.split(r"[/\\]", plain):
        if part == "..":
            del parts[-1:]
        elif part not in {"", "."}:
            parts.append(part)
    if parts[:1] != ["v1"] and any(f"/{part.strip().lower()}" == ROOT for part in parts):
        return ROOT
    return shortened(path)


def shortened(text: str) -> str:
    """Text of a stranger, in an answer to that stranger; a key, which has no business there, is left out."""
    text = _KEY.sub("pws_...", text)
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 3] + "..."


def problem(
    kind: str,
    status: int,
    detail: str,
    path: str,
    *,
    errors: Iterable[Mapping[str, str]] | None = None,
    headers: Mapping[str, str] | None = None,
    more: Mapping[str, object] | None = None,
) -> Response:
    """A problem document. `kind` is the last part of the type, or empty where HTTP's own words say all.

    `more` are members that only this type has.
    """
    body: dict[str, object] = {
        "type": f"/problems/{kind}" if kind else "about:blank",
        "title": _TITLES[kind] if kind else HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": quote(shown_path(path), safe="/@:!$&'()*+,;=~", errors="replace"),
    }
    if errors is not None:
        body["errors"] = list(errors)
    return Response(json.dumps(body | dict(more or {})), status, headers, MEDIA_TYPE)


def internal_error(path: str) -> Response:
    """What the caller hears of a mistake of ours: nothing that it could be about."""
    return problem("internal-error", 500, "The service failed while answering; its log says more", path)


def refusal(refused: AccessRefused, path: str) -> Response:
    """What somebody hears who is not let in."""
    return problem(refused.kind, refused.status, refused.detail, path, headers=refused.headers)
