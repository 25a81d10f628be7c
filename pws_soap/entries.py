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
_FEW_BYTES: Final = 4 * 1024
"""Bytes of contacts that are divided at once."""
_MANY: Final = 256 * 1024
"""Bytes of documents that are divided at once."""
PER_STEP: Final = 400
_NEW: Final = 6
_BYTES: Final = 100
"""Between two places to pause 400 documents are known, or 24 of a thousand bytes are new: one to three milliseconds."""
_MARK: Final = "entries-are-cut-out-here"

_DECLARED: Final = re.compile(rb"""\s*(?:\xef\xbb\xbf)?\s*<\?xml\s[^>]*?encoding\s*=\s*["']([^"']*)""")
_FIRST: Final = re.compile(
    rb"(?P<sign><|&lt;)(?P<name>(?P<prefix>[A-Za-z_][\w.-]{0,63}:)?(?:(?P<contact>contact)|presence))(?=\s)"
)
# Not `\s`, which has two characters more than the white space of XML.
_BEFORE: Final = r"[ \t\r\n]*<%s[ \t\r\n]+contactURI[ \t\r\n]*=[ \t\r\n]*"
_WITHIN: Final = re.compile(r"[ \t\r\n]+presenceStatus[ \t\r\n]*=[ \t\r\n]*")
_BEHIND: Final = re.compile(r"[ \t\r\n]*/>")
_SAFE: Final = bytes(sorted(set(range(0x21, 0x7F)) - set(b'"&<>')))
"""What an attribute may hold that needs no parser to read it."""
_STATES: Final = {state.value: state for state in PresenceState}
_DEFAULT_NAMESPACE: Final = re.compile(rb"\sxmlns\s*=")
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

    @property
    def frame(self) -> tuple[bytes, Carrier, bytes, bytes]:
        """All of the reply but its entries."""
        return self.rest, self.carrier, self.last, self.name


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
    if end <= start:
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


def inherits_namespace(cut: Cut) -> bool:
    """Whether documents that are elements may be in a namespace that is declared around them, without a prefix."""
    return cut.carrier is Carrier.ELEMENTS and _DEFAULT_NAMESPACE.search(cut.body, 0, cut.start) is not None


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


class EntryReader:
    """Reads the entries of a cut reply, with what is remembered of documents. `now` is as in `replies.presences`."""

    def __init__(self, cut: Cut, readings: KeptReadings, now: datetime) -> None:
        self.cut = cut
        self._readings, self._now = readings, now
        self._escaped, self._in_text = cut.carrier is Carrier.ESCAPED, cut.carrier in _IN_TEXT
        self._is_in_section = cut.carrier is Carrier.CDATA
        self._source = DocumentParser()
        before = _BEFORE % re.escape(cut.name.decode())
        self._before, self._between = re.compile(before), re.compile(_BEHIND.pattern + before)
        self._odd = 0
        self.work = 0
        """How much was read since it was set to 0; `PER_STEP` is enough for one turn of the loop."""
        self.count = 0
        """Entries that were read in steps."""
        self.documents: list[bytes | None] = []
        """Those of a rich list, in order; None for one that means something else at another time."""

    def in_steps(self) -> Generator[list[Presence], None, None]:
        """What all entries mean, some at a time. Raises NotCut."""
        return self._contacts() if self.cut.carrier is Carrier.CONTACTS else self._documents()

    def read(self, entry: bytes) -> tuple[Presence, bool]:
        """What one entry means, and whether it does so at any time. Raises NotCut."""
        if self.cut.carrier is Carrier.CONTACTS:
            self.work += 1
            return self._contact(entry), True
        if self._is_in_section and _ends_in(entry):
            raise NotCut
        return self._document(entry.removesuffix(self.cut.last), entry)

    def _contacts(self) -> Generator[list[Presence], None, None]:
        for part in _parts(self.cut, _WINDOW):
            found = self._usual(part) or list(map(self._contact, _divided(part, self.cut.last)))
            self.count += len(found)
            yield found

    def _contact(self, entry: bytes) -> Presence:
        usual = self._usual(entry)
        self._odd += usual is None
        if self._odd > _MAX_ODD:
            raise NotCut
        return _parsed(entry, self.cut.name) if usual is None else usual[0]

    def _usual(self, part: bytes) -> list[Presence] | None:
        """Contacts in the form that the WSDL gives them; None for any other."""
        if not part.isascii():
            return None
        texts = part.decode().split('"')
        uris, states = texts[1::4], texts[3::4]
        if (
            len(texts) % 4 == 1
            and len(texts) > 4
            and self._before.fullmatch(texts[0])
            and all(map(_WITHIN.fullmatch, set(texts[2::4])))
            and all(map(self._between.fullmatch, set(texts[4:-1:4])))
            and _BEHIND.fullmatch(texts[-1])
            and all(uris)
            and not "".join(uris).encode().translate(None, _SAFE)
            and _STATES.keys() >= set(states)
        ):
            return list(map(Presence, uris, map(_STATES.__getitem__, states)))
        return None

    def _documents(self) -> Generator[list[Presence], None, None]:
        found: list[Presence] = []
        for part in _parts(self.cut, _MANY):
            if self._is_in_section and _ends_in(part):
                raise NotCut
            for piece in part.split(self.cut.last)[:-1]:
                entry = piece + self.cut.last
                presence, lasts = self._document(piece, entry)
                self.documents.append(entry if lasts else None)
                found.append(presence)
                if self.work >= PER_STEP:
                    yield found
                    found, self.work = [], 0
        self.count = len(self.documents)
        yield found

    def _document(self, piece: bytes, entry: bytes) -> tuple[Presence, bool]:
        """`piece`: the entry without its end tag."""
        self.work += 1
        digest = digest_of(piece, in_text=self._in_text, escaped=self._escaped)
        known = self._readings.known(digest)
        if known is not None:
            return known, True
        if _hides_something(piece) or (self._escaped and b"<" in piece):
            raise NotCut
        self.work += _NEW + len(piece) // _BYTES
        passing = self._readings.passing
        presence = self._readings.presence(
            self._source, entry, digest, self._now, in_text=self._in_text, escaped=self._escaped
        )
        if presence is None:
            raise NotCut
        return presence, self._readings.passing == passing


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


def _divided(part: bytes, last: bytes) -> list[bytes]:
    return [piece + last for piece in part.split(last)[:-1]]


def contacts_of(cut: Cut) -> Iterator[bytes]:
    """The entries of a basic list, each by itself."""
    for part in _parts(cut, _FEW_BYTES):
        yield from _divided(part, cut.last)


def _parsed(piece: bytes, name: bytes) -> Presence:
    """A contact of which only a parser knows what it says: by two attributes, as any other."""
    piece = piece.lstrip(SPACE.encode())
    if not piece.startswith(b"<" + name) or b"xmlns" in piece:
        raise NotCut
    piece = b"<contact" + piece.removeprefix(b"<" + name)  # its prefix is declared where it does not stand alone
    try:
        node = etree.fromstring(piece, etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError:
        raise NotCut from None
    uri, state = node.get("contactURI"), _STATES.get(node.get("presenceStatus") or "")
    if node.tag != "contact" or len(node.attrib) > 2 or not uri or uri != uri.strip() or state is None:
        raise NotCut
    return Presence(uri, state)


def _ends_in(part: bytes) -> bool:
    """Whether a CDATA section ends there. One byte is found much faster than three, and it is rare."""
    return b"]" in part and b"]]>" in part


def _hides_something(piece: bytes) -> bool:
    """Whether a comment in it holds what looks like an entry, which may be about anybody."""
    return b"!" in piece and b"<!--" in piece and _result(passed_over(piece)) is not None


def _result(steps: Generator[None, None, str | None]) -> str | None:
    while True:
        try:
            next(steps)
        except StopIteration as done:
            found: str | None = done.value
            return found
