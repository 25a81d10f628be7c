"""Loads the WSDL into zeep, once, and decides whether it has all that the client needs.

The bundled WSDL is ours; another release's may differ in order, optional parts and limits, and is taken as it is as
long as the names hold (protocol section 1, trap 2). The address inside a WSDL is never used: the server's is a
placeholder.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Literal

import zeep
import zeep.exceptions
from lxml import etree

from pws_soap.errors import ContractError
from pws_soap.models import MAX_CONTACTS_PER_REQUEST

SoapVersion = Literal["1.1", "1.2"]
SOAP_VERSIONS: Final[tuple[SoapVersion, ...]] = ("1.1", "1.2")

NAMESPACE: Final = "urn:cisco:cup:presence:soap"
_WSDL_SOAP11: Final = "http://schemas.xmlsoap.org/wsdl/soap/"
_WSDL_SOAP12: Final = "http://schemas.xmlsoap.org/wsdl/soap12/"

NEEDED: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "login": (
        ("username", "password", "app-session-id", "@force"),
        ("success/session-key", "redirect"),
    ),
    "logout": ((), ("status",)),
    "getPolledPresence": (
        ("contactsList/contact/@contactURI", "presenceType"),
        ("presenceResponse/basicPresenceList", "presenceResponse/richPresenceList"),
    ),
    "getSubscribedPresence": (
        ("subscriptionID", "presenceType"),
        ("presenceResponse/basicPresenceList", "presenceResponse/richPresenceList"),
    ),
    "setPresence": (
        (
            "presenceType",
            "presenceInfo/basicPresence",
            "presenceInfo/richPresence",
            "presenceInfo/override",
            "expiration",
        ),
        ("status",),
    ),
    "subscribe": (
        ("contactsList/contact/@contactURI", "subscriptionType", "expiration", "endPointID", "subscriptionID"),
        ("subscriptionID",),
    ),
    "unsubscribe": (
        (
            "unsubscribeRequest/subscriptionID",
            "unsubscribeRequest/contactsList/contact/@contactURI",
            "unsubscribeRequest/unsubscribeAll",
        ),
        ("status",),
    ),
    "registerEndPoint": (("url", "endPointID", "expiration"), ("endPointID",)),
    "unregisterEndPoint": (("endPointID",), ("status",)),
}
"""The elements that the client sends and reads, by operation, as paths in request and response; `@`: an attribute."""

HEADER_PART: Final = "sessionKeyHeader"
_CONTACT: Final = "contactsList/contact/@contactURI"
_ZEEP_FAILS: Final = (
    zeep.exceptions.Error,
    etree.LxmlError,
    AssertionError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)
"""What zeep raises for a WSDL that it cannot read, found by removing each element in turn."""


class _NoNetwork:
    """The transport for zeep while it loads a WSDL: refuses to load anything beyond the document itself."""

    def __init__(self, source: str) -> None:
        self._source = source

    def load(self, url: str) -> bytes:
        raise ContractError(self._source, reason=f"refers to another document, {url}, which is not loaded")


@dataclass(frozen=True, slots=True)
class Contract:
    """A WSDL that has all we need. `source` is where it came from, for messages."""

    source: str
    soap: SoapVersion
    client: Any  # zeep.Client, which has no types
    binding: Any  # zeep's Soap11Binding or Soap12Binding

    @property
    def schema(self) -> Any:
        """zeep's schema: the types and elements of the WSDL."""
        return self.client.wsdl.types

    def action(self, operation: str) -> str:
        """The SOAPAction of an operation, as the WSDL says it; empty where it could not stand in an HTTP header."""
        action = str(self.binding.get(operation).soapaction or "")
        return action if action.isascii() and action.isprintable() and '"' not in action else ""

    @property
    def contacts_per_request(self) -> int:
        """Contacts in one list: 100, or less where this WSDL says less (protocol section 1, trap 2)."""
        limits = [MAX_CONTACTS_PER_REQUEST]
        for operation, (sent, _) in NEEDED.items():
            for path in (path for path in sent if path.endswith(_CONTACT)):
                contact = _find(self.binding.get(operation).input.body.type, path.split("/")[:-1])
                limits.append(int(contact.max_occurs) if contact.max_occurs != "unbounded" else limits[0])
        return max(1, min(limits))


def load(content: bytes, source: str, soap: SoapVersion = "1.1") -> Contract:
    """Load a WSDL from its bytes.

    Raises ContractError for a document that is not a WSDL, that refers to others, or that lacks a name of `NEEDED`.
    """
    try:
        root = etree.fromstring(content, _parser())
    except etree.XMLSyntaxError as error:
        raise ContractError(source, reason=f"is not XML: {error.msg}") from None
    if etree.QName(root).localname != "definitions":
        raise ContractError(source, reason=f"is not a WSDL: its root element is {etree.QName(root).localname!r}")
    if root.getroottree().docinfo.doctype:
        raise ContractError(source, reason="has a document type declaration, which is not accepted")
    root = _speaking(root, soap)
    settings = zeep.Settings(strict=True, forbid_dtd=True, forbid_entities=True, forbid_external=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # zeep's, about names that `_missing` then lists
            client = zeep.Client(io.BytesIO(etree.tostring(root)), transport=_NoNetwork(source), settings=settings)
    except _ZEEP_FAILS as error:
        raise ContractError(source, reason=f"cannot be read: {str(error) or type(error).__name__}") from error
    binding = _binding(client)
    if binding is None:
        raise ContractError(source, reason="has no SOAP binding over HTTP")
    missing = tuple(_missing(binding))
    if missing:
        raise ContractError(source, missing)
    return Contract(source, soap, client, binding)


@cache
def bundled(soap: SoapVersion = "1.1") -> Contract:
    """The WSDL that comes with this package, loaded at most once per SOAP version."""
    return load(bundled_wsdl(), "bundled", soap)


def from_path(path: str | Path, soap: SoapVersion = "1.1") -> Contract:
    """A WSDL from a file. Raises ContractError when the file cannot be read, or as `load` does."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise ContractError(str(path), reason=f"cannot be opened: {error.strerror or error}") from None
    return load(content, str(path), soap)


def bundled_wsdl() -> bytes:
    """The bytes of our WSDL: inside the installed package, or beside it in a checkout."""
    inside = files("pws_soap") / "wsdl" / "presence.wsdl"
    if inside.is_file():
        return inside.read_bytes()
    return (Path(__file__).parent.parent / "wsdl" / "presence.wsdl").read_bytes()


def _parser() -> etree.XMLParser:
    return etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True, load_dtd=False)


def _speaking(root: etree._Element, soap: SoapVersion) -> etree._Element:
    """The same WSDL with its SOAP bindings in that version: the server takes both, its WSDL names only 1.1.

    Only the binding's elements carry the namespace; exchanging it makes zeep speak that version of its own accord.
    """
    old, new = (_WSDL_SOAP12, _WSDL_SOAP11) if soap == "1.1" else (_WSDL_SOAP11, _WSDL_SOAP12)
    return etree.fromstring(etree.tostring(root).replace(f'"{old}"'.encode(), f'"{new}"'.encode()), _parser())


def _binding(client: Any) -> Any:
    """The binding to use: that of the first port which has all operations, else of the first port."""
    bindings = [
        port.binding
        for service in client.wsdl.services.values()
        for port in service.ports.values()
        if hasattr(port.binding, "process_error")  # SOAP; plain HTTP bindings have no faults
    ] or [binding for binding in client.wsdl.bindings.values() if hasattr(binding, "process_error")]
    complete = [binding for binding in bindings if NEEDED.keys() <= binding.all().keys()]
    return next(iter(complete or bindings), None)


def _missing(binding: Any) -> Iterator[str]:
    for name, (sent, read) in NEEDED.items():
        operation = binding.all().get(name)
        if operation is None:
            yield f"operation {name}"
            continue
        for message, paths, response in ((operation.input, sent, False), (operation.output, read, True)):
            element = getattr(message, "body", None)
            if element is None:
                yield f"{'response' if response else 'request'} of {name}"
                continue
            for path in paths:
                if _find(element.type, path.split("/")) is None:
                    yield f"{element.name}/{path}"
        if name != "login" and HEADER_PART not in _parts(getattr(operation.input, "header", None)):
            yield f"header {HEADER_PART} of {name}"


def _parts(header: Any) -> set[str]:
    return {name for name, _ in header.type.elements} if header is not None else set()


def _find(kind: Any, path: list[str]) -> Any:
    """The element or attribute of a type that `path` leads to, or None."""
    first, rest = path[0], path[1:]
    if first.startswith("@"):
        return next((found for name, found in getattr(kind, "attributes", ()) if name == first[1:]), None)
    for name, element in getattr(kind, "elements", ()):
        if name == first:
            return _find(element.type, rest) if rest else element
    return None
