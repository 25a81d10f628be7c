"""Text into elements, safely: the one place of this package that touches an XML parser.

No document type ever reaches the parser (the text between documents is not given to it, and within a document a
declaration is a syntax error), entities are not resolved, nothing is fetched, and libxml2's own limits on depth, names
and text are left on. Prefixes that nobody declared are common in real documents and are no reason to lose a contact: a
document whose only faults are such is read, any other fault is an error.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from contextlib import suppress
from typing import Final

from lxml import etree

from pws_soap.errors import PidfError
from pws_soap.markup import most_nodes
from pws_soap.pidf.model import MAX_DOCUMENT, MAX_NODES

_ENCODING: Final = re.compile(rb"<\?xml[^>]{0,80}?encoding\s*=\s*[\"']([A-Za-z0-9._-]{1,32})")
_LEGACY: Final = re.compile(r"(iso-?8859-?\d{1,2}|windows-125\d|cp125\d|latin-?1)", re.IGNORECASE)
"""Encodings that keep ASCII and are met in old documents. All else is taken as UTF-8, and must be."""
_UNESCAPED_AT_ONCE: Final = 256 * 1024
_ENTITIES: Final = ((b"&lt;", b"<"), (b"&gt;", b">"), (b"&quot;", b'"'), (b"&apos;", b"'"), (b"&amp;", b"&"))
_LONGEST_ENTITY: Final = 6
_BOMS: Final = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"<\x00", "utf-16-le"), (b"\x00<", "utf-16-be"))


def to_bytes(content: bytes | bytearray | str) -> bytes:
    """The text as UTF-8. What is not valid stays so, and is found document by document.

    A text whose markup is escaped once more than it should be is unescaped; UTF-16 is known by its first bytes.
    """
    steps = to_bytes_in_steps(content)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            data: bytes = done.value
            return data


def to_bytes_in_steps(content: bytes | bytearray | str) -> Generator[None, None, bytes]:
    """As `to_bytes`, with a yield after each piece of a long text."""
    if isinstance(content, str):
        data = content.encode("utf-8", "surrogatepass")
    else:
        data = bytes(content)
        for mark, encoding in _BOMS:
            if data.startswith(mark):
                data = data.decode(encoding, "replace").encode("utf-8", "surrogatepass")
                break
    if not data[:64].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"&lt;"):
        return data
    pieces, start = [], 0
    while start < len(data):
        end = start + _UNESCAPED_AT_ONCE
        cut = data.rfind(b"&", end - _LONGEST_ENTITY + 1, end)  # no entity may be cut
        end = cut if cut > start and end < len(data) else end
        pieces.append(without_escapes(data[start:end]))
        start = end
        yield
    return b"".join(pieces)


def without_escapes(data: bytes, entities: Sequence[tuple[bytes, bytes]] = _ENTITIES) -> bytes:
    """The text with the five entities that XML knows replaced, and no other."""
    for entity, character in entities:
        data = data.replace(entity, character)
    return data


def as_utf8(document: bytes, prolog: bytes) -> bytes:
    """The document in UTF-8, if the XML declaration before it names one of the old encodings."""
    declared = _ENCODING.search(prolog) if b"encoding" in prolog else None
    if declared is not None:
        name = declared[1].decode("ascii")
        if _LEGACY.fullmatch(name):
            try:
                return document.decode(name).encode("utf-8")
            except (UnicodeDecodeError, LookupError):  # not what it declares: the parser decides
                return document
    return document


def _parser(*, recover: bool = False) -> etree.XMLParser[etree._Element]:
    return etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
        collect_ids=False,
        recover=recover,
    )


class DocumentParser:
    """A parser for the documents of one call. It is not kept longer: lxml's parsers remember every error they met.

    `keeps_documents`: whether what is read of a document holds the document too, to be passed on.
    """

    def __init__(self, *, keeps_documents: bool = False) -> None:
        self.keeps_documents = keeps_documents
        self._strict: etree.XMLParser[etree._Element] | None = None  # made where it is needed, which takes long

    def parse(self, document: bytes, *, strict: bool = False) -> etree._Element:
        """The root of one document, with wrong namespaces too unless `strict`. Raises PidfError."""
        if len(document) > MAX_DOCUMENT:
            raise PidfError(f"longer than {MAX_DOCUMENT} bytes")
        signs = document.count(b"<") + document.count(b"=")  # the quick look, enough for any usual document
        if signs > MAX_NODES and most_nodes(document) > MAX_NODES:
            raise PidfError(f"more than {MAX_NODES} elements and attributes")
        try:
            self._strict = self._strict or _parser()
            return etree.fromstring(document, self._strict)
        except etree.XMLSyntaxError as error:
            self._strict = None
            if strict:
                raise PidfError(f"not well-formed XML: {error.msg}") from None
            return _without_namespaces(document)

    def unescaped(self, text: bytes) -> bytes:
        """What a text without tags stands for, as it lies in XML. Raises PidfError."""
        if b"<" not in text and b"]]>" not in text:
            nearly = without_escapes(text, _ENTITIES[:-1])
            plain = without_escapes(nearly, _ENTITIES[-1:])
            if plain.count(b"&") * 4 == len(nearly) - len(plain):  # every one that is left was an `&amp;`
                return plain
        root = self.parse(b"<t>" + text + b"</t>", strict=True)
        if len(root):
            raise PidfError("a tag in text")
        return (root.text or "").encode()


def _without_namespaces(document: bytes) -> etree._Element:
    """The root of a document whose namespaces are wrong and all else is right; PidfError says what is not."""
    lenient = _parser(recover=True)
    root: etree._Element | None = None
    with suppress(etree.XMLSyntaxError):  # even so: the log says why, as for the faults that it passes over
        root = etree.fromstring(document, lenient)
    for entry in lenient.error_log:
        if root is None or entry.level >= etree.ErrorLevels.FATAL:
            raise PidfError(f"not well-formed XML: {' '.join(entry.message[:160].split())} (line {entry.line})")
    if root is None:
        raise PidfError("not well-formed XML: no element")
    return root
