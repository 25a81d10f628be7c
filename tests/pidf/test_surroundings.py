"""What may stand around the documents of a list without a word about it, and what may not.

A reply confirms those whom it does not name, so whatever may say more than the documents is told.
"""

from __future__ import annotations

import pytest
from lxml import etree

from pws_soap.pidf import PidfError, Reading, read_document, read_list, read_list_in_steps
from pws_soap.pidf.split import split_in_steps

ANN = '<presence entity="sip:ann@example.com"><person><busy/></person></presence>'
JOE = '<presence entity="sip:joe@example.com"><person><dnd/></person></presence>'
BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"
DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'
LIST = "richPresenceList"


def element(content: str) -> etree._Element:
    """A list with this in it."""
    return etree.fromstring(f"<{LIST}>{content}</{LIST}>")


def nameless(readings: list[Reading]) -> int:
    """How many of the readings are about nobody who is named."""
    return sum(reading.contact is None for reading in readings)


@pytest.mark.parametrize(
    "text",
    [
        "<error code='x'/>",
        "<more/>",
        "<presences count='3'/>",
        "<presence-list/>",
        f"<{LIST} href='cid:1'/>",
        f"<{LIST}/>",
        f"<{LIST}></{LIST}>",
        f"<{LIST}>",
        f"</{LIST}>",
        f"<{LIST.lower()}>{ANN}</{LIST.lower()}>",
        f"<{LIST} count='3'>{ANN}</{LIST}>",
        f"<a:{LIST}>{ANN}</b:{LIST}>",
        f"<{LIST}><{LIST}>{ANN}</{LIST}></{LIST}>",
        f"<{LIST}>{ANN}",
        f"{ANN}</{LIST}>",
        f"{ANN}<{LIST}></{LIST}>",
        f"<list>{ANN}</list>",
        "<![CDATA[]]>",
        "<![CDATA[",
        "]]>",
        f"<![CDATA[{ANN}",
        f"{ANN}]]>",
        f"<![CDATA[<![CDATA[{ANN}]]>]]>",
        f"<{LIST}><![CDATA[{ANN}</{LIST}>]]>",
        DECLARATION,
        f"{ANN}{DECLARATION}",
        f"{DECLARATION}{DECLARATION}{ANN}",
        f"{DECLARATION}{BOM}{ANN}",
        f"<{LIST}>{ANN}{DECLARATION}</{LIST}>",
        BOM,
        f"{ANN}{BOM}",
        f"{BOM}{BOM}{ANN}",
        "<?truncated?>",
        f"<?xml-more href='x'?>{ANN}",
        "<!-- never ends",
        "\N{NO-BREAK SPACE}",
        "\N{ZERO WIDTH SPACE}",
        "\x0b",
        "\N{NEXT LINE}",
        " " * 70_000,
        "&more;",
        f"{ANN},{JOE}",
    ],
)
def test_what_may_say_more_than_the_documents_is_told(text: str) -> None:
    """Each leaves at least one reading about nobody."""
    assert nameless(list(read_list(text))) > 0
    as_text = etree.Element(LIST)
    if text.isprintable() or text.isspace():
        as_text.text = text if "\x0b" not in text else "?"
        assert nameless(list(read_list(as_text))) > 0


@pytest.mark.parametrize(
    "text",
    [
        f"{ANN} \t\r\n{JOE}\n",
        f"{DECLARATION}\n{ANN}\n{DECLARATION}\n{JOE}",
        f"{BOM}{DECLARATION}{ANN}{BOM}{JOE}",
        f"<!-- a list -->{ANN}<!-- next -->{JOE}<!-- end -->",
        f"<{LIST}>\n{ANN}{JOE}\n</{LIST}>",
        f"{DECLARATION}<p:{LIST} xmlns:p=\"urn:cisco:cup:presence:soap\" xmlns=''>{ANN}{JOE}</p:{LIST} >",
        f"<{LIST}>{ANN}</{LIST}><{LIST}>{JOE}</{LIST}>",
        f"<![CDATA[{ANN}]]>\n<![CDATA[{JOE}]]>",
        f"<{LIST}><![CDATA[{ANN}{JOE}]]></{LIST}>",
    ],
)
def test_what_is_known_to_surround_documents_is_not_told(text: str) -> None:
    assert [(each.contact, each.problem) for each in read_list(text)] == [
        ("ann@example.com", None),
        ("joe@example.com", None),
    ]


NESTED = [
    ANN.replace("</presence>", JOE + "</presence>"),
    ANN.replace("</presence>", f"<x>{JOE}</x></presence>"),
    ANN.replace("</person>", f"<note>{JOE}</note></person>"),
    ANN.replace("<busy/>", f"<activities><a><b>{JOE}</b></a></activities>"),
    ANN.replace("</presence>", "<x:Presence xmlns:x='urn:x' entity='sip:joe@example.com'/></presence>"),
    ANN.replace("</presence>", "<PRESENCE/></presence>"),
]


@pytest.mark.parametrize("nested", NESTED)
@pytest.mark.parametrize("is_text", [True, False])
def test_a_document_in_another_is_in_doubt_and_so_is_everybody(nested: str, is_text: bool) -> None:
    """Whether as text or as elements, at whatever depth and in whatever namespace."""
    readings = list(read_list(nested if is_text else element(nested)))
    assert next(each for each in readings if each.contact == "ann@example.com").problem is not None
    assert nameless(readings) > 0
    assert all(each.state == "UNKNOWN" for each in readings if each.contact == "ann@example.com")


def test_a_document_is_found_in_another_whatever_its_prefix() -> None:
    """Also with one that is longer than a text is searched for."""
    inner = JOE.replace("<presence", f"<{'p' * 100}:presence").replace("</presence", f"</{'p' * 100}:presence")
    readings = list(read_list(ANN.replace("</presence>", inner + "</presence>")))
    assert [(each.contact, each.problem) for each in readings] == [
        ("ann@example.com", "holds another document"),
        (None, "lies in the document of another"),
    ]
    with pytest.raises(PidfError, match="holds another document"):
        read_document(ANN.replace("</presence>", inner + "</presence>"))


def test_a_word_that_only_looks_like_a_document_is_none() -> None:
    """In a namespace, a longer name, a note."""
    harmless = (
        "<a:b xmlns:a='urn:cisco:cup:presence:soap'/><presence-rules/><note><![CDATA[<presence>]]> &lt;presence></note>"
    )
    text = ANN.replace("</presence>", harmless + "</presence>")
    assert [each.problem for each in read_list(text)] == [None]
    assert [each.problem for each in read_list(element(text))] == [None]


@pytest.mark.parametrize(
    ("entity", "contact"),
    [
        ('entity=""', None),
        ('entity=" "', None),
        ('z:entity="sip:ann@example.com" xmlns:z="urn:z"', "ann@example.com"),
        ('z:entity="sip:joe@example.com" entity="sip:ann@example.com" xmlns:z="urn:z"', None),
        ('ENTITY="sip:joe@example.com" entity="sip:ann@example.com"', None),
    ],
)
@pytest.mark.parametrize("end", ["</presence>", "<"])
def test_whom_a_document_is_about_has_to_be_certain(entity: str, contact: str | None, end: str) -> None:
    """Read or broken."""
    document = ANN.replace('entity="sip:ann@example.com"', entity).replace("</presence>", end)
    expected = contact if end == "</presence>" or ":" not in entity.partition("=")[0] else None
    assert next(iter(read_list(document))).contact == expected
    if end == "</presence>":
        assert next(iter(read_list(element(document)))).contact == contact


XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("<busy/>", f"<busy {XSI} xsi:nil='true'/>", None),
        ("<busy/>", f"<activities {XSI} xsi:nil='1'><busy/></activities>", None),
        ("<presence ", f"<presence {XSI} xsi:nil='true' ", "says that it is nil"),
    ],
)
def test_what_says_that_it_is_absent_does_not_count(old: str, new: str, problem: str | None) -> None:
    """A state that is nil is not said."""
    (reading,) = read_list(ANN.replace(old, new))
    assert (reading.contact, reading.state, reading.problem) == ("ann@example.com", "UNKNOWN", problem)
    (said,) = read_list(ANN.replace("<busy/>", f"<busy {XSI} xsi:nil='false'/>"))
    assert said.state == "BUSY"


@pytest.mark.parametrize(
    ("content", "named", "without"),
    [
        (f"<contact contactURI='ann@example.com'>{ANN}</contact>", [("ann@example.com", True)], 0),
        (
            f"<contact contactURI='joe@example.com'>{ANN}</contact>",
            [("ann@example.com", True), ("joe@example.com", False)],
            0,
        ),
        (
            f"<contact contactURI='ann@example.com'>{ANN}{JOE}</contact>",
            [("ann@example.com", True), ("joe@example.com", True)],
            0,
        ),
        (f"<contact contactURI='ann@example.com' more='1'>{ANN}</contact>", [("ann@example.com", True)], 1),
        (f"<contact xmlns:z='urn:z' contactURI='a@b.c' z:contactURI='d@e.f'>{ANN}</contact>", None, 1),
        (f"<list>{ANN}</list>", [("ann@example.com", True)], 1),
        (f"<list>{ANN}<more/></list>", [("ann@example.com", True)], 1),
        (f"<{LIST}>{ANN}</{LIST}>", [("ann@example.com", True)], 0),
        (f"<{LIST} href='cid:1'>{ANN}</{LIST}>", [("ann@example.com", True)], 1),
        (f"<{LIST}/>", [], 1),
        (f"<{LIST} href='cid:1'/>", [], 1),
        ("<contact/>", [], 1),
        ("<contact contactURI='ann@example.com'/>", [("ann@example.com", False)], 0),
    ],
)
def test_elements_around_documents_are_accounted_for(
    content: str, named: list[tuple[str, bool]] | None, without: int
) -> None:
    """Whom they name is told; an element that is not known may say more."""
    readings = list(read_list(element(content)))
    assert nameless(readings) == without
    if named is not None:
        assert [(each.contact, each.problem is None) for each in readings if each.contact] == named


@pytest.mark.parametrize(
    "unit",
    ["<!--", "<![CDATA[", "<!-- -->", "<!DOCTYPE ", "</presence>", "<presence ", "<presence><![CDATA[", "]]>", "<"],
)
def test_there_is_a_pause_after_a_bounded_number_of_marks(unit: str) -> None:
    """Whatever marks a text is full of: no step takes more than a thousand of them, or a quarter of a megabyte."""
    count = 20_000
    for text in (unit * count, "<![CDATA[" + unit * count, "<presence>" + unit * count):
        steps = sum(1 for _ in split_in_steps(text.encode()))
        assert steps >= min(count // 1000, len(text) // (256 * 1024))


class Searched(bytes):
    """A text that counts how much of it is searched."""

    bytes_searched = 0
    calls = 0

    def find(self, sub: bytes, start: int = 0, end: int = -1) -> int:  # type: ignore[override]  # as it is called
        """As for any bytes."""
        found = super().find(sub, start, end)
        self.calls += 1
        self.bytes_searched += (min(end, len(self)) if found < 0 else found) - start
        return found


@pytest.mark.parametrize("before", ["", "<![CDATA[", "<presence>", "<![CDATA[<presence>"])
@pytest.mark.parametrize("unit", ["<!--", "<![CDATA[", "<!-- -->", "<presence><!--", "<presence><![CDATA["])
def test_the_end_of_a_section_is_searched_for_once(before: str, unit: str) -> None:
    """The bytes searched are in proportion to the text, and each search is short."""
    text = Searched((before + unit * 50_000).encode())
    for piece in split_in_steps(text):
        assert piece is None or piece.end <= len(text)
    assert text.bytes_searched <= 3 * len(text)


def test_a_hostile_list_pauses_all_the_time() -> None:
    """Between two pauses there are at most a thousand marks."""
    text = "<![CDATA[" + "<!--" * 100_000
    assert sum(reading is None for reading in read_list_in_steps(text)) >= 100
