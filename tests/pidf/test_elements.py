"""The values that a text can be: what is usable is read, what is not is not said."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from pws_soap.contact import bare_contact, is_contact
from pws_soap.pidf import read_document
from pws_soap.pidf.elements import contact_of, local_name, moment, priority_of
from pws_soap.pidf.model import MAX_TEXT, MAX_UNKNOWN
from tests.support.examples import examples


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2026-01-25T10:56:16Z", datetime(2026, 1, 25, 10, 56, 16, tzinfo=UTC)),
        ("2026-01-25t10:56:16z", datetime(2026, 1, 25, 10, 56, 16, tzinfo=UTC)),
        (" 2026-01-25T10:56:16.5+02:00 ", datetime(2026, 1, 25, 8, 56, 16, 500000, tzinfo=UTC)),
        ("2026-01-25T10:56:16", datetime(2026, 1, 25, 10, 56, 16, tzinfo=UTC)),
        ("2026-01-25T10:56:16.123456789Z", datetime(2026, 1, 25, 10, 56, 16, 123456, tzinfo=UTC)),
        ("0001-01-01T00:00:00+23:00", None),
        ("2026-01-25", None),
        ("2026-13-25T10:56:16Z", None),
        ("now and then and now", None),
        ("9" * 100, None),
        ("", None),
        (None, None),
    ],
)
def test_moments(text: str | None, value: datetime | None) -> None:
    """RFC 3339 in any offset becomes UTC; what is no moment is not said."""
    assert moment(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [("0.8", 0.8), ("1", 1.0), ("0", 0.0), (".5", 0.5), (" 0.25 ", 0.25), ("1.000", 1.0)]
    + [(bad, None) for bad in ("", ".", "2", "1.1", "-1", "nan", "inf", "1e-3", "0,5", "\u0660", "0.1234567890")],
)
def test_priorities(text: str, value: float | None) -> None:
    """A decimal from 0 to 1."""
    assert priority_of(etree.fromstring(f'<contact priority="{text}"/>')) == value


@pytest.mark.parametrize(
    ("uri", "contact"),
    [
        ("sip:ann@example.com", "ann@example.com"),
        ("SIPS:ann@example.com;transport=tls?x=y", "ann@example.com"),
        ("pres:ann@example.com", "ann@example.com"),
        ("xmpp:ann@example.com/laptop", "ann@example.com"),
        ("ann@example.com", "ann@example.com"),
        ("sip:example.com", None),
        ("sip:ann@mail.example@example.com;x=y", "ann@mail.example@example.com"),
        ("Ann <sip:J%F6rg%2e@Example.com:5060>", "Jörg.@Example.com"),
        ("sip:a%20b@example.com", None),
        ("tel:+123", None),
        ("", None),
        (None, None),
        ("a@" + "b" * MAX_TEXT, None),
    ],
)
def test_contacts(uri: str | None, contact: str | None) -> None:
    """user@domain, or nothing."""
    assert contact_of(uri) == contact


@given(
    st.sampled_from(["", "sip:", "pres:", "SIP:", "sip:sip:", "sips:", " "]),
    st.text("aB1._~!$*+=-@:;%?&'/\n\u00e4", max_size=12) | st.just("a" * 64),
    st.text("aB1._-@:;%\n\u00e4", max_size=12) | st.sampled_from(["b" * 254, "b" * 255, "b" * 256, "b" * 400]),
)
@settings(max_examples=examples(500), deadline=None)
def test_a_usual_contact_is_what_any_is(scheme: str, user: str, host: str) -> None:
    """It is known by its form; what it comes to is decided in `contact`."""
    uri = f"{scheme}{user}@{host}"
    bare = bare_contact(uri)
    assert contact_of(uri) == (bare if len(uri) <= MAX_TEXT and is_contact(bare) else None)


def test_local_names() -> None:
    """Without namespace or prefix, in lower case, long ones too."""
    assert local_name("{urn:x}On-The-Phone") == "on-the-phone"
    assert local_name("p:Busy") == "busy"
    assert local_name("{" + "u" * 200 + "}Busy") == "busy"


def test_long_texts_are_cut_and_long_words_are_not_said() -> None:
    """A note is kept up to its bound; a status that is no word is none; a name of an activity neither."""
    long = "x" * 10_000
    reading = read_document(
        f"<presence entity='sip:a@example.com'><person><note xml:lang='{long}'>{long}</note><activities><{long}/>"
        f"<phone-status>{long}</phone-status><activity>{long}</activity></activities></person><{long}/></presence>"
    )
    assert reading.note == long[:MAX_TEXT]
    assert reading.note_language is None
    assert reading.phone_status is None
    assert reading.activities == ()
    assert reading.unknown == ("presence/" + "x" * 64,)


def test_only_so_many_unknown_elements_are_remembered() -> None:
    """The rest is passed over."""
    strange = "".join(f"<strange{number}/>" for number in range(1000))
    assert len(read_document(f"<presence>{strange}</presence>").unknown) == MAX_UNKNOWN


def test_unknown_elements_are_named_by_where_they_stand() -> None:
    """In the document, the person and its status, a tuple and its activities, a device."""
    reading = read_document(
        "<presence><a/><person><b/><status><c/></status></person><tuple><d/><status><activities><im-status>busy"
        "</im-status></activities></status></tuple><device><e/><deviceID/><user-input>active</user-input></device>"
        "</presence>"
    )
    assert reading.unknown == (
        "presence/a",
        "person/b",
        "person/status/c",
        "tuple/d",
        "tuple/activities/im-status",
        "device/e",
    )
    assert reading.idle is False


def test_the_empty_language_ends_the_inheritance() -> None:
    """xml:lang="" means no language, whatever stands further out."""
    reading = read_document("<presence xml:lang='en'><note xml:lang=''>hm</note></presence>")
    assert (reading.note, reading.note_language) == ("hm", None)


def test_the_first_text_that_says_something_counts() -> None:
    """Of several names, notes, addresses and statuses."""
    reading = read_document(
        "<presence><display-name/><display-name>Ann</display-name><display-name>Bea</display-name>"
        "<person><display-name>Cid</display-name><timestamp>x</timestamp><activities>"
        "<phone-status>busy</phone-status><phone-status>dnd</phone-status></activities></person>"
        "<tuple id='t'><status><basic>open</basic><note>one</note><activities><note>two</note>"
        "<user-input>idle</user-input><activity/></activities></status><contact>sip:a@b.c</contact>"
        "<contact priority='0.1'>sip:d@e.f</contact><show/><im>away</im></tuple></presence>"
    )
    assert (reading.display_name, reading.note, reading.phone_status) == ("Ann", "one", "busy")
    device = reading.devices[0]
    assert (device.contact, device.priority, device.idle, device.activities) == ("sip:a@b.c", 0.1, True, ("away",))


def test_idle_since_keeps_to_idle() -> None:
    """Contradicting inputs: idle, since the first that tells; an active one has no since."""
    reading = read_document(
        "<presence><person><activities><user-input since='2026-01-01T00:00:00Z'>active</user-input>"
        "<user-input>idle</user-input><user-input since='2026-01-02T00:00:00Z'>idle</user-input></activities>"
        "</person></presence>"
    )
    assert (reading.idle, reading.idle_since) == (True, datetime(2026, 1, 2, tzinfo=UTC))


def test_words_and_statuses_stand_where_they_should_not() -> None:
    """`class`, `user-input` and channels directly below presence, activities within a person's status."""
    reading = read_document(
        "<presence><class>manual</class><user-input>idle</user-input><phone-status>dnd</phone-status>"
        "<person><status><activities><busy/></activities></status></person></presence>"
    )
    assert (reading.manual, reading.idle, reading.phone_status, reading.said) == (True, True, "dnd", ("busy",))
