"""A long reply read entry by entry says what it says as a whole, whatever is in it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict

from pws_soap import codec, entries, envelope, replies
from pws_soap.client import PwsClient
from pws_soap.errors import PwsError
from pws_soap.memory import MemoryTransport
from pws_soap.models import Presence, PresenceState, PresenceType
from pws_soap.pidf import KeptReadings
from tests.soap.samples import NODE, basic, end_user, people, pidf, rich
from tests.support.examples import examples

NOW = datetime(2026, 5, 30, 12, tzinfo=UTC)
CARRIERS = ["elements", "cdata", "escaped"]
CORPUS = sorted((Path(__file__).parent.parent / "data" / "pidf").glob("*.xml"))
OPERATION = "getSubscribedPresence"
MANY = [pidf(uri) for uri in people(30)]
"""Enough that a reply is long."""


def values(presences: list[Presence]) -> list[dict[str, object]]:
    """All fields, also those that do not count in a comparison."""
    return [asdict(presence) for presence in presences]


def as_a_whole(body: bytes, kind: PresenceType, now: datetime = NOW) -> list[Presence]:
    """The plain way."""
    return list(replies.presences(codec.payload(envelope.parse(body), OPERATION), kind, now))


def one_by_one(
    body: bytes, kind: PresenceType, kept: KeptReadings | None = None, now: datetime = NOW
) -> list[Presence] | None:
    """The other way; None where it leaves the reply to the plain way."""
    cut = entries.cut(body)
    if cut is None:
        return None
    try:
        payload = codec.payload(envelope.parse(cut.rest), OPERATION)
        reader = entries.EntryReader(cut, KeptReadings() if kept is None else kept, now)
        return [presence for some in replies.presences_of_cut(payload, reader, kind) for presence in some]
    except (entries.NotCut, PwsError):
        return None


def prefixed(body: bytes) -> bytes:
    """The same, with a prefix in the names of the contacts, as gSOAP writes them."""
    declared = body.replace(b"<SOAP-ENV:Envelope ", b'<SOAP-ENV:Envelope xmlns:ns1="urn:cisco:cup:presence:soap" ')
    return declared.replace(b"<contact", b"<ns1:contact").replace(b"</contact", b"</ns1:contact")


def same(body: bytes, kind: PresenceType) -> bool:
    """Whether the reply is read one by one; then both readings are equal, also of what is known by its bytes."""
    kept = KeptReadings()
    first = one_by_one(body, kind, kept)
    if first is None:
        return False
    expected = values(as_a_whole(body, kind))
    assert values(first) == expected
    again = one_by_one(body, kind, kept)
    assert again is not None
    assert values(again) == expected
    return True


CONTACT = st.tuples(
    st.none() | st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), max_size=30),
    st.none() | st.sampled_from([*PresenceState, "ON_FIRE", ""]).map(str),
)


@given(st.lists(CONTACT, max_size=5), st.integers(0, 100))
@settings(max_examples=examples(150), deadline=None)
def test_contacts_are_the_same(odd: list[tuple[str | None, str | None]], at: int) -> None:
    """Odd characters, a missing address or state, among a hundred usual contacts."""
    usual: list[tuple[str | None, str | None]] = [(uri, "BUSY") for uri in people(100)]
    body = basic([*usual[:at], *odd, *usual[at:]])
    assert same(body, PresenceType.BASIC) is same(prefixed(body), PresenceType.BASIC)


@pytest.mark.parametrize(
    ("old", "new", "is_read"),
    [
        (b"", b"", True),
        (b"/><contact ", b" />\n  <contact\t", True),
        (b'presenceStatus="', b'presenceStatus = "', True),
        (b"user0007@", "jörg@".encode(), True),
        (b"user0007@", b"a&amp;b@", True),
        (b"user0007@", b"a'>'b@", True),
        (b"user0007@", b"/>@", False),
        (b"user0007@", b"", True),
        (b'"user0007@example.com"', b'""', False),
        (b'"user0007@example.com"', b"'user0007@example.com'", True),
        (b'"user0007@example.com"', b'" user0007@example.com"', False),
        (b"contactURI", b"contacturi", False),
        (b"<contact ", b"x<contact ", False),
        (b"<contact ", b"<other ", False),
        (b"<contact ", b"<!-- --><contact ", False),
        (b"/><contact ", b"></contact><contact ", False),
        (b'"BUSY"', b'"ON_FIRE"', False),
        (b'"BUSY"', b'"BUSY" presenceStatus="DND"', False),
        (b'"BUSY"', b'"BUSY" a:b="c"', False),
        (b"basicPresenceList", b"richPresenceList", False),
        (b"<basicPresenceList>", b"<basicPresenceList>x", False),
        (b"<basicPresenceList>", b"<basicPresenceList><a/>", False),
        (b"BASIC_PRESENCE", b"<!-- -->BASIC_PRESENCE", True),
        (b"SOAP-ENV:Body", b"SOAP-ENV:Head", False),
        (b"UTF-8", b"ISO-8859-1", False),
        (b'encoding="UTF-8"', b"", True),
    ],
)
def test_an_unusual_form_is_read_the_same_or_left_alone(old: bytes, new: bytes, is_read: bool) -> None:
    """Once in a reply, where it may stand in one contact, or throughout."""
    body = basic([(uri, "BUSY") for uri in people(150)])
    for changed in {body.replace(old, new), body.replace(old, new, 1) if is_read else body.replace(old, new)}:
        for written in (changed, prefixed(changed)):
            try:
                read = same(written, PresenceType.BASIC)
            except PwsError:
                read = False
            assert read is is_read


@pytest.mark.parametrize(
    ("old", "new", "is_read"),
    [
        (b'"user0007@', b'"a&amp;b@', True),
        (b"<ns1:contact ", b"<contact ", False),
        (b"<ns1:contact ", b"<ns2:contact ", False),
        (b"<ns1:contact ", b'<ns1:contact xmlns:ns1="urn:other" ', False),
        (b"<ns1:contact ", b'<ns1:contact xmlns:ns1="urn:cisco:cup:presence:soap" ', False),
        (b"<ns1:contact ", b'<contact xmlns="urn:other" ', False),
        (b"<ns1:contact ", b"<ns1:contacts ", False),
        (b"<ns1:contact ", b"<ns1:contact ns1:id='7' ", False),
    ],
)
@pytest.mark.parametrize("at", [0, 1, 70])
def test_a_contact_of_another_name_is_read_the_same_or_left_alone(
    old: bytes, new: bytes, is_read: bool, at: int
) -> None:
    """One among others whose names have a prefix: the first, the second, or one between two others."""
    body = prefixed(basic([(uri, "BUSY") for uri in people(150)]))
    places = [found.start() for found in re.finditer(re.escape(old), body)]
    place = places[min(at, len(places) - 1)]
    changed = body[:place] + new + body[place + len(old) :]
    try:
        read = same(changed, PresenceType.BASIC)
    except PwsError:
        read = False
    assert read is is_read


def test_a_prefix_that_is_bound_to_another_namespace_names_no_contacts() -> None:
    """Bound for all of them at once, in the list or above it."""
    body = prefixed(basic([(uri, "BUSY") for uri in people(150)]))
    other = body.replace(b'xmlns:ns1="urn:cisco:cup:presence:soap"', b'xmlns:ns1="urn:other"')
    within = body.replace(b"<basicPresenceList>", b'<basicPresenceList xmlns:ns1="urn:other">')
    for changed in (other, within):
        assert changed != body
        assert one_by_one(changed, PresenceType.BASIC) is None
        assert {each.contact for each in as_a_whole(changed, PresenceType.BASIC)} == {""}


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_documents_of_the_corpus_are_the_same(path: Path, carrier: str) -> None:
    """Among usual ones, before, between and behind them."""
    document = path.read_bytes().decode("utf-8", "replace")
    for documents in ([document, *MANY], [*MANY[:15], document, *MANY[15:]], [*MANY, document]):
        try:
            expected = as_a_whole(rich(documents, carrier), PresenceType.RICH)
        except PwsError:
            continue
        read = one_by_one(rich(documents, carrier), PresenceType.RICH)
        assert read is None or values(read) == values(expected)


@pytest.mark.parametrize("carrier", CARRIERS)
def test_usual_documents_are_read_one_by_one(carrier: str) -> None:
    """With a prefix of their own, a declaration before each, white space between them."""
    prefixed = [text.replace("<", "<p:").replace("<p:/", "</p:").replace("xmlns=", "xmlns:p=") for text in MANY]
    spaced = [f"\n  {text}\n" for text in MANY]
    declared = [f'<?xml version="1.0" encoding="UTF-8"?>\n{text}' for text in MANY]
    undeclared = [text.replace("<busy/>", "<r:busy/>") for text in MANY]
    for documents in (MANY, spaced, prefixed, *([] if carrier == "elements" else [declared, undeclared])):
        assert same(rich(documents, carrier), PresenceType.RICH)


ODD_PARTS = st.sampled_from(
    [
        "<presence>",
        "</presence>",
        "<presence/>",
        "<Presence entity='sip:eve@example.com'>",
        "</Presence>",
        "</presence >",
        "<!--",
        "-->",
        "<!-- <presence entity='sip:eve@example.com'> -->",
        "<![CDATA[",
        "]]>",
        "<?x </presence> ?>",
        "<?xml version='1.0' encoding='latin-1'?>",
        "<note xml:lang='de'>x</note>",
        "<note>&amp;lt;presence&amp;gt;</note>",
        "&#60;",
        "&unknown;",
        "<p:note>x</p:note>",
        "x",
        "\ufeff",
        "<!DOCTYPE a>",
        "<busy until='2026-05-30T13:00:00Z'/>",
        pidf("eve@example.com", "dnd"),
        pidf("user0001@example.com", "away"),
    ]
)


@given(
    st.lists(st.tuples(ODD_PARTS, st.integers(0, len("".join(MANY[:4])))), min_size=1, max_size=4),
    st.sampled_from(CARRIERS),
    st.booleans(),
)
@settings(max_examples=examples(400), deadline=None)
def test_damaged_documents_are_the_same(parts: list[tuple[str, int]], carrier: str, at_bounds: bool) -> None:
    """Whatever stands anywhere in the first of them, or between them."""
    text = "".join(MANY[:4])
    bounds = [0, *(found * len(MANY[0]) for found in range(1, 5))]
    for part, place in sorted(parts, key=lambda each: -each[1]):
        at = min(bounds, key=lambda bound: abs(bound - place)) if at_bounds else place
        text = text[:at] + part + text[at:]
    body = rich([text, *MANY[4:]], carrier)
    try:
        expected = as_a_whole(body, PresenceType.RICH)
    except PwsError:
        assert one_by_one(body, PresenceType.RICH) is None
        return
    read = one_by_one(body, PresenceType.RICH)
    assert read is None or values(read) == values(expected)


def test_a_language_around_the_documents_is_theirs_as_well() -> None:
    """So such a reply is read as a whole."""
    noted = [text.replace("<tuple", "<note>x</note><tuple") for text in MANY]
    for name in (b"xml:lang", b"Lang"):
        body = rich(noted, "elements").replace(b"<richPresenceList>", b'<richPresenceList %b="de">' % name)
        assert one_by_one(body, PresenceType.RICH) is None
        assert {each.note_language for each in as_a_whole(body, PresenceType.RICH) if each.contact} == {"de"}


def test_contacts_in_another_namespace_than_their_list_are_none() -> None:
    """A prefix of the list, and beside it a namespace for all that has none."""
    body = basic([(uri, "BUSY") for uri in people(150)])
    for space, is_read in ((b"urn:cisco:cup:presence:soap", True), (b"urn:other", False)):
        named = b'<p:basicPresenceList xmlns:p="urn:cisco:cup:presence:soap" xmlns="%b">' % space
        other = body.replace(b"<basicPresenceList>", named).replace(b"</basicP", b"</p:basicP")
        assert other != body
        assert (one_by_one(other, PresenceType.BASIC) is not None) is is_read
        assert {each.contact == "" for each in as_a_whole(other, PresenceType.BASIC)} == {not is_read}


def test_an_encoding_is_known_however_far_from_the_beginning_it_is_declared() -> None:
    """Else the entries would be read as UTF-8, and the rest of the reply as what it declares."""
    far = b'<?xml version="1.0" %b encoding="ISO-8859-1"?>' % (b" " * 300)
    assert entries.cut(basic([(uri, "BUSY") for uri in people(150)]).replace(b"UTF-8", b"ISO-8859-1")) is None
    body = basic([(uri, "BUSY") for uri in people(150)])
    assert entries.cut(far + body[body.index(b"?>") + 2 :]) is None


HIDDEN = "<!-- <contact contactURI='eve@example.com'/> -->"


@pytest.mark.parametrize(
    ("carrier", "hidden"),
    [
        ("elements", HIDDEN),
        ("cdata", HIDDEN),
        ("escaped", "<!-- &lt;presence entity='sip:eve@example.com'/> -->"),
        ("escaped", "<?x y?>"),
    ],
)
async def test_what_a_document_hides_is_found_as_in_a_whole_reply(carrier: str, hidden: str) -> None:
    """An entry in a comment, or an instruction: it may be about anybody, so the reply has an entry about nobody."""
    body = rich(MANY, carrier)
    place = body.index(b"presence ", body.index(b"user0003")) + len(b"presence ")
    if carrier != "escaped":  # behind the tag
        place = body.index(b">", place) + 1
    changed = body[:place] + hidden.encode() + body[place:]
    async with PwsClient(NODE, transport=MemoryTransport([body, changed, changed])) as pws:
        read = [await pws.get_subscribed_presence(end_user(), 7, rich=True) for _ in range(3)]
    assert [len(each) for each in read] == [30, 31, 31]
    assert not read[1][-1].contact
    assert not read[2][-1].contact


def test_a_reply_with_our_own_mark_is_read_as_a_whole() -> None:
    """Its entries may stand elsewhere, and the mark where the list is."""
    body = rich(MANY, "cdata")
    start, end = body.index(b"<![CDATA["), body.index(b"]]>") + 3
    marked = b"<!-- " + body[start:end] + b" -->"
    moved = body[:start] + b"entries-are-cut-out-here" + body[end:]
    assert one_by_one(moved.replace(b"<richPresenceList>", marked + b"<richPresenceList>"), PresenceType.RICH) is None


@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_document_that_comes_again_is_not_read_again(carrier: str) -> None:
    """One that has changed is; of each contact the last document is known."""
    kept = KeptReadings()
    assert one_by_one(rich(MANY, carrier), PresenceType.RICH, kept) is not None
    assert kept.read == len(MANY)
    changed = [pidf("user0003@example.com", "away"), *MANY[4:]]
    read = one_by_one(rich(changed, carrier), PresenceType.RICH, kept)
    assert read is not None
    assert read[0].state is PresenceState.AWAY
    assert kept.read == len(MANY) + 1
    assert one_by_one(rich(MANY, carrier), PresenceType.RICH, kept) is not None
    assert kept.read == len(MANY) + 2


def test_what_is_known_of_an_escaped_document_is_not_taken_for_the_same_bytes_in_a_section() -> None:
    """There they are text between documents."""
    kept = KeptReadings()
    escaped = rich(MANY, "escaped")
    assert one_by_one(escaped, PresenceType.RICH, kept) is not None
    start = escaped.index(b"&lt;presence")
    text = escaped[start : escaped.index(b"&lt;/presence&gt;", start)].decode() + "</presence>"
    assert one_by_one(rich([MANY[1], text, *MANY[2:]], "cdata"), PresenceType.RICH, kept) is None


def test_a_document_with_times_is_read_each_time() -> None:
    """It says something else from a certain moment on."""
    timed = [*MANY, pidf("zoe@example.com").replace("<busy/>", "<busy until='2026-05-30T13:00:00Z'/><away/>")]
    kept = KeptReadings()
    for now, state in ((NOW, PresenceState.BUSY), (NOW + timedelta(hours=2), PresenceState.AWAY)):
        read = one_by_one(rich(timed), PresenceType.RICH, kept, now)
        assert read is not None
        assert read[-1].state is state
    assert kept.read == len(MANY) + 2


def test_only_so_many_readings_are_kept() -> None:
    """The oldest go; those that are asked for stay."""
    kept = KeptReadings(most=20)
    for count in range(3):
        assert one_by_one(
            rich([MANY[0], *(pidf(f"p{count}x{i}@example.com") for i in range(30))]), PresenceType.RICH, kept
        )
    assert len(kept) <= 20
    assert len(kept._last) <= 40


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_the_client_reads_what_it_cannot_cut_as_a_whole(carrier: str) -> None:
    """And says of a reply that is none what it says of any."""
    documents = [*MANY, "<presence entity='sip:zoe@example.com'><presence></presence><busy/></presence>"]
    good, bad = rich(documents, carrier), rich(MANY, carrier)[:-30]
    pws = PwsClient(NODE, transport=MemoryTransport([good, bad]), now=lambda: NOW)
    read = await pws.get_subscribed_presence(end_user(), 7, rich=True)
    assert values(read) == values(as_a_whole(good, PresenceType.RICH))
    with pytest.raises(PwsError, match=f"after {len(bad)} bytes"):
        await pws.get_subscribed_presence(end_user(), 7, rich=True)
