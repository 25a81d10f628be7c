"""Bytes of a reply to a tree: what is refused, what is mended, and what its error is called."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from pws_soap import envelope
from pws_soap.errors import ForbiddenXml, NotXml, TruncatedReply, UnreadableReply
from tests.soap.samples import BOMB, basic, description, fault, logged_in, people
from tests.support.examples import examples


def test_a_reply_is_parsed_without_comments_and_instructions() -> None:
    """What is left is elements and text."""
    root = envelope.parse(b'\xef\xbb\xbf<?xml version="1.0"?><!-- a --><?b c?><d><!-- e --><f/>g<?h i?></d><!-- j -->')
    assert etree.tostring(root) == b"<d><f/>g</d>"


@pytest.mark.parametrize("reply", [logged_in(), fault(description()), basic([("ann@example.com", "BUSY")])])
def test_a_reply_cut_off_anywhere_is_truncated(reply: bytes) -> None:
    """After each byte but the last, from the first element on."""
    start = reply.index(b"<SOAP-ENV")
    for end in range(start + 2, len(reply)):
        with pytest.raises(TruncatedReply, match=f"after {end} bytes"):
            envelope.parse(reply[:end])
    assert envelope.local(envelope.parse(reply)) == "Envelope"


@pytest.mark.parametrize(
    "body", [b"<!-- never", b"<?xml version='1.0'", b"<?xml version='1.0'?>", b"<?xml version='1.0'?><"]
)
def test_a_reply_that_ends_before_its_first_element_is_truncated(body: bytes) -> None:
    """Whatever has begun before it."""
    with pytest.raises(TruncatedReply):
        envelope.parse(body)


@pytest.mark.parametrize(
    "body",
    [
        b"Service unavailable",
        b"{}",
        b"\x1f\x8b\x08\x00\x00\x00",
        b"<a/>trailing",
        b"<a><b></a>",
        b"<a b=c/>",
        b"<a>&nbsp;</a>",
        b"<a b='&undeclared;'/>",
        b"<a/><b/>",
        b"<a b='1' b='2'/>",
        b"<html><body><p>Log in</body></html>",
        b"<HTML><BODY/></HTML>",
        b"<!DOCTYPE html><html><body>Log in</body></html>",
        b"<!doctype HTML PUBLIC '-//W3C//DTD HTML 4.01//EN' 'http://www.w3.org/TR/html4/strict.dtd'><html/>",
        '<?xml version="1.0" encoding="UTF-16"?><a/>'.encode("utf-16"),
        "<a/>".encode("utf-16-le"),
        "<a/>".encode("utf-32-be"),
        b"<?xml version='1.0' encoding='UTF-16'?><a/>",
        b"<?xml version='1.0' encoding='EBCDIC-CP-US'?><a/>",
        b"<?xml version='1.0' encoding='no-such'?><a/>",
    ],
)
def test_what_is_not_xml_in_utf_8_is_called_so(body: bytes) -> None:
    """A proxy's page, another program, another encoding."""
    with pytest.raises(NotXml):
        envelope.parse(body)


def test_message_of_a_page_shows_how_it_begins() -> None:
    """So that an operator recognises the proxy; nothing in it can break a line of a log."""
    with pytest.raises(NotXml, match=r"HTML page.*Proxy: log in") as caught:
        envelope.parse(b"<!DOCTYPE html>\r\n<title>Proxy: log in</title>\x1b[31m" + b"x" * 1000)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    "body",
    [
        f"{BOMB}]><b>&i;</b>",
        f"{BOMB}]><b c='&i;'/>",
        f"<?xml version='1.0'?><!-- c -->\n{BOMB}]><b/>",
        "<!DOCTYPE a SYSTEM 'file:///etc/hostname'><a/>",
        "<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/hostname'>]><a>&x;</a>",
        "<!DOCTYPE a [<!ENTITY % p SYSTEM 'http://192.0.2.1/'> %p;]><a/>",
        "<!DOCTYPE htmlish><a/>",
        "<!ENTITY x 'y'><a/>",
    ],
)
def test_document_types_and_entities_are_forbidden(body: str) -> None:
    """A bomb in an element or an attribute, a file, another host: refused before the parser sees it."""
    with pytest.raises(ForbiddenXml):
        envelope.parse(body.encode())


def test_document_type_cannot_hide_behind_an_encoding() -> None:
    """In UTF-7 the same bytes end the comment early and begin a document type: that encoding is refused."""
    body = (
        b'<?xml version="1.0" encoding="UTF-7"?><!-- +AC0ALQA+-<+ACE-DOCTYPE a [<+ACE-ENTITY x "boom">]>'
        b'<a b="+ACY-x;">+ACY-x; --><b/></a>'
    )
    with pytest.raises(NotXml, match="UTF-7"):
        envelope.parse(body)


@pytest.mark.parametrize("bad", [b"\x00", b"\x0b", b"\xed\xa0\x80", b"&#1;", b"&#xFFFE;", b"&#55296;"])
def test_one_bad_character_costs_that_character_only(bad: bytes) -> None:
    """Bytes or references that XML cannot have become a replacement, and the contacts around them are kept."""
    body = basic([("ann@example.com", "BUSY"), ("bXo@example.com", "AWAY"), ("cid@example.com", "DND")])
    root = envelope.parse(body.replace(b"X", bad))
    uris = [str(node.get("contactURI")) for node in root.iter("{*}contact")]
    assert (uris[0], uris[2]) == ("ann@example.com", "cid@example.com")
    assert uris[1].startswith("b\N{REPLACEMENT CHARACTER}")
    assert uris[1].endswith("o@example.com")


def test_bytes_that_are_no_utf_8_are_taken_as_windows_1252() -> None:
    """An old program behind the server writes one name so; valid UTF-8 beside it stays, and so do all contacts."""
    body = basic([("ann@example.com", "BUSY"), ("jX\xf8Yrg@example.com", "AWAY"), ("cid@example.com", "DND")])
    root = envelope.parse(body.replace(b"X", b"\xf6").replace(b"Y", b"\x80\xc3"))
    uris = [str(node.get("contactURI")) for node in root.iter("{*}contact")]
    assert uris == ["ann@example.com", "jö\xf8€Ãrg@example.com", "cid@example.com"]


def test_good_references_are_kept_when_a_bad_one_is_mended() -> None:
    """Also where the number is beyond any character."""
    root = envelope.parse(b"<a>&#233;&#xe9;&#1;&#x110000;&amp;</a>")
    assert root.text == "éé\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}&"


def test_old_encodings_that_keep_ascii_are_read() -> None:
    """A reply that says ISO-8859-1 is one."""
    assert envelope.parse("<?xml version='1.0' encoding='iso-8859-1'?><a>é</a>".encode("latin-1")).text == "é"


def test_white_space_before_the_declaration_is_forgiven() -> None:
    """XML forbids it; some programs write an empty line first."""
    assert envelope.local(envelope.parse(b"\r\n<?xml version='1.0'?><a/>")) == "a"


def test_prefixes_that_nobody_declared_are_forgiven() -> None:
    """Rich documents bring them along; any other fault stays one."""
    root = envelope.parse(b"<a><r:b s:c='1'>text</r:b></a>")
    assert (root[0].tag, root[0].text) == ("r:b", "text")
    with pytest.raises(NotXml):
        envelope.parse(b"<a><r:b></a>")
    with pytest.raises(TruncatedReply):
        envelope.parse(b"<a><r:b s:c='1'/>")


def test_a_text_larger_than_ten_megabytes_is_read() -> None:
    """libxml2 refuses such a node unless told otherwise; a list of rich documents comes as one."""
    assert len(envelope.parse(b"<a>" + b"x" * 10_500_000 + b"</a>").text or "") == 10_500_000


def test_parsing_pauses_after_each_slice() -> None:
    """So that an event loop can go on: while it is looked through first, and while it is parsed."""
    body = basic([(uri, "BUSY") for uri in people(2000)])
    slices = (len(body) - 1) // envelope.SLICE
    for text, looks in ((body, slices), (body.replace(b"<contact", b"<!-- --><contact", 1), 0)):
        pauses = sum(1 for _ in envelope.parse_in_slices(text))
        assert pauses == looks + slices > 1


@given(st.binary(max_size=200))
@settings(max_examples=examples(200), deadline=None)
def test_any_bytes_give_a_tree_or_an_unreadable_reply(body: bytes) -> None:
    """No foreign exception, whatever comes."""
    for reply in (body, b"<a>" + body + b"</a>"):
        try:
            assert envelope.parse(reply).tag
        except UnreadableReply as error:
            unprintable = [char for char in str(error) if not char.isprintable()]
            if unprintable:
                pytest.fail(f"{error!r} has {unprintable}")
