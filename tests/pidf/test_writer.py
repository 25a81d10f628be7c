"""Documents for setPresence: what they say, and what is refused before it is sent."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pws_soap.errors import ArgumentError
from pws_soap.models import SETTABLE_STATES, PresenceState
from pws_soap.pidf import Device, DeviceKind, PidfError, Reading, read_document
from pws_soap.pidf.writer import OUR_SOURCE, check, clear, device_state, note, override, write_document

ANN = "ann@example.com"


@pytest.mark.parametrize("state", sorted(SETTABLE_STATES - {PresenceState.DND}))
def test_a_device_state_reads_as_that_state(state: PresenceState) -> None:
    """Every settable state but DND, in a tuple of the web service with its source, without override."""
    document = device_state(ANN, state)
    reading = read_document(document.xml)
    assert (reading.contact, reading.state, document.override) == (ANN, state, False)
    assert [(one.id, one.kind, one.source) for one in reading.devices] == [("cisco-pws", DeviceKind.PWS, OUR_SOURCE)]


@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("state", sorted(SETTABLE_STATES - {PresenceState.AVAILABLE}))
def test_an_override_reads_as_that_state(state: PresenceState, persistent: bool) -> None:
    """Every settable state but AVAILABLE, in a tuple with one of the two ids, with the flag."""
    document = override(ANN, state, persistent=persistent)
    reading = read_document(document.xml)
    assert (reading.state, document.override) == (state, True)
    assert [one.id for one in reading.devices] == ["pws-persistent" if persistent else "pws-override"]


def test_activities_note_and_time_travel_along() -> None:
    """A call told by an application that knows of it."""
    moment = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
    document = device_state(
        ANN,
        PresenceState.BUSY,
        activities=("on-the-phone",),
        note="Zurück um <drei> & später",
        language="de",
        device_id="crm-7",
        timestamp=moment,
    )
    reading = read_document(document.xml)
    assert reading.activities == ("busy", "on-the-phone")
    assert reading.on_the_phone
    assert (reading.note, reading.note_language) == ("Zurück um <drei> & später", "de")
    assert (reading.devices[0].id, reading.devices[0].timestamp) == ("crm-7", moment)


def test_the_element_is_the_document() -> None:
    """As `richPresence` holds it, a new one each time."""
    document = device_state(ANN, PresenceState.AWAY)
    assert read_document(document.element()) == read_document(document.xml)
    assert document.element() is not document.element()


def test_a_note_says_no_state() -> None:
    """The devices go on deciding it; an empty text takes the note back."""
    reading = read_document(note(ANN, "At lunch", language="en").xml)
    assert (reading.said, reading.note, reading.note_language) == ((), "At lunch", "en")
    assert read_document(note(ANN, "").xml).note is None


def test_clear_closes_the_tuple_and_says_nothing() -> None:
    """For the device and for both kinds of override, each with its flag."""
    for device_id, flag in (("cisco-pws", False), ("pws-override", True), ("pws-persistent", True)):
        document = clear(ANN, device_id=device_id)
        reading = read_document(document.xml)
        assert document.override is flag
        assert (reading.said, reading.devices[0].id, reading.devices[0].basic) == ((), device_id, False)


def test_clear_is_the_document_of_ciscos_collection() -> None:
    """An empty element `clear`, a tuple `pws_override` of ours, and no override."""
    document = clear(ANN)
    root = document.element()
    assert document.override is False
    assert [(len(each), each.text) for each in root.iter("{*}clear")] == [(0, None)]
    assert [each.get("id") for each in root.iter("{*}tuple")] == ["pws_override"]
    assert root.findtext(".//{*}source") == OUR_SOURCE


def _tuple(identifier: str, source: str = OUR_SOURCE) -> str:
    return f"<tuple id='{identifier}'><status><basic>open</basic></status><source>{source}</source></tuple>"


def _document(word: str, *tuples: str) -> str:
    return (
        f"<presence entity='sip:{ANN}'><person><activities><{word}/></activities></person>{''.join(tuples)}</presence>"
    )


@pytest.mark.parametrize(
    ("document", "flag", "code"),
    [
        (_document("available", _tuple("pws-override")), True, 121),
        (_document("dnd", _tuple("cisco-pws")), False, 122),
        (_document("do-not-disturb", _tuple("cisco-pws")), False, 122),
        (_document("busy", _tuple("cisco-pws")), True, 161),
        (_document("busy"), True, 161),
        (_document("busy"), False, 162),
        (_document("busy", _tuple("cisco-pws", "")), False, 162),
        (_document("busy", _tuple("cisco-pws", "presence web service")), False, 162),
        (_document("busy", _tuple("pws-override"), _tuple("other", "elsewhere")), True, 162),
    ],
)
def test_what_the_server_would_refuse_is_not_sent(document: str, flag: bool, code: int) -> None:
    """Codes 121, 122, 161 and 162, each by its number."""
    with pytest.raises(ArgumentError, match=f"code {code}"):
        check(document, flag)


def test_what_the_server_takes_passes() -> None:
    """Documents of somebody else's making; the reading comes back."""
    assert check(_document("dnd", _tuple("pws-override")), True).state is PresenceState.DND
    assert check(_document("available", _tuple("my-device")), False).state is PresenceState.AVAILABLE


def test_what_is_no_document_is_not_checked() -> None:
    """PidfError, as for any reader."""
    with pytest.raises(PidfError):
        check("<presence>", True)


def test_our_own_documents_keep_the_rules() -> None:
    """AVAILABLE as override and DND as a device's state are refused with their codes."""
    with pytest.raises(ArgumentError, match="code 121"):
        override(ANN, PresenceState.AVAILABLE)
    with pytest.raises(ArgumentError, match="code 121"):
        override(ANN, PresenceState.BUSY, activities=("available",))
    with pytest.raises(ArgumentError, match="code 122"):
        device_state(ANN, PresenceState.DND)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"contact": "sip:ann@example.com"}, "contact"),
        ({"contact": "a\x01@example.com"}, "contact"),
        ({"state": PresenceState.UNKNOWN}, "state"),
        ({"activities": ("On The Phone",)}, "activities"),
        ({"activities": ("phone-status",)}, "activities"),
        ({"note": "\x00"}, "note"),
        ({"note": "x" * 5000}, "note"),
        ({"language": "not a language"}, "language"),
        ({"device_id": ""}, "device_id"),
        ({"device_id": " x"}, "device_id"),
        ({"device_id": "x" * 65}, "device_id"),
        ({"device_id": "\x07"}, "device_id"),
        ({"device_id": "pws-override"}, "device_id"),
    ],
)
def test_a_wrong_argument_is_named(arguments: dict[str, object], name: str) -> None:
    """Before anything is built."""
    with pytest.raises(ArgumentError) as caught:
        device_state(**{"contact": ANN, "state": PresenceState.BUSY, **arguments})  # type: ignore[arg-type]  # wrong
    assert caught.value.argument == name


def test_a_whole_reading_is_written_and_read_back() -> None:
    """Everything that a document says; what follows from it comes out the same."""
    reading = Reading(
        ANN,
        said=("busy", "meeting"),
        idle=True,
        idle_since=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        phone_status="busy",
        im_status="away",
        basic=True,
        manual=True,
        note="hm",
        note_language="en",
        display_name="Ann & Co",
        devices=(
            Device("Jabber-1", DeviceKind.JABBER, True, True, False, True, 0.125, ("busy",), model="J", note="n"),
            Device("cmp-1", DeviceKind.DESK_PHONE, False, idle=False, contact="sip:1@example.com", source="x"),
            Device("", basic=None, priority=0.0),
        ),
    )
    read = read_document(write_document(reading))
    for name in ("contact", "said", "idle", "idle_since", "phone_status", "im_status", "basic", "manual", "note"):
        assert getattr(read, name) == getattr(reading, name), name
    assert (read.note_language, read.display_name, read.devices) == ("en", "Ann & Co", reading.devices)
    assert (read.state, read.in_meeting, read.unknown) == (PresenceState.BUSY, True, ())


def test_a_reading_of_nobody_is_written_too() -> None:
    """Without entity, words or devices."""
    assert read_document(write_document(Reading(None))) == Reading(None)
