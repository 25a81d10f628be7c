"""Where each document begins and ends in a text that holds many: one pass over the bytes, before any XML parser.

A parser would give up the whole text at the first mistake in it. Here a document that is broken costs itself alone: a
`<presence` that stands outside a comment or CDATA section can only be the start of a document (they don't nest, and `<`
is not allowed in an attribute), so whatever was open before it ends there.

What is skipped, is skipped as XML means it: a `<presence` within CDATA or a comment is text, else a contact's note
could smuggle in the presence of somebody else. Every byte is looked at a bounded number of times; a section that
never ends is searched for once, and then passed over.

What stands around the documents is accounted for to the last byte (`_Surroundings`): a reply confirms by what it does
not name, so a text that may say more than its documents must never pass for one that says nothing.
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
_AROUND: Final = re.compile(
    rb"(?P<space>[ \t\r\n]++)|(?P<comment><!--(?:[^-]++|-(?!->))*-->)"
    rb"|(?P<announced>\xef\xbb\xbf|<\?xml[ \t\r\n][^<>?]{0,200}\?>)"
    rb"|(?P<section><!\[CDATA\[)|(?P<section_end>\]\]>)"
    rb"|<(?P<wrapper>(?:[^\s<>/:!?'\"=&]{1,64}:)?richPresenceList)"
    rb"(?:[ \t\r\n]+xmlns(?::[^\s<>/:!?'\"=&]{1,64})?=(?:\"[^\"<>]{0,200}\"|'[^'<>]{0,200}'))*[ \t\r\n]*>"
    rb"|</(?P<wrapper_end>(?:[^\s<>/:!?'\"=&]{1,64}:)?richPresenceList)[ \t\r\n]*>"
)
"""What may stand around documents without a word about it. A comment is nothing (one that holds a document is
reported); a byte order mark or a declaration announces a document, which must follow; a section, and the list itself
written once more, must hold a document and end behind it, and has no attributes but namespaces."""


_BOM: Final = b"\xef\xbb\xbf"
_HOLDERS: Final = frozenset({"section", "section_end", "wrapper", "wrapper_end"})
_WINDOW: Final = 256 * 1024
"""Bytes that are searched between two places to pause, in some milliseconds."""
_MARKS: Final = 1000
"""Marks between two places to pause, each of which takes a microsecond."""
_LONGEST_TAG: Final = 64 * 1024
"""Bytes of the first tag of a document; a longer one is not followed to its end."""
_LONGEST_GAP: Final = 64 * 1024
"""Bytes around documents that are looked through in one go; more between two documents is stray."""
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
_CUT: Final = "the text ends within a document, and may be cut off"
_COMMENTED_OUT: Final = "stands in a comment"
_FORBIDDEN: Final = "a document type declaration, which no honest document has"
_STRAY: Final = "text that is no presence document"


class _Sections:
    """Ends of comments and CDATA sections; an end that was once not found is not looked for again."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._missing: set[bytes] = set()

    def end_of(self, end: bytes, after: int) -> Generator[None, None, int]:
        """Where the section ends whose content begins at `after`; `after` itself, when it never does. Pauses."""
        at = after
        while end not in self._missing:
            found = self._data.find(end, at, at + _WINDOW)
            if found >= 0:
                return found + len(end)
            at += _WINDOW - len(end) + 1
            if at >= len(self._data):
                self._missing.add(end)
            yield
        return after


class _Surroundings:
    """What stands around the documents of one text, gap by gap: is it accounted for?"""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._wrapper: bytes | None = None  # its name, while it is open
        self._in_section = False
        self._holds = False  # whether a document stands in what is open

    def are_stray(self, start: int, end: int) -> bool:
        """Whether something in the gap before the next document is neither white space nor what may surround one."""
        is_stray = end - start > _LONGEST_GAP or self._is_odd(start, end, at_end=False)
        self._holds = True
        return is_stray

    def are_stray_at_end(self, start: int) -> bool:
        """The same of what stands behind the last document, where all must have ended."""
        end = len(self._data)
        is_odd = end - start > _LONGEST_GAP or self._is_odd(start, end, at_end=True)
        return is_odd or self._wrapper is not None or self._in_section

    def _is_odd(self, at: int, end: int, *, at_end: bool) -> bool:
        announced = b""  # what of it came last
        while at < end:
            part = _AROUND.match(self._data, at, end)
            if part is None:
                return True
            at = part.end()
            kind = part.lastgroup
            if kind == "announced":
                if announced and (announced != _BOM or part[0] == _BOM):  # a mark may precede a declaration
                    return True
                announced = part[0]
            elif kind in _HOLDERS:
                if not self._follows(kind, part, announced=bool(announced)):
                    return True
                announced = b""
        return bool(announced) and at_end

    def _follows(self, kind: str, part: re.Match[bytes], *, announced: bool) -> bool:
        """Takes what begins or ends something that holds documents, and says whether it may do so here."""
        if kind == "section":
            fits = not self._in_section
            self._in_section, self._holds = True, False
        elif kind == "section_end":
            fits = self._in_section and self._holds and not announced
            self._in_section = False
        elif kind == "wrapper":
            fits = self._wrapper is None and not self._in_section
            self._wrapper, self._holds = part["wrapper"], False
        else:
            fits = self._wrapper == part["wrapper_end"] and self._holds and not self._in_section and not announced
            self._wrapper = None
        return fits


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
    sections, around = _Sections(data), _Surroundings(data)
    position = gap = marks = 0
    start = -1  # of the document that is open
    wrong: str | None = None  # what is wrong with the document that is open, or with the next
    while (mark := (yield from _next_mark(data, position))) is not None:
        marks += 1
        if marks % _MARKS == 0:
            yield None
        token = mark[0]
        position = mark.end()
        if mark["end"] is not None:
            yield Piece(gap, start, position, wrong) if start >= 0 else _stray(gap, position)
            start, gap, wrong = -1, position, None
        elif token[1] != 0x21:  # "!"
            if start >= 0:  # the one before was broken off
                yield Piece(gap, start, mark.start(), wrong or _BROKEN_OFF)
                gap, wrong = mark.start(), None
            elif around.are_stray(gap, mark.start()) and wrong is None:
                yield _stray(gap, mark.start())
            start = mark.start()
            tag = _REST_OF_TAG.match(data, position, position + _LONGEST_TAG)
            position = tag.end() if tag else position
            if tag is not None and data[position - 2] == 0x2F:  # "/": an empty element
                yield Piece(gap, start, position, wrong)
                start, gap, wrong = -1, position, None
        elif token[2] == 0x2D:  # "-": a comment
            end = yield from sections.end_of(b"-->", position)
            if start < 0:  # its writer may have meant it, but nobody is to be lost without a word
                for hidden in found_in_steps(data, position, end):
                    yield Piece(gap, hidden.start(), hidden.end(), _COMMENTED_OUT) if hidden is not None else None
            position = end
        elif token[2] == 0x5B:  # "[": CDATA; between documents it is one more carrier, and what it holds is read
            position = (yield from sections.end_of(b"]]>", position)) if start >= 0 else position
        elif start < 0:
            wrong = _FORBIDDEN
    if start >= 0:
        yield Piece(gap, start, len(data), wrong or _BROKEN_OFF)
        yield Piece(len(data), len(data), len(data), _CUT, stray=True)  # of what may have followed
    elif wrong is not None or around.are_stray_at_end(gap):
        yield _stray(gap, len(data))


def _stray(start: int, end: int) -> Piece:
    return Piece(start, start, end, _STRAY, stray=True)
