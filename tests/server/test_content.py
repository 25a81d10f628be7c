"""From the body of an HTTP request to its XML: packed bodies, messages of one part, and where they are read."""

from __future__ import annotations

import asyncio
import gzip
import logging
import threading
import zlib

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from pws_soap.server import Refused, ServerOptions
from pws_soap.server import messages as m
from pws_soap.server.http import service as http_service
from pws_soap.server.http.content import xml_of
from pws_soap.server.soap.requests import read
from tests.server.board import ANN, served_board
from tests.support.examples import examples
from tests.support.soap_by_hand import PATH, PWS, contacts_list, envelope, fetch, login, poll

XML = envelope(login())
LIMIT = 1_000_000
CRLF = b"\r\n"


def packed(content: bytes) -> bytes:
    """Gzip, always the same for the same content."""
    return gzip.compress(content, mtime=0)


def deflated(content: bytes, window: int) -> bytes:
    """Deflate, in zlib's wrapping or without any."""
    packer = zlib.compressobj(wbits=window)
    return packer.compress(content) + packer.flush()


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (XML, ""),
        (XML, "identity"),
        (packed(XML), "gzip"),
        (packed(XML), " GZIP "),
        (packed(XML) + b"\0\0 and more", "gzip"),
        (deflated(XML, 15), "gzip"),
        (deflated(XML, 15), "deflate"),
        (XML, "br"),
    ],
)
def test_packed_bodies_are_unpacked(body: bytes, encoding: str) -> None:
    """As the header says; one that gSOAP does not know is nothing to it."""
    assert xml_of(body, {"content-encoding": encoding}, LIMIT) == (XML, None)


@pytest.mark.parametrize(
    ("body", "encoding", "reason"),
    [
        (packed(bytes(LIMIT + 1)), "gzip", "more than 1000000 bytes"),
        (deflated(bytes(LIMIT * 2), 15), "deflate", "more than 1000000 bytes"),
        (packed(XML[:100]) + packed(XML[100:]), "gzip", "more than one member"),
        (packed(XML)[:-20], "gzip", "ends too early"),
        (packed(XML)[:5] + b"?" * 50, "gzip", "cannot be unpacked"),
        (XML, "gzip", "cannot be unpacked"),
        (b"no deflate", "deflate", "cannot be unpacked"),
        (deflated(XML, -15), "deflate", "cannot be unpacked"),
        (packed(XML), "deflate", "cannot be unpacked"),
        (packed(XML), "", "its Content-Encoding is not gzip"),
        (packed(XML), "x-gzip", "its Content-Encoding is not gzip"),
        (packed(packed(XML)), "gzip, gzip", "its Content-Encoding is not gzip"),
        (packed(XML), "identity, gzip", "its Content-Encoding is not gzip"),
        (b"\x8b packed", "br", "none of gzip"),
    ],
)
def test_what_cannot_be_unpacked_is_code_150(body: bytes, encoding: str, reason: str) -> None:
    """A small body that is large when unpacked too."""
    with pytest.raises(Refused) as refused:
        xml_of(body, {"content-encoding": encoding}, LIMIT)
    assert refused.value.code == 150
    assert reason in refused.value.reason


def message(content: bytes, headers: str = "", *, before: bytes = b"", after: bytes = b"", line: bytes = CRLF) -> bytes:
    """A message of one part, with others around it."""
    head = headers.encode().replace(b"\n", line) + line if headers else b""
    return before + b"--b 1" + line + head + line + content + line + b"--b 1" + after + b"--" + line


KIND = 'multipart/related; boundary="b 1"; type="text/xml"'
XOP = KIND.replace("text/xml", "application/xop+xml")
OTHER = b"--b 1\r\nContent-ID: <other>\r\n\r\nno XML\r\n"
LATIN = envelope(login("Zoë")).decode().encode("latin-1")


@pytest.mark.parametrize(
    ("body", "kind", "content", "charset"),
    [
        (message(XML, "Content-Type: text/xml; charset=utf-8\nContent-ID: <root>"), KIND, XML, "utf-8"),
        (message(XML), KIND, XML, None),
        (message(XML, before=b"To be ignored.\r\n"), KIND, XML, None),
        (message(XML, before=b"\r\n"), KIND, XML, None),
        (message(XML), "Multipart/Form-Data; BOUNDARY=\"b 1\"", XML, None),
        (message(XML), "multipart/related", XML, None),
        (message(XML, "Content-Type: application/xop+xml; charset=UTF-8"), XOP, XML, "UTF-8"),
        (message(XML, "Content-Transfer-Encoding: 8bit"), KIND, XML, None),
        (message(LATIN, "Content-Type: text/xml; charset=iso-8859-1"), KIND, LATIN, "iso-8859-1"),
        (message(XML, "Content-ID: <root>", before=OTHER), KIND + '; start="<root>"', XML, None),
        (message(XML, "Content-ID: <root>", after=OTHER[5:] + b"--b 1"), KIND, XML, None),
        (message(XML, "Content-ID: <root>", before=OTHER), KIND, XML, None),
        (message(XML, "Content-ID: <root>"), KIND + "; start=root", XML, None),
        (message(XML, "Content-ID: <root>"), KIND + '; start="cid:root"', XML, None),
    ],
)  # fmt: skip
def test_a_message_of_one_part_is_read(body: bytes, kind: str, content: bytes, charset: str | None) -> None:
    """The part that `start` names, else the one with the envelope."""
    found, of_part = xml_of(body, {"content-type": kind}, LIMIT)
    assert (found.strip(), of_part) == (content, charset)
    assert xml_of(packed(body), {"content-type": kind, "content-encoding": "gzip"}, LIMIT)[1] == charset


ENCODED = "The part of the message is encoded; send it as 8bit."


@pytest.mark.parametrize(
    ("body", "kind", "reason"),
    [
        (message(XML, line=b"\n"), KIND, "The message ends without its boundary in a line"),
        (message(XML), KIND.replace("b 1", "c"), "The message has no part"),
        (message(XML).replace(b"--b 1--", b""), KIND, "The message ends without its boundary"),
        (message(XML), 'multipart/related; boundary=""', "The boundary of the message is empty."),
        (message(XML, "Content-ID: <root>"), KIND + '; start="<nobody>"', "No part of the message has the Content-ID"),
        (message(b"no XML"), KIND, "The message has no part that begins as XML does."),
        (message(packed(XML)), KIND, "The message has no part that begins as XML does."),
        (message(XML, "Content-Transfer-Encoding: base64"), KIND, ENCODED),
        (message(XML, "Content-Transfer-Encoding: Quoted-Printable"), KIND, ENCODED),
        (message(XML), KIND.replace("related", "mixed"), "A message of several parts has to be multipart/related"),
        (message(XML), "text/xml", "A message of several parts has to be multipart/related"),
        (XML, KIND, "The message has no part"),
    ],
)
def test_a_message_that_gsoap_refuses_is_refused(body: bytes, kind: str, reason: str) -> None:
    """With code 150, and the reason."""
    with pytest.raises(Refused) as refused:
        xml_of(body, {"content-type": kind}, LIMIT)
    assert (refused.value.code, refused.value.reason[: len(reason)]) == (150, reason)


@pytest.mark.parametrize("body", [b"", b"--", b"----", b"--b 1--", b"no part"])
def test_a_message_without_parts_is_code_150(body: bytes) -> None:
    with pytest.raises(Refused) as refused:
        xml_of(body, {"content-type": KIND}, LIMIT)
    assert refused.value.code == 150


@pytest.mark.parametrize(
    ("kind", "charset"),
    [
        ("text/xml", None),
        ("text/xml; charset=utf-8", "utf-8"),
        ('application/soap+xml; action="urn:x"; charset="ISO-8859-1"', "ISO-8859-1"),
        ("text/xml;charset='utf-16'", "utf-16"),
        ("", None),
        (";;;", None),
        ("text/xml; charset*=x'y'z", None),
    ],
)
def test_the_charset_of_the_header(kind: str, charset: str | None) -> None:
    """Quoted in every way; what cannot be read is none."""
    assert xml_of(XML, {"content-type": kind}, LIMIT) == (XML, charset)


MULTI = "multipart/related; boundary="


@settings(max_examples=examples(200), deadline=None)
@given(
    body=st.one_of(st.binary(max_size=60), st.binary(max_size=40).map(lambda rest: b"--b\r\n" + rest)),
    kind=st.one_of(st.text(max_size=30), st.text(max_size=20).map(lambda rest: MULTI + "b;" + rest)),
    encoding=st.sampled_from(["", "gzip", "deflate", "x", "gzip,deflate"]),
)
def test_whatever_is_sent_is_unpacked_or_refused(body: bytes, kind: str, encoding: str) -> None:
    """Nothing else is raised, whatever the headers say, and what comes out is read or refused."""
    try:
        content, charset = xml_of(body, {"content-type": kind, "content-encoding": encoding}, LIMIT)
    except Refused:
        return
    request = read(content, ServerOptions(), charset=charset)
    assert (request.call is None) is (request.problem is not None)


async def test_over_a_socket(caplog: pytest.LogCaptureFixture) -> None:
    """Packed, in parts: all log in. A mistake is told in the fault and in the log, without the password."""
    caplog.set_level(logging.WARNING, "pws.server")
    body = envelope(login("wall", "brick"))
    forms: list[tuple[bytes, dict[str, str]]] = [
        (packed(body), {"Content-Encoding": "gzip"}),
        (message(body), {"Content-Type": KIND}),
        (body, {"Content-Type": "text/xml; charset=utf-16"}),
        (body, {"Expect": "100-continue"}),
        (body, {"SOAPAction": '"urn:anything"'}),
    ]
    async with served_board() as served, aiohttp.ClientSession() as http:
        for content, headers in forms:
            async with http.post(served.url + PATH, data=content, headers=headers) as answer:
                assert b"loginResponse" in await answer.read()
        wrong = envelope(
            "\n" + login("wall", "brick").replace("<username>", "<name>").replace("</username>", "</name>")
        )
        async with http.post(served.url + PATH, data=wrong) as answer:
            fault = etree.fromstring(await answer.read())
    assert fault.findtext(".//{*}code") == "113"
    assert (fault.findtext(".//{*}message") or "").startswith("The user name is not valid. Line 2: Element 'password'")
    assert "node board: login is refused with code 113: Line 2: Element 'password'" in caplog.text
    assert "brick" not in caplog.text


async def test_strict_takes_no_packed_body_and_no_parts() -> None:
    """As before: they are no XML."""
    async with served_board(ServerOptions(strict=True)) as served:
        for body in (packed(XML), message(XML)):
            reply = await served.service.answer(body, {"Content-Encoding": "gzip", "Content-Type": KIND})
            assert etree.fromstring(reply.body).findtext(".//{*}code") == "102"


async def test_headers_that_must_be_understood_over_a_socket(caplog: pytest.LogCaptureFixture) -> None:
    """A fault of SOAP, counted as such; the connection is closed as after every fault."""
    header = '<w:Security xmlns:w="urn:wsse" e:mustUnderstand="1"/>'
    caplog.set_level(logging.WARNING, "pws.server")
    async with served_board() as served, aiohttp.ClientSession() as http:
        async with http.post(served.url + PATH, data=envelope(login(), header=header)) as answer:
            assert b"SOAP-ENV:MustUnderstand</faultcode>" in await answer.read()
            assert answer.headers["Connection"] == "close"
        assert served.service.counters.replies["MustUnderstand"] == 1
        assert not served.service.node.registry.sessions
    assert "node board: headers must be understood and are not: Security (urn:wsse)" in caplog.text


async def test_a_long_request_is_read_beside_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """While it is being read others are answered; a short one is read at once."""
    begun, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    threads: list[bool] = []

    def slow(body: bytes, options: ServerOptions, *, charset: str | None, in_thread: bool) -> m.Request:
        threads.append(threading.current_thread() is not threading.main_thread())
        if in_thread:
            loop.call_soon_threadsafe(begun.set)
            go_on.wait(30)
        return read(body, options, charset=charset, in_thread=in_thread)

    monkeypatch.setattr(http_service, "read", slow)
    people = [f"c{number}@example.com" for number in range(5000)]
    long = envelope(f'<getPolledPresence xmlns="{PWS}">{contacts_list(*people)}</getPolledPresence>')
    async with served_board() as served:
        waiting = asyncio.create_task(served.service.answer(long))
        await begun.wait()
        for body in (envelope(fetch()), envelope(poll(ANN))):
            assert etree.fromstring((await served.service.answer(body)).body).findtext(".//{*}code") == "100"
        go_on.set()
        assert etree.fromstring((await waiting).body).findtext(".//{*}code") == "100"
    assert threads == [True, False, False]


async def test_long_requests_are_read_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that waits is dropped with its connection, so that a server with many of them still stops at once."""
    begun, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    lengths: list[int] = []

    def slow(body: bytes, options: ServerOptions, *, charset: str | None, in_thread: bool) -> m.Request:
        lengths.append(len(body))
        loop.call_soon_threadsafe(begun.set)
        go_on.wait(30)
        return read(body, options, charset=charset, in_thread=in_thread)

    monkeypatch.setattr(http_service, "read", slow)
    long, longer = envelope(fetch() + " " * 40_000), envelope(fetch() + " " * 50_000)
    async with served_board() as served:
        first = asyncio.create_task(served.service.answer(long))
        await begun.wait()
        second = asyncio.create_task(served.service.answer(longer))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        go_on.set()
        await first
    assert lengths == [len(long)]
