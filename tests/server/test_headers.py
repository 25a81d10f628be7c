"""Headers: the session key that is for us, and those that must be understood."""

from __future__ import annotations

import pytest
from lxml import etree

from pws_soap.server import ServerOptions
from pws_soap.server import messages as m
from pws_soap.server.soap.replies import write
from pws_soap.server.soap.requests import read
from tests.support.soap_by_hand import PWS, SOAP11, SOAP12, envelope

OPTIONS = ServerOptions()
LOGOUT = f'<logout xmlns="{PWS}"/>'
NEXT11 = "http://schemas.xmlsoap.org/soap/actor/next"
NEXT12, LAST12 = f"{SOAP12}/role/next", f"{SOAP12}/role/ultimateReceiver"


def header(name: str, attributes: str, text: str = "key") -> str:
    """A header; `e` is the envelope's prefix."""
    return f"<{name} {attributes}>{text}</{name}>"


@pytest.mark.parametrize(
    ("soap", "attributes", "is_ours"),
    [
        (SOAP11, "", True),
        (SOAP11, 'e:actor=""', False),
        (SOAP11, f'e:actor="{NEXT11}"', True),
        (SOAP11, 'e:actor="urn:gateway"', False),
        (SOAP11, 'e:mustUnderstand="1"', True),
        (SOAP12, f'e:role="{NEXT12}"', True),
        (SOAP12, f'e:role="{NEXT12}" e:mustUnderstand="true"', True),
        (SOAP12, f'e:role="{LAST12}"', False),
        (SOAP12, f'e:role="{SOAP12}/role/none"', False),
        (SOAP12, 'e:role="urn:gateway"', False),
        (SOAP11, 'e:role="urn:gateway"', True),  # there is no such attribute in this version
        (SOAP12, 'e:actor="urn:gateway"', True),
        (SOAP11, f'x:role="urn:gateway" xmlns:x="{SOAP12}"', True),
        (SOAP11, f'x:actor="urn:gateway" xmlns:x="{SOAP12}"', False),
        (SOAP12, f'x:role="urn:gateway" xmlns:x="{SOAP11}"', False),
        (SOAP11, 'x:nil="1" xmlns:x="http://www.w3.org/2001/XMLSchema-instance"', False),
        (SOAP11, 'x:type="y:z" xmlns:x="http://www.w3.org/2001/XMLSchema-instance"', True),
    ],
)
@pytest.mark.parametrize("namespace", [PWS, "urn:cisco:cup:tpi:soap"])
def test_a_session_key_for_another_actor_is_none_of_ours(
    soap: str, attributes: str, is_ours: bool, namespace: str
) -> None:
    """As if it were not there: code 100. One for us beside it counts. Each line was measured at gSOAP 2.8."""
    theirs = header("session-key", f'xmlns="{namespace}" {attributes}')
    request = read(envelope(LOGOUT, soap=soap, header=theirs), OPTIONS)
    assert request.key == ("key" if is_ours else None)
    assert request.not_understood == ()
    both = theirs + header("session-key", f'xmlns="{PWS}"', "ours")
    if not is_ours:
        assert read(envelope(LOGOUT, soap=soap, header=both), OPTIONS).key == "ours"


@pytest.mark.parametrize(
    ("soap", "attributes", "is_refused"),
    [
        (SOAP11, 'e:mustUnderstand="1"', True),
        (SOAP11, 'e:mustUnderstand="true"', True),
        (SOAP11, 'e:mustUnderstand="0"', False),
        (SOAP11, "", False),
        (SOAP11, 'mustUnderstand="1"', False),
        (SOAP11, f'e:mustUnderstand="1" e:actor="{NEXT11}"', True),
        (SOAP11, 'e:mustUnderstand="1" e:actor="urn:gateway"', False),
        (SOAP12, 'e:mustUnderstand="true"', True),
        (SOAP12, f'e:mustUnderstand="1" e:role="{NEXT12}"', True),
        (SOAP12, f'e:mustUnderstand="1" e:role="{LAST12}"', False),
        (SOAP11, 'e:mustUnderstand="1" e:actor=""', False),
        # the attribute of either version counts in both
        (SOAP11, f'x:mustUnderstand="1" xmlns:x="{SOAP12}"', True),
        (SOAP12, f'x:mustUnderstand="1" xmlns:x="{SOAP11}"', True),
        (SOAP12, f'x:mustUnderstand="1" x:role="urn:gateway" xmlns:x="{SOAP11}"', False),
        (SOAP11, 'e:mustUnderstand=" 1 "', False),
        (SOAP12, 'e:mustUnderstand="true" e:role="urn:gateway"', False),
    ],
)
@pytest.mark.parametrize("strict", [False, True])
def test_a_header_that_must_be_understood_and_is_not_ours(
    soap: str, attributes: str, is_refused: bool, strict: bool
) -> None:
    """As a gSOAP server: the request is not carried out, and no key is looked at."""
    security = header("w:Security", f'xmlns:w="urn:wsse" {attributes}', "")
    request = read(envelope(LOGOUT, "key", soap=soap, header=security), ServerOptions(strict=strict))
    assert request.not_understood == (("{urn:wsse}Security",) if is_refused else ())
    assert request.call == (None if is_refused else m.Logout())


def test_the_other_namespace_is_not_understood_where_it_is_not_accepted() -> None:
    """Option accept_tpi_header."""
    theirs = header("session-key", 'xmlns="urn:cisco:cup:tpi:soap" e:mustUnderstand="1"')
    options = ServerOptions(accept_tpi_header=False)
    assert read(envelope(LOGOUT, header=theirs), options).not_understood == ("{urn:cisco:cup:tpi:soap}session-key",)
    assert read(envelope(LOGOUT, header=theirs), OPTIONS).key == "key"


def test_the_fault_of_soap_1_1() -> None:
    """Faultcode MustUnderstand, and no detail: the body has not been looked at."""
    reply = write(m.NotUnderstood(("{urn:wsse}Security",)), "1.1", OPTIONS)
    fault = etree.fromstring(reply.body).find(f"{{{SOAP11}}}Body/{{{SOAP11}}}Fault")
    assert fault is not None
    assert (reply.status, fault.findtext("faultcode"), fault.find("detail")) == (200, "SOAP-ENV:MustUnderstand", None)
    assert "Security (urn:wsse)" in (fault.findtext("faultstring") or "")


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_the_fault_names_the_first_few_headers(version: m.Version) -> None:
    """And says how many more there are; a name may be of any length."""
    many = tuple(f"{{urn:q}}x{number}" for number in range(50_000))
    body = write(m.NotUnderstood(many), version, OPTIONS).body
    assert len(body) < 2000
    assert b"x4 (urn:q) and 49995 more." in body
    assert len(write(m.NotUnderstood(("{urn:" + "q" * 100_000 + "}x",)), version, OPTIONS).body) < 2000


def test_the_fault_of_soap_1_2_names_the_headers() -> None:
    """One NotUnderstood for each (SOAP 1.2 part 1, section 5.4.8)."""
    reply = write(m.NotUnderstood(("{urn:wsse}Security", "Plain")), "1.2", ServerOptions(fault_status=500))
    root = etree.fromstring(reply.body)
    blocks = root.findall(f"{{{SOAP12}}}Header/{{{SOAP12}}}NotUnderstood")
    assert [(block.get("qname"), block.nsmap.get("h")) for block in blocks] == [
        ("h:Security", "urn:wsse"),
        ("Plain", None),
    ]
    assert root.findtext(f".//{{{SOAP12}}}Value") == "SOAP-ENV:MustUnderstand"
    assert reply.status == 500
