"""Parses the bytes of a reply into an lxml tree: safely, and in slices with a yield to the event loop between them.

No document type, no entity, no other document: a reply that has one is refused before the parser sees it. Text nodes
may be large (a list of rich documents comes as one), so the parser's own limit on them is lifted; the transport's cap
on the size of a reply bounds them.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Final

from lxml import etree

from pws_soap.contact import decoded
from pws_soap.errors import ForbiddenXml, NotXml, TruncatedReply, UnreadableReply

SLICE: Final = 32 * 1024
"""Bytes parsed between two yields: about a third of a millisecond."""

_BOM: Final = b"\xef\xbb\xbf"
_DECLARED: Final = re.compile(rb"""<\?xml\s[^>]*?encoding\s*=\s*["']([^"']*)""")
_ENCODINGS: Final = frozenset({b"utf-8", b"us-ascii", b"iso-8859-1", b"windows-1252"})
"""Encodings that a reply may declare: all contain ASCII, so that no document type can hide in another encoding."""
_ILLEGAL: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SURROGATE: Final = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")
"""Half a UTF-16 pair in the form of UTF-8: one character, which XML cannot have."""
_REFERENCE: Final = re.compile("&#(?:x([0-9a-fA-F]{1,6})|([0-9]{1,7}));")
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
    if body[:1].isspace():
        body = body.lstrip()  # an XML declaration may have nothing before it
    _refuse_document_type(body)
    try:
        return (yield from _feed(body))
    except UnreadableReply:
        repaired = _repaired(body)
        if repaired == body:
            raise
    # Bytes that XML forbids cost the characters they stand in, not the contacts around them.
    return (yield from _feed(repaired, encoding="utf-8"))


def _feed(body: bytes, encoding: str | None = None, *, recover: bool = False) -> Generator[None, None, etree._Element]:
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        remove_comments=True,
        remove_pis=True,
        huge_tree=True,
        encoding=encoding,
        recover=recover,
    )
    view = memoryview(body)
    for start in range(0, len(body), SLICE):
        if start:
            yield
        try:
            parser.feed(bytes(view[start : start + SLICE]))
        except etree.XMLSyntaxError as error:
            raise NotXml(f"the reply is not well-formed XML: {error.msg}") from None
    try:
        root: etree._Element = parser.close()
    except etree.XMLSyntaxError as error:
        kinds = [entry.type for entry in parser.feed_error_log]
        serious = [kind for kind in kinds if kind != _NO_PREFIX]
        if kinds and not serious:
            # Prefixes that nobody declared are all that is wrong: a rich document may bring such into a reply.
            return (yield from _feed(body, encoding, recover=True))
        # Nothing was wrong up to the last byte: the end is missing, unless what is wrong shows only at the end.
        if (serious and serious[0] in _UNFINISHED) or not body.rstrip().endswith(b">"):
            raise TruncatedReply(f"the reply ends in the middle of its XML, after {len(body)} bytes") from None
        raise NotXml(f"the reply is not well-formed XML: {error.msg}") from None
    return root


def _repaired(body: bytes) -> bytes:
    """The reply in UTF-8: bytes that are not are taken as Windows-1252, what XML cannot have is replaced."""
    body = _SURROGATE.sub("\N{REPLACEMENT CHARACTER}".encode(), body)
    text = _ILLEGAL.sub("\N{REPLACEMENT CHARACTER}", decoded(body))
    return _REFERENCE.sub(_legal_reference, text).encode()


def _legal_reference(found: re.Match[str]) -> str:
    """A numeric reference as it is, or a replacement for one to a character that XML cannot have, such as `&#1;`."""
    number = int(found[1], 16) if found[1] else int(found[2])
    good = number <= 0x10FFFF and not _ILLEGAL.match(chr(number))
    return found[0] if good else "\N{REPLACEMENT CHARACTER}"


def _refuse_document_type(body: bytes) -> None:
    """Check what precedes the root element: anything but a declaration or a comment is refused."""
    if b"\0" in body[:4] or body[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        raise NotXml("the reply is not in UTF-8")
    at = len(_BOM) if body.startswith(_BOM) else 0
    while True:
        while body[at : at + 1].isspace():
            at += 1
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
