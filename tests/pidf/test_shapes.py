"""A document that is read by its shape means what it means when it is read plainly."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from msgspec.structs import astuple

from pws_soap.models import Presence
from pws_soap.pidf import KeptReadings, PidfError, read_document, shapes, to_presence
from pws_soap.pidf.source import DocumentParser
from tests.support.examples import examples

NOW = datetime(2026, 5, 30, 12, tzinfo=UTC)
CORPUS = sorted((Path(__file__).parent.parent / "data" / "pidf").glob("*.xml"))
USUAL = (
    '<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:{0}@example.com"><person id="{0}"><activities><busy/>'
    '</activities><note xml:lang="en">{1}</note></person><display-name>{2}</display-name><tuple id="{3}"><status>'
    '<basic>open</basic></status><contact priority="0.5">sip:{0}@example.com</contact><note>{1}</note>'
    "<timestamp>{4}</timestamp></tuple></presence>"
)
WORDS = ("ann", "hm", "Ann Example", "cmp-8001", "2026-05-30T12:00:00Z")


def plainly(document: bytes) -> Presence | None:
    """None where it is no document, or has a problem."""
    try:
        presence = to_presence(read_document(document, NOW))
    except PidfError:
        return None
    return presence if presence.problem is None else None


def values(presence: Presence | None) -> list[tuple[object, ...]] | None:
    """All fields, also those that do not count in a comparison."""
    return None if presence is None else [astuple(presence), *map(astuple, presence.devices)]


def by_shape(first: bytes, second: bytes) -> tuple[bool, Presence | None]:
    """Whether both have one shape that can be learned from the first; and what the second means by it."""
    one, other = shapes.divided(first), shapes.divided(second)
    plain = plainly(first)
    if one is None or other is None or one[0] != other[0] or plain is None:
        return False, None
    shape = shapes.learned(*one, plain)
    return shape is not None, shape.presence_of(other[1]) if shape is not None else None


def usual(*words: str) -> bytes:
    return USUAL.format(*words).encode()


def test_a_usual_document_has_a_shape() -> None:
    learned, presence = by_shape(
        usual(*WORDS), usual("ben", "a &lt; b", "B. O'Neil", " SEP01 ", "2026-05-30T13:00:00+02:00")
    )
    assert learned
    assert presence is not None
    assert (presence.contact, presence.note, presence.display_name) == ("ben@example.com", "a < b", "B. O'Neil")
    assert [(each.id, each.kind, each.timestamp) for each in presence.devices] == [
        ("SEP01", "desk-phone", datetime(2026, 5, 30, 11, tzinfo=UTC))
    ]


VALUE = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    [
        *WORDS,
        "",
        " ",
        "open",
        "busy",
        "]]",
        "]]>",
        "--",
        "?",
        "&#65;",
        "&amp;lt;",
        "&x;",
        "<b/>",
        "x' y='z",
        'x" y="z',
        "a" * 5000,
        "presence",
        "from=",
        "until = ",
        "since",
        "24:00",
        "2026-05-30T24:00:00Z",
        "\ufffe",
        "\x00",
        "\x85",
        "\r\n",
        "<![CDATA[x]]>",
    ]
)


@given(st.tuples(*[VALUE] * 5), st.tuples(*[VALUE] * 5))
@settings(max_examples=examples(300), deadline=None)
def test_whatever_the_values_are_the_meaning_is_the_same(first: tuple[str, ...], second: tuple[str, ...]) -> None:
    """Of both as they come, and of the second beside a usual one."""
    for one, other in ((first, second), (WORDS, second), (first, WORDS)):
        document = USUAL.format(*other).encode("utf-8", "surrogatepass")
        _, presence = by_shape(USUAL.format(*one).encode("utf-8", "surrogatepass"), document)
        if presence is not None:
            assert values(presence) == values(plainly(document))


ODD = st.sampled_from(
    [
        "<note>{}</note>",
        "<r:note>{}</r:note>",
        "<basic><note>{}</note></basic>",
        "<status><basic>op<note>{}</note></basic></status>",
        "<note>a<contact>{}</contact></note>",
        "<activities><contact>{}</contact></activities>",
        "<activities><activity><note>{}</note></activity></activities>",
        "<activities><note>{}</note><away/></activities>",
        "<timestamp>{}</timestamp>",
        "<tuple id='x'><timestamp>{}</timestamp><timestamp>2026-05-30T12:00:00Z</timestamp></tuple>",
        '<tuple id="{}"><status><basic>closed</basic></status></tuple>',
        '<tuple a=\'x id="{}" id="y\'><status><basic>open</basic></status></tuple>',
        "<tuple a='x id=\"{}' b='\"'/>",
        '<person id="{}"/>',
        "<display-name>{}</display-name>",
        "<x:display-name xmlns:x='y'>{}</x:display-name>",
        "<class><note>{}</note></class>",
        "<note>{}&#110;</note>",
        "<!-- <note>{}</note> -->",
        "<![CDATA[<note>{}</note>]]>",
        "<note><![CDATA[{}]]></note>",
        "<?x <note>{}?>",
        "<show>{}</show>",
        "<status><basic><note />{}</basic></status>",
        "<activities><user-input><contact priority='1'/>{}</user-input></activities>",
    ]
)


def with_odd_parts(odd: list[str], place: int, texts: list[str]) -> list[bytes]:
    """Two documents that differ in some values at most."""
    marks = ("<person", "<display-name", "</tuple>")
    documents = []
    for words in (texts[:3], texts[3:]):
        inside = "".join(each.format(word) for each, word in zip(odd, words, strict=False))
        text = USUAL.format(*WORDS).replace(marks[place], inside + marks[place], 1)
        documents.append(text.encode("utf-8", "surrogatepass"))
    return documents


@given(
    st.lists(ODD, min_size=1, max_size=3), st.integers(0, 2), st.lists(VALUE | st.just("en"), min_size=6, max_size=6)
)
@settings(max_examples=examples(600), deadline=None)
def test_wherever_the_values_stand_the_meaning_is_the_same(odd: list[str], place: int, texts: list[str]) -> None:
    """Also where a value is a part of another text, of a word, or of an attribute."""
    documents = with_odd_parts(odd, place, texts)
    _, presence = by_shape(*documents)
    if presence is not None:
        assert values(presence) == values(plainly(documents[1]))


# In escapes


QUOTES = st.sampled_from([{}, {'"': "&quot;"}, {'"': "&quot;", "'": "&apos;"}, {"'": "&#39;"}])


def escaped_reader(first: bytes, quotes: dict[str, str]) -> Callable[[bytes], Presence | None]:
    """Reads documents in escapes, by what it has learned from the first."""
    kept, source, numbers = KeptReadings(), DocumentParser(), count()

    def read(document: bytes) -> Presence | None:
        text = escape(document.decode("utf-8", "surrogatepass"), quotes).encode("utf-8", "surrogatepass")
        return kept.presence(source, text, b"%d" % next(numbers), NOW, in_text=True, escaped=True)

    for _ in range(3):  # it is met, it is learned, it is known in escapes
        read(first)
    return read


@given(st.tuples(*[VALUE] * 5), QUOTES)
@settings(max_examples=examples(300), deadline=None)
def test_whatever_the_values_are_the_meaning_in_escapes_is_the_same(
    words: tuple[str, ...], quotes: dict[str, str]
) -> None:
    """A usual document after this one, and this one after a usual one."""
    document = USUAL.format(*words).encode("utf-8", "surrogatepass")
    for one, other in ((document, usual(*WORDS)), (usual(*WORDS), document)):
        presence = escaped_reader(one, quotes)(other)
        if presence is not None and presence.problem is None:
            assert values(presence) == values(plainly(other))
        elif presence is not None:
            assert plainly(other) is None


@given(
    st.lists(ODD, min_size=1, max_size=3),
    st.integers(0, 2),
    st.lists(VALUE | st.just("en"), min_size=6, max_size=6),
    QUOTES,
)
@settings(max_examples=examples(400), deadline=None)
def test_wherever_the_values_stand_the_meaning_in_escapes_is_the_same(
    odd: list[str], place: int, texts: list[str], quotes: dict[str, str]
) -> None:
    """Also where a value is a part of another text, of a word, or of an attribute."""
    one, other = with_odd_parts(odd, place, texts)
    presence = escaped_reader(one, quotes)(other)
    if presence is not None and presence.problem is None:
        assert values(presence) == values(plainly(other))


@pytest.mark.parametrize("quotes", [{}, {'"': "&quot;"}])
@pytest.mark.parametrize("before", ["", "\n  "])
def test_a_document_in_escapes_is_read_by_its_shape_as_it_is(
    quotes: dict[str, str], before: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its escapes are not undone first."""
    read = escaped_reader(before.encode() + usual(*WORDS), quotes)
    monkeypatch.setattr(DocumentParser, "unescaped", lambda *_: pytest.fail("the escapes were undone"))
    presence = read(
        before.encode() + usual("ben", "a &lt; b", "B. O&quot;Neil", " SEP01 ", "2026-05-30T13:00:00+02:00")
    )
    assert presence is not None
    assert (presence.contact, presence.note, presence.display_name) == ("ben@example.com", "a < b", 'B. O"Neil')


def test_a_shape_in_escapes_that_is_another_without_them_is_none() -> None:
    """Where an escape is not one of the five, only a parser knows what it stands for."""
    known = shapes.KnownShapes()
    for written, is_known in ((escape(USUAL), True), (escape(USUAL).replace("busy", "bus&#121;"), False)):
        in_escapes = shapes.divided(written.format(*WORDS).encode(), escaped=True)
        plain = shapes.divided(usual(*WORDS))
        assert in_escapes is not None
        assert plain is not None
        known.put_escaped(in_escapes, plain)
        assert (known.without_escapes(in_escapes[0]) == plain[0]) is is_known
        assert (known.without_escapes(in_escapes[0]) is None) is not is_known


def test_a_text_behind_an_empty_element_is_no_value() -> None:
    """It is one of the word around it: the same with another word there means something else."""
    inside = "<tuple id='x'><status><basic><note />{}</basic></status></tuple><display-name"
    documents = [USUAL.format(*WORDS).replace("<display-name", inside.format(word), 1) for word in ("on", "open")]
    _, presence = by_shape(*(text.encode() for text in documents))
    assert presence is None


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_documents_of_the_corpus_mean_the_same_by_their_shape(path: Path) -> None:
    """Each by what is learned from itself."""
    for piece in path.read_bytes().split(b"</presence>")[:-1]:
        document = piece[max(0, piece.find(b"<presence")) :] + b"</presence>"
        _, presence = by_shape(document, document)
        if presence is not None:
            assert values(presence) == values(plainly(document))


def test_only_so_many_shapes_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is learned when it is met again, and only then."""
    monkeypatch.setattr(shapes, "MAX_SHAPES", 3)
    known = shapes.KnownShapes()
    for number in range(10):
        key = (b"%d" % number,)
        assert not known.is_to_learn(key, in_text=False)
        assert known.is_to_learn(key, in_text=False)
        known.put(key, None, in_text=False)
        assert not known.is_to_learn(key, in_text=False)
        assert known.get(key, in_text=True) is None
        known.put_escaped((key, []), (key, []))
        assert len(known._known) <= 3
        assert len(known._escaped) <= 3
        assert len(known._met) <= 3


def test_the_parser_agrees_on_what_is_learned() -> None:
    """A shape of a document that is not well-formed is none."""
    broken = USUAL.replace("</person>", "</persons>").format(*WORDS).encode()
    with pytest.raises(etree.XMLSyntaxError):
        etree.fromstring(broken)
    divided = shapes.divided(broken)
    assert divided is not None
    assert shapes.learned(*divided, Presence("ann@example.com", "BUSY")) is None  # type: ignore[arg-type]  # any will do
