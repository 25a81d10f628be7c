"""Which WSDLs can serve: those that have the names, whatever their order and limits; the others are told what lacks."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from lxml import etree

from pws_soap import codec, contract
from pws_soap.client import PwsClient
from pws_soap.errors import ContractError, Disconnected
from pws_soap.memory import MemoryTransport
from pws_soap.models import Secret
from pws_soap.transport import Reply
from tests.soap.samples import KEY, NODE, NS, OPERATIONS, PASSWORD, SOAP12, WSDL, WSDL_SOAP, XSD, logged_in, people

OURS = contract.bundled_wsdl()
WSDL_SOAP12 = "http://schemas.xmlsoap.org/wsdl/soap12/"


def changed(change: Callable[[etree._Element], object]) -> bytes:
    """Our WSDL after a change."""
    root = etree.fromstring(OURS)
    change(root)
    return etree.tostring(root)


def named(root: etree._Element, kind: str, name: str) -> etree._Element:
    """The first definition of that kind and name."""
    return next(each for each in root.iter(f"{{*}}{kind}") if each.get("name") == name)


def drop(node: etree._Element) -> None:
    parent = node.getparent()
    assert parent is not None
    parent.remove(node)


def reason(content: bytes) -> str:
    """Why a WSDL is refused."""
    with pytest.raises(ContractError) as caught:
        contract.load(content, "somewhere")
    assert str(caught.value).startswith("WSDL somewhere: ")
    return str(caught.value)


def test_bundled_has_all_and_is_loaded_once() -> None:
    """Both versions, each the same object the second time."""
    assert contract.bundled() is contract.bundled()
    assert contract.bundled("1.2") is contract.bundled("1.2")
    assert contract.bundled().source == "bundled"
    assert set(contract.NEEDED) == set(OPERATIONS)


def test_missing_names_are_all_listed() -> None:
    """Not only the first: anybody who has to mend it sees the whole list."""

    def change(root: etree._Element) -> None:
        drop(named(named(root, "element", "login"), "element", "app-session-id"))
        drop(named(named(root, "element", "login"), "attribute", "force"))
        drop(named(named(root, "complexType", "PresenceResponse"), "element", "richPresenceList"))
        drop(named(named(root, "complexType", "LoginResponse"), "element", "session-key"))
        for place in ("binding", "portType"):
            drop(named(next(root.iter(f"{{*}}{place}")), "operation", "unsubscribe"))
        subscribe = named(next(root.iter("{*}binding")), "operation", "subscribe")
        drop(next(subscribe.iter(f"{{{WSDL_SOAP}}}header")))

    with pytest.raises(ContractError) as caught:
        contract.load(changed(change), "somewhere")
    assert set(caught.value.missing) == {
        "login/app-session-id",
        "login/@force",
        "loginResponse/success/session-key",
        "getPolledPresenceResponse/presenceResponse/richPresenceList",
        "getSubscribedPresenceResponse/presenceResponse/richPresenceList",
        "operation unsubscribe",
        "header sessionKeyHeader of subscribe",
    }
    assert all(name in str(caught.value) for name in caught.value.missing)
    assert caught.value.source == "somewhere"


def test_message_without_a_part_is_missing() -> None:
    """A request or response without content is told as such."""

    def change(root: etree._Element) -> None:
        drop(named(named(root, "message", "subscribeRequest"), "part", "params"))
        drop(next(named(next(root.iter("{*}binding")), "operation", "logout").iter(f"{{{WSDL}}}output")))

    assert reason(changed(change)) == "WSDL somewhere: lacks response of logout, request of subscribe"


@pytest.mark.parametrize("first", [1, 2, 3])
def test_every_element_left_out_is_either_accepted_or_a_contract_error(first: int) -> None:
    """No other exception and no warning gets out, whatever a WSDL lacks."""
    places = range(first, sum(1 for _ in etree.fromstring(OURS).iter("*")), 3)
    refused = 0
    for index in places:
        root = etree.fromstring(OURS)
        drop(list(root.iter("*"))[index])
        try:
            contract.load(etree.tostring(root), "mutant")
        except ContractError:
            refused += 1
    assert len(places) / 2 < refused < len(places)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is not XML"),
        (b"  \n", "is not XML"),
        (b"This is not XML", "is not XML"),
        (OURS[:5000], "is not XML"),
        (b"\xff\xfe\x00", "is not XML"),
        (b"<html><body>404</body></html>", "is not a WSDL: its root element is 'html'"),
        (b"<definitions/>", "has no SOAP binding"),
        (f'<definitions xmlns="{WSDL}"/>'.encode(), "has no SOAP binding"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]>' + OURS.partition(b"?>")[2].strip(), "document type declaration"),
        (b"<!DOCTYPE definitions SYSTEM 'http://192.0.2.1/x.dtd'><definitions/>", "document type declaration"),
    ],
)
def test_what_is_no_wsdl_is_refused(content: bytes, expected: str) -> None:
    """Each with the reason in words."""
    assert expected in reason(content)


def test_entity_bomb_is_refused_at_once() -> None:
    """Nested entities in an attribute, which parsers like to expand, cost nothing."""
    levels = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 30))
    bomb = f'<!DOCTYPE d [<!ENTITY e0 "boom">{levels}]><definitions name="&e29;"/>'
    with pytest.raises(ContractError, match=r"is not XML|document type"):
        contract.load(bomb.encode(), "bomb")


@pytest.mark.parametrize("location", ["http://192.0.2.1/other.wsdl", "other.wsdl", "file:///etc/hostname"])
@pytest.mark.parametrize("kind", ["wsdl import", "schema import", "schema include"])
def test_other_documents_are_not_loaded(kind: str, location: str) -> None:
    """Neither over the network nor from the disk: a WSDL stands alone."""

    def change(root: etree._Element) -> None:
        if kind == "wsdl import":
            root.insert(0, etree.Element(f"{{{WSDL}}}import", namespace="urn:other", location=location))
        else:
            schema = next(root.iter(f"{{{XSD}}}schema"))
            node = etree.Element(f"{{{XSD}}}{kind.split()[1]}", schemaLocation=location)
            if "import" in kind:
                node.set("namespace", "urn:other")
            schema.insert(0, node)

    assert location in reason(changed(change))


def load_changed(change: Callable[[etree._Element], object]) -> contract.Contract:
    return contract.load(changed(change), "changed")


@pytest.mark.parametrize(("limit", "per_request"), [("unbounded", 100), ("5000", 100), ("100", 100), ("40", 40)])
def test_other_limits_of_lists_are_accepted(limit: str, per_request: int) -> None:
    """Lists of requests stay within 100, or within less where the WSDL says less."""

    def change(root: etree._Element) -> None:
        named(named(root, "complexType", "ContactListType"), "element", "contact").set("maxOccurs", limit)

    loaded = load_changed(change)
    assert loaded.contacts_per_request == per_request
    contacts = {"contact": [{"contactURI": uri} for uri in people(per_request)]}
    sent = {"contactsList": contacts, "presenceType": "BASIC_PRESENCE"}
    assert codec.encode(loaded, "getPolledPresence", sent, Secret(KEY)).body.count(b"contactURI") == per_request


def test_other_order_and_optional_parts_are_accepted() -> None:
    """Requests follow the order of the WSDL that was loaded, not that of ours."""

    def change(root: etree._Element) -> None:
        sequence = next(named(root, "element", "subscribe").iter(f"{{{XSD}}}sequence"))
        sequence[:] = list(reversed(sequence))
        next(named(root, "element", "registerEndPoint").iter(f"{{{XSD}}}sequence")).append(
            etree.Element(f"{{{XSD}}}element", name="novelty", type="xsd:string", minOccurs="0")
        )

    loaded = load_changed(change)
    sent = {"subscriptionType": "PRESENCE_NOTIFICATION", "endPointID": 1, "subscriptionID": 0, "expiration": 3600}
    sent["contactsList"] = {"contact": [{"contactURI": "ann@example.com"}]}
    root = etree.fromstring(codec.encode(loaded, "subscribe", sent, Secret(KEY)).body)
    names = [etree.QName(each).localname for each in next(root.iter(f"{{{NS}}}subscribe"))]
    assert names == ["subscriptionID", "endPointID", "expiration", "subscriptionType", "contactsList"]
    register = codec.encode(loaded, "registerEndPoint", {"endPointID": 1, "expiration": 3600}, Secret(KEY))
    assert b"novelty" not in register.body


def test_wsdl_that_has_no_room_for_a_request_says_so() -> None:
    """A release that demands what we do not send: an error of ours, with zeep's words and no secret."""

    def change(root: etree._Element) -> None:
        del named(named(root, "element", "registerEndPoint"), "element", "url").attrib["minOccurs"]

    with pytest.raises(ContractError, match="has no room for this registerEndPoint") as caught:
        codec.encode(load_changed(change), "registerEndPoint", {"endPointID": 1, "expiration": 3600}, Secret(KEY))
    assert KEY not in str(caught.value)


def test_wsdl_with_a_soap_12_binding_serves_both_versions() -> None:
    """The version that is spoken is the one that was asked for, not the one that stands first in the WSDL."""
    twelve = OURS.replace(WSDL_SOAP.encode(), WSDL_SOAP12.encode())
    for version in contract.SOAP_VERSIONS:
        request = codec.encode(contract.load(twelve, "twelve", version), "logout", {}, Secret(KEY))
        assert (SOAP12.encode() in request.body) == (version == "1.2")
        assert ("SOAPAction" in request.headers) == (version == "1.1")


def test_wsdl_without_a_service_serves() -> None:
    """The address is not needed, nor what holds it."""
    loaded = load_changed(lambda root: drop(next(root.iter(f"{{{WSDL}}}service"))))
    assert codec.encode(loaded, "logout", {}, Secret(KEY)).operation == "logout"


@pytest.mark.parametrize("action", ["evil&#13;&#10;X-Header: 1", "a&quot;b", "caf&#233;"])
def test_soap_action_that_cannot_be_a_header_is_left_out(action: str) -> None:
    """The WSDL may be live, and so somebody else's."""
    content = OURS.replace(b'soapAction="urn:cisco:cup:presence:soap/logout"', f'soapAction="{action}"'.encode())
    request = codec.encode(contract.load(content, "odd"), "logout", {}, Secret(KEY))
    assert request.headers["SOAPAction"] == '""'


def test_path_is_read(tmp_path: Path) -> None:
    """A file's path is the source that errors name."""
    good, bad, gone = tmp_path / "good.wsdl", tmp_path / "bad.wsdl", tmp_path / "gone.wsdl"
    good.write_bytes(OURS)
    bad.write_bytes(b"<x/>")
    assert contract.from_path(good).source == str(good)
    with pytest.raises(ContractError, match=r"bad\.wsdl: is not a WSDL"):
        contract.from_path(str(bad))
    with pytest.raises(ContractError, match=r"gone\.wsdl: cannot be opened"):
        contract.from_path(gone)
    with pytest.raises(ContractError, match="cannot be opened"):
        contract.from_path(tmp_path)


def test_bundled_wsdl_is_the_checkout_s() -> None:
    """What the package carries is the file under wsdl/."""
    assert (Path(__file__).parents[2] / "wsdl" / "presence.wsdl").read_bytes() == OURS


async def test_client_takes_the_wsdl_from_a_path(tmp_path: Path) -> None:
    """It is loaded when the client is entered, so that a bad one is told before the first call."""
    path = tmp_path / "bad.wsdl"
    path.write_bytes(b"<x/>")
    transport = MemoryTransport()
    with pytest.raises(ContractError):
        await PwsClient(NODE, wsdl=path, transport=transport).__aenter__()
    assert transport.closed
    assert not transport.sent


async def test_live_wsdl_is_fetched_once_and_its_address_never_used() -> None:
    """From the node's own address with ?wsdl; calls go to the node, wherever the WSDL points."""
    elsewhere = OURS.replace(b"http://cupserver:8081/", b"http://192.0.2.1:1/")
    transport = MemoryTransport([elsewhere, logged_in(), logged_in()])
    async with PwsClient(NODE, wsdl="live", transport=transport) as pws:
        await pws.login("pwsapp", PASSWORD)
        await pws.login("pwsapp", PASSWORD)
    address = f"{NODE}/presence-service/soap"
    assert [(each.method, each.url) for each in transport.sent] == [
        ("GET", f"{address}?wsdl"),
        ("POST", address),
        ("POST", address),
    ]


async def test_live_wsdl_that_is_not_there() -> None:
    """An HTTP status other than 200 is told with the address; nothing is kept of the failure."""
    transport = MemoryTransport([Reply(404, b"<html/>"), Disconnected("gone"), b"<x/>", OURS, logged_in()])
    client = PwsClient(NODE, wsdl="live", transport=transport)
    with pytest.raises(ContractError, match=r"soap\?wsdl: cannot be fetched: HTTP 404"):
        await client.login("pwsapp", PASSWORD)
    with pytest.raises(Disconnected):
        await client.login("pwsapp", PASSWORD)
    with pytest.raises(ContractError, match="is not a WSDL"):
        await client.login("pwsapp", PASSWORD)
    assert (await client.login("pwsapp", PASSWORD)).user == "pwsapp"


def test_zeep_s_warnings_about_missing_names_do_not_get_out() -> None:
    """They become the list of what is missing."""
    content = changed(lambda root: drop(named(root, "message", "logoutRequest")))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert "operation logout" in reason(content)
    assert not caught
