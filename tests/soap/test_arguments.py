"""What the server would refuse is refused before anything is sent, with the argument's name and its limit."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pws_soap import arguments
from pws_soap.client import PwsClient
from pws_soap.errors import ArgumentError, PwsError
from pws_soap.memory import MemoryTransport
from pws_soap.models import Endpoint, Secret, Subscription, is_contact, same_contact
from tests.soap.samples import CALLBACK, ENDPOINT, NODE, PASSWORD, SUBSCRIPTION, application, end_user, people

Call = Callable[[Any], Awaitable[object]]  # Any: many of these calls are wrong in their types, on purpose

WORDS = "1 to 1024 characters"
ID = "a whole number from 1 to 2147483647"
LIFE = "3600 to 86400 seconds"
ENDPOINT_LIFE = "3600 to 86399 seconds"
URL = "an absolute http:// or https:// URL without spaces"
CONTACT = "a contact URI, user@domain"
STATES = "one of AVAILABLE, AWAY, BUSY, DND, UNAVAILABLE, VACATION"

REFUSED: list[tuple[str, str, Call]] = [
    *(
        ("username", expected, lambda pws, name=name: pws.login(name, PASSWORD))
        for name, expected in [
            ("", WORDS),
            (" ann", WORDS),
            ("ann ", WORDS),
            ("x" * 1025, WORDS),
            (None, WORDS),
            (5, WORDS),
            ("a\nb", "printable characters"),
            ("a\x00b", "printable characters"),
            ("a\ud800b", "printable characters"),
        ]
    ),
    ("username", WORDS, lambda pws: pws.login_end_user(application(), "")),
    *(
        ("password", expected, lambda pws, word=word: pws.login("pwsapp", word))
        for word, expected in [
            ("", WORDS),
            (Secret(""), WORDS),
            ("x" * 1025, WORDS),
            ("a\nb", "without control characters"),
            ("a\x7fb", "without control characters"),
            ("a\udfffb", "without control characters"),
            ("a\uffffb", "without control characters"),
            (None, "text"),
            (b"secret", "text"),
            (12345, "text"),
        ]
    ),
    ("force", "True or False", lambda pws: pws.login("pwsapp", PASSWORD, force="no")),
    *(
        ("session", "the session of an application user", call)
        for call in (
            lambda pws: pws.login_end_user(end_user(), "dispatcher"),
            lambda pws: pws.register_endpoint(end_user(), CALLBACK),
            lambda pws: pws.renew_endpoint(end_user(), 3),
            lambda pws: pws.unregister_endpoint(end_user(), 3),
        )
    ),
    *(
        ("session", "the session of an end user", call)
        for call in (
            lambda pws: pws.subscribe(application(), 3, people(1)),
            lambda pws: pws.add_contacts(application(), 3, 7, people(1)),
            lambda pws: pws.renew_subscription(application(), 3, 7),
            lambda pws: pws.unsubscribe(application(), 7),
            lambda pws: pws.get_subscribed_presence(application(), 7),
            lambda pws: pws.get_polled_presence(application(), people(1)),
            lambda pws: pws.set_presence(application(), "BUSY"),
            lambda pws: pws.set_rich_presence(application(), "<presence/>"),
        )
    ),
    *(
        ("session", f"a session of {NODE}", call)
        for call in (
            lambda pws: pws.logout(application("https://imp2.example.com:8083")),
            lambda pws: pws.login_end_user(application("https://imp2.example.com:8083"), "dispatcher"),
            lambda pws: pws.get_subscribed_presence(end_user("http://imp1.example.com:8083"), 7),
        )
    ),
    ("session", "a session, as login returns it", lambda pws: pws.logout("key")),
    ("session", "a session, as login returns it", lambda pws: pws.get_polled_presence(None, people(1))),
    *(
        ("url", URL, lambda pws, url=url: pws.register_endpoint(application(), url))
        for url in [
            "",
            "10.0.0.5:8080/pws",
            "/pws/secret",
            "ftp://10.0.0.5/pws",
            "http://",
            "http:///pws",
            "http://10.0.0.5:8080/a b",
            " http://10.0.0.5:8080/",
            "http://10.0.0.5:8080/a\tb",
            "http://10.0.0.5:8080/?id=1",
            "http://10.0.0.5:8080/#x",
            "http://10.0.0.5:8080/<x>",
            "http://10.0.0.5:99999/",
            "http://10.0.0.5:0/",
            "http://10.0.0.5:port/",
            "http://[::1/",
            "http://exämple.com/",
            "http://10.0.0.5/" + "x" * 1024,
        ]
    ),
    ("url", "text", lambda pws: pws.register_endpoint(application(), None)),
    *(
        ("expires", ENDPOINT_LIFE, lambda pws, life=life: pws.register_endpoint(application(), CALLBACK, expires=life))
        for life in [0, 3599, 86400, 10**12, -3600, True, None, 3600.0, "3600"]
    ),
    ("expires", ENDPOINT_LIFE, lambda pws: pws.renew_endpoint(application(), 3, expires=86400)),
    ("expires", ENDPOINT_LIFE, lambda pws: pws.renew_endpoint(application(), Endpoint(3, Secret(CALLBACK), 0))),
    *(
        ("expires", LIFE, lambda pws, life=life: pws.subscribe(end_user(), 3, people(1), expires=life))
        for life in [0, 3599, 86401, False, 3600.5, "1h"]
    ),
    ("expires", LIFE, lambda pws: pws.renew_subscription(end_user(), 3, 7, expires=86401)),
    ("expires", LIFE, lambda pws: pws.renew_subscription(end_user(), 3, Subscription(7, (), 1))),
    ("expires", LIFE, lambda pws: pws.set_presence(end_user(), "BUSY", expires=60)),
    ("expires", LIFE, lambda pws: pws.set_rich_presence(end_user(), "<presence/>", expires=86401)),
    *(
        ("endpoint", ID, lambda pws, which=which: pws.unregister_endpoint(application(), which))
        for which in [0, -1, 2**31, True, "3", None, 3.0, SUBSCRIPTION]
    ),
    ("endpoint", ID, lambda pws: pws.subscribe(end_user(), SUBSCRIPTION, people(1))),
    ("endpoint", ID, lambda pws: pws.renew_subscription(end_user(), 0, 7)),
    *(
        ("subscription", ID, lambda pws, which=which: pws.get_subscribed_presence(end_user(), which))
        for which in [0, -1, 2**31, False, "7", None, ENDPOINT]
    ),
    ("subscription", ID, lambda pws: pws.unsubscribe(end_user(), 0)),
    ("subscription", ID, lambda pws: pws.add_contacts(end_user(), 3, ENDPOINT, people(1))),
    *(
        ("contacts[1]", CONTACT, lambda pws, uri=uri: pws.get_polled_presence(end_user(), ["ann@example.com", uri]))
        for uri in [
            "",
            " ",
            "ann",
            "@example.com",
            "ann@",
            "ann@@c",
            "a b@example.com",
            "a%20b@example.com",
            "http://ann@example.com",
            "ann@example.com;bo@example.com",
            "ann@example.com, bo@example.com",
            "ann@example.com\x00",
            "an\x01n@example.com",
            "an\ud800n@example.com",
            "x" * 320 + "@example.com",
            None,
            5,
            b"ann@example.com",
        ]
    ),
    *(
        ("contacts", "at least one contact", call)
        for call in (
            lambda pws: pws.subscribe(end_user(), 3, []),
            lambda pws: pws.add_contacts(end_user(), 3, 7, ()),
            lambda pws: pws.unsubscribe(end_user(), 7, iter(())),
            lambda pws: pws.get_polled_presence(end_user(), set()),
        )
    ),
    ("contacts", "at most 5000 contacts", lambda pws: pws.subscribe(end_user(), 3, people(5001))),
    ("contacts", "a list of contact URIs", lambda pws: pws.subscribe(end_user(), 3, "ann@example.com")),
    ("contacts", "a list of contact URIs", lambda pws: pws.get_polled_presence(end_user(), None)),
    *(
        ("state", STATES, lambda pws, state=state: pws.set_presence(end_user(), state))
        for state in ["UNKNOWN", "busy", "", "ON_FIRE", None, 5]
    ),
    ("override", "False with AVAILABLE", lambda pws: pws.set_presence(end_user(), "AVAILABLE", override=True)),
    ("override", "True with DND", lambda pws: pws.set_presence(end_user(), "DND")),
    ("override", "True or False", lambda pws: pws.set_presence(end_user(), "BUSY", override="yes")),
    ("override", "True or False", lambda pws: pws.set_rich_presence(end_user(), "<presence/>", override=1)),
    *(
        ("document", "a PIDF document", lambda pws, document=document: pws.set_rich_presence(end_user(), document))
        for document in [
            "",
            "not XML",
            "<presence>",
            "<!DOCTYPE presence [<!ENTITY a 'b'>]><presence>&a;</presence>",
            b"\xff\xfe",
            "<presence>\ud800</presence>",
            "<person/>",
            None,
            5,
        ]
    ),
]


@pytest.mark.parametrize(("name", "expected", "call"), REFUSED, ids=[f"{row[0]}-{row[1][:20]}" for row in REFUSED])
async def test_wrong_argument_is_named_with_its_limit_and_nothing_is_sent(name: str, expected: str, call: Call) -> None:
    """An error that is ours and a ValueError, whatever was given."""
    transport = MemoryTransport()
    with pytest.raises(ArgumentError, match=f"^{re.escape(name)}: expected .*{re.escape(expected)}") as caught:
        await call(PwsClient(NODE, transport=transport))
    assert caught.value.argument == name
    assert isinstance(caught.value, PwsError)
    assert isinstance(caught.value, ValueError)
    assert len(str(caught.value)) < 400
    assert not transport.sent


@pytest.mark.parametrize(
    "url",
    [
        "",
        "imp1.example.com",
        "imp1.example.com:8083",
        "ftp://imp1.example.com",
        "https://",
        "https:///presence-service/soap",
        "https://imp1.example.com/presence-service/soap",
        "https://imp1.example.com?wsdl",
        "https://imp1.example.com#x",
        "https://user@imp1.example.com",
        "https://imp1.example.com:port",
        "https://imp1.example.com:99999",
        "https://imp1 .example.com",
        "https://[::1",
        None,
        b"https://imp1.example.com",
    ],
)
def test_address_that_is_no_node_is_refused(url: Any) -> None:
    """The path is the service's own business, and the port has a default."""
    with pytest.raises(ArgumentError, match=r"^base_url: expected a node's address such as"):
        PwsClient(url, transport=MemoryTransport())


@pytest.mark.parametrize(
    ("url", "node"),
    [
        ("https://imp1.example.com", "https://imp1.example.com:8083"),
        ("http://imp1.example.com", "http://imp1.example.com:8082"),
        ("https://IMP1.Example.com:443/", "https://imp1.example.com:443"),
        ("http://127.0.0.1:18082", "http://127.0.0.1:18082"),
        ("https://[2001:db8::1]", "https://[2001:db8::1]:8083"),
    ],
)
def test_address_of_a_node_is_completed(url: str, node: str) -> None:
    """By the ports of the server, so that two spellings are one node."""
    assert PwsClient(url, transport=MemoryTransport()).node == node


def test_version_of_soap_is_one_of_two() -> None:
    """As text, so that 1.10 is not 1.1."""
    for version in ("1.0", "2", "", 1.1, None):
        with pytest.raises(ArgumentError, match=r"^soap: expected 1\.1 or 1\.2"):
            PwsClient(NODE, soap=version, transport=MemoryTransport())  # type: ignore[arg-type]


def test_contacts_are_cleaned() -> None:
    """What stands around `user@host` goes, each stays once in its first case, order is kept."""
    given_uris = [
        "sip:Ann@Example.com",
        " bo@example.com ",
        "ann@example.com",
        "SIPS:bo@EXAMPLE.com",
        "pres:b%6f@example.com:5060",
        "im:o'neil@x.org",
        "Jo@mail.example@im.example",
        "jo%40mail.example@im.example",
        "ann@example.com;transport=tls",
        "Cy <sip:Cy@example.com:5061>",
    ]
    kept = ("Ann@Example.com", "bo@example.com", "o'neil@x.org", "Jo@mail.example@im.example", "Cy@example.com")
    assert arguments.contacts(given_uris) == kept
    assert arguments.contacts(iter(people(5000))) == tuple(people(5000))


@given(st.text(max_size=40))
@settings(deadline=None)
def test_what_is_a_contact_can_be_sent(text: str) -> None:
    """Whatever passes is one contact URI that XML can carry."""
    if is_contact(text):
        assert text.isprintable()
        assert not set(text) & set(' <>"\t\n')
        assert same_contact(f" SIP:{text} ") == same_contact(text)


@given(st.lists(st.integers()), st.integers(1, 7))
def test_lists_hold_all_in_order(values: list[int], most: int) -> None:
    """None longer than it may be, none empty."""
    texts = [str(value) for value in values]
    made = list(arguments.lists(texts, most))
    assert [each for one in made for each in one] == texts
    assert all(0 < len(one) <= most for one in made)


def test_long_value_is_cut_in_the_message() -> None:
    """A message is for people."""
    error = ArgumentError("contacts[0]", CONTACT, "x" * 1000)
    assert len(str(error)) < 200
    assert str(error).endswith("...")
