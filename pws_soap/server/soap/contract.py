"""The one thing that server and client share: the WSDL, and the schema inside it.

Every request is validated against the schema, so that the server does not repeat a mistake of the client.
"""

from __future__ import annotations

import functools
import importlib.resources
from pathlib import Path
from typing import Final

from lxml import etree

PWS: Final = "urn:cisco:cup:presence:soap"
TPI: Final = "urn:cisco:cup:tpi:soap"
_ADDRESS: Final = "{http://schemas.xmlsoap.org/wsdl/soap/}address"
_XSD: Final = "{http://www.w3.org/2001/XMLSchema}"


@functools.cache
def _wsdl_bytes() -> bytes:
    bundled = importlib.resources.files("pws_soap") / "wsdl" / "presence.wsdl"  # in an installed wheel
    if bundled.is_file():
        return bundled.read_bytes()
    return (Path(__file__).parents[3] / "wsdl" / "presence.wsdl").read_bytes()  # in a checkout


def wsdl() -> bytes:
    """The WSDL as the server hands it out, its placeholder address included (protocol section 1)."""
    return _wsdl_bytes()


def wsdl_at(address: str) -> bytes:
    """The WSDL with an address in place of the placeholder."""
    definitions = etree.fromstring(wsdl())
    for element in definitions.iter(_ADDRESS):
        element.set("location", address)
    return etree.tostring(definitions.getroottree(), xml_declaration=True, encoding="UTF-8")


def schema_document() -> etree._Element:
    """The schema of the WSDL as a document of its own."""
    definitions = etree.fromstring(wsdl())
    inline = definitions.find(f".//{_XSD}schema")
    if inline is None:
        raise ValueError("the WSDL has no schema")
    return etree.fromstring(etree.tostring(inline))  # with the prefixes that are declared around it


@functools.cache
def schema(contacts_per_list: int, contacts_per_reply: int = 100) -> etree.XMLSchema:
    """The schema of the WSDL, with its limits on the contacts of one list replaced: in requests and in replies.

    It is shared, and only for the thread of the event loop; another thread needs one of its own (`new_schema`).
    """
    return new_schema(contacts_per_list, contacts_per_reply)


def new_schema(contacts_per_list: int, contacts_per_reply: int = 100) -> etree.XMLSchema:
    """The same schema as an object that nobody else uses; it takes a millisecond."""
    alone = schema_document()
    for name, most in (("ContactListType", contacts_per_list), ("BasicPresenceList", contacts_per_reply)):
        for element in alone.iterfind(f"{_XSD}complexType[@name='{name}']//{_XSD}element[@name='contact']"):
            element.set("maxOccurs", str(most))
    return etree.XMLSchema(alone)
