"""How large and how deep XML may be, checked before the parser that makes a tree of it.

That parser, and the validator, need time with the square of the attributes and namespaces of an element. So expat
reads the text first, in time that grows with its length alone, and refuses what goes beyond the limits below. Both are
given the same bytes of UTF-8, and what expat cannot read is refused, so that nothing is hidden from the check.
"""

from __future__ import annotations

from typing import Final
from xml.parsers import expat

from lxml import etree

from pws_soap.server.codes import Refused

MAX_DEPTH: Final = 100
"""Elements inside each other; a request needs 5, a rich document in it about 10 more."""
MAX_ATTRIBUTES: Final = 256
"""Attributes of one element, declarations of namespaces included."""
MAX_NAMESPACES: Final = 256
"""Namespaces that are declared at one place, counting those of the elements around it."""
MAX_ELEMENTS: Final = 250_000
"""Elements of one request: 50 times as many as the 5000 contacts of a list."""
_BYTES_OF_ELEMENT: Final = 64
"""Bytes of a usual element. Where requests are shorter than usual, they may have fewer elements, one for as many bytes:
each takes microseconds to read, and packed it may be one bit."""
_ELEMENTS_AT_LEAST: Final = 10_000
MAX_TAG: Final = 262_144
"""Bytes of one tag, comment or processing instruction. One up to a slice longer may pass, as it lies in the slices."""
_SLICE: Final = 65_536
"""Bytes that expat is given at once, so that a tag too long is noticed before it is read whole."""

_ERRORS: Final[dict[int, str]] = {
    etree.ErrorTypes.ERR_UNDECLARED_ENTITY: "an entity is not declared",
    etree.ErrorTypes.ERR_NAME_TOO_LONG: "a name is too long",
    etree.ErrorTypes.ERR_NS_DECL_ERROR: "the URI of a namespace is not valid",
    etree.ErrorTypes.ERR_TAG_NAME_MISMATCH: "mismatched tag",
    etree.ErrorTypes.ERR_RESOURCE_LIMIT: "a text or a name is too long",
    etree.ErrorTypes.NS_ERR_XML_NAMESPACE: "a namespace may not be declared like this",
    etree.ErrorTypes.NS_ERR_UNDEFINED_NAMESPACE: "the prefix of a name is not declared",
    etree.ErrorTypes.NS_ERR_QNAME: "a name has a colon in the wrong place",
    etree.ErrorTypes.NS_ERR_ATTRIBUTE_REDEFINED: "an element has the same attribute twice",
}
"""What lxml's errors say, by code. Its own words are not given, since they repeat the text, perhaps of a password."""


def max_elements(max_bytes: int) -> int:
    """Elements that a request may have, where it may have so many bytes."""
    return max(_ELEMENTS_AT_LEAST, min(MAX_ELEMENTS, max_bytes // _BYTES_OF_ELEMENT))


def _what_begins(content: bytes, at: int) -> str:
    start = content[at : at + 4]
    return "a comment" if start == b"<!--" else "a processing instruction" if start[:2] == b"<?" else "a tag"


class _Counter:
    """Counts while expat reads."""

    def __init__(self, code: int, most: int) -> None:
        self._code = code
        self._most = most
        self._declared: list[int] = []
        self._in_scope = 0
        self._elements = 0
        self.end = 0
        """Where the root's end tag begins, in bytes; 0 before it has been met."""
        self.parser = expat.ParserCreate("utf-8")
        self.parser.ordered_attributes = True
        # Newer ones wait for more of a long tag before they say where it began. With such slices that gains nothing.
        at_once = getattr(self.parser, "SetReparseDeferralEnabled", None)
        if at_once is not None:
            at_once(False)
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.StartDoctypeDeclHandler = self._doctype

    def refused(self, what: str) -> Refused:
        """What is too much, and where."""
        return Refused(self._code, f"Line {self.parser.CurrentLineNumber}: {what}.")

    def _start(self, name: str, attributes: list[str]) -> None:
        self._elements += 1
        declared = sum(attribute.startswith("xmlns") for attribute in attributes[::2]) if attributes else 0
        self._declared.append(declared)
        self._in_scope += declared
        if len(self._declared) > MAX_DEPTH:
            raise self.refused(f"more than {MAX_DEPTH} elements are inside each other")
        if len(attributes) > 2 * MAX_ATTRIBUTES:
            raise self.refused(f"an element has more than {MAX_ATTRIBUTES} attributes")
        if self._in_scope > MAX_NAMESPACES:
            raise self.refused(f"more than {MAX_NAMESPACES} namespaces are declared")
        if self._elements > self._most:
            raise self.refused(f"there are more than {self._most} elements")

    def _end(self, name: str) -> None:
        self._in_scope -= self._declared.pop()
        if not self._declared:
            self.end = self.parser.CurrentByteIndex

    def _doctype(self, *declaration: object) -> None:
        raise self.refused("a document type is not taken")


def parsed(content: bytes, code: int, *, strict: bool = False, most: int = MAX_ELEMENTS) -> etree._Element:
    """The root of XML in UTF-8 that keeps within the limits, and has at most so many elements. Raises `Refused` with
    the code, and says why.

    Lenient reading stops at the end of the root, and does not look at what follows it.
    """
    counter = _Counter(code, most)
    parser = counter.parser
    try:
        for start in range(0, len(content), _SLICE):
            parser.Parse(content[start : start + _SLICE], False)
            if min(start + _SLICE, len(content)) - parser.CurrentByteIndex > MAX_TAG + _SLICE:
                raise counter.refused(f"{_what_begins(content, parser.CurrentByteIndex)} has more than {MAX_TAG} bytes")
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        if strict or not counter.end:
            raise Refused(code, f"Line {error.lineno}: {expat.ErrorString(error.code)}.") from None
        content = content[: content.index(b">", counter.end) + 1]
    tree = etree.XMLParser(
        encoding="utf-8", resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True,
        remove_pis=True, collect_ids=False, huge_tree=False,
    )  # fmt: skip
    try:
        return etree.fromstring(content, tree)
    except etree.XMLSyntaxError as error:  # a prefix that is not declared, for instance
        raise Refused(code, f"Line {error.lineno}: {_ERRORS.get(error.code, 'not well-formed')}.") from None
    except ValueError:
        raise Refused(code, "The XML is not well-formed.") from None
