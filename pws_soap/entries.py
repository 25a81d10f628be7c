"""Cuts the list of a long reply into its entries by their bytes, so that it is never parsed as a whole.

Such a reply is a small one with a run of entries in the middle: `<contact .../>` as our WSDL has it, with a prefix of
its namespace or without, or documents, as elements, in a CDATA section, or as escaped text. What is left when the run
is taken out, with a mark in its place, is parsed as any reply, with every check; and each entry is read by itself, or
known by its bytes. Entries that are well-formed one by one, in the place of the mark, make up a well-formed reply,
and one with the same content: nothing in an entry reaches beyond it, since no namespace and no language that is
declared around it bears on what we read.

Whatever is not plainly so (an entry that cannot be read alone, a mark that is not where the list is) raises NotCut; the
reply is then read as a whole. Tests hold both readings equal.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Final, NamedTuple

from lxml import etree

from pws_soap.envelope import local, namespace, passed_over
from pws_soap.models import Presence, PresenceState
from pws_soap.pidf.elements import SPACE, is_space
from pws_soap.pidf.kept import KeptReadings, digest_of
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
_NEW: Final = 6
_BYTES: Final = 100
"""Between two places to pause 400 documents are known, or 24 of a thousand bytes are new: one to three milliseconds."""
_MARK: Final = "entries-are-cut-out-here"

_DECLARED: Final = re.compile(rb"""\s*(?:\xef\xbb\xbf)?\s*<\?xml\s[^>]*?encoding\s*=\s*["']([^"']*)""")
_FIRST: Final = re.compile(
    rb"(?P<sign><|&lt;)(?P<name>(?P<prefix>[A-Za-z_][\w.-]{0,63}:)?(?:(?P<contact>contact)|presence))(?=\s)"
)
# Not `\s`, which has two characters more than the white space of XML.
_BEFORE: Final = rb"[ \t\r\n]*<%b[ \t\r\n]+contactURI[ \t\r\n]*=[ \t\r\n]*"
_WITHIN: Final = re.compile(rb"[ \t\r\n]+presenceStatus[ \t\r\n]*=[ \t\r\n]*")
_BEHIND: Final = re.compile(rb"[ \t\r\n]*/>")
_SAFE: Final = bytes(sorted(set(range(0x21, 0x7F)) - set(b'"&<>')))
"""What an attribute may hold that needs no parser to read it."""
_STATES: Final = {state.value.encode(): state for state in PresenceState}
_LANGUAGE: Final = re.compile(rb"\blang\s*=", re.IGNORECASE)


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
    each of which begins with a tag of this `name`, as it is written, and ends with `last`."""

    body: bytes
    rest: bytes
    start: int
    end: int
    carrier: Carrier
    last: bytes
    name: bytes


def cut(body: bytes) -> Cut | None:
    """The reply with its entries cut out; None for one that is short, or has no entries in a form that we know."""
    if len(body) < SHORTEST:
        return None
    declared = _DECLARED.match(body, 0, _MAX_HEAD)
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
    mark = _MARK.encode()
    if carrier not in _IN_TEXT:  # where the contacts have a prefix, the mark has it too, and so their namespace
        prefix = (first["prefix"] or b"") if carrier is Carrier.CONTACTS else b""
        mark = b"<" + prefix + mark + b"/>"
    rest = body[:start] + mark + body[end:]
    if len(rest) >= _MAX_HEAD or rest.count(_MARK.encode()) > 1:
        return None
    return Cut(body, rest, start, end, carrier, last, first["name"])


def _ends_in(body: bytes, start: int, end: int) -> bool:
    """Whether the CDATA section ends there: one byte is found much faster than three, and is rare."""
    bracket = body.find(b"]", start, end)
    return bracket >= 0 and body.find(b"]]>", bracket, end) >= 0


def _carrier(first: re.Match[bytes], *, in_section: bool) -> Carrier | None:
    escaped, is_contact = first["sign"] != b"<", first["contact"] is not None
    if escaped:
        return None if in_section or is_contact else Carrier.ESCAPED
    if in_section:
        return None if is_contact else Carrier.CDATA
    return Carrier.CONTACTS if is_contact else Carrier.ELEMENTS


def is_place(cut: Cut, element: etree._Element) -> bool:
    """Whether the entries of `cut`, and nothing else, stand in this list."""
    if cut.carrier in _IN_TEXT:
        return len(element) == 0 and (element.text or "").strip(SPACE) == _MARK
    if len(element) != 1 or not is_space(element.text) or not is_space(element[0].tail):
        return False
    mark = element[0]
    # A contact is one in the namespace of its list, or in none; the mark is in that of the contacts.
    is_theirs = cut.carrier is Carrier.ELEMENTS or namespace(mark) in {"", namespace(element)}
    return local(mark) == _MARK and is_theirs


def contacts(cut: Cut) -> Generator[list[Presence], None, None]:
    """The contacts of a basic list, some at a time. Raises NotCut."""
    odd = 0
    before = _BEFORE % re.escape(cut.name)
    usual_of = partial(_usual, before=re.compile(before), between=re.compile(_BEHIND.pattern + before))
    for part in _parts(cut, _WINDOW):
        found = usual_of(part)
        if found is None:
            pieces = [piece + cut.last for piece in part.split(cut.last)[:-1]]
            found = []
            for piece in pieces:
                usual = usual_of(piece)
                odd += usual is None
                if odd > _MAX_ODD:
                    raise NotCut
                found.append(_odd(piece, cut.name) if usual is None else usual[0])
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


def _usual(part: bytes, before: re.Pattern[bytes], between: re.Pattern[bytes]) -> list[Presence] | None:
    """Contacts in the form that the WSDL gives them; None for any other. `before` and `between`: their texts."""
    texts = part.split(b'"')
    uris, states = texts[1::4], texts[3::4]
    if (
        len(texts) % 4 == 1
        and len(texts) > 4
        and before.fullmatch(texts[0])
        and all(map(_WITHIN.fullmatch, set(texts[2::4])))
        and all(map(between.fullmatch, set(texts[4:-1:4])))
        and _BEHIND.fullmatch(texts[-1])
        and all(uris)
        and not b"".join(uris).translate(None, _SAFE)
        and _STATES.keys() >= set(states)
    ):
        return list(map(Presence, map(bytes.decode, uris), map(_STATES.__getitem__, states)))
    return None


def _odd(piece: bytes, name: bytes) -> Presence:
    """A contact of which only a parser knows what it says: by two attributes, as any other."""
    piece = piece.lstrip(SPACE.encode())
    if not piece.startswith(b"<" + name) or b"xmlns" in piece:
        raise NotCut
    piece = b"<contact" + piece.removeprefix(b"<" + name)  # its prefix is declared where it does not stand alone
    try:
        node = etree.fromstring(piece, etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError:
        raise NotCut from None
    uri, state = node.get("contactURI"), _STATES.get((node.get("presenceStatus") or "").encode())
    if node.tag != "contact" or len(node.attrib) > 2 or not uri or uri != uri.strip() or state is None:
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
            digest = digest_of(piece, in_text=in_text, escaped=escaped)
            presence = kept.known(digest)
            if presence is None:
                if _hides_something(piece) or (escaped and b"<" in piece):
                    raise NotCut
                work += _NEW + len(piece) // _BYTES
                presence = kept.presence(source, piece + cut.last, digest, now, in_text=in_text, escaped=escaped)
                if presence is None:
                    raise NotCut
            found.append(presence)
            work += 1
            if work >= _PER_STEP:
                yield found
                found, work = [], 0
    yield found


def _hides_something(piece: bytes) -> bool:
    """Whether a comment in it holds what looks like an entry, which may be about anybody."""
    return b"<!--" in piece and _result(passed_over(piece)) is not None


def _result(steps: Generator[None, None, str | None]) -> str | None:
    while True:
        try:
            next(steps)
        except StopIteration as done:
            found: str | None = done.value
            return found
