"""Whether what stands around the entries of a reply may say more than they do.

A fetch confirms those whom its reply does not name, so every part of the reply has to be accounted for: content that
is said to stand elsewhere (`href`), to be longer (`arrayType`) or to be none (`nil`) is not an empty list, and an
attribute that nobody knows may say any of that. So what proves nothing is listed here, and all else counts.
"""

from __future__ import annotations

from itertools import islice
from typing import Final

from lxml import etree

from pws_soap.envelope import local, local_of
from pws_soap.pidf.elements import is_space

_SOAP: Final = ("http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope")
_XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"
_XML: Final = "http://www.w3.org/XML/1998/namespace"
_SAYS_NOTHING: Final = frozenset(
    {f"{{{_XML}}}lang", f"{{{_XML}}}space", f"{{{_XSI}}}schemaLocation", f"{{{_XSI}}}noNamespaceSchemaLocation"}
    | {f"{{{space}}}encodingStyle" for space in _SOAP}
)
"""Attributes about how a text is written and checked. What these may be beside: `xsi:type` with the type of the WSDL,
`xsi:nil` that is false."""
_FALSE: Final = frozenset({"false", "0"})
_ELSEWHERE: Final = frozenset({"href", "ref", "nil", "null", "arraytype", "offset", "position"})
_FEW: Final = 1000


def more_in(element: etree._Element, types: frozenset[str]) -> str:
    """What the attributes of an element may say beside its content; empty where nothing. `types`: local names of the
    type that it has in the WSDL, in lower case."""
    for key, value in element.attrib.items():
        name = str(key)
        if name in _SAYS_NOTHING or (name == f"{{{_XSI}}}nil" and value.strip() in _FALSE):
            continue
        if name == f"{{{_XSI}}}type" and value.strip().rpartition(":")[2].lower() in types:
            continue
        return f"an attribute {local_of(name)[:40]!r} of <{local(element)[:40]}>"
    return ""


def is_elsewhere(element: etree._Element) -> bool:
    """Whether the attributes of an entry say that its content is elsewhere, or none."""
    return any(
        local_of(str(key)).lower() in _ELSEWHERE and not (local_of(str(key)) == "nil" and value.strip() in _FALSE)
        for key, value in element.attrib.items()
    )


def more_around(payload: etree._Element) -> str:
    """What stands around the only element in the body of a reply, up to the envelope; empty where nothing does."""
    if what := more_in(payload, frozenset({local(payload).lower()})):
        return what
    if any(not is_space(text) for text in _texts(payload)):
        return "text beside the presenceResponse"
    for place in payload.iterancestors():
        if str(place.tag)[1:].partition("}")[0] not in _SOAP:
            return f"a <{local(place)[:40]}> that is not SOAP's"
        if is_elsewhere(place):
            return f"a <{local(place)[:40]}> that refers elsewhere"
        if any(not is_space(text) for text in _texts(place)):
            return f"text in <{local(place)[:40]}>"
        names = [local(each) for each in islice(place, _FEW)]
        if local(place) == "Envelope" and names not in (["Body"], ["Header", "Body"]):
            return "an element beside the body"
    return ""


def _texts(place: etree._Element) -> list[str | None]:
    return [place.text, *(each.tail for each in islice(place, _FEW))]
