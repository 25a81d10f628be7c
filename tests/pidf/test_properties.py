"""Documents nobody thought of: made from the grammar, disguised, damaged, and plain noise."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from msgspec.structs import replace

from pws_soap.pidf import Device, PidfError, Reading, explain, read_document, read_list, to_presence
from pws_soap.pidf.model import kind_of
from pws_soap.pidf.rule import WORDS
from pws_soap.pidf.writer import write_document
from tests.support.examples import examples

CORPUS = [path.read_bytes() for path in sorted((Path(__file__).parent.parent / "data" / "pidf").glob("*.xml"))]

NOW = datetime(2026, 5, 30, 10, tzinfo=UTC)

texts = (
    st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn")), min_size=1, max_size=20)
    .map(str.strip)
    .filter(bool)
)
words = st.one_of(st.sampled_from(sorted(WORDS)), st.sampled_from(["gardening", "x-strange", "unknown", "working"]))
said = st.lists(words, max_size=4, unique=True).map(tuple)
maybe = st.none() | st.booleans()
times = st.none() | st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)).map(  # noqa: DTZ001  # given UTC below
    lambda naive: naive.replace(tzinfo=UTC)
)
languages = st.sampled_from([None, "en", "de-CH"])
ids = st.one_of(st.sampled_from(["cisco-upc", "Jabber-1", "cmp-8001-162", "pws-override", "t1"]), texts)


@st.composite
def devices(draw: st.DrawFn) -> Device:
    """A device as a tuple can say it."""
    identifier, idle, note = draw(ids), draw(maybe), draw(st.none() | texts)
    return Device(
        id=identifier,
        kind=kind_of(identifier),
        basic=draw(maybe),
        audio=draw(maybe),
        video=draw(maybe),
        text=draw(maybe),
        priority=draw(st.none() | st.integers(0, 1000).map(lambda thousandths: thousandths / 1000)),
        activities=draw(said),
        timestamp=draw(times),
        source=draw(st.none() | texts),
        contact=draw(st.none() | texts),
        model=draw(st.none() | texts),
        note=note,
        note_language=draw(languages) if note else None,
        idle=idle,
        idle_since=draw(times) if idle else None,
    )


@st.composite
def readings(draw: st.DrawFn) -> Reading:
    """What a document says, without what follows from it."""
    idle, note = draw(maybe), draw(st.none() | texts)
    return Reading(
        contact=draw(st.none() | st.from_regex(r"[a-z0-9._-]{1,8}@[a-z]{1,8}\.example", fullmatch=True)),
        said=draw(said),
        basic=draw(maybe),
        idle=idle,
        idle_since=draw(times) if idle else None,
        phone_status=draw(st.none() | words),
        im_status=draw(st.none() | words),
        manual=draw(st.booleans()),
        note=note,
        note_language=draw(languages) if note else None,
        display_name=draw(st.none() | texts),
        devices=tuple(draw(st.lists(devices(), max_size=3))),
    )


def _disguised(element: etree._Element, dice: random.Random) -> str:
    """The same document in other namespaces, prefixes and cases, with comments and undeclared prefixes."""

    def cased(name: str) -> str:
        return dice.choice([str.lower, str.upper, str.title])(name)

    name = cased(etree.QName(element).localname)
    prefix = dice.choice(["", "", "p:", "ns0:"])
    declared = dice.choice(
        ["", f" xmlns{':' + prefix[:-1] if prefix else ''}={quoteattr(dice.choice(['urn:x', 'q']))}"]
    )
    attributes = "".join(
        f" {dice.choice(['', 'zz:']) if not key.startswith('{') else 'xml:'}{cased(etree.QName(key).localname)}"
        f"={quoteattr(value)}"
        for key, value in element.attrib.items()
    ).replace("xml:LANG", "xml:lang")
    inside = escape(element.text or "") + "".join(_disguised(child, dice) for child in element)
    comment = dice.choice(["", "", "<!-- c -->", "<?pi?>", "\n"]) if len(element) else ""
    return f"<{prefix}{name}{declared}{attributes}>{comment}{inside}</{prefix}{name}>"


@settings(max_examples=examples(150))
@given(readings())
def test_what_is_written_is_read_back(wanted: Reading) -> None:
    """Every field that a document can say; and what was read is written and read the same again."""
    read = read_document(write_document(wanted))
    for name in ("contact", "said", "basic", "phone_status", "im_status", "manual", "display_name", "devices"):
        assert getattr(read, name) == getattr(wanted, name), name
    if wanted.note is not None:
        assert (read.note, read.note_language) == (wanted.note, wanted.note_language)
    if wanted.idle is not None:
        assert (read.idle, read.idle_since) == (wanted.idle, wanted.idle_since)
    assert read.unknown == ()
    assert read_document(write_document(read)) == read


@settings(max_examples=examples(150))
@given(readings(), st.integers(0, 2**32))
def test_namespaces_prefixes_and_case_never_matter(wanted: Reading, seed: int) -> None:
    """The same document in any disguise reads as the same."""
    plain = write_document(wanted)
    disguised = _disguised(etree.fromstring(plain), random.Random(seed))  # noqa: S311  # a disguise, no secret
    assert read_document(disguised) == read_document(plain)


@settings(max_examples=examples(60))
@given(
    st.lists(readings(), max_size=4), st.sampled_from(["", "\n", '<?xml version="1.0"?>', "\ufeff", "<!-- next -->"])
)
def test_every_carrier_holds_the_same_documents(wanted: list[Reading], between: str) -> None:
    """Text, CDATA or escaped text in the list, and child elements give the same readings."""
    documents = [write_document(one).decode() for one in wanted]
    expected = [read_document(document) for document in documents]
    text = "".join(between + document for document in documents)
    assert list(read_list(text)) == expected
    assert list(read_list(etree.fromstring(f"<l>{escape(text)}</l>"))) == expected
    assert list(read_list(etree.fromstring(f"<l><![CDATA[{text}]]></l>"))) == expected
    assert list(read_list(etree.fromstring(f"<l>{''.join(documents)}</l>"))) == expected


def _damaged(content: bytes, dice: random.Random) -> bytes:
    for _ in range(dice.randint(1, 4)):
        start = dice.randint(0, len(content))
        end = min(len(content), start + dice.randint(0, 40))
        piece = dice.choice(
            [
                b"",
                b"<",
                b">",
                b"<!--",
                b"-->",
                b"<![CDATA[",
                b"]]>",
                b"&",
                b"\xff",
                b"\x00",
                b'"',
                content[start:end] * 3,
            ]
        )
        content = content[:start] + piece + content[end:]
    return content


def _whatever_comes_is_ours(content: bytes | str) -> None:
    for reading in read_list(content, NOW):
        assert explain(reading)
        assert to_presence(reading).contact is not None
    try:
        read_document(content, NOW)
    except PidfError as error:
        assert error.reason  # noqa: PT017  # either outcome is right


@settings(max_examples=examples(300))
@given(st.sampled_from(CORPUS), st.integers(0, 2**32))
def test_damaged_documents_raise_nothing_else(content: bytes, seed: int) -> None:
    """Bytes cut out, put in and repeated anywhere."""
    _whatever_comes_is_ours(_damaged(content, random.Random(seed)))  # noqa: S311  # damage, no secret


@settings(max_examples=examples(200))
@given(st.binary(max_size=300) | st.text(max_size=300))
def test_noise_raises_nothing_else(content: bytes | str) -> None:
    """Any bytes, any characters, lone surrogates too."""
    _whatever_comes_is_ours(content)


GOOD = '<presence entity="sip:{0}@example.com"><person><activities><busy/></activities></person></presence>'


@settings(max_examples=examples(300))
@given(st.sampled_from(CORPUS), st.integers(0, 2**32))
def test_neighbours_of_a_damaged_document_are_not_lost(content: bytes, seed: int) -> None:
    """The one before is read; the one behind is read or told, whatever stands between them."""
    junk = _damaged(content, random.Random(seed))  # noqa: S311  # damage, no secret
    got = list(read_list(GOOD.format("before").encode() + junk + GOOD.format("behind").encode()))
    assert replace(got[0], decided_by="") == replace(read_document(GOOD.format("before")), decided_by="")
    behind = [reading for reading in got if reading.contact == "behind@example.com"]
    assert behind
    if b"<!" not in junk:
        assert behind[-1].state == "BUSY"
