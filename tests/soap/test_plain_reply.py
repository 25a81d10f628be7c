"""A plain reply is read as h11 reads it: the same value or error, and the same connection afterwards."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pws_soap import plain_reply
from pws_soap.connection import BrokenOff, Connection, NotHttp, Patience, RawReply, RequestHead, TooLarge
from tests.support.sockets import FakeSocket

REQUEST = RequestHead.of("POST", "/a", [("Host", "imp1"), ("Content-Length", "3")])
PATIENCE = Patience(5.0, 20.0)
CAP = 100
END = None
"""In a list of pieces: the server closes its side."""
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml; charset=utf-8\r\nContent-Length: 5\r\n\r\nhello"


async def outcomes(replies: Sequence[Sequence[bytes | None]]) -> list[object]:
    """What became of requests one after the other on one connection, each answered in these pieces."""
    found: list[object] = []
    closed: list[Connection] = []
    socket = FakeSocket()
    connection = Connection(closed.append)
    connection.connection_made(socket)
    for pieces in replies:
        asked = asyncio.ensure_future(connection.ask(REQUEST, b"abc", CAP, PATIENCE))
        await asyncio.sleep(0)
        for piece in pieces:
            if socket.closed:
                break
            if piece is not None:
                connection.data_received(piece)
            else:
                connection.eof_received()
                socket.closed = True  # as asyncio's transport does where it returns nothing
            await asyncio.sleep(0)
        if not asked.done():
            connection.connection_lost(None)
        found.append(await outcome(asked))
        found += [connection.is_open, connection.replies, bytes(socket.written)]
    return found


async def outcome(asked: asyncio.Future[RawReply]) -> object:
    try:
        return await asked
    except (BrokenOff, NotHttp, TooLarge) as error:
        return type(error), str(error)


def both(*replies: Sequence[bytes | None]) -> list[object]:
    """The outcomes, which are those of h11 alone."""
    read = asyncio.run(outcomes(replies))
    with patch.object(plain_reply, "begun", lambda _data, _cap: None):
        assert read == asyncio.run(outcomes(replies))
    return read


def is_plain(data: bytes) -> bool:
    return plain_reply.begun(data, CAP) is not None


def test_plain_reply_is_read_from_its_bytes() -> None:
    assert is_plain(PLAIN)
    headers = ((b"content-type", b"text/xml; charset=utf-8"), (b"content-length", b"5"))
    assert both([PLAIN]) == [RawReply(200, headers, b"hello"), True, 1, both([PLAIN])[3]]


def test_reply_in_many_pieces_is_read_whole() -> None:
    head, _, body = PLAIN.rpartition(b"\r\n\r\n")
    pieces = [head + b"\r\n\r\n", *(bytes([byte]) for byte in body)]
    assert is_plain(pieces[0])
    assert both(pieces) == both([PLAIN])


def test_connection_carries_another_reply_after_a_plain_one() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    read = both([PLAIN], [chunked], [PLAIN], [chunked])
    assert [each.body for each in read if isinstance(each, RawReply)] == [b"hello"] * 4
    assert read[-2] == 4


def test_bytes_behind_a_plain_reply_close_the_connection() -> None:
    """The first reply may be taken; a second one on the same connection may not."""
    read = both([PLAIN + b"H"])
    assert isinstance(read[0], RawReply)
    assert read[1] is False
    assert both([PLAIN], [PLAIN + PLAIN])[4] == (NotHttp, "more than one reply came to one request")


ODD = {
    "an interim reply": b"HTTP/1.1 100 Continue\r\n\r\n" + PLAIN,
    "HTTP/1.0": PLAIN.replace(b"1.1", b"1.0"),
    "another status": PLAIN.replace(b"200 OK", b"204 OK"),
    "no reason": PLAIN.replace(b" OK", b""),
    "bare line feeds": PLAIN.replace(b"\r\n", b"\n"),
    "a folded header": PLAIN.replace(b"; charset", b"\r\n charset"),
    "white space before the colon": PLAIN.replace(b"Type:", b"Type :"),
    "no space behind the colon": PLAIN.replace(b"Length: ", b"Length:"),
    "a tab": PLAIN.replace(b"Length: ", b"Length:\t"),
    "an empty value": PLAIN.replace(b"text/xml; charset=utf-8", b""),
    "a control character": PLAIN.replace(b"xml;", b"x\x00l;"),
    "bytes above ASCII": PLAIN.replace(b"xml;", b"x\xe9l;"),
    "two lengths": PLAIN.replace(b"Content-Length", b"Content-Length: 4\r\nContent-Length"),
    "the same length twice": PLAIN.replace(b"Content-Length", b"Content-Length: 5\r\nContent-Length"),
    "a list of lengths": PLAIN.replace(b": 5", b": 5, 5"),
    "a negative length": PLAIN.replace(b": 5", b": -5"),
    "a length with a sign": PLAIN.replace(b": 5", b": +5"),
    "a long length": PLAIN.replace(b": 5", b": 000000000000000000005"),
    "no length": PLAIN.replace(b"Content-Length: 5\r\n", b""),
    "a body above the cap": PLAIN.replace(b": 5\r\n\r\n", b": 101\r\n\r\n") + b"x" * 96,
    "chunks": PLAIN.replace(b"Content-Length: 5", b"Transfer-Encoding: chunked").replace(b"hello", b"0\r\n\r\n"),
    "chunks and a length": PLAIN.replace(b"Content-Type", b"Transfer-Encoding: chunked\r\nContent-Type"),
    "a compression": PLAIN.replace(b"Content-Type", b"Content-Encoding: gzip\r\nContent-Type"),
    "an odd connection": PLAIN.replace(b"Content-Type", b"Connection: keep-alive, close\r\nContent-Type"),
    "a long head": PLAIN.replace(b"xml;", b"x" * 5000 + b";"),
    "half a head": PLAIN[:30],
    "not HTTP": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("more", [[], [END], [b"more"], [PLAIN, END]])
def test_odd_reply_is_left_to_h11(name: str, more: list[bytes | None]) -> None:
    assert not is_plain(ODD[name])
    both([ODD[name], *more])
    both([PLAIN], [ODD[name], *more])


CONNECTIONS = ["close", "Close", "keep-alive", "Keep-Alive"]


@pytest.mark.parametrize("value", CONNECTIONS)
def test_server_that_closes_behind_its_reply_is_believed(value: str) -> None:
    reply = PLAIN.replace(b"Content-Type", b"Connection: " + value.encode() + b"\r\nContent-Type")
    assert is_plain(reply)
    assert both([reply])[1] is (value.lower() != "close")
    both([reply + b"x"])
    both([reply[:-1], END])


PIECES = st.sampled_from(
    [
        *(b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 500 Oh\r\n", b"HTTP/1.1 200 \r\n", b"HTTP/1.1 100 OK\r\n\r\n"),
        *(b"Content-Length: 5\r\n", b"content-length: 0\r\n", b"CONTENT-LENGTH: 10\r\n", b"Content-Length: 200\r\n"),
        *(b"Connection: close\r\n", b"Connection: keep-alive\r\n", b"Age: 1\r\n", b"Server: gSOAP/2.8\r\n"),
        *(b"Transfer-Encoding: chunked\r\n", b"Content-Encoding: gzip\r\n", b"X: a  b\r\n", b"X:\r\n", b" folded\r\n"),
        *(
            b"\r\n",
            b"\r\n",
            b"\r\n",
            b"hello",
            b"hello",
            b"5\r\nhello\r\n0\r\n\r\n",
            b"\n",
            b"\x00",
            b"\xff",
            b":",
            b" ",
        ),
    ]
)
USUAL = st.tuples(
    st.sampled_from([b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 500 Internal Server Error\r\n"]),
    st.lists(PIECES, max_size=3).map(b"".join),
    st.sampled_from([b"Content-Length: 5\r\n\r\nhello", b"Content-Length: 0\r\n\r\n", b"\r\n"]),
    st.lists(PIECES, max_size=2).map(b"".join),
).map(b"".join)
BYTES = st.one_of(USUAL, USUAL, st.lists(PIECES, max_size=8).map(b"".join))


@st.composite
def replies(draw: st.DrawFn) -> list[bytes | None]:
    """A reply in pieces, perhaps with its end."""
    data = draw(BYTES)
    if data and draw(st.booleans()):
        place = draw(st.integers(0, len(data) - 1))
        data = data[:place] + draw(st.sampled_from([b"", b"\r", b"\n", b" ", b"\xe9", b"7"])) + data[place + 1 :]
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=3)))
    places = [0, *cuts, len(data)]
    pieces = [data[start:end] for start, end in itertools.pairwise(places) if start < end]
    return [*pieces, *([END] if draw(st.booleans()) else [])]


@given(st.lists(replies(), min_size=1, max_size=3))
def test_any_replies_are_read_as_h11_reads_them(given: list[list[bytes | None]]) -> None:
    both(*given)
