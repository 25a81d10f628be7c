"""Reading requests: prefixes, versions, the header, and the code for what the schema refuses."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pws_soap.server import ServerOptions, State
from pws_soap.server import messages as m
from pws_soap.server.soap.requests import read
from tests.support.examples import examples
from tests.support.soap_by_hand import (
    ANN,
    JOE,
    PWS,
    SOAP12,
    contacts_list,
    envelope,
    fetch,
    login,
    poll,
    register,
    subscribe,
)

OPTIONS = ServerOptions()


def presence(info: str, kind: str = "BASIC_PRESENCE", expiration: str = "3600") -> str:
    """A setPresence by hand."""
    return (
        f'<setPresence xmlns="{PWS}"><presenceType>{kind}</presenceType><presenceInfo>{info}</presenceInfo>'
        f"<expiration>{expiration}</expiration></setPresence>"
    )


def unsubscribe(inner: str) -> str:
    """An unsubscribe by hand."""
    return f'<unsubscribe xmlns="{PWS}"><unsubscribeRequest>{inner}</unsubscribeRequest></unsubscribe>'


@pytest.mark.parametrize(
    ("body", "call"),
    [
        (login(), m.Login("pwsapp", password="secret")),
        (
            f'<x:login xmlns:x="{PWS}" force="1"><x:username> a  b </x:username>'
            "<x:app-session-id>k</x:app-session-id></x:login>",
            m.Login("a b", app_session="k", force=True),
        ),
        (f'<logout xmlns="{PWS}"/>', m.Logout()),
        (register("http://h/x"), m.RegisterEndPoint("http://h/x", 0, 3600)),
        (
            f'<registerEndPoint xmlns="{PWS}"><endPointID>3</endPointID><expiration> 86399 </expiration>'
            "</registerEndPoint>",
            m.RegisterEndPoint(None, 3, 86399),
        ),
        (
            f'<unregisterEndPoint xmlns="{PWS}"><endPointID>3</endPointID></unregisterEndPoint>',
            m.UnregisterEndPoint(3),
        ),
        (subscribe(ANN, JOE), m.Subscribe((ANN, JOE), 1, 0, 3600)),
        (
            f'<subscribe xmlns="{PWS}"><subscriptionType>PRESENCE_NOTIFICATION</subscriptionType>'
            "<expiration>0</expiration><endPointID>1</endPointID><subscriptionID>5</subscriptionID></subscribe>",
            m.Subscribe(None, 1, 5, None),
        ),
        (unsubscribe("<subscriptionID>5</subscriptionID><unsubscribeAll/>"), m.Unsubscribe(5)),
        (unsubscribe(f"<subscriptionID>5</subscriptionID>{contacts_list(ANN)}"), m.Unsubscribe(5, (ANN,))),
        (fetch(4, "RICH_PRESENCE"), m.GetSubscribedPresence(4, "RICH_PRESENCE")),
        (poll(ANN), m.GetPolledPresence((ANN,))),
        (
            presence("<basicPresence>BUSY</basicPresence><override>false</override>"),
            m.SetPresence("BASIC_PRESENCE", False, 3600, State.BUSY),
        ),
        (
            presence('<richPresence><p xmlns="urn:x">1</p></richPresence><override>1</override>', "RICH_PRESENCE"),
            m.SetPresence("RICH_PRESENCE", True, 3600, rich=f'<p xmlns="urn:x" xmlns:e="{SOAP12}">1</p>'.encode()),
        ),
        (
            presence("<richPresence> &lt;p/> </richPresence><override>0</override>", "RICH_PRESENCE"),
            m.SetPresence("RICH_PRESENCE", False, 3600, rich=b"<p/>"),
        ),
    ],
)
def test_a_request_becomes_a_call(body: str, call: m.Call) -> None:
    """Every operation, whatever the prefixes, in SOAP 1.2."""
    request = read(envelope(body, "key", soap=SOAP12), OPTIONS)
    assert request.problem is None
    if isinstance(call, m.SetPresence) and isinstance(request.call, m.SetPresence):
        assert (request.call.rich or b"").startswith((call.rich or b"")[:2])
        assert (request.call.type, request.call.override, request.call.basic) == (call.type, call.override, call.basic)
    else:
        assert request.call == call
    assert (request.version, request.key) == ("1.2", "key")


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", 150),
        (b"no xml", 102),
        (b"\xff\xfe\x00", 102),
        (envelope(login())[:-5], 102),
        (b'<!DOCTYPE a [<!ENTITY b "cccc">]>' + envelope(login("&b;")), 102),
        (('<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a>' + envelope(login()).decode()).encode("utf-16"), 102),
        (b"<Envelope/>", 103),
        (b'<Envelope xmlns="urn:other"/>', 103),
        (b'<x xmlns="http://schemas.xmlsoap.org/soap/envelope/"/>', 103),
        (b'<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"/>', 102),
        (envelope(""), 102),
        (envelope(login() + login()), 102),
        (envelope("<login/>"), 103),
        (envelope(f'<other xmlns="{PWS}"/>'), 103),
    ],
)
def test_what_is_no_request(content: bytes, code: int) -> None:
    """Codes 102, 103 and 150: neither entity nor document type is taken."""
    assert read(content, OPTIONS).problem == code


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (f'<login xmlns="{PWS}"><password>p</password></login>', 113),
        (f'<login xmlns="{PWS}"><username> </username></login>', 113),
        (f'<login xmlns="{PWS}"><username>u</username></login>', 112),
        (
            f'<login xmlns="{PWS}"><username>u</username><password>p</password><app-session-id>k</app-session-id>'
            "</login>",
            112,
        ),
        (f'<login xmlns="{PWS}" force="maybe"><username>u</username><password>p</password></login>', 102),
        (fetch(kind="OTHER"), 110),
        (fetch().replace("<subscriptionID>1<", "<subscriptionID>one<"), 102),
        (poll(ANN, kind="OTHER"), 110),
        (poll(), 146),
        (f'<getPolledPresence xmlns="{PWS}"><presenceType>BASIC_PRESENCE</presenceType></getPolledPresence>', 146),
        (poll(ANN).replace("<contact ", "<person "), 147),
        (poll(ANN).replace("contactURI", "uri"), 148),
        (poll(*[f"c{number}@example.com" for number in range(101)]), 135),
        (subscribe(ANN).replace("3600", "86401"), 131),
        (subscribe(ANN).replace("3600", "1"), 131),
        (subscribe(ANN).replace("3600", "soon"), 131),
        (subscribe(ANN).replace("<endPointID>1</endPointID>", ""), 102),
        (subscribe(ANN).replace("<expiration>3600</expiration>", "<endPointID/>"), 102),
        (subscribe(ANN).replace("<contact ", "<person "), 147),
        (register().replace("3600", "86400"), 131),
        (register().replace("3600", "0"), 131),
        (unsubscribe("<subscriptionID>1</subscriptionID>"), 146),
        (unsubscribe("<subscriptionID>1</subscriptionID><contactsList/>"), 146),
        (unsubscribe("<subscriptionID>x</subscriptionID><unsubscribeAll/>"), 102),
        (f'<unsubscribe xmlns="{PWS}"/>', 102),
        (presence("<basicPresence>UNKNOWN</basicPresence><override>true</override>"), 120),
        (presence("<basicPresence>BUSY</basicPresence><override>perhaps</override>"), 125),
        (presence("<basicPresence>BUSY</basicPresence>"), 125),
        (presence("<override>true</override>", kind="SOME"), 110),
        (presence("<override>true</override>", expiration="5"), 131),
        (presence("<override>true</override>").replace("presenceInfo", "other"), 115),
        (presence("<override>true</override>").replace("<expiration>3600</expiration>", ""), 102),
    ],
)
def test_what_the_schema_refuses_has_the_most_precise_code(body: str, code: int) -> None:
    """Else 102. The session key is read all the same, since it is looked at first."""
    request = read(envelope(body, "key"), OPTIONS)
    assert (request.problem, request.key) == (code, "key")


@pytest.mark.parametrize("most", [1, 100, 101, 5000])
@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda listed: (
            f'<getPolledPresence xmlns="{PWS}">{listed}<presenceType>BASIC_PRESENCE</presenceType></getPolledPresence>'
        ),
        lambda listed: unsubscribe(f"<subscriptionID>1</subscriptionID>{listed}"),
        lambda listed: subscribe(ANN).replace(contacts_list(ANN), listed),
    ],
)
def test_a_list_longer_than_the_limit_is_code_135(most: int, strict: bool, wrap: Callable[[str], str]) -> None:
    """Wherever the list stands, and whether the limit is the schema's or another."""
    options = ServerOptions(contacts_per_list=most, strict=strict)
    people = [f"c{number}@example.com" for number in range(most + 1)]
    assert read(envelope(wrap(contacts_list(*people)), "key"), options).problem == 135
    assert read(envelope(wrap(contacts_list(*people[1:])), "key"), options).problem is None


def test_the_list_may_be_longer_where_the_option_says_so() -> None:
    """Option contacts_per_list: 100 in the WSDL, 5000 in the documentation."""
    body = envelope(poll(*[f"c{number}@example.com" for number in range(5000)]), "key")
    call = read(body, ServerOptions(contacts_per_list=5000)).call
    assert isinstance(call, m.GetPolledPresence)
    assert len(call.contacts) == 5000


def test_the_header_in_the_other_namespace() -> None:
    """One Cisco text shows it in urn:cisco:cup:tpi:soap (K); option accept_tpi_header."""
    header = '<t:session-key xmlns:t="urn:cisco:cup:tpi:soap"> key </t:session-key>'
    body = envelope(f'<logout xmlns="{PWS}"/>', header=header)
    assert read(body, OPTIONS).key == "key"
    assert read(body, ServerOptions(accept_tpi_header=False)).key is None
    without = b'<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><logout xmlns="%s"/></e:Body>'
    assert read(without % PWS.encode() + b"</e:Envelope>", OPTIONS).key is None


def test_comments_and_instructions_are_nothing() -> None:
    """They may stand anywhere."""
    body = fetch().replace("<subscriptionID>1", "<?x y?><!-- z --><subscriptionID><!-- 9 -->1")
    assert read(envelope(body), OPTIONS).call == m.GetSubscribedPresence(1)


WHOLE = envelope(subscribe(ANN, JOE), "key")


@settings(max_examples=examples(150), deadline=None)
@given(start=st.integers(0, len(WHOLE)), length=st.integers(0, 40), other=st.binary(max_size=12))
def test_whatever_is_sent_is_read_or_refused(start: int, length: int, other: bytes) -> None:
    """No input raises: there is a call, or the code of a problem."""
    request = read(WHOLE[:start] + other + WHOLE[start + length :], OPTIONS)
    assert (request.call is None) is (request.problem is not None)


def test_no_key_shows_in_a_repr() -> None:
    """Nothing secret in a repr."""
    assert "verysecret" not in repr(read(envelope(login(password="verysecret"), "verysecret"), OPTIONS))
