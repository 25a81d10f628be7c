"""Parses the bytes of a reply into an lxml tree: safely, and in slices with a yield to the event loop between them.

No document type, no entity, no other document: a reply that has one is refused before the parser sees it. Text nodes
may be large (a list of rich documents comes as one), so the parser's own limit on them is lifted; the transport's cap
on the size of a reply bounds them.
"""

from __future__ import annotations

import re
from codecs import getincrementaldecoder
from collections.abc import Generator, Iterator
from typing import Final

from lxml import etree

from pws_soap.contact import windows_1252
from pws_soap.errors import ForbiddenXml, NotXml, TruncatedReply, UnreadableReply
from pws_soap.markup import Markup, is_plain

SLICE: Final = 32 * 1024
"""Bytes parsed between two yields: about a third of a millisecond."""

MIN_NODES: Final = 20_000
BYTES_PER_NODE: Final = 16
"""A reply may have so many elements and attributes, and one more for so many bytes: the densest list of contacts has
one for each 17. Each takes up to 300 bytes of memory, whatever its size in the reply."""
MAX_PROLOG: Final = 64 * 1024
"""Bytes that may stand before the first element."""

_BOM: Final = b"\xef\xbb\xbf"
_DECLARED: Final = re.compile(rb"""<\?xml\s[^>]*?encoding\s*=\s*["']([^"']*)""")
_ENCODINGS: Final = frozenset({b"utf-8", b"us-ascii", b"iso-8859-1", b"windows-1252"})
"""Encodings that a reply may declare: all contain ASCII, so that no document type can hide in another encoding."""
_ILLEGAL: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_FIRST_OF_SURROGATE: Final = "\udced"
_SURROGATE: Final = re.compile("\udced[\udca0-\udcbf][\udc80-\udcbf]")
"""Half a UTF-16 pair in the form of UTF-8, its three bytes set aside: one character, which XML cannot have."""
_REFERENCE: Final = re.compile("&#(?:x([0-9a-fA-F]{1,6})|([0-9]{1,7}));")
_LONGEST_REFERENCE: Final = 10
"""Characters of the longest reference that `_REFERENCE` finds."""
_WHITE_SPACE: Final = re.compile(rb"[ \t\n\r\x0b\x0c]*")
_NO_PREFIX: Final = etree.ErrorTypes.NS_ERR_UNDEFINED_NAMESPACE
_UNFINISHED: Final = frozenset(
    {
        etree.ErrorTypes.ERR_DOCUMENT_EMPTY,
        etree.ErrorTypes.ERR_TAG_NOT_FINISHED,
        etree.ErrorTypes.ERR_COMMENT_NOT_FINISHED,
        etree.ErrorTypes.ERR_CDATA_NOT_FINISHED,
    }
)


def local(node: etree._Element) -> str:
    """The name of an element without its namespace."""
    tag = node.tag
    return tag[tag.rfind("}") + 1 :] if isinstance(tag, str) else ""


def local_of(name: str) -> str:
    """The name of an attribute without its namespace."""
    return name[name.rfind("}") + 1 :]


def child(node: etree._Element, name: str) -> etree._Element | None:
    """The first child of that local name, without regard to case or namespace."""
    wanted = name.lower()
    return next((each for each in node if local(each).lower() == wanted), None)


def parse(body: bytes) -> etree._Element:
    """The root of a reply. Raises NotXml, TruncatedReply or ForbiddenXml."""
    steps = parse_in_slices(body)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            root: etree._Element = done.value
            return root


def parse_in_slices(body: bytes) -> Generator[None, None, etree._Element]:
    """As `parse`, with a yield after each slice."""
    _refuse_document_type(body)
    try:
        return (yield from _feed(body))
    except UnreadableReply as error:
        failed = error
    # Bytes that no XML may have cost the characters they stand in, not the contacts around them.
    needs_repair = yield from _needs_repair(body)
    if not needs_repair:
        raise failed
    return (yield from _feed(body, repaired=True))


def _feed(body: bytes, *, repaired: bool = False, recover: bool = False) -> Generator[None, None, etree._Element]:
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        remove_comments=True,
        remove_pis=True,
        huge_tree=True,
        collect_ids=False,
        encoding="utf-8" if repaired else None,
        recover=recover,
    )
    allowed = MIN_NODES + len(body) // BYTES_PER_NODE
    plain = not repaired and (yield from is_plain(body, allowed))
    markup = Markup(allowed)
    pieces = _repaired(body) if repaired else _slices(body)
    for number, piece in enumerate(pieces):
        if number:
            yield
        fed = piece if plain else markup.take(piece)
        try:
            parser.feed(fed)
        except etree.XMLSyntaxError as error:
            raise NotXml(f"the reply is not well-formed XML: {error.msg}") from None
    try:
        root: etree._Element = parser.close()
    except etree.XMLSyntaxError as error:
        kinds = [entry.type for entry in parser.feed_error_log]
        serious = [kind for kind in kinds if kind != _NO_PREFIX]
        if kinds and not serious:
            # Prefixes that nobody declared are all that is wrong: a rich document may bring such into a reply.
            return (yield from _feed(body, repaired=repaired, recover=True))
        # Nothing was wrong up to the last byte: the end is missing, unless what is wrong shows only at the end.
        if (serious and serious[0] in _UNFINISHED) or not body.rstrip().endswith(b">"):
            raise TruncatedReply(f"the reply ends in the middle of its XML, after {len(body)} bytes") from None
        raise NotXml(f"the reply is not well-formed XML: {error.msg}") from None
    return root


def _slices(body: bytes) -> Iterator[bytes]:
    """The reply in slices; white space before it is left out, since an XML declaration may have nothing before it."""
    start = _after_white_space(body, 0)
    for at in range(start, len(body), SLICE):
        yield body[at : at + SLICE]


def _needs_repair(body: bytes) -> Generator[None, None, bool]:
    """Whether a reply has bytes, characters or references that XML cannot have; with a yield after each slice."""
    decoder = getincrementaldecoder("utf-8")("surrogateescape")
    before = ""
    for piece in _slices(body):
        text = before + decoder.decode(piece)
        if _ILLEGAL.search(text) or any(_legal_reference(found) != found[0] for found in _REFERENCE.finditer(text)):
            return True
        before = text[-_LONGEST_REFERENCE:]
        yield
    return bool(_ILLEGAL.search(decoder.decode(b"", True)))


def _repaired(body: bytes) -> Iterator[bytes]:
    """The reply in UTF-8, slice by slice: bytes that are not UTF-8 are taken as Windows-1252, what XML cannot have is
    replaced."""
    decoder = getincrementaldecoder("utf-8")("surrogateescape")
    rest = ""
    for piece in _slices(body):
        text = rest + decoder.decode(piece)
        cut = _whole(text)
        text, rest = text[:cut], text[cut:]
        yield _mended(text)
    yield _mended(rest + decoder.decode(b"", True))


def _whole(text: str) -> int:
    """How much of a text can be mended before the rest is there: no reference and no surrogate may be cut."""
    open_reference = text.rfind("&", max(0, len(text) - _LONGEST_REFERENCE))
    half = text.rfind(_FIRST_OF_SURROGATE, max(0, len(text) - 2))
    return min(each for each in (open_reference, half, len(text)) if each >= 0)


def _mended(text: str) -> bytes:
    text = _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)
    text = _ILLEGAL.sub("\N{REPLACEMENT CHARACTER}", windows_1252(text))
    return _REFERENCE.sub(_legal_reference, text).encode()


def _legal_reference(found: re.Match[str]) -> str:
    """A numeric reference as it is, or a replacement for one to a character that XML cannot have, such as `&#1;`."""
    number = int(found[1], 16) if found[1] else int(found[2])
    good = number <= 0x10FFFF and not _ILLEGAL.match(chr(number))
    return found[0] if good else "\N{REPLACEMENT CHARACTER}"


def _after_white_space(body: bytes, at: int) -> int:
    """Where white space ends, which is followed only a little further than it may go."""
    found = _WHITE_SPACE.match(body, at, at + MAX_PROLOG + 2)
    return found.end() if found is not None else at


def _refuse_document_type(body: bytes) -> None:
    """Check what precedes the root element: anything but a declaration or a comment is refused."""
    if b"\0" in body[:4] or body[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        raise NotXml("the reply is not in UTF-8")
    at = _after_white_space(body, 0)
    at += len(_BOM) if body.startswith(_BOM, at) else 0
    while True:
        at = _after_white_space(body, at)
        if at > MAX_PROLOG:
            raise NotXml(f"the reply has more than {MAX_PROLOG} bytes before its first element")
        if body.startswith(b"<?", at):
            declared = _DECLARED.match(body, at, at + 200)
            if declared and declared[1].lower() not in _ENCODINGS:
                raise NotXml(f"the reply is not in UTF-8 but in {_shown(declared[1])}")
            end, skip = body.find(b"?>", at), 2
        elif body.startswith(b"<!--", at):
            end, skip = body.find(b"-->", at), 3
        elif body.startswith(b"<!", at):
            _refuse_html(body, at)
            raise ForbiddenXml("the reply has a document type declaration, which SOAP forbids")
        elif body.startswith(b"<", at):
            _refuse_html(body, at)
            return
        elif at < len(body):
            raise NotXml(f"the reply is not XML: {_shown(body)}")
        else:
            end, skip = -1, 0
        if end < 0:
            raise TruncatedReply(f"the reply ends before its first element, after {len(body)} bytes")
        at = end + skip


def _refuse_html(body: bytes, at: int) -> None:
    if re.match(rb"<(!doctype\s+)?html\b", body[at : at + 32], re.IGNORECASE):
        raise NotXml(f"the reply is an HTML page, not SOAP: {_shown(body)}")


def _shown(body: bytes) -> str:
    """The beginning of a reply that is not SOAP, for a message; it comes from a proxy or another program."""
    text = body[:80].decode("ascii", "replace")
    return repr("".join(char if char.isprintable() else " " for char in text))
