"""Reads documents by their shape: most of a reply differ in names, ids, notes and times alone, which are only copied.

The shape of a document is all of it but these values. What a shape means is learned from the second document that has
it (`learned`): that is read once more with a probe in place of each value, and where a probe turns up in the presence,
there the value belongs. What was learned must give what this very document was read as, else it is not used. Another
document of the shape is then as well-formed as that one, and says the same but for its values: neither a parser nor
`reader` has to see it.

A value that the reading does more with than to copy it (a state, any other word) belongs to the shape. So does one that
needs a parser: with a numeric escape, a quote, a control character. A document with a `since` has no shape, since of
several the last one counts.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

from lxml import etree
from msgspec.structs import astuple, replace

from pws_soap.errors import PidfError
from pws_soap.models import Device, Presence
from pws_soap.pidf.carrier import to_presence
from pws_soap.pidf.elements import contact_of, local_name, moment
from pws_soap.pidf.model import MAX_TEXT, kind_of
from pws_soap.pidf.reader import read_element
from pws_soap.pidf.source import DocumentParser, without_escapes

MAX_SHAPES: Final = 2048
"""Shapes that are known, each in some kilobytes; beyond, all are learned anew."""
MAX_LENGTH: Final = 8192
"""Bytes of a document that has a shape; real ones have one to four thousand."""

Key: TypeAlias = tuple[bytes, ...]
"""A shape: in turn a part of the document, and the tag or attribute that a value follows; at last a part."""
Divided: TypeAlias = tuple[Key, list[bytes]]
"""A document: its shape, and the values in it."""

_TEMPLATE: Final = (
    rb"(%(lt)b(?:(?=[cdntp])|[\w.-]+:)(?:(?:timestamp|note|display-name|contact)(?: %(words)b)?%(gt)b"
    rb"|(?:presence|person|tuple) (?:%(few_words)b )??(?:entity|id)=%(quote)b))"
    rb"([^<>&\"\x00-\x1f\x7f]+(?:%(and)b(?:lt|gt|amp|quot|apos);[^<>&\"\x00-\x1f\x7f]*)*)"
)
"""A value, and the tag or attribute that it follows. Most tags are passed over by their first character."""
_VALUE: Final = re.compile(
    _TEMPLATE
    % {b"lt": b"<", b"gt": b">", b"quote": b'"', b"and": b"&", b"words": rb"[^<>]*+", b"few_words": rb"[^<>]*?"}
)
_ESCAPED_VALUE: Final = re.compile(
    _TEMPLATE
    % {
        b"lt": b"&lt;",
        b"gt": b"&gt;",
        b"quote": b'(?:"|&quot;)',
        b"and": b"&amp;",
        b"words": rb"[^<>&]*(?:&(?:amp|quot|apos);[^<>&]*)*",
        b"few_words": rb"[^<>&]*?(?:&(?:amp|quot|apos);[^<>&]*?)*?",
    }
)
"""The same where all of the document is escaped."""
_CONTAINERS: Final = frozenset({"presence", "person", "tuple", "status", "activities"})
"""Elements whose own text is never read."""
_TIMESTAMP: Final = re.compile(rb"<(?:[\w.-]+:)?timestamp[ >]")
_EPOCH: Final = datetime(1971, 1, 1, tzinfo=UTC)


class _ShapedDevice(NamedTuple):
    """A device of a shape, and which values are its id and timestamp; None for what the shape itself says."""

    device: Device
    identity: int | None
    timestamp: int | None


class DocumentShape(NamedTuple):
    """What the documents of a shape mean: a presence, and which values stand in it."""

    presence: Presence
    contact: int
    display_name: int | None
    note: int | None
    devices: tuple[_ShapedDevice, ...]
    times: tuple[int, ...]
    attributes: tuple[int, ...]
    """Values that must have no quote of the other kind, or they might lie in an attribute around them."""

    def presence_of(self, values: list[bytes]) -> Presence | None:
        """What the document with these values means; None where one of them is not what it should be."""
        joined = b"\0".join(values)  # which no value has
        try:
            texts = list(map(str.strip, (without_escapes(joined) if b"&" in joined else joined).decode().split("\0")))
        except UnicodeDecodeError:
            return None
        contact = contact_of(texts[self.contact])
        times = {number: moment(texts[number]) for number in self.times}
        quoted = b"'" in joined and any("'" in texts[number] for number in self.attributes)
        if contact is None or "" in texts or None in times.values() or quoted:
            return None
        devices = [
            replace(
                device,
                id=device.id if identity is None else texts[identity][:MAX_TEXT],
                kind=device.kind if identity is None else _kind(texts[identity]),
                timestamp=device.timestamp if timestamp is None else times[timestamp],
            )
            for device, identity, timestamp in self.devices
        ]
        name, note = self.display_name, self.note
        return replace(
            self.presence,
            contact=contact,
            display_name=self.presence.display_name if name is None else texts[name][:MAX_TEXT],
            note=self.presence.note if note is None else texts[note][:MAX_TEXT],
            devices=tuple(devices),
        )


class KnownShapes:
    """The shapes that documents had: those that are known, and those that were met."""

    def __init__(self) -> None:
        self._known: dict[tuple[bool, Key], DocumentShape | None] = {}  # None for one that cannot be learned
        self._escaped: dict[Key, Key | None] = {}  # None for one whose values are others without escapes
        self._met: set[int] = set()

    def __len__(self) -> int:
        return sum(shape is not None for shape in self._known.values())

    def get(self, key: Key, *, in_text: bool) -> DocumentShape | None:
        """What is known of a shape. Of documents in a text alone some are read whose namespaces are wrong."""
        return self._known.get((in_text, key))

    def is_to_learn(self, key: Key, *, in_text: bool) -> bool:
        """Whether a shape is met for the second time; it takes as long to learn as to read two documents."""
        if (in_text, key) in self._known:
            return False
        mark = hash((in_text, key))
        if mark in self._met:
            return True
        if len(self._met) >= MAX_SHAPES:
            self._met.clear()
        self._met.add(mark)
        return False

    def without_escapes(self, key: Key) -> Key | None:
        """The shape that documents of this shape have without escapes."""
        return self._escaped.get(key)

    def put_escaped(self, escaped: Divided, plain: Divided) -> None:
        """Remembers what the shape of an escaped document is without escapes, where just the values differ in both.

        So it is for all documents of that shape then: neither a value nor what is around it ends within an escape.
        """
        if escaped[0] in self._escaped:
            return
        if len(self._escaped) >= MAX_SHAPES:
            self._escaped.clear()
        same = (tuple(map(without_escapes, escaped[0])), without_escapes_of(escaped[1])) == plain
        self._escaped[escaped[0]] = plain[0] if same else None

    def put(self, key: Key, shape: DocumentShape | None, *, in_text: bool) -> None:
        """Remembers what was learned."""
        if len(self._known) >= MAX_SHAPES:
            self._known.clear()
        self._known[in_text, key] = shape


@lru_cache(maxsize=256)
def _kind(identity: str) -> str:
    return kind_of(identity).value


def divided(document: bytes, *, escaped: bool = False) -> Divided | None:
    """The shape of a document, and its values; None for one that is long or has what no shape can have."""
    if len(document) > MAX_LENGTH or _is_unusual(document, b"&lt;" if escaped else b"<"):
        return None
    parts = (_ESCAPED_VALUE if escaped else _VALUE).split(document)
    values = parts[2::3]
    del parts[2::3]
    return tuple(parts), values


def without_escapes_of(values: list[bytes]) -> list[bytes]:
    """The values of an escaped document as they are in the document itself."""
    return without_escapes(b"\0".join(values)).split(b"\0")  # which no value has


def _is_unusual(document: bytes, begin: bytes) -> bool:
    """Whether it has comments, sections or instructions, in which a value might not be one; characters that XML cannot
    have; or a `since`. One byte is found much faster than two, and these are rare. `begin`: that of a tag."""
    return (
        (b"!" in document and begin + b"!" in document)
        or (b"?" in document and begin + b"?" in document)
        or (b"\xef" in document and b"\xef\xbf" in document)
        or b"since" in document
    )


def learned(key: Key, values: list[bytes], plain: Presence) -> DocumentShape | None:
    """The shape of a document with `values`, which means `plain`; None where that is not to be had."""
    prefixes = key[1::2]
    probes = [_probe(number, prefix) for number, prefix in enumerate(prefixes)]
    try:
        root = DocumentParser().parse(_with_values(key, probes))
        probed = to_presence(read_element(root, _EPOCH))
    except PidfError:
        return None
    numbers = {probe: number for number, probe in enumerate(probes)}
    if probed.contact not in numbers or probed.problem is not None or not _is_sound(root, probes):
        return None
    attributes = [number for number, prefix in enumerate(prefixes) if prefix.endswith(b'"')]
    for number, behind in enumerate(key[2::2]):
        if not behind.startswith(b'"' if number in attributes else b"</"):  # then it is not the whole value
            return None
    times = {_time(number): number for number, prefix in enumerate(prefixes) if _TIMESTAMP.match(prefix)}
    shape = DocumentShape(
        probed,
        numbers[probed.contact],
        numbers.get(probed.display_name or ""),
        numbers.get(probed.note or ""),
        tuple(
            _ShapedDevice(one, numbers.get(one.id), None if one.timestamp is None else times.get(one.timestamp))
            for one in probed.devices
        ),
        tuple(times.values()),
        tuple(attributes),
    )
    made = shape.presence_of(values)
    return shape if made is not None and _fields(made) == _fields(plain) else None


def _probe(number: int, prefix: bytes) -> str:
    """A value that turns up nowhere else."""
    if _TIMESTAMP.match(prefix):
        return _time(number).isoformat().replace("+00:00", "Z")
    return f"probe{number}@probe.invalid" if b"entity" in prefix else f"probe-{number}-of-a-shape"


def _time(number: int) -> datetime:
    return _EPOCH + timedelta(days=number)


def _with_values(key: Key, values: list[str]) -> bytes:
    pieces = [key[0]]
    for number, value in enumerate(values):
        pieces += (key[2 * number + 1], value.encode(), key[2 * number + 2])
    return b"".join(pieces)


def _is_sound(root: etree._Element, probes: list[str]) -> bool:
    """Whether each value that is a text is that of its element alone: what is around it is never read as a text, and
    none stands behind an element that is empty."""
    return all(
        local_name(outer.tag) in _CONTAINERS
        for element in root.iter()
        if any(probe in (element.text or "") for probe in probes)
        for outer in element.iterancestors()
    ) and not any(probe in (element.tail or "") for element in root.iter() for probe in probes)


def _fields(presence: Presence) -> tuple[object, ...]:
    """All fields, also those that do not count when two presences are compared."""
    return (*astuple(presence), *map(astuple, presence.devices))
