"""Where each document begins and ends in a text that holds many: one pass over the bytes, before any XML parser.

A parser would give up the whole text at the first mistake in it. Here a document that is broken costs itself alone: a
`<presence` that stands outside a comment or CDATA section can only be the start of a document (they don't nest, and `<`
is not allowed in an attribute), so whatever was open before it ends there.

What is skipped, is skipped as XML means it: a `<presence` within CDATA or a comment is text, else a contact's note
could smuggle in the presence of somebody else. Every byte is looked at a bounded number of times; a section that
never ends is searched for once, and then passed over.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from typing import Final, NamedTuple

_OPENING: Final = rb"<(?:[^\s<>/:!?'\"=&]{1,64}:)?presence(?=[\s/>])"
START: Final = re.compile(_OPENING, re.IGNORECASE)
"""How a document begins: any prefix, any case."""
_MARK: Final = re.compile(
    _OPENING + rb"|<(?:(?P<end>/(?:[^\s<>/:!?'\"=&]{1,64}:)?presence\s*+>)|!--|!\[CDATA\[|!DOCTYPE)", re.IGNORECASE
)
# No possessive groups: the first Pythons that have them mismatch them. The alternatives begin differently, so that it
# stays linear without.
_REST_OF_TAG: Final = re.compile(rb"(?:[^<>\"']++|\"[^\"<]*+\"|'[^'<]*+')*>")
_BETWEEN: Final = re.compile(
    rb"\s++|\xef\xbb\xbf|<!--(?:[^-]++|-(?!->))*-->|<!\[CDATA\[|\]\]>"
    rb"|<[?/]?(?![^<>]{0,200}\sentity\s*=)[^\s<>!?/'\"=&][^<>]{0,200}+>"
)
"""What may stand between documents without a word about it: white space, a BOM, declarations, comments, the tags of
wrappers. A tag with an entity is none: it wants to be a document."""


_WINDOW: Final = 256 * 1024
"""Bytes that are searched between two places to pause, in some milliseconds; more between two documents is stray."""
_LONGEST_MARK: Final = 256
"""Bytes that are searched again at the end of a window, in which a mark may have been cut off."""


class Piece(NamedTuple):
    """A stretch of the text that should be one document.

    `start` and `end` are its bounds, `prolog` is where what precedes it began (its XML declaration is there). `problem`
    says what is wrong with it already; `stray` is text that belongs to no document at all.
    """

    prolog: int
    start: int
    end: int
    problem: str | None = None
    stray: bool = False


_BROKEN_OFF: Final = "broken off: its end is missing"
_COMMENTED_OUT: Final = "stands in a comment"
_FORBIDDEN: Final = "a document type declaration, which no honest document has"
_STRAY: Final = "text that is no presence document"


class _Sections:
    """Ends of comments and CDATA sections; an end that was once not found is not looked for again."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._missing: set[bytes] = set()

    def end_of(self, end: bytes, after: int) -> int:
        """Where the section ends whose content begins at `after`; `after` itself, when it never does."""
        if end not in self._missing:
            found = self._data.find(end, after)
            if found >= 0:
                return found + len(end)
            self._missing.add(end)
        return after


def split(data: bytes) -> Iterator[Piece]:
    """The documents in `data` (UTF-8, or whatever keeps ASCII), in order, and the stray text between them."""
    return (piece for piece in split_in_steps(data) if piece is not None)


def found_in_steps(data: bytes, start: int, end: int) -> Iterator[re.Match[bytes] | None]:
    """Where documents begin between `start` and `end`; None is a place to pause."""
    while start < end:
        upto = min(end, start + _WINDOW)
        yield from START.finditer(data, start, upto)
        if upto == end:
            return
        yield None
        last = data.rfind(b"<", max(start, upto - _LONGEST_MARK), upto)
        start = last if last > start and not START.match(data, last, upto) else upto


def _next_mark(data: bytes, position: int) -> Generator[None, None, re.Match[bytes] | None]:
    """The next mark, with a yield after each window that has none."""
    while True:
        upto = min(len(data), position + _WINDOW)
        mark = _MARK.search(data, position, upto)
        if mark is not None or upto == len(data):
            return mark
        position = upto - _LONGEST_MARK
        yield


def split_in_steps(data: bytes) -> Iterator[Piece | None]:
    """As `split`; None is a place to pause."""
    sections = _Sections(data)
    position = gap = 0
    start = -1  # of the document that is open
    wrong: str | None = None  # what is wrong with the document that is open, or with the next
    while (mark := (yield from _next_mark(data, position))) is not None:
        token = mark[0]
        position = mark.end()
        if mark["end"] is not None:
            yield Piece(gap, start, position, wrong) if start >= 0 else _stray(gap, position)
            start, gap, wrong = -1, position, None
        elif token[1] != 0x21:  # "!"
            if start >= 0:  # the one before was broken off
                yield Piece(gap, start, mark.start(), wrong or _BROKEN_OFF)
                gap, wrong = mark.start(), None
            elif wrong is None and _is_stray(data, gap, mark.start()):
                yield _stray(gap, mark.start())
            start = mark.start()
            tag = _REST_OF_TAG.match(data, position)
            position = tag.end() if tag else position
            if tag is not None and data[position - 2] == 0x2F:  # "/": an empty element
                yield Piece(gap, start, position, wrong)
                start, gap, wrong = -1, position, None
        elif token[2] == 0x2D:  # "-": a comment
            end = sections.end_of(b"-->", position)
            if start < 0:  # its writer may have meant it, but nobody is to be lost without a word
                for hidden in found_in_steps(data, position, end):
                    yield Piece(gap, hidden.start(), hidden.end(), _COMMENTED_OUT) if hidden is not None else None
            position = end
        elif token[2] == 0x5B:  # "[": CDATA; between documents it is one more carrier, and what it holds is read
            position = sections.end_of(b"]]>", position) if start >= 0 else position
        elif start < 0:
            wrong = _FORBIDDEN
    if start >= 0:
        yield Piece(gap, start, len(data), wrong or _BROKEN_OFF)
    elif wrong is not None or _is_stray(data, gap, len(data)):
        yield _stray(gap, len(data))


def _stray(start: int, end: int) -> Piece:
    return Piece(start, start, end, _STRAY, stray=True)


def _is_stray(data: bytes, start: int, end: int) -> bool:
    """Whether something stands there that is neither a document nor what may surround one."""
    if end - start > _WINDOW:
        return True
    while start < end:
        part = _BETWEEN.match(data, start, end)
        if part is None:
            return True
        start = part.end()
    return False
