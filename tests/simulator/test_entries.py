"""What faults do to the first entry of a reply, in a basic list and in rich documents of every carrier."""

from __future__ import annotations

import html
from typing import Literal

import pytest
from lxml import etree

from pws_soap.server import messages as m
from pws_soap.server.soap.replies import write
from pws_soap.simulator import Device, Options, Presence, State
from pws_soap.simulator.faults.entries import STRANGER, UNKNOWN_WORD, doubled, emptied, renamed
from pws_soap.simulator.faults.kinds import FORMS

ANN = Presence("ann@example.com", State.BUSY, "Ann", note="</presence>", devices=(Device("cmp-1"), Device("upc")))
JOE = Presence("joe@example.com", State.AWAY, "Joe")

NAMES = {
    "percent": "%61nn@example.com",
    "port": "ann@example.com:5060",
    "dot": "ann@example.com.",
    "brackets": "<sip:ann@example.com>",
    "sips": "sips:ann@example.com",
    "params": "ann@example.com;transport=tls",
    "upper": "ANN@EXAMPLE.COM",
    "mangled": STRANGER,
}
Carrier = Literal["elements", "cdata", "escaped"]
CARRIERS: tuple[Carrier, ...] = ("elements", "cdata", "escaped")


def basic(*contacts: Presence) -> bytes:
    """A basic list on the wire."""
    reply = m.PresenceList("getSubscribedPresence", "BASIC_PRESENCE", contacts or (ANN, JOE))
    return write(reply, "1.1", Options()).body


def rich(carrier: Carrier, *contacts: Presence) -> bytes:
    """Rich documents on the wire."""
    reply = m.PresenceList("getSubscribedPresence", "RICH_PRESENCE", contacts or (ANN, JOE))
    return write(reply, "1.1", Options(rich_carrier=carrier)).body


def listed(body: bytes) -> list[dict[str, str]]:
    """The attributes of the entries of a basic list."""
    return [
        {str(k): str(v) for k, v in contact.attrib.items()} for contact in etree.fromstring(body).iter("{*}contact")
    ]


def documents(body: bytes, carrier: Carrier) -> list[etree._Element]:
    """The documents of a rich list."""
    found = etree.fromstring(body).find(".//{*}richPresenceList")
    assert found is not None
    if carrier != "elements":
        found = etree.fromstring(f"<all>{found.text}</all>")
    return list(found)


def test_every_form_of_a_name_is_tested() -> None:
    """The three others have a test of their own."""
    assert set(FORMS["rename-entry"]) == {*NAMES, "nameless", "latin-1", "unreadable"}


@pytest.mark.parametrize(("form", "name"), NAMES.items())
def test_the_first_contact_of_a_list_is_named_differently(form: str, name: str) -> None:
    """Everything else stays as it is."""
    first, second = listed(renamed(basic(), form))
    assert first == {"contactURI": name, "presenceStatus": "BUSY"}
    assert second == {"contactURI": "joe@example.com", "presenceStatus": "AWAY"}


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize(("form", "name"), NAMES.items())
def test_the_first_document_is_about_another_name(form: str, name: str, carrier: Carrier) -> None:
    """With its scheme, where the form has none of its own."""
    first, second = documents(renamed(rich(carrier), form), carrier)
    assert first.get("entity") == (name if form in ("brackets", "sips") else "sip:" + name)
    assert second.get("entity") == "sip:joe@example.com"
    assert first.findtext(".//{*}display-name") == "Ann"


def test_names_are_escaped_as_they_were() -> None:
    """What XML must escape is escaped once, in a text twice."""
    odd = Presence("o'k&x@example.com", State.BUSY, "Odd")
    assert listed(renamed(basic(odd), "port"))[0]["contactURI"] == "o'k&x@example.com:5060"
    for carrier in CARRIERS:
        (document,) = documents(renamed(rich(carrier, odd), "port"), carrier)
        assert document.get("entity") == "sip:o'k&x@example.com:5060"
    umlaut = Presence("öl@example.com", State.BUSY)
    assert listed(renamed(basic(umlaut), "percent"))[0]["contactURI"] == "%C3%B6l@example.com"


@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_nameless_entry(carrier: Carrier) -> None:
    """Its attribute is missing."""
    assert listed(renamed(basic(), "nameless"))[0] == {"presenceStatus": "BUSY"}
    first, second = documents(renamed(rich(carrier), "nameless"), carrier)
    assert (first.get("entity"), second.get("entity")) == (None, "sip:joe@example.com")


def test_a_name_with_a_byte_that_is_not_utf_8() -> None:
    """One letter is the byte 0xF6; the rest is the same."""
    for body in (basic(), *(rich(carrier) for carrier in CARRIERS)):
        damaged = renamed(body, "latin-1")
        assert damaged == body.replace(b"ann@example.com", b"\xf6nn@example.com", 1)
        with pytest.raises(UnicodeDecodeError):
            damaged.decode()


def test_an_entry_whose_name_cannot_be_read() -> None:
    """A misspelt attribute in a list; in a document broken markup, which breaks the reply where it is an element."""
    assert listed(renamed(basic(), "unreadable"))[0] == {"contactUIR": "ann@example.com", "presenceStatus": "BUSY"}
    with pytest.raises(etree.XMLSyntaxError):
        etree.fromstring(renamed(rich("elements"), "unreadable"))
    for carrier in ("cdata", "escaped"):
        found = etree.fromstring(renamed(rich(carrier), "unreadable")).find(".//{*}richPresenceList")
        assert found is not None
        with pytest.raises(etree.XMLSyntaxError):
            etree.fromstring((found.text or "").partition("\n")[0])
        assert "entity=sip:ann@example.com" in html.unescape(found.text or "")


@pytest.mark.parametrize(
    ("form", "status", "activities", "basics"),
    [
        ("empty", "", [], ["", ""]),
        ("missing", None, None, []),
        ("unknown-word", UNKNOWN_WORD.upper(), [UNKNOWN_WORD], [UNKNOWN_WORD] * 2),
    ],
)
def test_an_entry_without_a_valid_state(
    form: str, status: str | None, activities: list[str] | None, basics: list[str]
) -> None:
    """In a list its attribute; in a document its activities and the status of every device."""
    first, second = listed(emptied(basic(), form))
    assert (first.get("contactURI"), first.get("presenceStatus")) == ("ann@example.com", status)
    assert second["presenceStatus"] == "AWAY"
    for carrier in CARRIERS:
        document, other = documents(emptied(rich(carrier), form), carrier)
        found = document.find(".//{*}person/{*}activities")
        assert (None if found is None else [etree.QName(one).localname for one in found]) == activities
        assert [one.text or "" for one in document.iter("{*}basic")] == basics
        assert other.find(".//{*}activities/{*}away") is not None


@pytest.mark.parametrize("state", [State.AVAILABLE, State.BUSY])
def test_a_doubled_entry_says_two_things(state: State) -> None:
    """The second time another state, even of a federated contact."""
    contact = Presence("ann@example.com", state, federated=state is State.BUSY)
    reply = m.PresenceList("getPolledPresence", "BASIC_PRESENCE", (contact, JOE))
    first, second, third = doubled(reply).contacts
    assert (first, third) == (contact, JOE)
    assert second.contact == contact.contact
    assert second.basic != first.basic


def test_a_reply_without_entries_stays_as_it_is() -> None:
    """There is nothing to change."""
    reply = m.PresenceList("getSubscribedPresence", "BASIC_PRESENCE", (), absent=True)
    body = write(reply, "1.1", Options()).body
    assert renamed(body, "port") == emptied(body, "empty") == body
