"""Writing replies: each kind is valid against the WSDL's schema, and faults look as section 3 says."""

from __future__ import annotations

import itertools
from typing import Literal, get_args

import pytest
from lxml import etree

from pws_soap.server import Presence, ServerOptions, State
from pws_soap.server import messages as m
from pws_soap.server.codes import TEXTS, Refused
from pws_soap.server.messages import Version
from pws_soap.server.soap.contract import schema
from pws_soap.server.soap.replies import write
from tests.support.soap_by_hand import PWS, SOAP11, SOAP12

VERSIONS: tuple[Version, ...] = get_args(Version)
NASTY = Presence("a&\"<b'@example.com", State.BUSY, "Q & <R> ]]> \u00e9", note="]]>&")
REPLIES: list[m.Reply] = [
    m.LoggedIn("key"),
    m.LoggedIn("key", "imp2:8083"),
    m.Redirect("imp2"),
    m.Redirect(None, 'a"&<'),
    *(m.Done(operation) for operation in ("logout", "unregisterEndPoint", "unsubscribe", "setPresence")),
    m.EndPoint(1),
    m.Subscribed(7),
    *(
        m.PresenceList(operation, kind, contacts, absent)
        for operation, kind, (contacts, absent) in itertools.product(
            ("getSubscribedPresence", "getPolledPresence"),
            get_args(m.PresenceType),
            [((), True), ((NASTY, Presence("x@y", State.UNKNOWN)), False)],
        )
    ),
]


def body_of(content: bytes, soap: str) -> etree._Element:
    """The element in the body of an envelope."""
    envelope = etree.fromstring(content)
    assert envelope.tag == f"{{{soap}}}Envelope"
    body = envelope.find(f"{{{soap}}}Body")
    assert body is not None
    assert len(body) == 1
    return body[0]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("reply", REPLIES, ids=repr)
def test_every_kind_of_reply_is_valid(reply: m.Reply, version: Version) -> None:
    """Against the schema in the WSDL, in both versions of SOAP."""
    written = write(reply, version, ServerOptions())
    assert written.status == 200
    schema(100).assertValid(body_of(written.body, SOAP11 if version == "1.1" else SOAP12))


@pytest.mark.parametrize("carrier", ["elements", "cdata", "escaped"])
def test_rich_replies_are_valid_in_every_carrier(carrier: Literal["elements", "cdata", "escaped"]) -> None:
    """Option rich_carrier, with names that want escaping."""
    options = ServerOptions(rich_carrier=carrier, rich_declaration=True, rich_namespaces="mixed")
    reply = m.PresenceList("getPolledPresence", "RICH_PRESENCE", (NASTY, Presence("x@y", State.AWAY)))
    root = body_of(write(reply, "1.1", options).body, SOAP11)
    schema(100).assertValid(root)
    listed = root.find(f".//{{{PWS}}}richPresenceList")
    assert listed is not None
    assert len(listed) == (2 if carrier == "elements" else 0)


def test_nothing_changed_is_a_reply_that_the_schema_allows_only_when_the_list_is_absent() -> None:
    """An empty list has no contact, where the schema wants one: the option is there to provoke."""
    empty = m.PresenceList("getSubscribedPresence", "BASIC_PRESENCE", ())
    root = body_of(write(empty, "1.1", ServerOptions()).body, SOAP11)
    assert not schema(100).validate(root)
    assert root.find(f".//{{{PWS}}}basicPresenceList") is not None


def test_a_reply_may_hold_thousands() -> None:
    """5000 contacts; the relaxed schema takes them."""
    contacts = tuple(Presence(f"c{number}@example.com", State.AWAY) for number in range(5000))
    reply = m.PresenceList("getSubscribedPresence", "BASIC_PRESENCE", contacts)
    root = body_of(write(reply, "1.1", ServerOptions()).body, SOAP11)
    assert len(list(root.iter(f"{{{PWS}}}contact"))) == 5000
    schema(100, 5000).assertValid(root)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("code", sorted(TEXTS))
def test_every_code_is_a_fault_with_its_description(code: int, version: Version) -> None:
    """HTTP 200, and 503 for 210 and 212; detail in SOAP 1.1, Detail in 1.2."""
    written = write(m.Refusal(code), version, ServerOptions())
    assert written.status == (503 if code in (210, 212) else 200)
    soap = SOAP11 if version == "1.1" else SOAP12
    fault = body_of(written.body, soap)
    assert fault.tag == f"{{{soap}}}Fault"
    detail = fault.find("detail" if version == "1.1" else f"{{{SOAP12}}}Detail")
    assert detail is not None
    description = detail[0]
    assert [child.tag for child in description] == [f"{{{PWS}}}{name}" for name in ("code", "message", "fix")]
    assert [child.text for child in description] == [str(code), *TEXTS[code]]
    assert written.content_type.startswith("text/xml" if version == "1.1" else "application/soap+xml")


def test_the_status_of_a_fault_is_an_option() -> None:
    """Option fault_status; the throttles keep theirs."""
    options = ServerOptions(fault_status=500)
    assert write(m.Refusal(101), "1.1", options).status == 500
    assert write(m.Refusal(210), "1.1", options).status == 503


def test_the_body_of_a_503_is_an_option() -> None:
    """Option throttle_body: a fault, the bare description, or nothing."""
    bare = write(m.Refusal(212), "1.1", ServerOptions(throttle_body="bare"))
    assert etree.fromstring(bare.body).tag == f"{{{PWS}}}description"
    assert write(m.Refusal(212), "1.1", ServerOptions(throttle_body="empty")).body == b""


@pytest.mark.parametrize(("version", "must"), [("1.1", "1"), ("1.2", "true")])
def test_replies_may_repeat_the_session_key(version: Version, must: str) -> None:
    """Option repeat_session_key; gSOAP marks it mustUnderstand."""
    soap = SOAP11 if version == "1.1" else SOAP12
    for option, expected in (("yes", None), ("must-understand", must)):
        options = ServerOptions(repeat_session_key=option)  # type: ignore[arg-type]  # both are allowed values
        envelope = etree.fromstring(write(m.EndPoint(1), version, options, "k&y").body)
        header = envelope.find(f"{{{soap}}}Header/{{{PWS}}}session-key")
        assert header is not None
        assert (header.text, header.get(f"{{{soap}}}mustUnderstand")) == ("k&y", expected)
    plain = etree.fromstring(write(m.EndPoint(1), version, ServerOptions(), "key").body)
    assert plain.find(f"{{{soap}}}Header") is None


def test_no_reply_shows_in_a_repr() -> None:
    """A reply may hold a session key."""
    assert "verysecret" not in repr(write(m.LoggedIn("verysecret"), "1.1", ServerOptions()))


def test_a_code_that_nobody_knows_has_the_text_of_a_server_error() -> None:
    """Injected codes may be any."""
    assert str(Refused(999)) == "999: Server error."
