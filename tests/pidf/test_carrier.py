"""What a `richPresenceList` can hold: the three carriers, many documents, and what is wrong with one of them."""

from __future__ import annotations

import pytest
from lxml import etree

from pws_soap.errors import PwsError
from pws_soap.models import Device, Presence, PresenceState, PresenceType
from pws_soap.pidf import PidfError, Reading, explanation, read_document, read_list, to_presence
from pws_soap.pidf.source import DocumentParser


def _document(number: int, word: str = "busy") -> str:
    return (
        f'<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:u{number}@example.com">'
        f'<person xmlns="urn:cisco:params:xml:ns:pidf:rpid"><activities><{word}/></activities></person></presence>'
    )


def _contacts(content: object) -> list[str | None]:
    return [reading.contact for reading in read_list(content)]  # type: ignore[arg-type]  # any of the carriers


def test_five_thousand_documents_in_one_text_arrive_whole() -> None:
    """Every one, in order, with its own state."""
    words = ("busy", "away", "dnd")
    text = "\n".join(_document(number, words[number % 3]) for number in range(5000))
    readings = list(read_list(text))
    assert [reading.contact for reading in readings] == [f"u{number}@example.com" for number in range(5000)]
    assert [reading.state for reading in readings[:3]] == ["BUSY", "AWAY", "DND"]


def test_a_text_beyond_ten_megabytes_is_read() -> None:
    """The limit of the XML parser on one text is none for a list of small documents."""
    note = "<note>" + "x" * 50_000 + "</note></presence>"
    text = "".join(_document(number).replace("</presence>", note) for number in range(250))
    assert len(text) > 12_000_000
    assert len(_contacts(text)) == 250


def test_documents_are_read_one_by_one_as_they_are_asked_for() -> None:
    """The first of them is there before the second is looked at, so a caller may pause between them."""
    readings = read_list(_document(1) + "<presence entity='sip:broken@example.com'><")
    assert next(readings).contact == "u1@example.com"


@pytest.mark.parametrize("carrier", [str, bytes, bytearray])
def test_text_comes_as_str_bytes_or_bytearray(carrier: type) -> None:
    """All three are the same text."""
    text = _document(1) + _document(2)
    assert _contacts(text if carrier is str else carrier(text.encode())) == ["u1@example.com", "u2@example.com"]


def test_elements_come_alone_in_a_sequence_or_in_their_list() -> None:
    """A presence element, its siblings in a list, the list element itself."""
    root = etree.fromstring(f"<l:richPresenceList xmlns:l='urn:x'>{_document(1)}{_document(2)}</l:richPresenceList>")
    both = ["u1@example.com", "u2@example.com"]
    assert _contacts(root) == both
    assert _contacts(list(root)) == both
    assert _contacts([root]) == both
    assert _contacts(root[0]) == both[:1]


def test_a_sequence_may_mix_elements_and_texts() -> None:
    """As a decoder hands over what it found."""
    assert _contacts([etree.fromstring(_document(1)), _document(2), _document(3).encode()]) == [
        "u1@example.com",
        "u2@example.com",
        "u3@example.com",
    ]


@pytest.mark.parametrize("content", [None, "", b"", " \n", b"\xef\xbb\xbf", [], [""], etree.Element("list")])
def test_nothing_is_nothing(content: object) -> None:
    """An absent or empty list has no readings: nothing changed."""
    assert _contacts(content) == []


def test_comments_instructions_and_tails_beside_elements_are_passed_over_or_read() -> None:
    """A comment is nothing, white space too; text after an element is a carrier like any other."""
    inner = etree.fromstring("<l><!-- c --><?pi x?></l>")
    inner.append(etree.fromstring(_document(1)))
    inner[-1].tail = _document(2)
    assert _contacts(inner) == ["u2@example.com", "u1@example.com"]
    assert _contacts([etree.Comment("x")]) == []


def test_wrappers_are_followed_only_so_deep() -> None:
    """A hostile tree ends in a problem, not in a deep recursion."""
    root = etree.fromstring("<a>" * 2000 + "</a>" * 2000, etree.XMLParser(huge_tree=True))
    assert [reading.problem for reading in read_list(root)] == ["wrapped too deeply"]


def test_a_broken_document_between_others_costs_itself_alone() -> None:
    """Its contact is told with the reason, its neighbours are read."""
    readings = list(
        read_list(_document(1) + "<presence entity='sip:ben@example.com'><a></b></presence>" + _document(2))
    )
    assert [reading.contact for reading in readings] == ["u1@example.com", "ben@example.com", "u2@example.com"]
    assert readings[1].problem is not None
    assert readings[1].state is PresenceState.UNKNOWN
    assert [reading.problem for reading in (readings[0], readings[2])] == [None, None]


def test_a_document_behind_an_unfinished_section_is_read() -> None:
    """A comment or CDATA that never ends is passed over."""
    for opener in ("<!--", "<![CDATA["):
        readings = list(read_list(f"<presence entity='sip:ben@example.com'>{opener}" + _document(2)))
        assert [reading.contact for reading in readings] == ["ben@example.com", "u2@example.com"]
        assert [reading.problem is None for reading in readings] == [False, True]


def test_cdata_sections_between_documents_are_carriers() -> None:
    """A text that holds its documents in CDATA sections, as text."""
    text = f"<![CDATA[{_document(1)}]]>\n<![CDATA[{_document(2)}]]>"
    assert _contacts(text) == ["u1@example.com", "u2@example.com"]


def test_a_document_in_a_comment_is_reported_and_not_read() -> None:
    """Nobody is lost without a word."""
    readings = list(read_list(f"<!-- {_document(1)} -->" + _document(2)))
    assert [(reading.contact, reading.problem) for reading in readings] == [
        ("u1@example.com", "stands in a comment"),
        ("u2@example.com", None),
    ]


def test_a_document_type_costs_the_next_document_only() -> None:
    """Whatever it declares, and whether it ends or not."""
    for prolog in ("<!DOCTYPE presence>", "<!DOCTYPE x [<!ENTITY a 'b'>]>", "<!doctype x ["):
        readings = list(read_list(prolog + _document(1) + _document(2)))
        assert [reading.contact for reading in readings] == ["u1@example.com", "u2@example.com"]
        assert "document type" in (readings[0].problem or "")
        assert readings[1].problem is None


def test_a_document_type_alone_is_a_problem() -> None:
    """Even without a document behind it."""
    assert [reading.problem for reading in read_list("<!DOCTYPE html>")] == ["text that is no presence document"]


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ("", "no document"),
        (_document(1) + _document(2), "more than one"),
        ("hello", "no presence document"),
        ("<presence", "no presence document"),
        ("<presence ", "broken off"),
        ("<presence><a></presence>", "not well-formed"),
        ("<presence>\ud800</presence>", "not well-formed"),
        ("<!DOCTYPE presence><presence/>", "document type"),
        (b"\x00\x00\xfe\xff", "no presence document"),
        ("<presence>" + " " * (2 * 1024 * 1024) + "</presence>", "longer than"),
    ],
)
def test_one_document_that_cannot_be_read_raises_our_error(document: str | bytes, reason: str) -> None:
    """PidfError, which is a PwsError and a ValueError, and says why."""
    with pytest.raises(PidfError, match=reason) as caught:
        read_document(document)
    assert isinstance(caught.value, PwsError)
    assert isinstance(caught.value, ValueError)


def test_the_error_names_the_contact_where_it_can_be_made_out() -> None:
    """For the log and for the contact's freshness."""
    with pytest.raises(PidfError, match=r"presence document of ben@example\.com: broken off") as caught:
        read_document("<presence\n  entity = 'sip:ben@example.com'><x")
    assert caught.value.contact == "ben@example.com"


def test_an_element_of_another_name_raises_our_error() -> None:
    """Also a comment, which has no name."""
    for element in (etree.Element("present"), etree.Comment("presence")):
        with pytest.raises(PidfError, match="the root is"):
            read_document(element)


def test_declared_old_encodings_are_honoured_when_they_fit() -> None:
    """The declaration counts for its own document; one that does not fit is left to the parser."""
    body = '<presence entity="sip:a@example.com"><note>größer</note></presence>'
    for name in ("ISO-8859-1", "windows-1252", "latin1"):
        text = f'<?xml version="1.0" encoding="{name}"?>'.encode() + body.encode("latin-1")
        assert read_document(text).note == "größer"
    assert read_document(f'<?xml version="1.0" encoding="iso-8859-99"?>{body}'.encode()).note == "größer"
    assert read_document(f'<?xml version="1.0" encoding="cp437"?>{body}'.encode()).note == "größer"
    unfit = b'<?xml version="1.0" encoding="windows-1252"?><presence><note>\x81</note></presence>'
    with pytest.raises(PidfError, match="not well-formed"):
        read_document(unfit)


def test_utf_16_without_a_mark_is_known_by_its_zeros() -> None:
    """Both byte orders."""
    for encoding in ("utf-16-le", "utf-16-be"):
        assert _contacts(_document(7).encode(encoding)) == ["u7@example.com"]


def test_a_reading_becomes_a_presence() -> None:
    """With the plain devices of the models, and RICH."""
    presence = to_presence(
        read_document(
            '<presence entity="sip:ann@example.com"><person><activities><user-input>active</user-input><busy/>'
            "<on-the-phone/></activities><note>hm</note></person><display-name>Ann</display-name>"
            '<tuple id="cmp-1"><status><basic>open</basic></status><servcaps><audio>true</audio></servcaps></tuple>'
            "</presence>"
        )
    )
    assert presence == Presence(
        contact="ann@example.com",
        state=PresenceState.BUSY,
        type=PresenceType.RICH,
        activities=("busy", "on-the-phone"),
        on_the_phone=True,
        display_name="Ann",
        note="hm",
        idle=False,
        devices=(Device("cmp-1", True, audio=True, kind="desk-phone"),),
        in_meeting=False,
        manual=False,
    )
    assert explanation(presence)[0] == "BUSY: decided by person/activities/busy (the person says so)"


def test_a_problem_stays_a_problem_and_says_nothing_else() -> None:
    """Rich fields are None: nobody said."""
    presence = to_presence(Reading("ann@example.com", problem="cut"))
    assert (presence.contact, presence.state, presence.problem) == ("ann@example.com", "UNKNOWN", "cut")
    assert presence.on_the_phone is None


def test_a_document_without_a_contact_needs_one_from_elsewhere() -> None:
    """With a name from the caller it counts; without one it is a problem, not somebody's presence."""
    reading = read_document("<presence><person><activities><away/></activities></person></presence>")
    assert to_presence(reading, contact="ann@example.com").state is PresenceState.AWAY
    nobody = to_presence(reading)
    assert (nobody.contact, nobody.state) == ("", PresenceState.UNKNOWN)
    assert nobody.problem == "the document does not say whose it is"


@pytest.mark.parametrize("document", [b"", b" ", b"<", b"<!-- -->", b"\x00", b"<presence", b"\xff\xff"])
def test_what_the_parser_cannot_begin_with_is_our_error(document: bytes) -> None:
    """Pieces never look like this; a parser that is asked all the same says it in our words."""
    with pytest.raises(PidfError, match="not well-formed"):
        DocumentParser().parse(document)
