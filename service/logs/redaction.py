"""Hides secrets in text: those that are known, in every spelling that a log may meet, and whatever looks like one.

Messages, fields and tracebacks hold texts of servers, libraries and requests. Nobody who logs can know what is in them,
so all of it passes through here before it is written.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import quote, quote_plus

from pws_soap.models import Secret
from service.logs.printable import printable

HIDDEN: Final = "***"
SHORTEST: Final = 4
"""Shorter secrets are not looked for: they are in so many words that nothing of a line would be left."""
MAX_PASSING: Final = 200
"""Secrets that come and go, such as session keys: at most so many are looked for, the newest."""

_LOOKS_LIKE_ONE: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"()\bpws_[A-Za-z0-9_-]{16,}",  # an API key
        r"()\bwhsec_[A-Za-z0-9+/=]{16,}",  # a secret of webhooks
        r"(/pws/)[A-Za-z0-9_-]{16,}",  # the callback's path
        r"(<(?:[\w.-]+:)?(?:session-key|password)\b[^<>]*>)[^<]+",  # in a SOAP message
        r"(\b(?:authorization|x-api-key)\b['\"]?\s*[:=,]\s*(?:b?['\"])?(?:(?:bearer|basic)\s+)?+)(?!pws_\.)[^\s'\",)]+",
    )
)


class Redactor:
    """Replaces the secrets that it was told of."""

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        self._lasting: dict[str, None] = {}
        self._passing: dict[str, None] = {}  # the oldest first
        self._spellings: tuple[str, ...] = ()
        for secret in secrets:
            self.hide(secret)

    def __repr__(self) -> str:
        return f"<Redactor of {len(self._lasting) + len(self._passing)} secrets>"

    def hide(self, secret: Secret) -> None:
        """From now on hide this one, for ever."""
        self._lasting[secret.reveal()] = None
        self._spell()

    def hide_passing(self, secret: Secret) -> None:
        """From now on hide this one, until `MAX_PASSING` others have come."""
        if secret.reveal() in self._passing:
            return
        self._passing[secret.reveal()] = None
        while len(self._passing) > MAX_PASSING:
            del self._passing[next(iter(self._passing))]
        self._spell()

    def __call__(self, text: str) -> str:
        """The text without secrets."""
        found = sorted(place for spelling in self._spellings if spelling in text for place in _places(spelling, text))
        if found:
            text = _without(text, found)
        for pattern in _LOOKS_LIKE_ONE:
            text = pattern.sub(rf"\1{HIDDEN}", text) if pattern.search(text) else text
        return text

    def _spell(self) -> None:
        found = {spelling for secret in (*self._lasting, *self._passing) for spelling in _spellings(secret)}
        self._spellings = tuple(spelling for spelling in found if len(spelling) >= SHORTEST)


def _spellings(secret: str) -> Iterator[str]:
    """As it is, and as it is written in a repr, in bytes, in JSON, in XML and in a URL."""
    yield secret
    yield from (repr(secret)[1:-1], ascii(secret)[1:-1], repr(secret.encode(errors="replace"))[2:-1])
    yield repr(repr(secret)[1:-1])[1:-1]  # an error that quotes an error
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield html.escape(secret, quote=False)
    yield html.escape(secret)
    yield html.escape(secret, quote=False).replace('"', "&quot;")
    for encoded in (
        quote(secret, errors="replace"),
        quote(secret, "", errors="replace"),
        quote_plus(secret, errors="replace"),
    ):
        yield encoded
        yield re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), encoded)
    yield printable(secret)


def _places(spelling: str, text: str) -> Iterator[tuple[int, int]]:
    """Where it is, overlaps with itself included."""
    start = text.find(spelling)
    while start >= 0:
        yield start, start + len(spelling)
        start = text.find(spelling, start + 1)


def _without(text: str, places: list[tuple[int, int]]) -> str:
    """The text with its places, in their order, replaced; those that overlap or touch are one."""
    parts: list[str] = []
    begin, end = places[0]
    done = 0
    for start, stop in places[1:]:
        if start <= end:
            end = max(end, stop)
            continue
        parts += text[done:begin], HIDDEN
        done, begin, end = end, start, stop
    return "".join((*parts, text[done:begin], HIDDEN, text[end:]))
