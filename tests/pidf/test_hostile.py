"""Input made to hurt: bounded time and memory, and no other error than our own."""

from __future__ import annotations

import tracemalloc

import pytest
from lxml import etree

from pws_soap.pidf import PidfError, read_document, read_list

HEAD, TAIL = b'<presence entity="sip:ann@example.com">', b"</presence>"
MEGABYTE = 1024 * 1024
pytestmark = pytest.mark.timeout(30)
"""Each takes a moment; what is quadratic takes minutes, and is ended."""

SIZE = 20_000
HOSTILE: dict[str, bytes] = {
    "a megabyte of white space": HEAD + b" " * MEGABYTE + TAIL,
    "nothing but white space": b" " * (10 * MEGABYTE),
    "deep nesting": HEAD + b"<a>" * SIZE + b"</a>" * SIZE + TAIL,
    "deep activities": HEAD + b"<activities>" * SIZE + b"</activities>" * SIZE + TAIL,
    "a huge attribute": HEAD + b'<tuple id="' + b"a" * MEGABYTE + b'"/>' + TAIL,
    "a huge entity": b'<presence entity="' + b"a" * MEGABYTE + b'"/>',
    "many attributes": b"<presence " + b" ".join(b'a%d="x"' % number for number in range(20_000)) + b"/>",
    "a huge name": HEAD + b"<" + b"a" * MEGABYTE + b"/>" + TAIL,
    "a huge prefix": b"<" + b"a" * MEGABYTE + b":presence/>",
    "a huge note": HEAD + b"<note>" + b"a" * MEGABYTE + b"</note>" + TAIL,
    "many names": HEAD + b"".join(b"<n%d/>" % number for number in range(SIZE)) + TAIL,
    "many activities": HEAD
    + b"<activities>"
    + b"".join(b"<n%d/>" % number for number in range(SIZE))
    + b"</activities>"
    + TAIL,
    "many tuples": HEAD + b"<tuple id='x'><status><basic>open</basic></status></tuple>" * 10_000 + TAIL,
    "many starts": b"<presence " * SIZE,
    "many starts with a quote": b'<presence "' * SIZE,
    "many ends": TAIL * SIZE,
    "many comments that never end": b"<!--" * SIZE,
    "many comments within": (HEAD + b"<!--") * 20_000,
    "many sections within": (HEAD + b"<![CDATA[") * 20_000,
    "many sections that end at last": (HEAD + b"<![CDATA[") * 20_000 + b"]]>",
    "many document types": b"<!DOCTYPE x [" * SIZE,
    "many declarations": b"<?xml " * SIZE,
    "many brackets": b"<" * MEGABYTE,
    "many dashes": b"<!--" + b"-" * MEGABYTE,
    "many entities": b"<presence" + b" entity " * SIZE,
    "zeros": b"\x00" * MEGABYTE,
    "no UTF-8": b"\xff" * MEGABYTE,
    "no UTF-8 within": HEAD + b"\xff" * MEGABYTE + TAIL,
    "half a UTF-16": b"\xff\xfe\x00",
    "escaped": b"&lt;presence" * SIZE,
    "billion laughs": b'<!DOCTYPE presence [<!ENTITY a0 "ha">'
    + b"".join(b'<!ENTITY a%d "%s">' % (number, b"&a%d;" % (number - 1) * 10) for number in range(1, 12))
    + b"]>"
    + HEAD
    + b"<note>&a11;</note>"
    + TAIL,
    "a document type within": HEAD + b'<!DOCTYPE presence [<!ENTITY a "ha">]><note>&a;</note>' + TAIL,
    "a parameter entity": b'<!DOCTYPE p [<!ENTITY % x SYSTEM "http://192.0.2.1/x.dtd">%x;]>' + HEAD + TAIL,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_read_within_bounds(name: str) -> None:
    """No exception, and to its end."""
    for reading in read_list(HOSTILE[name]):
        assert reading.problem is None or len(reading.problem) < 300


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_document_alone_is_read_or_refused(name: str) -> None:
    """PidfError or a reading."""
    try:
        assert read_document(HOSTILE[name]).problem is None
    except PidfError as error:
        assert len(str(error)) < 400  # noqa: PT017  # either outcome is right; this bounds one of them


@pytest.mark.parametrize("name", ["billion laughs", "many starts", "deep nesting", "many sections that end at last"])
def test_hostile_text_takes_little_memory(name: str) -> None:
    """Far below what it would expand to; readings are not kept."""
    content = HOSTILE[name][: 200 * 1024]
    tracemalloc.start()
    try:
        for _ in read_list(content):
            pass
        assert tracemalloc.get_traced_memory()[1] < 10 * len(content) + MEGABYTE
    finally:
        tracemalloc.stop()


def test_nothing_of_an_entity_or_a_file_is_ever_read() -> None:
    """A document type is refused whatever is in it, and its text appears nowhere."""
    content = b'<!DOCTYPE p [<!ENTITY a "secret-text"><!ENTITY f SYSTEM "file:///etc/passwd">]>' + (
        HEAD + b"<note>&a;&f;</note>" + TAIL
    )
    readings = list(read_list(content))
    assert [reading.contact for reading in readings if reading.problem is None] == []
    assert "secret" not in repr(readings)
    assert "root:" not in repr(readings)


def test_a_deep_tree_from_elsewhere_does_no_harm() -> None:
    """Elements come from another parser, which may have had no limits."""
    deep = b"<a>x" * 2000 + b"</a>" * 2000  # libxml2 itself ends at 2048
    root = etree.fromstring(HEAD + b"<note>" + deep + b"</note>" + TAIL, etree.XMLParser(huge_tree=True))
    reading = read_document(root)
    assert reading.note == "x" * 2000


def test_entities_in_a_tree_from_elsewhere_are_passed_over() -> None:
    """An unresolved entity is no element and no text."""
    parser = etree.XMLParser(resolve_entities=False)
    root = etree.fromstring(
        b'<!DOCTYPE presence [<!ENTITY a "ha">]><presence>&a;<person>&a;<activities>&a;<busy/></activities></person>'
        b"</presence>",
        parser,
    )
    assert read_document(root).activities == ("busy",)
