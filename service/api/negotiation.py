"""Which form of an answer the client takes: content negotiation by the `Accept` header (RFC 9110, section 12.5.1)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from service.access.errors import RequestRefused

_RANGE: Final = re.compile(r"\s*([!#$%&'*+.^_`|~\w-]+)/([!#$%&'*+.^_`|~\w-]+)\s*((?:;.*)?)", re.ASCII)
_QUALITY: Final = re.compile(r";\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*(?:;|$)", re.ASCII | re.IGNORECASE)
_HAS_QUALITY: Final = re.compile(r";\s*q\s*=", re.IGNORECASE)


_MOST: Final = 2000
"""Characters that are looked at: browsers send some 200."""


class NotAcceptable(RequestRefused):
    """The client takes none of the forms that there are: `offers`."""

    kind = "not-acceptable"

    def __init__(self, offers: Sequence[str]) -> None:
        super().__init__(f"There is {' and '.join(offers)}")


def preferred(accept: str, offers: Sequence[str]) -> str:
    """The offer that the header likes best, of equals the first. Raises NotAcceptable.

    Parameters other than `q` are overlooked, and so is what cannot be read: a header of which nothing is left says
    nothing, as no header does.
    """
    ranges = [each for each in map(_read, accept[:_MOST].split(",")) if each is not None]
    if not ranges:
        return offers[0]
    best = max(offers, key=lambda offer: _quality(offer, ranges))
    if _quality(best, ranges) <= 0:
        raise NotAcceptable(offers)
    return best


def _read(text: str) -> tuple[str, str, float] | None:
    found = _RANGE.fullmatch(text)
    if found is None:
        return None
    kind, subkind, parameters = found[1].lower(), found[2].lower(), found[3]
    quality = _QUALITY.search(parameters)
    if quality is None and _HAS_QUALITY.search(parameters):
        return None  # a number that is none
    return kind, subkind, min(1.0, float(quality[1])) if quality is not None else 1.0


def _quality(offer: str, ranges: Sequence[tuple[str, str, float]]) -> float:
    """How much an offer is liked: the most exact range that fits it says so."""
    kind, _, subkind = offer.partition("/")
    for wanted in ((kind, subkind), (kind, "*"), ("*", "*")):
        found = [quality for one, other, quality in ranges if (one, other) == wanted]
        if found:
            return max(found)
    return 0.0
