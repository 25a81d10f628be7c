"""The WSDL says what section 1 of docs/protocol.md says, row by row; read with lxml, independently of our code."""

from __future__ import annotations

import logging
import shutil
import subprocess
import warnings
from pathlib import Path

import pytest
import zeep
from lxml import etree

from tests.soap.samples import NS, OPERATIONS, WSDL, WSDL_SOAP, XSD

PATH = Path(__file__).parents[2] / "wsdl" / "presence.wsdl"
ROOT = etree.parse(PATH).getroot()
NAMES = {"w": WSDL, "s": WSDL_SOAP, "x": XSD}
SCHEMA = ROOT.find("w:types/x:schema", NAMES)


def _simple(kind: etree._Element) -> str:
    """A simple type in short: its base, and what restricts it."""
    restriction = kind.find("x:restriction", NAMES)
    assert restriction is not None
    base = restriction.get("base", "").removeprefix("xsd:")
    values = [each.get("value") for each in restriction.findall("x:enumeration", NAMES)]
    if values:
        return f"{base}{{{' '.join(str(value) for value in values)}}}"
    limits = {etree.QName(each).localname: each.get("value") for each in restriction}
    if not limits:
        return base
    assert set(limits) <= {"minInclusive", "maxInclusive", "maxExclusive"}
    highest = f"{limits['maxInclusive']}]" if "maxInclusive" in limits else f"{limits['maxExclusive']})"
    return f"{base}[{limits['minInclusive']}..{highest}"


def _type(node: etree._Element) -> str:
    """The type of an element or attribute in short."""
    named = node.get("type")
    if named is not None:
        return named.removeprefix("xsd:").removeprefix("pws:")
    simple = node.find("x:simpleType", NAMES)
    if simple is not None:
        return _simple(simple)
    inner = node.find("x:complexType", NAMES)
    return "untyped" if inner is None else "{" + _content(inner) + "}"


def _particle(node: etree._Element) -> str:
    name = etree.QName(node).localname
    if name in {"sequence", "choice"}:
        inside = [_particle(each) for each in node]
        return "(" + " | ".join(inside) + ")" if name == "choice" else ", ".join(inside)
    assert name == "element"
    occurs = node.get("minOccurs", "1"), node.get("maxOccurs", "1")
    suffix = "" if occurs == ("1", "1") else f" {occurs[0]}..{occurs[1]}"
    return f"{node.get('name')} {_type(node)}{suffix}"


def _content(kind: etree._Element) -> str:
    """A complex type in short: its elements in order, then its attributes, which `?` marks as optional."""
    parts = []
    for node in kind:
        if etree.QName(node).localname == "attribute":
            optional = "?" if node.get("use", "optional") == "optional" else ""
            parts.append(f"@{node.get('name')}{optional} {_type(node)}")
        else:
            parts.append(_particle(node))
    return "; ".join(parts)


ELEMENTS = {
    "session-key": "string",
    "login": "{username token, (password normalizedString | app-session-id normalizedString); @force? boolean}",
    "loginResponse": "LoginResponse",
    "logout": "{}",
    "logoutResponse": "ResponseStatusType",
    "registerEndPoint": "{url string 0..1, endPointID int, expiration int[3600..86400)}",
    "registerEndPointResponse": "{endPointID int}",
    "unregisterEndPoint": "{endPointID int}",
    "unregisterEndPointResponse": "ResponseStatusType",
    "subscribe": "{contactsList ContactListType 0..1, subscriptionType EventType, expiration int[3600..86400] 0..1, "
    "endPointID int, subscriptionID int}",
    "subscribeResponse": "{subscriptionID int}",
    "unsubscribe": "{unsubscribeRequest {subscriptionID int, (contactsList ContactListType | unsubscribeAll anyType)}}",
    "unsubscribeResponse": "ResponseStatusType",
    "getSubscribedPresence": "{subscriptionID int, presenceType PresenceType}",
    "getSubscribedPresenceResponse": "{presenceResponse PresenceResponse}",
    "getPolledPresence": "{contactsList ContactListType, presenceType PresenceType}",
    "getPolledPresenceResponse": "{presenceResponse PresenceResponse}",
    "setPresence": "{presenceType PresenceType, presenceInfo PresenceInfoType, expiration int[3600..86400]}",
    "setPresenceResponse": "ResponseStatusType",
}
"""The table of section 1, in short: `name type min..max` in sequence, `|` in a choice, `[]` and `)` for limits."""

TYPES = {
    "LoginResponse": "(success {session-key token; @backupServer? string} | "
    "redirect {@primaryServer? string; @backupServer? string})",
    "PresenceResponse": "presenceType PresenceType, basicPresenceList BasicPresenceList 0..1, "
    "richPresenceList anyType 0..1",
    "BasicPresenceList": "contact ContactStatusType 1..100",
    "ContactStatusType": "@contactURI? string; @presenceStatus? GetPresenceStatusType",
    "ContactListType": "contact Contact 1..100",
    "Contact": "@contactURI? string",
    "PresenceInfoType": "basicPresence SetPresenceStatusType 0..1, richPresence anyType 0..1, override boolean",
    "ResponseStatusType": "status string{SUCCESS FAILURE}",
}

SIMPLE_TYPES = {
    "PresenceType": "string{BASIC_PRESENCE RICH_PRESENCE}",
    "GetPresenceStatusType": "string{AVAILABLE BUSY DND AWAY UNAVAILABLE UNKNOWN VACATION}",
    "SetPresenceStatusType": "string{AVAILABLE BUSY DND AWAY UNAVAILABLE VACATION}",
    "EventType": "string",
}


def _named(kind: str, name: str) -> etree._Element:
    assert SCHEMA is not None
    found = [each for each in SCHEMA.findall(f"x:{kind}", NAMES) if each.get("name") == name]
    assert len(found) == 1, f"{len(found)} definitions of {kind} {name}"
    return found[0]


@pytest.mark.parametrize(("name", "expected"), ELEMENTS.items(), ids=ELEMENTS)
def test_element_is_as_the_table_says(name: str, expected: str) -> None:
    """Names, types, order, occurrence and limits of each message."""
    assert _type(_named("element", name)) == expected


@pytest.mark.parametrize(("name", "expected"), TYPES.items(), ids=TYPES)
def test_complex_type_is_as_the_table_says(name: str, expected: str) -> None:
    """Order, occurrence and optional attributes of each named type."""
    assert _content(_named("complexType", name)) == expected


@pytest.mark.parametrize(("name", "expected"), SIMPLE_TYPES.items(), ids=SIMPLE_TYPES)
def test_simple_type_is_as_the_table_says(name: str, expected: str) -> None:
    """Enumerations, in order."""
    assert _simple(_named("simpleType", name)) == expected


def test_schema_has_nothing_beyond_the_table() -> None:
    """No element or type that the server does not have."""
    assert SCHEMA is not None
    names = {(etree.QName(each).localname, each.get("name")) for each in SCHEMA if isinstance(each.tag, str)}
    expected = {("element", name) for name in ELEMENTS}
    expected |= {("complexType", name) for name in TYPES} | {("simpleType", name) for name in SIMPLE_TYPES}
    assert names == expected


def test_one_inline_schema_with_qualified_elements_and_unqualified_attributes() -> None:
    """Both namespaces are the server's; nothing is imported or included."""
    assert SCHEMA is not None
    assert ROOT.get("name") == "presence"
    assert ROOT.get("targetNamespace") == SCHEMA.get("targetNamespace") == NS
    assert SCHEMA.get("elementFormDefault") == "qualified"
    assert SCHEMA.get("attributeFormDefault") == "unqualified"
    assert len(ROOT.findall("w:types/x:schema", NAMES)) == 1
    assert not list(ROOT.iter("{*}import", "{*}include"))
    assert not [each for each in ROOT.iter("{*}element", "{*}attribute") if each.get("form")]


def test_port_type_lists_the_nine_operations_in_order() -> None:
    """portType and binding name the same operations; neither declares a fault."""
    for path in ("w:portType", "w:binding"):
        place = ROOT.find(path, NAMES)
        assert place is not None
        assert tuple(each.get("name") for each in place.findall("w:operation", NAMES)) == OPERATIONS
    assert not list(ROOT.iter(f"{{{WSDL}}}fault"))


def test_names_of_port_type_binding_service_and_port() -> None:
    """The names by which tools generate code, and the placeholder that is every server's address."""
    assert ROOT.xpath("string(w:portType/@name)", namespaces=NAMES) == "PresenceSoapPortType"
    assert ROOT.xpath("string(w:binding/@name)", namespaces=NAMES) == "PresenceSoapBinding"
    assert ROOT.xpath("string(w:binding/@type)", namespaces=NAMES) == "pws:PresenceSoapPortType"
    assert ROOT.xpath("string(w:service/@name)", namespaces=NAMES) == "PresenceSoapService"
    assert ROOT.xpath("string(w:service/w:port/@name)", namespaces=NAMES) == "PresenceSoapPort"
    assert ROOT.xpath("string(w:service/w:port/@binding)", namespaces=NAMES) == "pws:PresenceSoapBinding"
    address = ROOT.xpath("string(w:service/w:port/s:address/@location)", namespaces=NAMES)
    assert address == "http://cupserver:8081/presence-service/soap"


def test_binding_is_document_literal_over_http_in_soap_11_only() -> None:
    """No SOAP 1.2 binding, although the server takes it."""
    binding = ROOT.find("w:binding/s:binding", NAMES)
    assert binding is not None
    assert binding.get("style") == "document"
    assert binding.get("transport") == "http://schemas.xmlsoap.org/soap/http"
    assert b"wsdl/soap12" not in PATH.read_bytes()
    assert len(ROOT.findall("w:binding", NAMES)) == 1
    uses = {each.get("use") for each in ROOT.iter(f"{{{WSDL_SOAP}}}body", f"{{{WSDL_SOAP}}}header")}
    assert uses == {"literal"}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_messages_of_an_operation(operation: str) -> None:
    """One part each, named params, but for the request of registerEndPoint, whose part is named parameters."""
    for kind, element in (("Request", operation), ("Response", f"{operation}Response")):
        (message,) = ROOT.xpath(f"w:message[@name='{operation}{kind}']", namespaces=NAMES)
        (part,) = message.findall("w:part", NAMES)
        expected = "parameters" if (operation, kind) == ("registerEndPoint", "Request") else "params"
        assert part.get("name") == expected
        assert part.get("element") == f"pws:{element}"
        direction = "input" if kind == "Request" else "output"
        (used,) = ROOT.xpath(f"w:portType/w:operation[@name='{operation}']/w:{direction}", namespaces=NAMES)
        assert used.get("message") == f"pws:{operation}{kind}"
        (body,) = ROOT.xpath(f"w:binding/w:operation[@name='{operation}']/w:{direction}/s:body", namespaces=NAMES)
        assert body.get("parts", expected) == expected


@pytest.mark.parametrize("operation", OPERATIONS)
def test_soap_action_of_an_operation(operation: str) -> None:
    """The namespace, a slash and the operation; getPolledPresence alone ends in another name."""
    (bound,) = ROOT.xpath(f"w:binding/w:operation[@name='{operation}']/s:operation", namespaces=NAMES)
    last = "getPresence" if operation == "getPolledPresence" else operation
    assert bound.get("soapAction") == f"{NS}/{last}"


@pytest.mark.parametrize("operation", OPERATIONS)
def test_session_key_header_of_an_operation(operation: str) -> None:
    """On the input of every operation but login, and on no output."""
    (bound,) = ROOT.xpath(f"w:binding/w:operation[@name='{operation}']", namespaces=NAMES)
    headers = bound.findall("w:input/s:header", NAMES)
    found = [(each.get("message"), each.get("part")) for each in headers]
    assert found == ([] if operation == "login" else [("pws:SessionHeaderMessage", "sessionKeyHeader")])
    assert not bound.findall("w:output/s:header", NAMES)


def test_header_message() -> None:
    """Its one part is the element session-key."""
    (part,) = ROOT.xpath("w:message[@name='SessionHeaderMessage']/w:part", namespaces=NAMES)
    assert (part.get("name"), part.get("element")) == ("sessionKeyHeader", "pws:session-key")


def test_loads_in_zeep_without_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """Neither a Python warning nor a log record from WARNING up; all nine operations are there."""
    with caplog.at_level(logging.WARNING), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        client = zeep.Client(str(PATH))
    assert not caught
    assert not caplog.records
    (service,) = client.wsdl.services.values()
    (port,) = service.ports.values()
    assert set(port.binding.all()) == set(OPERATIONS)


def test_inline_schema_compiles_by_itself() -> None:
    """libxml2 takes it as an XML schema, on which other tests lean."""
    assert SCHEMA is not None
    assert etree.XMLSchema(etree.fromstring(etree.tostring(SCHEMA))) is not None


@pytest.mark.gsoap
@pytest.mark.skipif(shutil.which("wsdl2h") is None, reason="wsdl2h is not installed")
def test_wsdl2h_reads_it(tmp_path: Path) -> None:
    """gSOAP, which the real server is made of, reads it without an error or a warning."""
    header = tmp_path / "presence.h"
    done = subprocess.run(
        ["wsdl2h", "-o", str(header), str(PATH)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    said = (done.stdout + done.stderr).lower()
    assert "error" not in said
    assert "warning" not in said
    text = header.read_text()
    assert all(f"int __ns1__{operation}(" in text for operation in OPERATIONS)
