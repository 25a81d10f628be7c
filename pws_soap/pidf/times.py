"""Which elements of a document count at a given moment: `from` and `until` (RFC 4480 section 3).

RFC 4480 allows both attributes on `activities` and other elements of its own; here they are judged on every element
that is read, also on a single activity, a `person`, a `tuple` or a `status`. An element counts from its `from` on and
up to its `until`, that moment not included. What does not count is left out with all that is in it, as if it stood not
in the document. An attribute that is no time is taken as absent.

The moment is an argument. Without one, times are not judged and every element counts: what a document says, whenever
it says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from lxml import etree

from pws_soap.pidf import rule
from pws_soap.pidf.elements import NAMES, attribute, local_name, moment
from pws_soap.pidf.model import MAX_UNKNOWN, MAX_WORD

_READ: Final = frozenset(
    {
        "activities",
        "basic",
        "class",
        "device",
        "im",
        "im-status",
        "note",
        "person",
        "phone-status",
        "show",
        "status",
        "tuple",
        "user-input",
    }
)
"""Elements whose times matter, beside everything in `activities`. Those of `mood`, `sphere` and others that are not
read change nothing. Nor does a `timed-status` (RFC 4481): it is never about the present."""


_TIMELESS: Final = frozenset({"id", "priority", "since", "{http://www.w3.org/XML/1998/namespace}lang"})


class Times:
    """Judges the times of one document, and keeps what became of them."""

    __slots__ = ("_lines", "_now", "valid_until")

    def __init__(self, now: datetime | None) -> None:
        if now is not None and now.tzinfo is None:
            raise ValueError("now: expected a time in UTC, got one without an offset")
        self._now = now
        self._lines: dict[str, None] = {}
        self.valid_until: datetime | None = None
        """The first moment after `now` at which something begins or ceases to count."""

    @property
    def lines(self) -> tuple[str, ...]:
        """For the explanation: what does not count and why, and what is no time."""
        return tuple(self._lines)

    def children(self, parent: etree._Element, where: str) -> Iterator[tuple[str, etree._Element]]:
        """The child elements that count, with their local names. `where` is the path of the parent."""
        timeless = self._now is None
        for child in parent:
            name = NAMES.get(child.tag) or local_name(child.tag)
            # Nearly all elements have no attributes, or none of a time, so this is asked first.
            if name and (
                timeless or not (keys := child.keys()) or _TIMELESS.issuperset(keys) or self._counts(name, child, where)
            ):
                yield name, child

    def _counts(self, name: str, element: etree._Element, where: str) -> bool:
        if name not in _READ and name not in rule.WORDS and not where.endswith("activities"):
            return True
        start, end = attribute(element, "from"), attribute(element, "until")
        if not start and not end:
            return True
        path = _path(name, element, where)
        return self._within(path, self._time(path, "from", start), self._time(path, "until", end))

    def _within(self, path: str, start: datetime | None, end: datetime | None) -> bool:
        now = self._now
        if now is None:
            return True
        if end is not None and end <= now:
            self._tell(f"{path}: until {_shown(end)} is past: does not count")
            return False
        if start is not None and start > now:
            self._tell(f"{path}: from {_shown(start)} is to come: does not count yet")
            if end is None or start < end:
                self._changes(start)
            return False
        if end is not None:
            self._changes(end)
        return True

    def _time(self, path: str, name: str, text: str | None) -> datetime | None:
        time = moment(text)
        if time is None and text and not text.isspace():
            self._tell(f"{path}: {name} {text[:MAX_WORD]!r} is no time: taken as absent")
        return time

    def _changes(self, time: datetime) -> None:
        if self.valid_until is None or time < self.valid_until:
            self.valid_until = time

    def _tell(self, line: str) -> None:
        if len(self._lines) < MAX_UNKNOWN:
            self._lines[line] = None


def _path(name: str, element: etree._Element, where: str) -> str:
    if name == "tuple":
        return f"tuple[{(attribute(element, 'id') or '').strip()[:MAX_WORD]}]"
    return f"{where}/{name[:MAX_WORD]}" if where else name[:MAX_WORD]


def _shown(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")
