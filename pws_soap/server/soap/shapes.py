"""What the schema expects where, and how a request that says the same in another form is brought into that form.

gSOAP in its default mode passes over what it does not know, takes elements in any order, and `xsi:nil` for an absent
element (protocol section 2, Transport). `canonical` does the same, so that what follows reads only what the schema
describes. It decides nothing about values: what is missing or wrong stays so, and the schema refuses it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from lxml import etree

from pws_soap.server.soap.contract import PWS, schema_document

_OURS: Final = f"{{{PWS}}}"
_XSD: Final = "{http://www.w3.org/2001/XMLSchema}"
_XSI: Final = re.compile(r"http://www\.w3\.org/[^/]+(/[^/]+)?/XMLSchema-instance")
_ENCODINGS: Final = frozenset({
    "http://schemas.xmlsoap.org/soap/encoding/", "http://www.w3.org/2003/05/soap-encoding"
})  # fmt: skip
"""Namespaces of SOAP's encoding, whose attributes `id` and `ref` let one element stand for another."""
_MAX_LINE: Final = 65_535
"""The greatest line number that an element of the tree can be given."""


@dataclass(slots=True)
class Shape:
    """What an element may hold. `children` are in the order of the schema; `repeated` those that may come again."""

    children: dict[str, Shape] = field(default_factory=dict)
    repeated: set[str] = field(default_factory=set)
    attributes: set[str] = field(default_factory=set)
    is_anything: bool = False
    is_text: bool = False
    is_enumerated: bool = False


@functools.cache
def shapes() -> Mapping[str, Shape]:
    """The shapes of the elements at the top of the schema, by name."""
    document = schema_document()
    types = {each.get("name"): each for each in document if each.tag in (f"{_XSD}complexType", f"{_XSD}simpleType")}
    return {str(each.get("name")): _shape(each, types) for each in document.iterchildren(f"{_XSD}element")}


def _shape(element: etree._Element, types: Mapping[str | None, etree._Element]) -> Shape:
    name = element.get("type", "")
    prefix, _, local = name.rpartition(":")
    definition = types.get(local) if element.nsmap.get(prefix or None) == PWS else None
    if definition is None:
        definition = next(iter(element.iterchildren(f"{_XSD}complexType", f"{_XSD}simpleType")), None)
    if definition is None:
        return Shape(is_anything=local in ("", "anyType"), is_text=local not in ("", "anyType"))
    if definition.tag == f"{_XSD}simpleType":
        return Shape(is_text=True, is_enumerated=definition.find(f".//{_XSD}enumeration") is not None)
    shape = Shape(attributes={str(each.get("name")) for each in definition.iterchildren(f"{_XSD}attribute")})
    for child in _particles(definition):
        shape.children[str(child.get("name"))] = _shape(child, types)
        if child.get("maxOccurs", "1") != "1":
            shape.repeated.add(str(child.get("name")))
    return shape


def _particles(definition: etree._Element) -> Iterator[etree._Element]:
    """The elements of a complex type, those of its choices included, but not those further inside."""
    for group in definition.iterchildren(f"{_XSD}sequence", f"{_XSD}choice"):
        yield from group.iterchildren(f"{_XSD}element")
        yield from _particles(group)


@dataclass(slots=True)
class Canonical:
    """A request as the schema wants it. What stands in elements of any type comes into it by `complete`.

    That part is nothing for the schema, which would look up each `xsi:type` in it.
    """

    root: etree._Element
    contents: list[tuple[etree._Element, etree._Element]] = field(default_factory=list)

    def complete(self) -> None:
        """Move the content of elements of any type into the request."""
        for made, given in self.contents:
            made.text = given.text
            made.extend(list(given))


def canonical(root: etree._Element, body: etree._Element) -> Canonical:
    """A request as the schema wants it: known elements in its order, without the attributes that it does not know.

    Of an element that comes twice and may not, the first counts. Elements that stand for another of the `body`
    (`href`, as SOAP's encoding has it) are replaced by that one.
    """
    made = Canonical(etree.Element(root.tag, nsmap={None: PWS}))
    _fill(made, made.root, root, shapes()[etree.QName(root).localname], _Targets(body))
    return made


class _Targets:
    """The elements of a body that have an id; they are collected when the first reference is met."""

    def __init__(self, body: etree._Element) -> None:
        self._body = body
        self._found: dict[str, etree._Element] | None = None

    def of(self, element: etree._Element) -> etree._Element:
        """The element that this one stands for; most stand for themselves."""
        reference = element.get("href") or _encoded(element, "ref")
        if not reference or len(element):
            return element
        if self._found is None:
            self._found = {}
            for each in self._body.iter("*"):
                name = each.get("id") or _encoded(each, "id")
                if name:
                    self._found.setdefault(name, each)
        return self._found.get(reference.removeprefix("#"), element)


def _encoded(element: etree._Element, name: str) -> str | None:
    return next((value for space in _ENCODINGS if (value := element.get(f"{{{space}}}{name}"))), None)


def is_nil(element: etree._Element) -> bool:
    """Whether the element says that it is absent: `xsi:nil`, or `xsi:null` as it was called before 2001."""
    for name, value in element.attrib.items():
        if name.endswith(("}nil", "}null")) and _XSI.fullmatch(name[1:].partition("}")[0]):
            return value.strip() in ("1", "true")
    return False


def _fill(request: Canonical, made: etree._Element, given: etree._Element, shape: Shape, targets: _Targets) -> None:
    made.sourceline = min(given.sourceline or 0, _MAX_LINE)  # type: ignore[misc]  # lxml's stubs call it read-only
    if shape.is_anything:
        request.contents.append((made, given))
    elif shape.is_text:
        text = "".join(given.itertext()) if len(given) else given.text or ""
        made.text = text.strip() if shape.is_enumerated else text
    else:
        _set_attributes(made, given, shape)
        for name, element in _children(given, shape):
            child = shape.children.get(name)
            if child is None:
                etree.SubElement(made, element.tag)
            else:
                _fill(request, etree.SubElement(made, _OURS + name), targets.of(element), child, targets)


def _set_attributes(made: etree._Element, given: etree._Element, shape: Shape) -> None:
    """Copy the known attributes. A contact that has only others keeps them, so that the mistake can be named (148)."""
    if not shape.attributes or not given.attrib:
        return
    for name in shape.attributes.intersection(given.attrib):
        made.set(name, given.attrib[name])
    if not made.attrib and not shape.children:
        for name, value in given.attrib.items():
            if not name.startswith("{"):
                made.set(name, value)


def _children(given: etree._Element, shape: Shape) -> Iterator[tuple[str, etree._Element]]:
    """The known children in the order of the schema, each with its name.

    A contact list that has only others gives the first of them, so that the mistake can be named (code 147).
    """
    if not shape.children:
        return
    known: dict[str, list[etree._Element]] = {name: [] for name in shape.children}
    others: list[etree._Element] = []
    for element in given.iterchildren("*"):
        if is_nil(element):
            continue
        tag = str(element.tag)
        local = tag.removeprefix(_OURS)
        found = known.get(local) if tag.startswith(_OURS) else None
        if found is None:
            others.append(element)
        elif not found or local in shape.repeated:
            found.append(element)
    for name, elements in known.items():
        for element in elements:
            yield name, element
    if shape.repeated and others and not any(known.values()):
        yield "", others[0]
