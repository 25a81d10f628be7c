"""The WSDL's own schema as a validator, so that the contract judges requests and not the code that built them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from lxml import etree

from tests.soap.samples import NS, SOAP11, SOAP12, XSD

WSDL_PATH = Path(__file__).parents[2] / "wsdl" / "presence.wsdl"


@cache
def validator() -> etree.XMLSchema:
    """The one inline schema."""
    found = etree.parse(WSDL_PATH).getroot().find(f".//{{{XSD}}}schema")
    assert found is not None
    return etree.XMLSchema(etree.fromstring(etree.tostring(found)))


def check_envelope(body: bytes, soap: str) -> etree._Element:
    """The payload of an envelope of that SOAP version, after its header and its payload were found valid."""
    root = etree.fromstring(body)
    namespace = SOAP12 if soap == "1.2" else SOAP11
    assert root.tag == f"{{{namespace}}}Envelope"
    (inner,) = root.findall(f"{{{namespace}}}Body")
    (payload,) = list(inner)
    for block in root.iterfind(f"{{{namespace}}}Header/*"):
        validator().assertValid(etree.fromstring(etree.tostring(block)))
    validator().assertValid(etree.fromstring(etree.tostring(payload)))
    return payload


def session_key(body: bytes) -> str | None:
    """The session key in the header of a request, or None."""
    found = etree.fromstring(body).find(f"{{*}}Header/{{{NS}}}session-key")
    return None if found is None else found.text
