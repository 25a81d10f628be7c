"""How requests are refused: problem documents (RFC 9457), whatever the reason, with types that stay.

| type | status | when |
|---|---|---|
| /problems/key-required | 401 | no key where one is needed, or an unknown one |
| /problems/not-allowed | 403 | the key lacks a scope, or must not see what was asked for |
| /problems/origin-not-allowed | 403 | a page of another origin would change something without a key |
| /problems/contact-not-watched | 404 | a contact that is not watched |
| /problems/history-off | 404 | no history is kept |
| /problems/no-such-claim | 404 | a claim that has ended, never was, or that the key must not see |
| /problems/no-such-webhook | 404 | no target of webhooks has this name |
| /problems/not-acceptable | 406 | the answer has no form that `Accept` names; the detail lists those that there are |
| /problems/not-enough-free | 409 | too few of the group are free: `free` says how many, `passed_over` why |
| /problems/request-in-progress | 409 | a request with this `Idempotency-Key` still waits for its answer |
| /problems/cursor-expired | 410 | the order that a cursor leads through is kept no longer: begin without one |
| /problems/events-not-kept | 410 | a replay from an id from which on not all events are kept: `floor`, `last` |
| /problems/invalid-parameters | 422 | query, path or body are not as expected; `errors` lists each one |
| /problems/host-not-allowed | 421 | another host name than ours, where no key is needed |
| /problems/too-many-requests | 429 | more than one client may make; `Retry-After` says when to go on |
| /problems/too-many-streams | 429 | as many streams and waiting requests are open as may be; `Retry-After` too |
| /problems/too-many-waiting | 429 | as many wait for somebody to be free as may; `Retry-After` too |
| /problems/stopping | 503 | the service ends, and waits for nothing any more; `Retry-After` too |
| /problems/server-not-available | 503 | the presence server cannot be asked now |
| /problems/no-owner | 503 | of several replicas none may do this now; `Retry-After` says when to try again |
| /problems/body-too-large | 413 | a request body over the cap |
| /problems/not-found | 404 | no such path |
| /problems/method-not-allowed | 405 | the path knows other methods; `Allow` names them |
| /problems/internal-error | 500 | our mistake; the log knows more, the answer does not |
| about:blank | any other | what HTTP's own words say |

`KINDS` holds this table. What is refused is raised as a `RequestRefused`, or as an exception of core that
`service.api.error_handlers` translates into one. `detail` is for people and may change; `type` and `status` are for
programs and stay. Neither repeats what could be a secret: the callback's path is never named.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final, NamedTuple
from urllib.parse import quote, unquote

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from service.access.errors import RequestRefused
from service.core.callback_url import ROOT

MEDIA_TYPE: Final = "application/problem+json"
MAX_SHOWN: Final = 200
_KEY: Final = re.compile(r"pws_[A-Za-z0-9_-]{16,}")


class ProblemKind(NamedTuple):
    """What all problems of one type have in common."""

    status: int
    title: str


KINDS: Final = {
    "key-required": ProblemKind(401, "A key is needed"),
    "not-allowed": ProblemKind(403, "This key does not allow it"),
    "origin-not-allowed": ProblemKind(403, "Pages of this origin may change nothing"),
    "host-not-allowed": ProblemKind(421, "The service does not go by this name"),
    "too-many-requests": ProblemKind(429, "There were too many requests"),
    "too-many-streams": ProblemKind(429, "Too many streams are open"),
    "not-enough-free": ProblemKind(409, "Too few are free"),
    "no-such-claim": ProblemKind(404, "There is no such claim"),
    "no-such-webhook": ProblemKind(404, "There is no such webhook"),
    "events-not-kept": ProblemKind(410, "The events are kept no longer"),
    "request-in-progress": ProblemKind(409, "The same request is still being answered"),
    "too-many-waiting": ProblemKind(429, "Too many wait already"),
    "stopping": ProblemKind(503, "The service is stopping"),
    "contact-not-watched": ProblemKind(404, "The contact is not watched"),
    "history-off": ProblemKind(404, "No history is kept"),
    "not-acceptable": ProblemKind(406, "The answer has no such form"),
    "cursor-expired": ProblemKind(410, "The cursor is no longer valid"),
    "invalid-parameters": ProblemKind(422, "The request is not as expected"),
    "server-not-available": ProblemKind(503, "The presence server cannot be asked now"),
    "no-owner": ProblemKind(503, "No replica may do this now"),
    "body-too-large": ProblemKind(413, "The request body is too large"),
    "not-found": ProblemKind(404, "No such path"),
    "method-not-allowed": ProblemKind(405, "The method is not allowed here"),
    "internal-error": ProblemKind(500, "The service failed"),
}
"""By the last part of the type."""


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
                    "title": KINDS["contact-not-watched"].title,
                    "status": 404,
                    "detail": "zoe@example.com is not among the contacts that are watched",
                    "instance": "/v1/presence/zoe@example.com",
                },
                {
                    "type": "/problems/invalid-parameters",
                    "title": KINDS["invalid-parameters"].title,
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
    """Text of a client, short enough to be sent back to it; a key in it is left out."""
    text = _KEY.sub("pws_...", text)
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 3] + "..."


class ContactNotWatched(RequestRefused):
    """Contacts that are not watched."""

    kind = "contact-not-watched"

    def __init__(self, contacts: Sequence[str]) -> None:
        names = ", ".join(shortened(contact) for contact in contacts[:5])
        more = f" and {len(contacts) - 5} more" if len(contacts) > 5 else ""
        verb = "is" if len(contacts) == 1 else "are"
        super().__init__(f"{names}{more} {verb} not among the contacts that are watched")


class WrongParameter(NamedTuple):
    """A part of a request that is not as expected. `where`: query, path, header or body."""

    where: str
    parameter: str
    expected: str


class InvalidParameters(RequestRefused):
    """A request that is not as expected, with all that is wrong about it."""

    kind = "invalid-parameters"

    def __init__(self, *wrong: WrongParameter) -> None:
        errors = [{"in": where, "parameter": shortened(name), "expected": expected} for where, name, expected in wrong]
        listed = "; ".join(f"{error['parameter']}: expected {error['expected']}" for error in errors[:5])
        more = f"; and {len(errors) - 5} more" if len(errors) > 5 else ""
        super().__init__(listed + more, members={"errors": errors})


def problem(refused: RequestRefused, path: str, root: str = "") -> Response:
    """The problem document of a refused request for `path`, where the service is below `root` (`service.api.paths`)."""
    if refused.kind:
        status, title = KINDS[refused.kind]
    else:
        status = refused.status or 500
        title = HTTPStatus(status).phrase
    body: dict[str, object] = {
        "type": f"/problems/{refused.kind}" if refused.kind else "about:blank",
        "title": title,
        "status": status,
        "detail": refused.detail,
        "instance": quote(root + shown_path(path), safe="/@:!$&'()*+,;=~", errors="replace"),
    }
    return Response(json.dumps(body | refused.members), status, refused.headers, MEDIA_TYPE)


def internal_error(path: str, root: str = "") -> Response:
    """The answer to a mistake of ours, which says nothing about its cause."""
    refused = RequestRefused("The service failed while answering; its log says more", kind="internal-error")
    return problem(refused, path, root)
