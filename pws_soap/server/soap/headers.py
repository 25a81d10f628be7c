"""The headers of a request: the session key, and those that must be understood and are not.

A header that is addressed to somebody else, by its actor (SOAP 1.1) or role (1.2), is none of ours, as in gSOAP.
"""

from __future__ import annotations

from typing import Final

from lxml import etree

from pws_soap.server.options import ServerOptions
from pws_soap.server.soap.contract import PWS, TPI
from pws_soap.server.soap.diagnosis import outside
from pws_soap.server.soap.mixed import at_line, elements_before_text, whole_text
from pws_soap.server.soap.shapes import is_nil

_SOAP_1_1: Final = "http://schemas.xmlsoap.org/soap/envelope/"
_SOAP_1_2: Final = "http://www.w3.org/2003/05/soap-envelope"
_OURS: Final = frozenset({None, "http://schemas.xmlsoap.org/soap/actor/next", f"{_SOAP_1_2}/role/next"})
"""The actors and roles that are ours; a header without any is for us too.

An empty one, and the ultimateReceiver of SOAP 1.2, are not, although they should be: gSOAP does not know them.
"""


def session_key(header: etree._Element | None, namespace: str, options: ServerOptions) -> str | None:
    """The session key, from the WSDL's namespace before the other one; None where there is none for us."""
    for space in (PWS, TPI) if options.accept_tpi_header else (PWS,):
        for block in _blocks(header, namespace):
            if block.tag == f"{{{space}}}session-key" and not is_nil(block):
                return whole_text(block).strip()
    return None


def why_no_key(header: etree._Element | None) -> str:
    """What is wrong with a header that looks like a session key and is none; nothing where none looks like one."""
    for block in () if header is None else header.iterchildren("*"):
        name = etree.QName(block)
        if name.localname == "session-key":
            if name.namespace in (PWS, TPI):
                return f"{at_line(block)}that session-key is for another actor, nil or empty."
            return f"{at_line(block)}{outside(block)}"
    return ""


def not_understood(header: etree._Element | None, namespace: str, options: ServerOptions) -> tuple[str, ...]:
    """The headers for us that must be understood and that this server does not know, as `{namespace}name`."""
    known = {f"{{{PWS}}}session-key"} | ({f"{{{TPI}}}session-key"} if options.accept_tpi_header else set())
    return tuple(
        str(block.tag) for block in _blocks(header, namespace) if block.tag not in known and _must_be_understood(block)
    )


def _blocks(header: etree._Element | None, namespace: str) -> list[etree._Element]:
    """The headers that are for us."""
    blocks = [] if header is None else elements_before_text(header)
    return [block for block in blocks if _actor(block, namespace) in _OURS]


def _actor(block: etree._Element, namespace: str) -> str | None:
    """The actor of a header in SOAP 1.1, its role in 1.2; the attribute may have the namespace of either."""
    name = "actor" if namespace == _SOAP_1_1 else "role"
    return block.get(f"{{{_SOAP_1_1}}}{name}", block.get(f"{{{_SOAP_1_2}}}{name}"))


def _must_be_understood(block: etree._Element) -> bool:
    return any(block.get(f"{{{space}}}mustUnderstand") in ("1", "true") for space in (_SOAP_1_1, _SOAP_1_2))
