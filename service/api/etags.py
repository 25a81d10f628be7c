"""Entity tags: which answer a client has already, and answers that carry a tag."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from fastapi import Request
from starlette.responses import Response

from service.access.principal import Principal

JSON: Final = "application/json"
VARY: Final = "Accept, Authorization, X-API-Key"
_TAG: Final = re.compile(r'"[^"]*"')
_MOST: Final = 100
"""Tags that are looked at; with more of them some answer is sent once too often."""
_REVISION: Final = re.compile(r"[0-9]{1,18}")


@dataclass(slots=True)
class Representation:
    """What an answer says, before it is known whether the client has it already.

    `shown`: how many contacts it shows; None: none of them, only counts.
    """

    body: bytes
    media_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    shown: int | None = None
    _digest: str = field(default="", init=False)

    @property
    def digest(self) -> str:
        """A hash of the body, made once: of a page it takes a millisecond."""
        self._digest = self._digest or _hash(self.body, 12)
        return self._digest


class Tags:
    """The entity tags of one query, and those that the client sent with it.

    `"REVISION-QUESTIONCONTENT"`: the revision says up to which event its owner knows what happened, so that one can
    wait for the next; the question is a hash of who asks for what, the content one of the very bytes. The tag is
    strong, as it has to be for answers whose freshness may change without any revision.
    """

    def __init__(self, question: str, asked: Sequence[str]) -> None:
        """`question` as `question_of` gives it, `asked` are the values of each `If-None-Match`."""
        self._query = question
        self._asked = asked
        self._given = _TAG.findall(",".join(asked))[:_MOST]

    @classmethod
    def of_request(cls, request: Request, who: Principal, media_type: str = JSON) -> Tags:
        """Those of a request."""
        path, query = request.scope["path"], request.scope["query_string"]
        return cls(question_of(who, path, query, media_type), request.headers.getlist("if-none-match"))

    @property
    def any_will_do(self) -> bool:
        """Whether whatever there is counts as known: `If-None-Match: *`."""
        return any(each.strip() == "*" for each in ",".join(self._asked).split(","))

    @property
    def are_given(self) -> bool:
        """Whether the client names an answer that it has."""
        return bool(self._asked)

    @property
    def known(self) -> int | None:
        """The newest revision up to which the client knows the answer to this query; None where it names none."""
        found = [int(revision) for revision, rest in map(_split, self._given) if rest.startswith(self._query)]
        return max(found, default=None)

    def of(self, representation: Representation, revision: int) -> str:
        """The tag of an answer. For the same bytes it is the one that the client has."""
        return self.of_content(content_of(self._query, representation), revision)

    def of_content(self, rest: str, revision: int) -> str:
        """The same, where `content_of` the answer is known."""
        for revision_known, rest_known in map(_split, self._given):
            if rest_known == rest:
                return f'"{revision_known}-{rest}"'
        return f'"{revision}-{rest}"'

    def has(self, tag: str) -> bool:
        """Whether the client has the answer with this tag."""
        return tag in self._given


def question_of(who: Principal, path: str, query: bytes, media_type: str = JSON) -> str:
    """The part of a tag that says who asks for what."""
    return _hash(repr((who.name, media_type, path, query)).encode(errors="backslashreplace"), 4)


def content_of(question: str, representation: Representation) -> str:
    """All of a tag but its revision."""
    return question + representation.digest


def _split(tag: str) -> tuple[str, str]:
    """Revision and hash of a tag; one of another form has neither."""
    revision, _, rest = tag.strip('"').partition("-")
    return (revision, rest) if _REVISION.fullmatch(revision) else ("0", "")


def _hash(content: bytes, size: int) -> str:
    return hashlib.blake2b(content, digest_size=size).hexdigest()


def tagged(
    representation: Representation, tags: Tags, revision: int, headers: Mapping[str, str] | None = None
) -> Response:
    """An answer with its entity tag, or 304 when the client has it already. `revision` is the log's last."""
    tag = tags.of(representation, revision)
    return with_tag(representation, tag, is_known=tags.any_will_do or tags.has(tag), headers=headers)


def with_tag(
    representation: Representation, tag: str, *, is_known: bool, headers: Mapping[str, str] | None = None
) -> Response:
    """An answer with this entity tag, or 304 where the client knows it. The tag is the first header."""
    # May be kept by the caller alone, and must be asked for each time: that is what makes the tag useful.
    sent = {"ETag": tag, "Cache-Control": "private, no-cache", "Vary": VARY, **(headers or {})}
    if is_known:
        return Response(status_code=304, headers=sent)
    return Response(representation.body, 200, sent | dict(representation.headers), representation.media_type)


def plain(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """JSON as it is."""
    return Response(body, status, headers, JSON)
