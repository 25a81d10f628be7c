"""The parser of server-sent events: the standard's rules, and the same messages whatever the slices."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.cli.terminal.sse import Message, Parser, TooLong


def parsed(*pieces: bytes) -> list[Message]:
    """The messages of a stream in these pieces."""
    parser = Parser()
    return [message for piece in pieces for message in parser.feed(piece)]


@pytest.mark.parametrize(
    ("stream", "messages"),
    [
        (b"data: x\n\n", [("message", "x", "")]),
        (b"data:x\r\rdata:  y\r\n\r\n", [("message", "x", ""), ("message", " y", "")]),
        (b"\xef\xbb\xbfevent: change\nid: 7\ndata: {}\n\n", [("change", "{}", "7")]),
        (b"data: a\ndata\ndata: b\n\n", [("message", "a\n\nb", "")]),
        (b": keep-alive\n\n:\n\ndata: x\n\n", [("message", "x", "")]),
        (b"event: lonely\n\ndata: x\n\n", [("message", "x", "")]),
        (b"id: 5\n\ndata: x\n\n", [("message", "x", "5")]),
        (b"id: 5\ndata: x\n\nid\ndata: y\n\n", [("message", "x", "5"), ("message", "y", "")]),
        (b"id: 5\nid: 6\x007\ndata: x\n\n", [("message", "x", "5")]),
        (b"unknown: 1\nData: 2\ndata: x\n\n", [("message", "x", "")]),
        (b"data: cut off\n", []),
        (b"data: \xff\xc3\xa9\n\n", [("message", "\ufffdé", "")]),
        (b"data: \xef\xbb\xbf\n\n", [("message", "\ufeff", "")]),
        (b"", []),
    ],
)
def test_a_stream_is_read_as_the_standard_says(stream: bytes, messages: Sequence[tuple[str, str, str]]) -> None:
    assert [(each.name, each.data, each.id) for each in parsed(stream)] == messages


@pytest.mark.parametrize(
    ("stream", "retry"),
    [(b"retry: 1500\n", 1.5), (b"retry: x\n", None), (b"retry: -1\n", None), (b"retry: 999999999\n", 3600.0)],
)
def test_how_long_to_wait_is_a_whole_number_or_nothing(stream: bytes, retry: float | None) -> None:
    parser = Parser()
    parser.feed(stream)
    assert parser.retry == retry


PIECE = st.sampled_from(
    [b"data: x", b"data", b":c", b"id: 7", b"id: \0", b"event: e", b"\r", b"\n", b"\r\n", b"\n\n", b"\xc3\xa9"]
)


@given(st.lists(PIECE | st.binary(max_size=4), max_size=40).map(b"".join), st.lists(st.integers(0, 120), max_size=12))
def test_the_slices_make_no_difference(stream: bytes, cuts: list[int]) -> None:
    """Cut anywhere, also between CR and LF and inside a letter."""
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    slices = [stream[begin:end] for begin, end in itertools.pairwise(places)]
    assert parsed(*slices) == parsed(stream) == parsed(*(bytes([byte]) for byte in stream))


@given(st.lists(st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"])), min_size=1))
def test_what_was_written_is_read(lines: list[str]) -> None:
    """Any text of any lines, but one that begins the stream with the mark that is dropped there."""
    stream = "".join(f"data: {line}\n" for line in lines) + "\n"
    assert [each.data for each in parsed(stream.encode())] == ["\n".join(lines)]


@pytest.mark.parametrize("stream", [b"x" * 101, b"data: 2345\n" * 11, b": " + b"x" * 200])
def test_an_event_over_the_limit_is_refused(stream: bytes) -> None:
    with pytest.raises(TooLong):
        Parser(limit=100).feed(stream)


def test_many_short_events_and_comments_are_no_long_one() -> None:
    """What is over is not counted."""
    parser = Parser(limit=100)
    assert len(parser.feed(b": keep-alive\n" * 50 + b"event: change\nid: 123\ndata: x\n\n" * 50)) == 50
