"""Requests: each is valid against the WSDL's own schema, in both versions of SOAP."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from lxml import etree

from pws_soap import codec, contract
from pws_soap.client import PwsClient
from pws_soap.contract import SoapVersion
from pws_soap.memory import MemoryTransport, SentRequest
from pws_soap.models import Secret
from tests.soap.samples import (
    CALLBACK,
    ENDPOINT,
    KEY,
    NODE,
    NS,
    OPERATIONS,
    PASSWORD,
    SUBSCRIPTION,
    application,
    basic,
    end_user,
    endpoint_id,
    logged_in,
    people,
    pidf,
    rich,
    status,
    subscription_id,
)
from tests.soap.schema import check_envelope, session_key

PEOPLE = people(3)
Call = Callable[[PwsClient], Awaitable[object]]

CALLS: dict[str, tuple[Call, bytes, str]] = {
    "login": (
        lambda pws: pws.login("pwsapp", PASSWORD),
        logged_in(),
        f'<login force="false"><username>pwsapp</username><password>{PASSWORD}</password></login>',
    ),
    "login with force": (
        lambda pws: pws.login("pwsapp", Secret("a\"<&>' b"), force=True),
        logged_in(),
        '<login force="true"><username>pwsapp</username><password>a"&lt;&amp;&gt;\' b</password></login>',
    ),
    "login of an end user": (
        lambda pws: pws.login_end_user(application(), "dispatcher"),
        logged_in(),
        f'<login force="false"><username>dispatcher</username><app-session-id>{KEY}</app-session-id></login>',
    ),
    "logout": (lambda pws: pws.logout(end_user()), status("logout"), "<logout/>"),
    "registerEndPoint": (
        lambda pws: pws.register_endpoint(application(), CALLBACK, expires=86399),
        endpoint_id(),
        f"<registerEndPoint><url>{CALLBACK}</url><endPointID>0</endPointID><expiration>86399</expiration>"
        "</registerEndPoint>",
    ),
    "registerEndPoint again": (
        lambda pws: pws.renew_endpoint(application(), ENDPOINT),
        endpoint_id(),
        "<registerEndPoint><endPointID>3</endPointID><expiration>3600</expiration></registerEndPoint>",
    ),
    "unregisterEndPoint": (
        lambda pws: pws.unregister_endpoint(application(), 3),
        status("unregisterEndPoint"),
        "<unregisterEndPoint><endPointID>3</endPointID></unregisterEndPoint>",
    ),
    "subscribe": (
        lambda pws: pws.subscribe(end_user(), ENDPOINT, ["sip:Ann@example.com", "ann@example.com", "bo@b.org"]),
        subscription_id(),
        '<subscribe><contactsList><contact contactURI="Ann@example.com"/><contact contactURI="bo@b.org"/>'
        "</contactsList><subscriptionType>PRESENCE_NOTIFICATION</subscriptionType><expiration>3600</expiration>"
        "<endPointID>3</endPointID><subscriptionID>0</subscriptionID></subscribe>",
    ),
    "subscribe more": (
        lambda pws: pws.add_contacts(end_user(), 3, SUBSCRIPTION, ["bo@b.org"]),
        subscription_id(),
        '<subscribe><contactsList><contact contactURI="bo@b.org"/></contactsList>'
        "<subscriptionType>PRESENCE_NOTIFICATION</subscriptionType>"
        "<endPointID>3</endPointID><subscriptionID>7</subscriptionID></subscribe>",
    ),
    "subscribe again": (
        lambda pws: pws.renew_subscription(end_user(), 3, SUBSCRIPTION, expires=86400),
        subscription_id(),
        "<subscribe><subscriptionType>PRESENCE_NOTIFICATION</subscriptionType><expiration>86400</expiration>"
        "<endPointID>3</endPointID><subscriptionID>7</subscriptionID></subscribe>",
    ),
    "unsubscribe": (
        lambda pws: pws.unsubscribe(end_user(), SUBSCRIPTION),
        status("unsubscribe"),
        "<unsubscribe><unsubscribeRequest><subscriptionID>7</subscriptionID>"
        "<unsubscribeAll>true</unsubscribeAll></unsubscribeRequest></unsubscribe>",
    ),
    "unsubscribe some": (
        lambda pws: pws.unsubscribe(end_user(), 7, ["bo@b.org"]),
        status("unsubscribe"),
        "<unsubscribe><unsubscribeRequest><subscriptionID>7</subscriptionID>"
        '<contactsList><contact contactURI="bo@b.org"/></contactsList></unsubscribeRequest></unsubscribe>',
    ),
    "getSubscribedPresence": (
        lambda pws: pws.get_subscribed_presence(end_user(), 7, rich=True),
        rich([]),
        "<getSubscribedPresence><subscriptionID>7</subscriptionID><presenceType>RICH_PRESENCE</presenceType>"
        "</getSubscribedPresence>",
    ),
    "getPolledPresence": (
        lambda pws: pws.get_polled_presence(end_user(), ["bo@b.org"]),
        basic([], "getPolledPresence"),
        '<getPolledPresence><contactsList><contact contactURI="bo@b.org"/></contactsList>'
        "<presenceType>BASIC_PRESENCE</presenceType></getPolledPresence>",
    ),
    "setPresence": (
        lambda pws: pws.set_presence(end_user(), "DND", override=True),
        status("setPresence"),
        "<setPresence><presenceType>BASIC_PRESENCE</presenceType><presenceInfo><basicPresence>DND</basicPresence>"
        "<override>true</override></presenceInfo><expiration>3600</expiration></setPresence>",
    ),
    "setPresence rich": (
        lambda pws: pws.set_rich_presence(end_user(), '<presence xmlns="urn:pidf" entity="sip:a@b"/>'),
        status("setPresence"),
        "<setPresence><presenceType>RICH_PRESENCE</presenceType><presenceInfo>"
        '<richPresence><presence xmlns="urn:pidf" entity="sip:a@b"/></richPresence>'
        "<override>false</override></presenceInfo><expiration>3600</expiration></setPresence>",
    ),
}
"""Each call with a reply to it and the payload that must go out, in the default namespace."""


def canonical(text: str | etree._Element) -> bytes:
    """A payload without prefixes, for comparison."""
    if isinstance(text, str):
        name = text[1:].split(">")[0].split()[0].rstrip("/")
        text = etree.fromstring(text.replace(f"<{name}", f'<{name} xmlns="{NS}"', 1))
    flat = [(each.tag, sorted(each.attrib.items()), (each.text or "").strip()) for each in text.iter("*")]
    return repr(flat).encode()


async def sent_by(call: Call, reply: bytes, soap: SoapVersion = "1.1") -> SentRequest:
    """What a call sends."""
    transport = MemoryTransport([reply])
    await call(PwsClient(NODE, soap=soap, transport=transport))
    (sent,) = transport.sent
    return sent


@pytest.mark.parametrize("soap", contract.SOAP_VERSIONS)
@pytest.mark.parametrize("name", CALLS)
async def test_request_is_what_the_contract_wants(name: str, soap: SoapVersion) -> None:
    """Valid against the schema, and exactly this content."""
    call, reply, expected = CALLS[name]
    sent = await sent_by(call, reply, soap)
    payload = check_envelope(sent.body, soap)
    assert canonical(payload) == canonical(expected)
    assert etree.QName(payload).localname == sent.operation


@pytest.mark.parametrize("name", CALLS)
async def test_session_key_goes_out_with_every_call_but_login(name: str) -> None:
    """In the WSDL's own header element."""
    call, reply, _ = CALLS[name]
    sent = await sent_by(call, reply)
    assert session_key(sent.body) == (None if sent.operation == "login" else KEY)


def test_all_operations_are_among_the_calls() -> None:
    """None of the nine is left untested."""
    assert {name.split()[0] for name in CALLS} == set(OPERATIONS)


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_headers_of_soap_11_and_12(operation: str) -> None:
    """SOAPAction of its own in 1.1, a parameter of the media type in 1.2."""
    call, reply, _ = CALLS[operation]
    action = f"{NS}/{'getPresence' if operation == 'getPolledPresence' else operation}"
    assert (await sent_by(call, reply)).headers == {
        "Content-Type": "text/xml; charset=utf-8",
        "SOAPAction": f'"{action}"',
    }
    assert (await sent_by(call, reply, "1.2")).headers == {
        "Content-Type": f'application/soap+xml; charset=utf-8; action="{action}"'
    }


async def lists_of(call: Call, reply: bytes, count: int) -> list[list[str]]:
    """The contact lists that a call sends in `count` requests, each of them valid."""
    transport = MemoryTransport([reply] * count)
    await call(PwsClient(NODE, transport=transport))
    payloads = [check_envelope(sent.body, "1.1") for sent in transport.sent]
    return [[str(each.get("contactURI")) for each in payload.iter(f"{{{NS}}}contact")] for payload in payloads]


@pytest.mark.parametrize(("number", "sizes"), [(100, [100]), (101, [100, 1]), (250, [100, 100, 50])])
async def test_long_lists_go_out_in_lists_of_a_hundred(number: int, sizes: list[int]) -> None:
    """For each of the four calls that take contacts; together they are all the contacts, in order."""
    uris = people(number)
    calls: list[tuple[Call, bytes]] = [
        (lambda pws: pws.subscribe(end_user(), 3, uris), subscription_id()),
        (lambda pws: pws.add_contacts(end_user(), 3, 7, uris), subscription_id()),
        (lambda pws: pws.unsubscribe(end_user(), 7, uris), status("unsubscribe")),
        (lambda pws: pws.get_polled_presence(end_user(), uris), basic([], "getPolledPresence")),
    ]
    for call, reply in calls:
        found = await lists_of(call, reply, len(sizes))
        assert [len(each) for each in found] == sizes
        assert [uri for each in found for uri in each] == uris


async def test_later_lists_of_a_subscription_name_it_and_leave_its_time_alone() -> None:
    """The first makes it with its expiry, the others add to the id that came back."""
    transport = MemoryTransport([subscription_id(9)] * 3)
    made = await PwsClient(NODE, transport=transport).subscribe(end_user(), 3, people(201), expires=7200)
    payloads = [check_envelope(sent.body, "1.1") for sent in transport.sent]
    assert [each.findtext(f"{{{NS}}}subscriptionID") for each in payloads] == ["0", "9", "9"]
    assert [each.findtext(f"{{{NS}}}expiration") for each in payloads] == ["7200", None, None]
    assert (made.id, made.expires, made.contacts) == (9, 7200, tuple(people(201)))


async def test_rich_document_goes_out_as_an_element() -> None:
    """Not as escaped text, and whole: bytes and text, with a declaration and a comment, all the same."""
    document = f'<?xml version="1.0" encoding="UTF-8"?><!-- mine -->{pidf("ann@example.com", "on-the-phone")}'
    for given in (document, document.encode()):
        sent = await sent_by(lambda pws, given=given: pws.set_rich_presence(end_user(), given), status("setPresence"))  # type: ignore[misc]
        (place,) = check_envelope(sent.body, "1.1").iter(f"{{{NS}}}richPresence")
        (root,) = list(place)
        assert canonical(root) == canonical(etree.fromstring(pidf("ann@example.com", "on-the-phone")))


def test_request_does_not_show_what_it_holds() -> None:
    """Neither the envelope nor the secrets."""
    request = codec.encode(contract.bundled(), "login", {"username": "u", "password": PASSWORD, "force": False})
    assert repr(request) == f"Request('login', {len(request.body)} bytes)"
    assert PASSWORD not in f"{request} {request!r}"
