"""What a `richPresenceList` held, into readings: child elements, CDATA or escaped text, and mixtures of them.

The list's type is anyType, so nothing is promised about its content (protocol section 4). Each document becomes one
reading, in order; one that cannot be read becomes a reading with a `problem`, and the contact if its first tag names
one, so that its neighbours are read and no contact is lost unnoticed.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator
from copy import deepcopy
from datetime import datetime
from itertools import islice
from typing import Final, TypeAlias

from lxml.etree import _Element, cleanup_namespaces, tostring
from msgspec.structs import replace

from pws_soap.contact import decoded, same_contact
from pws_soap.errors import PidfError
from pws_soap.models import Device as PlainDevice
from pws_soap.models import Presence, PresenceState, PresenceType
from pws_soap.pidf.elements import attribute, contact_of, is_space, local_name
from pws_soap.pidf.model import MAX_DOCUMENT, MAX_KEPT_DOCUMENT, MAX_TEXT, MAX_WORD, Device, Reading
from pws_soap.pidf.reader import Nested, read_element
from pws_soap.pidf.source import DocumentParser, as_utf8, to_bytes, to_bytes_in_steps
from pws_soap.pidf.split import Piece, found_in_steps, split, split_in_steps

Document: TypeAlias = bytes | str | _Element
Content: TypeAlias = Document | Iterable[Document] | None
"""What a list can be: text of any number of documents, the element itself, its children, or nothing."""

Steps: TypeAlias = Generator["Reading | None", None, None]
"""Readings, and None as a place to pause."""

_LIST: Final = "richpresencelist"
_CHILDREN_PER_STEP: Final = 1000
"""Children of an element that are passed over between two places to pause."""
_MAX_PROLOG: Final = 1024
"""Bytes before a document in which its XML declaration is looked for."""
_UNKNOWN: Final = "unknown"
"""The activity by which a document says that nobody knows (RFC 4480 section 3.2): that is said, and not left out."""
_MAX_WRAPPERS: Final = 8
"""How deep documents may be wrapped inside a list; no known server wraps them at all."""
_ENTITY: Final = re.compile(rb"[^<>]{0,2000}?\sentity\s*=\s*(?:\"([^\"<>]{0,400})\"|'([^'<>]{0,400})')", re.IGNORECASE)

_ENTITIES: Final = re.compile(rb"[\s:]entity\s*=", re.IGNORECASE)


def read_list(content: Content, now: datetime | None = None) -> Iterator[Reading]:
    """One reading for each document in `content`, in order, as they are asked for. Raises nothing about content.

    `now` (in UTC) is the moment as of which they are read: what is past its `until` or before its `from` does not count
    (RFC 4480). Without it times are not judged.
    """
    return (reading for reading in read_list_in_steps(content, now) if reading is not None)


def read_list_in_steps(
    content: Content, now: datetime | None = None, *, keeps_documents: bool = False
) -> Iterator[Reading | None]:
    """As `read_list`; None is a place to pause, so that nobody is held up however much there is to look through.

    `keeps_documents`: each reading holds its document.
    """
    source = DocumentParser(keeps_documents=keeps_documents)
    if content is None:
        return
    if isinstance(content, bytes | bytearray | str):
        yield from _texts(source, content, now)
    elif isinstance(content, _Element):
        yield from _elements(source, content, 0, now)
    else:
        for one in content:
            if isinstance(one, _Element):
                yield from _elements(source, one, 1, now)
            else:
                yield from _texts(source, one, now)


def read_document(document: Document, now: datetime | None = None) -> Reading:
    """The reading of exactly one document, as of `now` as in `read_list`. Raises PidfError, and nothing else."""
    if isinstance(document, _Element):
        return read_element(document, now)
    data = to_bytes(document)
    pieces = list(islice(split(data), 2))
    if not pieces:
        raise PidfError("no document")
    if len(pieces) > 1 and pieces[0].problem is None:
        raise PidfError("more than one document", _contact(data, pieces[0]))
    return _piece(DocumentParser(), data, pieces[0], now)


def to_presence(reading: Reading, *, contact: str | None = None) -> Presence:
    """The reading as the rest of the library passes it on. `contact` is used where the document names none."""
    name = reading.contact or contact
    problem = reading.problem
    if problem is None and name is None:
        problem = "the document does not say whose it is"
    if problem is None and not reading.decided_by and _UNKNOWN not in reading.said:
        problem = "the document says nothing about the state"
    if problem is not None:
        return Presence(name or "", PresenceState.UNKNOWN, PresenceType.RICH, problem=problem)
    return Presence(
        contact=name or "",
        state=reading.state,
        type=PresenceType.RICH,
        activities=reading.activities,
        on_the_phone=reading.on_the_phone if reading.decided_by else None,
        display_name=reading.display_name,
        note=reading.note,
        idle=reading.idle,
        devices=tuple(map(_plain, reading.devices)),
        in_meeting=reading.in_meeting,
        idle_since=reading.idle_since,
        phone_status=reading.phone_status,
        im_status=reading.im_status,
        manual=reading.manual,
        note_language=reading.note_language,
        valid_until=reading.valid_until,
        document=reading.document,
        said=reading.said,
        basic=reading.basic,
        times=reading.times,
    )


def _plain(one: Device) -> PlainDevice:
    return PlainDevice(
        one.id,
        one.open,
        one.audio,
        one.video,
        one.text,
        one.kind.value,
        one.priority,
        one.activities,
        one.timestamp,
        one.source,
        one.basic,
    )


def _texts(source: DocumentParser, content: bytes | bytearray | str, now: datetime | None) -> Steps:
    data = yield from to_bytes_in_steps(content)
    for piece in split_in_steps(data):
        if piece is None:
            yield None
            continue
        try:
            yield _piece(source, data, piece, now)
        except Nested as error:
            yield from _nested(error)
        except PidfError as error:
            yield Reading(error.contact, problem=error.reason)
            yield from _swallowed(data, piece)


def _piece(source: DocumentParser, data: bytes, piece: Piece, now: datetime | None) -> Reading:
    try:
        if piece.problem is not None:
            raise PidfError(piece.problem)  # noqa: TRY301  # all that is wrong with a document leaves by one door
        if piece.end - piece.start > MAX_DOCUMENT:
            raise PidfError(f"longer than {MAX_DOCUMENT} bytes")  # noqa: TRY301  # as above
        prolog = data[max(piece.prolog, piece.start - _MAX_PROLOG) : piece.start]
        document = as_utf8(data[piece.start : piece.end], prolog)
        reading = read_element(source.parse(document), now, plain=is_single(document.lower()))
        return with_document(reading, document) if source.keeps_documents else reading
    except PidfError as error:
        raise type(error)(error.reason, _contact(data, piece)) from None


def with_document(reading: Reading, document: bytes) -> Reading:
    """The reading with its document, unless that is very long."""
    return replace(reading, document=document) if len(document) <= MAX_KEPT_DOCUMENT else reading


def _whole(element: _Element) -> bytes:
    """A document as an element by itself: with what is declared around it, as far as it is used."""
    parent = element.getparent()
    around = {} if parent is None else parent.nsmap
    alone = deepcopy(element)
    own = {prefix for inner in element.iter("*") for prefix, uri in inner.nsmap.items() if around.get(prefix) != uri}
    cleanup_namespaces(alone, keep_ns_prefixes=[prefix for prefix in own if prefix])
    return tostring(alone, encoding="utf-8", with_tail=False)


def is_single(lowered: bytes) -> bool:
    """Whether a document, given in lower case, has no element `presence` but its own; perhaps so even where not."""
    return lowered.count(b"<presence") + lowered.count(b":presence") == 1


def _nested(error: Nested) -> Iterator[Reading]:
    """A document that holds another: whom it is about is in doubt, and it is not known whom else it is about."""
    yield Reading(error.contact, problem=error.reason)
    yield Reading(None, problem="lies in the document of another")


def _contact(data: bytes, piece: Piece) -> str | None:
    """Whom a document is about that cannot be read: the entity in its first tag."""
    return None if piece.stray else _contact_at(data, piece.start)


def _contact_at(data: bytes, start: int) -> str | None:
    tag = _ENTITY.match(data, start + 1, start + MAX_TEXT)
    first_tag = data[start : start + MAX_TEXT].partition(b">")[0]
    if tag is None or len(_ENTITIES.findall(first_tag)) > 1:
        return None
    return contact_of(decoded(tag[1] or tag[2] or b""))


def _swallowed(data: bytes, piece: Piece) -> Steps:
    """The documents that a broken one hides, because a section in it ends only in one of them.

    They are not read: what stands in a section may be anybody's note. They are reported, so that no contact is lost.
    """
    if piece.stray:
        return
    for start in found_in_steps(data, piece.start + 1, piece.end):
        if start is None:
            yield None
            continue
        yield Reading(_contact_at(data, start.start()), problem="lies in a section of a broken document")


def _elements(source: DocumentParser, element: _Element, depth: int, now: datetime | None) -> Steps:
    tag = element.tag
    if not isinstance(tag, str):
        return
    name = local_name(tag)
    if name == "presence":
        try:
            one = read_element(element, now)
            yield with_document(one, _whole(element)) if source.keeps_documents else one
        except Nested as error:
            yield from _nested(error)
        except PidfError as error:
            yield Reading(error.contact, problem=error.reason)
        return
    if depth > _MAX_WRAPPERS:
        yield Reading(None, problem="wrapped too deeply")
        return
    empty, accounted_for = True, depth == 0 or _is_wrapper(name, element)
    named, told = _named_by(element), False
    for reading in _inside(source, element, depth, now):
        if reading is None:
            yield None
            continue
        empty = False
        if reading.contact is None and named is not None:
            reading = replace(reading, contact=named)
        told = told or named is None or reading.contact is None or same_contact(reading.contact) == same_contact(named)
        accounted_for = accounted_for or reading.contact is None
        yield reading
    if empty and depth:
        yield Reading(named, problem=f"<{name[:MAX_WORD]}> holds no presence document")
        accounted_for = accounted_for or named is None
    elif not told and not empty:
        yield Reading(named, problem=f"<{name[:MAX_WORD]}> names it, and holds the document of another")
    if not accounted_for:
        yield Reading(None, problem=f"<{name[:MAX_WORD]}> may say more than its documents")


def _is_wrapper(name: str, element: _Element) -> bool:
    """Whether an element in a list is known to say nothing but its documents and whom they are about: the list once
    more, or a contact as a basic list has it."""
    names = [local_name(key) for key in element.keys()]  # noqa: SIM118  # an element is no mapping
    return not names if name == _LIST else name == "contact" and names in ([], ["contacturi"])


def _inside(source: DocumentParser, element: _Element, depth: int, now: datetime | None) -> Steps:
    """What a list or a wrapper holds: first the texts, then the elements."""
    for text in _texts_in(element):
        if text is None:
            yield None
        else:
            yield from _texts(source, text, now)
    for count, child in enumerate(element, 1):
        yield from _elements(source, child, depth + 1, now)
        if count % _CHILDREN_PER_STEP == 0:
            yield None


def _named_by(wrapper: _Element) -> str | None:
    """Whom a wrapper is about, for a document that does not say it."""
    return contact_of(attribute(wrapper, "entity") or attribute(wrapper, "contacturi"))


def _says_something(text: str | None) -> bool:
    return bool(text) and (len(text or "") > _MAX_PROLOG or not is_space(text))


def _texts_in(element: _Element) -> Iterator[str | None]:
    """The texts that stand directly in an element, between its children; None is a place to pause."""
    if _says_something(text := element.text):
        yield text
    for count, child in enumerate(element, 1):
        if _says_something(text := child.tail):
            yield text
        if count % _CHILDREN_PER_STEP == 0:
            yield None
