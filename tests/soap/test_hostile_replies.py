"""One reply holds nobody up: what a hostile server sends is read in slices or refused first, and takes little memory.

Counted are turns of the loop and slices, never time.
"""

from __future__ import annotations

import asyncio
import gzip
from contextlib import suppress
from typing import cast

import pytest
from lxml import etree

from pws_soap import envelope, replies
from pws_soap.calls import MAX_FIXED
from pws_soap.client import PwsClient
from pws_soap.connection import Connection, Patience, RequestHead, TooLarge
from pws_soap.envelope import SLICE
from pws_soap.errors import ContractError, NotXml, ReplyTooLarge, UnexpectedReply, UnreadableReply
from pws_soap.markup import MAX_MARKUP, MAX_NODES, Markup, most_nodes
from pws_soap.memory import MemoryTransport
from pws_soap.pidf import read_list, read_list_in_steps
from pws_soap.pidf.model import MAX_NODES as MAX_NODES_OF_A_DOCUMENT
from pws_soap.transport import DEFAULT_MAX_REPLY_BYTES
from tests.soap.samples import NODE, basic, end_user, logged_in
from tests.support.sockets import FakeSocket

CONTACT = b'<contact contactURI="ann@example.com" presenceStatus="AVAILABLE"/>'
SIZE = 2_000_000


def reply(inside: bytes, *, rich: bool = False) -> bytes:
    """A getPolledPresenceResponse with this in its list."""
    kind = b"rich" if rich else b"basic"
    name = b"RICH_PRESENCE" if rich else b"BASIC_PRESENCE"
    return (
        b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" xmlns="urn:cisco:cup:presence:soap"><s:Body>'
        b"<getPolledPresenceResponse><presenceResponse><presenceType>" + name + b"</presenceType><" + kind
        + b"PresenceList>" + inside + b"</" + kind + b"PresenceList></presenceResponse></getPolledPresenceResponse>"
        b"</s:Body></s:Envelope>"
    )  # fmt: skip


def document(inside: bytes) -> bytes:
    return b'<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:ann@example.com">' + inside + b"</presence>"


def slices(body: bytes) -> int:
    """In how many slices a reply is parsed, whether it is refused or not."""
    count = 1
    try:
        for _ in envelope.parse_in_slices(body):
            count += 1
    except UnreadableReply:
        pass
    return count


# Bytes into a tree


def test_one_bad_byte_in_a_large_reply_is_mended_in_slices() -> None:
    """Each pass over the reply pauses after each slice: two that read it, and one that finds what is wrong."""
    contacts = b"".join(CONTACT.replace(b"ann", b"a%d" % number) for number in range(SIZE // len(CONTACT)))
    body = reply(contacts + CONTACT.replace(b"ann", b"\xe9"))
    assert slices(body) > 3 * (len(body) // SLICE) - 3
    root = envelope.parse(body)
    assert [each.get("contactURI") for each in root.iter("{*}contact")][-1] == "é@example.com"


@pytest.mark.parametrize("at", range(-12, 13))
@pytest.mark.parametrize(
    ("bad", "read"),
    [
        (b"\xe9", "é"),
        (b"\xed\xa0\x80", "�"),
        (b"&#1;", "�"),
        (b"&#xFFFF;", "�"),
        (b"\x07", "�"),
        (b"\xc3\xa9\xe9", "éé"),
    ],
)
def test_what_is_mended_may_lie_across_the_end_of_a_slice(bad: bytes, read: str, at: int) -> None:
    begin = b"<a>"
    before = b"x" * (SLICE - len(begin) + at)
    root = envelope.parse(begin + before + bad + b"\xe9 &amp; y</a>")
    assert root.text == f"{before.decode()}{read}é & y"


@pytest.mark.parametrize(
    "inside",
    [
        b"<!--" + b"x" * SIZE + b"-->",
        b"<?x " + b"x" * SIZE + b"?>",
        b"<contact " + b" ".join(b'a%d=""' % number for number in range(SIZE // 12)) + b"/>",
        b'<contact contactURI="' + b">" * SIZE + b'"/>',
        b"<" + b"x" * SIZE + b"/>",
        b"</" + b"x" * SIZE + b">",
    ],
    ids=["comment", "instruction", "a million attributes", "attribute", "name", "end tag"],
)
def test_long_markup_is_refused_before_the_parser_has_it(inside: bytes) -> None:
    """The parser would take it in one piece, when its end has come."""
    with pytest.raises(NotXml, match=f"longer than {MAX_MARKUP} bytes"):
        envelope.parse(reply(CONTACT + inside))


@pytest.mark.parametrize("inside", [b"<a/>", b"<a/>x", b"<a></a>", b"<a b=''/>", b"<a><b/></a>"])
def test_elements_without_number_are_refused(inside: bytes) -> None:
    """Each takes fifty times its bytes in memory."""
    with pytest.raises(NotXml, match="more elements and attributes"):
        envelope.parse(reply(inside * (SIZE // len(inside))))


def test_deep_nesting_is_refused() -> None:
    """In slices, however deep."""
    body = reply(b"<a>" * (SIZE // 7) + b"</a>" * (SIZE // 7))
    with pytest.raises(NotXml):
        envelope.parse(body)


def test_what_precedes_the_first_element_is_bounded() -> None:
    for before in (b" " * SIZE, b"<!---->" * (SIZE // 7), b"<?xml version='1.0'?>" + b" " * SIZE):
        with pytest.raises(NotXml, match="before its first element"):
            envelope.parse(before + reply(CONTACT))


def test_large_honest_replies_are_read() -> None:
    """The densest list of contacts there is; a text of many megabytes; a rich list of many documents."""
    dense = b"<contact contactURI='a@b.c' presenceStatus='BUSY'/>"
    assert len(list(envelope.parse(reply(dense * 20_000)).iter("{*}contact"))) == 20_000
    assert envelope.parse(reply(b"<![CDATA[" + b"<a b='c'/>" * (SIZE // 10) + b"]]>", rich=True)) is not None
    documents = document(b"<tuple id='a'><status><basic>open</basic></status></tuple>") * 5000
    assert envelope.parse(reply(documents, rich=True)) is not None


def test_sections_cut_anywhere_are_told_apart() -> None:
    """Whatever the slices, the same is counted: nothing in CDATA, comments and instructions that looks like a tag."""
    text = b"<a b='>' c=\"<\"><![CDATA[<x y='z'>]]]]><!-- <c d='--e'> - -><f/> --><?g <h i='?'>?></a>"
    for size in range(1, len(text) + 1):
        markup = Markup(100)
        for at in range(0, len(text), size):
            markup.take(text[at : at + size])
        # the comment and the instruction count with what looks like tags in them, CDATA is one
        assert (size, markup.left) == (size, 100 - 12)


def test_long_cdata_is_given_to_the_parser_in_sections_and_reads_the_same() -> None:
    """The parser would take it in one piece, at its end. No character and no end of a section is cut."""
    content = "x]]y]é€😀]] >]\u0301ab<c>&amp;]"
    text = f"<a>{content[-2]}<![CDATA[{content}]]><b/><![CDATA[]]]]><![CDATA[>]]></a>".encode()
    whole = etree.fromstring(text)
    for size in range(1, len(text) + 1):
        markup = Markup(100)
        fed = [markup.take(text[at : at + size]) for at in range(0, len(text), size)]
        root = etree.fromstring(b"".join(fed))
        assert (size, root.text, root[0].tail) == (size, whole.text, whole[0].tail)
    longest = max(map(len, (Markup(100).take(piece) for piece in (b"<a><![CDATA[" + b"x" * SLICE, b"<a/>"))))
    assert longest <= SLICE + 30
    long = "é" * SLICE + "]" * SLICE
    assert envelope.parse(f"<a><![CDATA[{long}]]></a>".encode()).text == long


@pytest.mark.parametrize("at", range(-3, 4))
def test_line_end_in_cdata_may_lie_across_the_end_of_a_slice(at: int) -> None:
    begin = b"<a><![CDATA["
    before = b"x" * (SLICE - len(begin) + at)
    for end, read in ((b"\r\n", "\n"), (b"\r", "\n"), (b"\r\r\n", "\n\n"), (b"]\r\n", "]\n")):
        for after in (b"y", b""):
            root = envelope.parse(begin + before + end + after + b"]]></a>")
            assert root.text == f"{before.decode()}{read}{after.decode()}"


def test_equals_signs_in_text_are_no_attributes() -> None:
    """Whatever the slices; in a reply and in a document."""
    for size in (1, 7, 1000):
        markup, text = Markup(100), b"<a b='c=d'>" + b"=" * 500 + b"</a>" + b"="
        for at in range(0, len(text), size):
            markup.take(text[at : at + size])
        assert (size, markup.left) == (size, 100 - 3)
    note = document(b"<note>" + b"=" * 25_000 + b"</note>")
    assert envelope.parse(reply(note, rich=True)) is not None
    assert [reading.problem for reading in read_list(note)] == [None]


@pytest.mark.parametrize("before", [b"", b"<? ", b"<![CDATA[\x01", b"<!-- -- ", b"<b '", b"&"])
def test_attributes_behind_an_error_count(before: bytes) -> None:
    """A parser that passes over errors could make attributes of them."""
    more = MAX_NODES_OF_A_DOCUMENT + 1
    tag = b"<a " + b" ".join(b"a%d=''" % number for number in range(more)) + b"/>"
    assert most_nodes(document(before + tag)) > MAX_NODES_OF_A_DOCUMENT


def test_markup_knows_its_bound_whatever_the_length_of_a_reply() -> None:
    assert Markup(10**9).left == MAX_NODES


# A tree into presences


async def turns(body: bytes, *, rich: bool = False) -> tuple[int, str]:
    """How many turns of the loop others had while a reply was read, and what became of it."""
    pws = PwsClient(NODE, transport=MemoryTransport([body]))
    async with pws:
        reading = asyncio.ensure_future(pws.get_polled_presence(end_user(), ["ann@example.com"], rich=rich))
        count = 0
        while not reading.done():
            await asyncio.sleep(0)
            count += 1
    error = reading.exception()
    return count, str(error) if error is not None else ""


async def test_more_entries_than_anybody_has_contacts_are_refused() -> None:
    body = reply(b"<contact contactURI='a@b.c' presenceStatus='BUSY'/>" * (replies.MAX_ENTRIES + 1))
    count, error = await turns(body)
    assert f"more than {replies.MAX_ENTRIES} entries" in error
    assert count > len(body) // SLICE


async def test_elements_beside_what_is_looked_for_are_refused() -> None:
    """Thousands of them where a reply has one."""
    many = b"<a/>" * 5000
    for body in (
        basic([("ann@example.com", "BUSY")]).replace(b"Body>", b"Body>" + many, 1),
        reply(CONTACT).replace(b"<s:Body>", b"<s:Header>" + many + b"</s:Header><s:Body>"),
        reply(CONTACT).replace(b"<s:Body>", many + b"<s:Body>"),
    ):
        _, error = await turns(body)
        assert "more than 1000 elements" in error


async def test_texts_without_documents_are_looked_through_in_steps() -> None:
    for text in (b"x", b"&lt;!", b"&lt;presence ", b" "):
        inside = text * (SIZE // len(text))
        count, _ = await turns(reply(inside, rich=True), rich=True)
        windows = len(inside.replace(b"&lt;", b"<")) // (256 * 1024)
        assert count > len(reply(inside, rich=True)) // SLICE + (windows if text != b" " else 0) - 1


def test_document_with_too_much_in_it_costs_itself_alone() -> None:
    """In text and as elements: deep, wide, or with attributes."""
    more = MAX_NODES_OF_A_DOCUMENT + 1
    good = document(b"<tuple id='a'><status><basic>open</basic></status></tuple>").replace(b"ann", b"ben")
    for inside in (b"<a/>" * more, b"<a " + b" ".join(b"a%d=''" % number for number in range(more)) + b"/>"):
        readings = list(read_list(document(inside) + good))
        assert [reading.contact for reading in readings] == ["ann@example.com", "ben@example.com"]
        assert readings[0].problem == f"more than {MAX_NODES_OF_A_DOCUMENT} elements and attributes"
        assert readings[1].problem is None
    root = envelope.parse(b"<l>" + document(b"<a/>" * more) + good + b"x" * 200_000 + b"</l>")
    readings = [reading for reading in read_list(root) if reading.contact]
    assert [reading.problem for reading in readings] == [f"more than {MAX_NODES_OF_A_DOCUMENT} elements", None]


def test_list_of_many_elements_pauses() -> None:
    root = envelope.parse(b"<l>" + b"<!-- -->x" * 1 + b"<presence/>" * 5000 + b"</l>")
    assert sum(reading is None for reading in read_list_in_steps(root)) >= 5


# Bytes of a connection


HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"


async def received(data: bytes, cap: int = 10**8) -> tuple[int, int | type[Exception]]:
    """Turns of the loop until a reply that came at once is there, and its length, or how it failed."""
    connection = Connection(lambda _connection: None)
    connection.connection_made(FakeSocket())
    request = RequestHead.of("GET", "/", [("Host", "imp1")])
    asked = asyncio.ensure_future(connection.ask(request, b"", cap, Patience(300.0, 300.0)))
    await asyncio.sleep(0)
    connection.data_received(data)
    count = 0
    while not asked.done():
        await asyncio.sleep(0)
        count += 1
    error = asked.exception()
    return count, cast("type[Exception]", type(error)) if error is not None else len(asked.result().body)


async def test_chunks_of_one_byte_are_taken_in_over_many_turns() -> None:
    count, length = await received(HEAD + b"\r\n" + b"1\r\nx\r\n" * 10_000 + b"0\r\n\r\n")
    assert length == 10_000
    assert count >= 10_000 // 64


async def test_small_compression_of_much_is_undone_over_many_turns() -> None:
    packed = gzip.compress(b"x" * 20_000_000)
    body = b"Content-Encoding: gzip\r\n\r\n" + b"%x\r\n" % len(packed) + packed + b"\r\n0\r\n\r\n"
    count, length = await received(HEAD + body)
    assert length == 20_000_000
    assert count >= 20_000_000 // (64 * 64 * 1024)
    assert (await received(HEAD + body, cap=1_000_000))[1] is TooLarge


async def test_flood_of_interim_replies_is_refused() -> None:
    count, error = await received(b"HTTP/1.1 100 Continue\r\n\r\n" * 100_000)
    assert error.__name__ == "NotHttp" if isinstance(error, type) else False
    assert count < 5


async def test_reply_that_ends_during_a_pause_is_whole() -> None:
    """The connection may end with it: what has come is read first."""
    chunks = b"1\r\nx\r\n" * 200 + b"0\r\n\r\n"
    count, length = await received(HEAD + b"Connection: close\r\n\r\n" + chunks)
    assert (count > 2, length) == (True, 200)


def test_default_cap_fits_the_largest_honest_reply() -> None:
    """Twice the 15 MB of 5000 rich documents."""
    assert DEFAULT_MAX_REPLY_BYTES == 32 * 1024 * 1024


async def test_reply_of_fixed_size_is_not_read_when_it_is_large() -> None:
    """zeep would read it in one turn of the loop."""
    pws = PwsClient(NODE, transport=MemoryTransport([b"x" * (MAX_FIXED + 1)]))
    async with pws:
        with pytest.raises(ReplyTooLarge, match="larger than 4194304 bytes, which none to this call is"):
            await pws.login("pwsapp", "password")
    live = PwsClient(NODE, wsdl="live", transport=MemoryTransport([b"x" * (MAX_FIXED + 1)]))
    wide = logged_in().replace(b"</loginResponse>", b"<a/>" * 2000 + b"</loginResponse>")
    async with PwsClient(NODE, transport=MemoryTransport([wide])) as pws:
        with pytest.raises(UnexpectedReply, match="more than 1000 elements"):
            await pws.login("pwsapp", "password")
    with pytest.raises(ContractError, match="is longer than 4194304 bytes"):
        await live.login("pwsapp", "password")


async def test_deep_reply_of_fixed_size_is_unexpected() -> None:
    """As deep as the parser lets it be, which is deeper than zeep can go."""
    deep = b"<a>" * 2000 + b"</a>" * 2000
    body = logged_in().replace(b"</loginResponse>", deep + b"</loginResponse>")
    async with PwsClient(NODE, transport=MemoryTransport([body])) as pws:
        with suppress(UnexpectedReply):
            await pws.login("pwsapp", "password")


async def test_too_large_for_one_element_is_told_by_the_client() -> None:
    """The error names the operation and the node, as every other does."""
    pws = PwsClient(NODE, transport=MemoryTransport([reply(b"<!--" + b"x" * SIZE + b"-->")]))
    async with pws:
        with pytest.raises(NotXml, match="getPolledPresence at https://imp1"):
            await pws.get_polled_presence(end_user(), ["ann@example.com"])
