"""What the schema expects where, and how a request that says the same in another form is brought into that form.

gSOAP in its default mode passes over what it does not know, takes elements in any order, and some forms of `xsi:nil`
(protocol section 2, Transport). `canonical` does the same, so that what follows reads only what the schema describes.
It decides nothing about values: what is missing or wrong stays so, and the schema refuses it. It refuses by itself what
the schema cannot see any more: an `xsi:type` that is not the element's, a reference to nothing, elements behind text.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from lxml import etree

from pws_soap.server.codes import Refused
from pws_soap.server.soap.contract import PWS, schema_document
from pws_soap.server.soap.mixed import MAX_LINE, at_line, elements_before_text, leading_text, whole_text

_OURS: Final = f"{{{PWS}}}"
_XSD: Final = "{http://www.w3.org/2001/XMLSchema}"
_XSI: Final = re.compile(r"http://www\.w3\.org/[^/]+(/[^/]+)?/XMLSchema-instance")
_ENCODINGS: Final = frozenset({
    "http://schemas.xmlsoap.org/soap/encoding/", "http://www.w3.org/2003/05/soap-encoding"
})  # fmt: skip
"""Namespaces of SOAP's encoding, whose attributes `id` and `ref` let one element stand for another."""


Kind = Literal["elements", "anything", "text", "int", "boolean", "enumeration"]
"""What an element holds. `text` is any string, `anything` what the schema does not describe further."""

_NUMBERS: Final[Mapping[str, frozenset[str]]] = {
    "int": frozenset({"int", "short", "byte"}),
    "boolean": frozenset({"boolean"}),
}
"""The local names that `xsi:type` may give to numbers and truth values; gSOAP does not look at their namespace."""


@dataclass(slots=True)
class Shape:
    """What an element may hold. `children` are in the order of the schema; `repeated` those that may come again.

    `type_name` is that of an enumeration. `is_optional`: it may be missing; `is_choice`: it stands for a decision.
    """

    kind: Kind = "elements"
    children: dict[str, Shape] = field(default_factory=dict)
    repeated: set[str] = field(default_factory=set)
    attributes: set[str] = field(default_factory=set)
    type_name: str = ""
    is_optional: bool = False
    is_choice: bool = False


@functools.cache
def shapes() -> Mapping[str, Shape]:
    """The shapes of the elements at the top of the schema, by name."""
    document = schema_document()
    types = {each.get("name"): each for each in document if each.tag in (f"{_XSD}complexType", f"{_XSD}simpleType")}
    return {str(each.get("name")): _shape(each, types) for each in document.iterchildren(f"{_XSD}element")}


def _shape(element: etree._Element, types: Mapping[str | None, etree._Element]) -> Shape:
    shape = _shape_of_type(element, types)
    shape.is_optional = element.get("minOccurs") == "0"
    parent = element.getparent()
    shape.is_choice = parent is not None and parent.tag == f"{_XSD}choice"
    return shape


def _shape_of_type(element: etree._Element, types: Mapping[str | None, etree._Element]) -> Shape:
    local = element.get("type", "").rpartition(":")[2]
    definition = _definition(element, types)
    if definition is None:
        return Shape("anything" if local in ("", "anyType") else _kind(local))
    if definition.tag == f"{_XSD}simpleType":
        restriction = definition.find(f"{_XSD}restriction")
        if restriction is None:
            return Shape("text")
        if restriction.find(f"{_XSD}enumeration") is not None:
            return Shape("enumeration", type_name=definition.get("name", ""))
        return Shape(_kind(restriction.get("base", "").rpartition(":")[2]))
    shape = Shape(attributes={str(each.get("name")) for each in definition.iterchildren(f"{_XSD}attribute")})
    for child in _particles(definition):
        shape.children[str(child.get("name"))] = _shape(child, types)
        if child.get("maxOccurs", "1") != "1":
            shape.repeated.add(str(child.get("name")))
    return shape


def _definition(element: etree._Element, types: Mapping[str | None, etree._Element]) -> etree._Element | None:
    """The definition of an element's type in our schema, if it has one."""
    prefix, _, local = element.get("type", "").rpartition(":")
    found = types.get(local) if element.nsmap.get(prefix or None) == PWS else None
    if found is None:
        found = next(iter(element.iterchildren(f"{_XSD}complexType", f"{_XSD}simpleType")), None)
    return found


def _kind(simple_type: str) -> Kind:
    return "int" if simple_type == "int" else "boolean" if simple_type == "boolean" else "text"


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
        """The element that this one stands for; most stand for themselves. Raises `Refused` if there is none."""
        reference = element.get("href") or _encoded(element, "ref")
        if not reference or len(element):
            return element
        if self._found is None:
            self._found = {}
            for each in self._body.iter("*"):
                name = each.get("id") or _encoded(each, "id")
                if name:
                    self._found.setdefault(name, each)
        target = self._found.get(reference.removeprefix("#"), element)
        if target is element and reference.startswith("#"):
            name = etree.QName(element).localname
            raise Refused(102, f"{at_line(element)}no other element has the id to which {name} refers.")
        return target


def _encoded(element: etree._Element, name: str) -> str | None:
    return next((value for space in _ENCODINGS if (value := element.get(f"{{{space}}}{name}"))), None)


def is_nil(element: etree._Element) -> bool:
    """Whether the element says that it is absent: `xsi:nil`, or `xsi:null` as it was called before 2001."""
    value = _instance_attribute(element, "nil") or _instance_attribute(element, "null")
    return value is not None and value.strip() in ("1", "true")


def _instance_attribute(element: etree._Element, local: str) -> str | None:
    for name, value in element.attrib.items():
        if name.endswith("}" + local) and _XSI.fullmatch(name[1:].partition("}")[0]):
            return value
    return None


def _check_type(element: etree._Element, shape: Shape) -> None:
    """Refuse an `xsi:type` that gSOAP refuses. It looks at those of numbers, truth values and enumerations only."""
    given = _instance_attribute(element, "type")
    if not given or shape.kind not in ("int", "boolean", "enumeration"):
        return
    prefix, _, local = given.rpartition(":")
    namespace = element.nsmap.get(prefix or None)
    if shape.kind == "enumeration":
        is_right = namespace == PWS and local == shape.type_name
        expected = f"{shape.type_name} of {PWS}"
    else:
        is_right = local in _NUMBERS[shape.kind] and (not prefix or namespace is not None)
        expected = "xsd:" + shape.kind
    if not is_right:
        name = etree.QName(element).localname
        raise Refused(102, f"{at_line(element)}the xsi:type of {name} is not its own; expected is {expected}, or none.")


def _fill(request: Canonical, made: etree._Element, given: etree._Element, shape: Shape, targets: _Targets) -> None:
    _mark_line(made, given)
    match shape.kind:
        case "anything":
            request.contents.append((made, given))
        case "text":
            made.text = whole_text(given)
        case "int" | "boolean" | "enumeration":
            _check_type(given, shape)
            made.text = leading_text(given).strip()
        case "elements":
            _set_attributes(made, given, shape)
            for name, element in _children(given, shape):
                child = shape.children.get(name)
                if child is None:
                    _mark_line(etree.SubElement(made, element.tag), element)
                elif is_nil(element) and (child.is_choice or child.kind == "elements"):
                    _mark_line(etree.SubElement(made, _OURS + name), element)  # chosen, without a value
                else:
                    _check_type(element, child)
                    _fill(request, etree.SubElement(made, _OURS + name), targets.of(element), child, targets)


def _mark_line(made: etree._Element, given: etree._Element) -> None:
    made.sourceline = min(given.sourceline or 0, MAX_LINE)  # type: ignore[misc]  # lxml's stubs call it read-only


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
    has_chosen = False
    for element in elements_before_text(given):
        tag = str(element.tag)
        local = tag.removeprefix(_OURS)
        found = known.get(local) if tag.startswith(_OURS) else None
        if found is None:
            others.append(element)
            continue
        child, is_repeated = shape.children[local], local in shape.repeated
        if found and not is_repeated:
            continue
        if not (is_nil(element) and _may_be_absent(child, is_repeated=is_repeated, has_chosen=has_chosen)):
            found.append(element)
            has_chosen = has_chosen or child.is_choice
    for name, elements in known.items():
        for element in elements:
            yield name, element
    if shape.repeated and others and not any(known.values()):
        yield "", others[0]


def _may_be_absent(child: Shape, *, is_repeated: bool, has_chosen: bool) -> bool:
    """Whether gSOAP takes an element with `xsi:nil` for one that is not there.

    That of a required value is passed over, and the value is read. Where elements are to be chosen from, the first is.
    """
    if child.is_choice:
        return has_chosen
    return child.is_optional or is_repeated or child.kind == "elements"


def outside_namespace(given: etree._Element, shape: Shape) -> etree._Element | None:
    """The first element that has the name of one that is expected at its place, and another namespace, or none."""
    for element in given.iterchildren("*"):
        name = etree.QName(element)
        child = shape.children.get(name.localname)
        if child is None:
            continue
        found = element if name.namespace != PWS else outside_namespace(element, child)
        if found is not None:
            return found
    return None
