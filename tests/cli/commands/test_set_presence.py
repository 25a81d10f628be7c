"""`pws set` with rich documents, against the simulator over real sockets: what was set is read back."""

from __future__ import annotations

from typing import Any

import pytest
from lxml import etree

from pws_soap.simulator import State
from tests.cli.conftest import CommandOffice

ME = "dispatcher@example.com"


def read(office: CommandOffice) -> Any:  # a contact as JSON
    """How the end user is now, polled with rich presence."""
    (contact,) = office.pws("poll", "dispatcher", "--json").document["contacts"]
    return contact


def test_a_state_with_activities_and_a_note_is_read_back(office: CommandOffice) -> None:
    words = ("BUSY", "--activity", "on-the-phone", "--note", "Zurück um drei", "--language", "de", "--expires", "7200")
    result = office.pws("set", "dispatcher", *words)
    assert (result.code, result.out) == (0, "dispatcher says BUSY for 7200 s, as one of the devices\n")
    contact = read(office)
    assert (contact["contact"], contact["state"], contact["on_the_phone"]) == (ME, "BUSY", True)
    assert contact["activities"][:2] == ["busy", "on-the-phone"]
    assert contact["note"] == "Zurück um drei"
    assert [each["id"] for each in contact["devices"]] == ["cisco-pws"]


@pytest.mark.parametrize("words", [("--override",), ("--persistent",)])
def test_an_override_stands_above_the_devices_until_it_is_cleared(
    office: CommandOffice, words: tuple[str, ...]
) -> None:
    office.pws("set", "dispatcher", "BUSY")
    assert office.pws("set", "dispatcher", "DND", "--note", "Writing", *words).out.endswith("(override)\n")
    contact = read(office)
    assert (contact["state"], contact["note"]) == ("DND", "Writing")
    cleared = office.pws("set", "dispatcher", "--clear", *words)
    assert (cleared.code, cleared.out) == (0, "taken back what was set for dispatcher (override)\n")
    assert read(office)["state"] == "BUSY"


@pytest.mark.parametrize("before", ["AVAILABLE", "AWAY", "VACATION", "UNAVAILABLE"])
@pytest.mark.parametrize(
    "words",
    [("BUSY",), ("DND", "--override"), ("UNAVAILABLE", "--override"), ("AWAY", "--persistent"),
     ("BUSY", "--activity", "on-the-phone", "--note", "x"), ("BUSY", "--device", "wall-board")],
)  # fmt: skip
def test_clear_gives_back_what_was_before(office: CommandOffice, before: str, words: tuple[str, ...]) -> None:
    """An override or not, set in basic or rich; nothing of it is left."""
    office.at_server(lambda: office.simulator.change(ME, state=State(before), note="here"))
    was = read(office)
    assert office.pws("set", "dispatcher", *words).code == 0
    assert office.pws("set", "dispatcher", "--clear").code == 0
    now = read(office)
    for each in (was, now):
        for passing in ("as_of", "changed_at", "revision", "since"):
            each.pop(passing, None)
    assert now == was


def test_clear_sends_what_ciscos_collection_sends(office: CommandOffice) -> None:
    """An empty `clear`, the tuple pws_override, the source, and no override, whatever is said beside it."""
    for words in ((), ("--override",), ("--persistent",), ("--device", "wall-board")):
        told = office.pws("set", "dispatcher", "--clear", *words, "--json").document
        root = etree.fromstring(told["document"])
        (clear,) = root.iter("{*}clear")
        assert (len(clear), clear.text) == (0, None)
        assert list(root.iterfind(".//{*}activities/{*}clear")) == [clear]
        assert [each.get("id") for each in root.iter("{*}tuple")] == ["pws_override"]
        assert root.findtext(".//{*}source") == "Presence Web Service"
        assert (root.get("entity"), told["override"], told["state"]) == (f"sip:{ME}", False, None)


def test_a_note_alone_and_its_document(office: CommandOffice) -> None:
    """The document that was sent is in the JSON, with the source that the server wants (code 162)."""
    told = office.pws("set", "dispatcher", "--note", "In room 4", "--domain", "example.com", "--json").document
    assert (told["state"], told["override"]) == (None, False)
    assert 'entity="sip:dispatcher@example.com"' in told["document"]
    assert "Presence Web Service" in told["document"]
    assert read(office)["note"] == "In room 4"
    emptied = office.pws("set", "dispatcher", "--note", "")
    assert (emptied.code, emptied.out) == (0, "dispatcher has an empty note for 3600 s\n")
    assert read(office)["note"] is None


def test_a_device_of_ones_own(office: CommandOffice) -> None:
    told = office.pws("set", "dispatcher", "AWAY", "--device", "wall-board", "--json").document
    assert '<tuple id="wall-board">' in told["document"]
    assert read(office)["state"] == "AWAY"


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ((), "STATE is missing"),
        (("DND", "--note", "x"), "code 122"),
        (("BUSY", "--activity", "dnd"), "code 122"),
        (("AVAILABLE", "--persistent"), "code 121"),
        (("BUSY", "--override", "--activity", "available"), "code 121"),
        (("BUSY", "--clear"), "--clear sets nothing"),
        (("--note", "x", "--activity", "lunch"), "--activity needs"),
        (("BUSY", "--override", "--device", "d"), "--device and --override exclude"),
        (("BUSY", "--device", "pws-override"), "use --override"),
        (("BUSY", "--language", "en"), "--language is the language of a note"),
        (("BUSY", "--activity", "On The Phone"), "lower-case names"),
        (("BUSY", "--note", "x", "--language", "?"), "language tag"),
        (("BUSY", "--note", "\x01"), "characters that XML allows"),
    ],
)
def test_what_the_server_would_refuse_is_not_sent(office: CommandOffice, words: tuple[str, ...], hint: str) -> None:
    result = office.pws("set", "dispatcher", *words)
    assert result.code == 2
    assert hint in result.err
    assert office.left()["sessions"] == 0


def test_a_document_needs_to_know_the_domain(office: CommandOffice) -> None:
    office.write(watch='end_user = "dispatcher"')
    result = office.pws("set", "dispatcher", "--note", "x")
    assert result.code == 2
    assert "add --domain" in result.err


def test_unknown_contacts_in_basic_are_told_to_need_rich(office: CommandOffice) -> None:
    """fetch and poll say so on standard error; with rich presence there is nothing to say."""
    shown = office.pws("poll", "ann", "zoe@partner.example", "--type", "BASIC_PRESENCE")
    assert "1 contact is UNKNOWN to dispatcher" in shown.err
    assert "zoe@partner.example" in shown.err
    assert "RICH_PRESENCE" in shown.err
    assert "Note" not in office.pws("poll", "ann", "zoe@partner.example").err
    office.write(watch='end_user = "dispatcher"\ndomain = "example.com"\ncontacts = ["ann", "zoe@partner.example"]')
    office.pws("create")
    assert "RICH_PRESENCE" in office.pws("fetch", "1", "BASIC_PRESENCE").err


def test_an_override_is_said_to_be_above_the_devices(office: CommandOffice) -> None:
    result = office.pws("set", "dispatcher", "DND", "--override")
    assert result.out == "dispatcher says DND for 3600 s, above all the devices (override)\n"
