"""Bytes of a reply to an lxml tree: safely, and in slices so that an event loop can breathe between them.

No document type, no entity, no other document: a reply that has one is refused before the parser sees it. Text nodes
may be large (a list of rich documents comes as one), so the parser's own limit on them is lifted; the transport's cap
on the size of a reply bounds them.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Final

from lxml import etree

from pws_soap.errors import ForbiddenXml, NotXml, TruncatedReply, UnreadableReply

SLICE: Final = 32 * 1024
"""Bytes parsed between two yields: about a third of a millisecond."""

_BOM: Final = b"\xef\xbb\xbf"
_XML_START: Final = re.compile(rb"<(\?xml|[A-Za-z_][\w.\-]*:?Envelope\b)")
_ILLEGAL: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def local(node: etree._Element) -> str:
    """The name of an element without its namespace."""
    tag = node.tag
    return tag[tag.rfind("}") + 1 :] if isinstance(tag, str) else ""


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
    except etree.XMLSyntaxError as error:
        repaired = _repaired(body)
        if repaired == body:
            raise _complaint(body, error) from None
    # Bytes that no XML may have cost the characters they stand in, not the contacts around them.
    try:
        return (yield from _feed(repaired))
    except etree.XMLSyntaxError as error:
        raise _complaint(body, error) from None


def _feed(body: bytes) -> Generator[None, None, etree._Element]:
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True, huge_tree=True
    )
    view = memoryview(body)
    for start in range(0, len(body), SLICE):
        if start:
            yield
        parser.feed(bytes(view[start : start + SLICE]))
    root: etree._Element = parser.close()
    return root


def _repaired(body: bytes) -> bytes:
    return _ILLEGAL.sub("\N{REPLACEMENT CHARACTER}", body.decode("utf-8", "replace")).encode()


def _refuse_document_type(body: bytes) -> None:
    """Look through what may precede the root element; what is neither declaration, comment nor root is refused."""
    if b"\0" in body[:4] or body[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        raise NotXml("the reply is not in UTF-8")
    at = len(_BOM) if body.startswith(_BOM) else 0
    while True:
        while body[at : at + 1].isspace():
            at += 1
        if body.startswith(b"<?", at):
            end, skip = body.find(b"?>", at), 2
        elif body.startswith(b"<!--", at):
            end, skip = body.find(b"-->", at), 3
        elif body.startswith(b"<!", at):
            if re.match(rb"<!doctype\s+html", body[at : at + 32], re.IGNORECASE):
                raise NotXml(f"the reply is an HTML page, not SOAP: {_shown(body)}")
            raise ForbiddenXml("the reply has a document type declaration, which SOAP forbids")
        elif body.startswith(b"<", at):
            return
        else:
            raise NotXml(f"the reply is not XML: {_shown(body)}")
        if end < 0:
            raise TruncatedReply(f"the reply ends before its first element, after {len(body)} bytes")
        at = end + skip


def _complaint(body: bytes, error: etree.XMLSyntaxError) -> UnreadableReply:
    tail = body.rstrip()[-200:]
    if _XML_START.search(body[:400]) and b"Envelope>" not in tail.replace(b" ", b""):
        return TruncatedReply(f"the reply ends in the middle of its XML, after {len(body)} bytes")
    return NotXml(f"the reply is not well-formed XML: {error.msg}")


def _shown(body: bytes) -> str:
    """The beginning of a reply that is not SOAP, for a message: it comes from a proxy or another program."""
    text = body[:80].decode("ascii", "replace")
    return repr("".join(char if char.isprintable() else " " for char in text))
