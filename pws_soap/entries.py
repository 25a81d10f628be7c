"""Cuts the list of a long reply into its entries by their bytes, so that it is never parsed as a whole.

Such a reply is a small one with a run of entries in the middle: `<contact .../>` as our WSDL has it, or documents, as
elements, in a CDATA section, or as escaped text. What is left when the run is taken out, with a mark in its place, is
parsed as any reply, with every check; and each entry is read by itself, or known by its bytes. Entries that are
well-formed one by one, in the place of the mark, make up a well-formed reply, and one with the same content: nothing in
an entry reaches beyond it, since no namespace and no language that is declared around it bears on what we read.

Whatever is not plainly so (an entry that cannot be read alone, a mark that is not where the list is) raises NotCut; the
reply is then read as a whole. Tests hold both readings equal.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

from lxml import etree

from pws_soap.models import Presence, PresenceState
from pws_soap.pidf.kept import KeptReadings
from pws_soap.pidf.source import DocumentParser

SHORTEST: Final = 4 * 1024
"""Bytes of a reply below which it is parsed as a whole, in a tenth of a millisecond."""
_MAX_HEAD: Final = 16 * 1024
"""Bytes before the first entry."""
_MAX_ODD: Final = 100
"""Contacts of an unusual form, such as one with an escape, that are parsed one by one. With more of them a reply is
read as a whole."""
_WINDOW: Final = 32 * 1024
"""Bytes of contacts that are matched at once."""
_MANY: Final = 256 * 1024
"""Bytes of documents that are divided at once."""
_PER_STEP: Final = 400
_NEW: Final = 20
_BYTES: Final = 50
"""Between two places to pause 400 documents are known, or 10 of a thousand bytes are new: about a millisecond."""
_MARK: Final = "entries-are-cut-out-here"

_DECLARED: Final = re.compile(rb"""\s*(?:\xef\xbb\xbf)?\s*<\?xml\s[^>]{0,200}?encoding\s*=\s*["']([^"']*)""")
_FIRST: Final = re.compile(rb"(?P<sign><|&lt;)(?P<name>contact|(?:[A-Za-z_][\w.-]{0,63}:)?presence)(?=\s)")
_BEFORE: Final = re.compile(rb"\s*<contact\s+contactURI\s*=\s*")
_WITHIN: Final = re.compile(rb"\s+presenceStatus\s*=\s*")
_BETWEEN: Final = re.compile(rb"\s*/>\s*<contact\s+contactURI\s*=\s*")
_BEHIND: Final = re.compile(rb"\s*/>")
_SAFE: Final = bytes(sorted(set(range(0x21, 0x7F)) - set(b'"&<>')))
"""What an attribute may hold that needs no parser to read it."""
_STATES: Final = {state.value.encode(): state for state in PresenceState}
_LANGUAGE: Final = re.compile(rb"\blang\s*=")


class NotCut(Exception):  # no error: the reply is read as a whole
    """This reply cannot be read entry by entry."""


class Carrier(StrEnum):
    """What an entry is."""

    CONTACTS = "contacts"
    ELEMENTS = "elements"
    CDATA = "cdata"
    ESCAPED = "escaped"


_IN_TEXT: Final = frozenset({Carrier.CDATA, Carrier.ESCAPED})


class Cut(NamedTuple):
    """A reply whose entries are cut out: `rest` is what remains of it, `start` and `end` bound the entries in `body`,
    each of which ends with `last`."""

    body: bytes
    rest: bytes
    start: int
    end: int
    carrier: Carrier
    last: bytes


def cut(body: bytes) -> Cut | None:
    """The reply with its entries cut out; None for one that is short, or has no entries in a form that we know."""
    if len(body) < SHORTEST:
        return None
    declared = _DECLARED.match(body)
    first = _FIRST.search(body, 0, _MAX_HEAD)
    if first is None or (declared is not None and declared[1].lower() != b"utf-8"):
        return None
    section = body.rfind(b"<![CDATA[", 0, first.start())
    carrier = _carrier(first, in_section=section >= 0)
    if carrier is None:
        return None
    start, last = first.start(), b"</" + first["name"] + b">"
    if carrier is Carrier.CONTACTS:
        last = b"/>"
    elif carrier is Carrier.CDATA:  # a declaration may precede the first document
        start = section + len(b"<![CDATA[")
    elif carrier is Carrier.ESCAPED:
        start, last = body.rfind(b">", 0, start) + 1, b"&lt;/" + first["name"] + b"&gt;"
    end = body.rfind(last) + len(last)
    if end <= start or (carrier is Carrier.CDATA and _ends_in(body, start, end)):
        return None
    if carrier is Carrier.ELEMENTS and _LANGUAGE.search(body, 0, start):
        return None  # a note has the language of the elements around it
    mark = _MARK.encode() if carrier in _IN_TEXT else b"<" + _MARK.encode() + b"/>"
    rest = body[:start] + mark + body[end:]
    return Cut(body, rest, start, end, carrier, last) if len(rest) < _MAX_HEAD else None


def _ends_in(body: bytes, start: int, end: int) -> bool:
    """Whether the CDATA section ends there: one byte is found much faster than three, and is rare."""
    bracket = body.find(b"]", start, end)
    return bracket >= 0 and body.find(b"]]>", bracket, end) >= 0


def _carrier(first: re.Match[bytes], *, in_section: bool) -> Carrier | None:
    escaped, is_contact = first["sign"] != b"<", first["name"] == b"contact"
    if escaped:
        return None if in_section or is_contact else Carrier.ESCAPED
    if in_section:
        return None if is_contact else Carrier.CDATA
    return Carrier.CONTACTS if is_contact else Carrier.ELEMENTS


def is_place(cut: Cut, element: etree._Element) -> bool:
    """Whether the entries of `cut`, and nothing else, stand in this list."""
    text = (element.text or "").strip()
    if cut.carrier in _IN_TEXT:
        return len(element) == 0 and text == _MARK
    if len(element) != 1 or text or (element[0].tail or "").strip():
        return False
    tag = element[0].tag
    return isinstance(tag, str) and tag[tag.rfind("}") + 1 :] == _MARK


def contacts(cut: Cut) -> Generator[list[Presence], None, None]:
    """The contacts of a basic list, some at a time. Raises NotCut."""
    odd = 0
    for part in _parts(cut, _WINDOW):
        found = _usual(part)
        if found is None:
            pieces = [piece + cut.last for piece in part.split(cut.last)[:-1]]
            found = []
            for piece in pieces:
                usual = _usual(piece)
                odd += usual is None
                if odd > _MAX_ODD:
                    raise NotCut
                found.append(_odd(piece) if usual is None else usual[0])
        yield found


def _parts(cut: Cut, length: int) -> Iterator[bytes]:
    """The entries in parts of about so many bytes, of whole ones each."""
    at = cut.start
    while at < cut.end:
        end = cut.body.rfind(cut.last, at, min(at + length, cut.end))
        if end < 0:  # an entry that is longer
            end = cut.body.find(cut.last, at, cut.end)
        end += len(cut.last)
        yield cut.body[at:end]
        at = end


def _usual(part: bytes) -> list[Presence] | None:
    """Contacts in the form that the WSDL gives them; None for any other."""
    texts = part.split(b'"')
    uris, states = texts[1::4], texts[3::4]
    if (
        len(texts) % 4 == 1
        and len(texts) > 4
        and _BEFORE.fullmatch(texts[0])
        and all(map(_WITHIN.fullmatch, set(texts[2::4])))
        and all(map(_BETWEEN.fullmatch, set(texts[4:-1:4])))
        and _BEHIND.fullmatch(texts[-1])
        and all(uris)
        and not b"".join(uris).translate(None, _SAFE)
        and _STATES.keys() >= set(states)
    ):
        return list(map(Presence, map(bytes.decode, uris), map(_STATES.__getitem__, states)))
    return None


def _odd(piece: bytes) -> Presence:
    """A contact of which only a parser knows what it says."""
    try:
        node = etree.fromstring(piece, etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError:
        raise NotCut from None
    uri, state = node.get("contactURI"), _STATES.get((node.get("presenceStatus") or "").encode())
    if node.tag != "contact" or not uri or uri != uri.strip() or state is None:
        raise NotCut
    return Presence(uri, state)


def documents(cut: Cut, kept: KeptReadings, now: datetime) -> Generator[list[Presence], None, None]:
    """The documents of a rich list, some at a time. Raises NotCut."""
    escaped, in_text = cut.carrier is Carrier.ESCAPED, cut.carrier in _IN_TEXT
    source = DocumentParser()
    found: list[Presence] = []
    work = 0
    for part in _parts(cut, _MANY):
        for piece in part.split(cut.last)[:-1]:
            presence = kept.known(piece)
            if presence is None:
                work += _NEW + len(piece) // _BYTES
                presence = kept.presence(source, piece, cut.last, now, in_text=in_text, escaped=escaped)
                if presence is None:
                    raise NotCut
            found.append(presence)
            work += 1
            if work >= _PER_STEP:
                yield found
                found, work = [], 0
    yield found
