"""The columns of the table by the terminal's width, what each shows of a contact, and the orders and views.

A new column is a `TableColumn` in `LAYOUTS`. A state has a word, a mark and a colour; its freshness stands beside it as
a word, and a state that is not live is dim.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from rich.text import Text

from pws_soap.models import PresenceState
from service.cli.shared import output, wording
from service.cli.terminal.contact import ShownContact
from service.core.presence.freshness import Level

FRESH: Final = 2.0
"""Seconds for which a change is marked as new."""
_ORDER: Final = {state: place for place, state in enumerate(PresenceState)}


@dataclass(frozen=True, slots=True)
class Cell:
    """A contact with what is needed to draw it: `level` is its freshness here, `now` the service's time."""

    shown: ShownContact
    level: Level
    now: float
    plain: bool

    @property
    def age(self) -> float | None:
        """Seconds since its last change."""
        return None if self.shown.changed_at is None else max(0.0, self.now - self.shown.changed_at)

    @property
    def is_free(self) -> bool:
        """Whether the contact is available and live."""
        return self.shown.available and self.level is Level.LIVE


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column; between `least` and `most` characters wide."""

    title: str
    text: Callable[[Cell], Text]
    least: int
    most: int
    justify: Literal["left", "right"] = "left"


def _name(cell: Cell) -> Text:
    fresh = cell.age is not None and cell.age < FRESH
    return Text(cell.shown.name, style="bold reverse" if fresh else "bold" if cell.is_free else "")


def _contact(cell: Cell) -> Text:
    return Text(output.printable(cell.shown.contact), style="bright_black")


def _state(cell: Cell) -> Text:
    return state(cell.shown.state, cell.level, plain=cell.plain)


def state(value: PresenceState | None, level: Level, *, plain: bool) -> Text:
    """A state's mark and word in its colour, dim unless it is live; empty where it is hidden."""
    if value is None:
        return Text("")
    style = output.state(value).style if level is Level.LIVE else "dim"
    return Text(f"{wording.MARKS[value][plain]} {value.value}", style=style)


def _mark(cell: Cell) -> Text:
    shown = cell.shown
    if shown.state is None:
        return Text("+" if cell.is_free else "-", style="green" if cell.is_free else "")
    style = output.state(shown.state).style if cell.level is Level.LIVE else "dim"
    return Text(wording.MARKS[shown.state][cell.plain] if cell.level is Level.LIVE else "?", style=style)


def _doing(cell: Cell) -> Text:
    return Text(wording.doing(cell.shown.presence), style="" if cell.level is Level.LIVE else "dim")


def _short(cell: Cell) -> Text:
    """One word: the freshness unless it is live, else who holds the contact, else what it is doing."""
    if cell.level is not Level.LIVE:
        return _freshness(cell)
    if cell.shown.held is not None:
        return Text("held", style="magenta")
    return Text(wording.doing(cell.shown.presence, short=True))


def _since(cell: Cell) -> Text:
    age = cell.age
    return Text("" if age is None else "now" if age < FRESH else wording.age(age))


def _free(cell: Cell) -> Text:
    """Whether the contact is free for the next task, and if not, why."""
    shown = cell.shown
    if cell.level is not Level.LIVE:
        return Text("not sure", style="bold yellow")
    if shown.held is not None:
        left = "" if shown.held.expires_at is None else f", {wording.age(shown.held.expires_at - cell.now)} left"
        # The service hides both of another group's claim.
        what = ", ".join(filter(None, (shown.held.holder, shown.held.purpose)))
        return Text(f"held{left}: {what}" if what else f"held{left}", style="magenta")
    if shown.available:
        return Text("free", style="bold green")
    is_shown = shown.state is not None and shown.reason.endswith(f"is {shown.state.value}")  # in the state's column
    return Text("no" if is_shown or not shown.reason else f"no: {shown.reason}", style="bright_black")


def _freshness(cell: Cell) -> Text:
    if cell.level is Level.LIVE:
        return Text("live", style="green")
    if cell.level is Level.UNKNOWN:
        return Text("unread", style="bright_black")
    as_of = cell.shown.as_of
    return Text("stale" if as_of is None else f"stale {wording.age(cell.now - as_of)}", style="bold yellow")


_NAME: Final = TableColumn("Name", _name, 11, 24)
_STATE: Final = TableColumn("State", _state, 13, 13)
_AGE: Final = TableColumn("For", _since, 4, 4, "right")
_SURE: Final = TableColumn("Freshness", _freshness, 10, 10)

LAYOUTS: Final[tuple[tuple[TableColumn, ...], ...]] = (
    (
        TableColumn("Name", _name, 18, 24),
        TableColumn("Contact", _contact, 22, 32),
        _STATE,
        TableColumn("Doing", _doing, 18, 36),
        _AGE,
        TableColumn("Free", _free, 18, 40),
        _SURE,
    ),
    (
        TableColumn("Name", _name, 17, 24),
        _STATE,
        TableColumn("Doing", _doing, 9, 30),
        _AGE,
        TableColumn("Free", _free, 9, 24),
        _SURE,
    ),
    (_NAME, _STATE, TableColumn("Doing", _doing, 8, 16), _AGE, TableColumn("Free", _free, 8, 12)),
    (TableColumn("Name", _name, 10, 24), _STATE, TableColumn("Doing", _short, 8, 16), _AGE),
    (TableColumn("Name", _name, 6, 24), _STATE),
    (TableColumn("", _mark, 1, 1), TableColumn("Name", _name, 1, 24)),
)
"""Layouts from the widest to the narrowest."""
HIDDEN: Final[tuple[tuple[TableColumn, ...], ...]] = (
    (
        TableColumn("Name", _name, 18, 24),
        TableColumn("Contact", _contact, 22, 32),
        TableColumn("Free", _free, 8, 12),
        _SURE,
    ),
    (TableColumn("Name", _name, 8, 24), TableColumn("Free", _free, 8, 8)),
    (TableColumn("", _mark, 1, 1), TableColumn("Name", _name, 1, 24)),
)
"""Layouts for a key that sees no details."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Columns with their widths, `gap` apart."""

    columns: tuple[tuple[TableColumn, int], ...]
    gap: int

    def titles(self) -> Text:
        """The line of titles."""
        return self._line([Text(column.title, style="bold underline") for column, _ in self.columns])

    def row(self, cell: Cell) -> Text:
        """A contact's line."""
        return self._line([column.text(cell) for column, _ in self.columns])

    def _line(self, texts: Sequence[Text]) -> Text:
        line = Text(no_wrap=True)
        for number, ((column, width), text) in enumerate(zip(self.columns, texts, strict=True)):
            if number:
                line.append(" " * self.gap)
            text.truncate(width, overflow="ellipsis")
            space = " " * (width - text.cell_len)
            line.append(space if column.justify == "right" else "").append_text(text)
            line.append(space if column.justify == "left" else "")
        return line


def layout(width: int, *, details: bool = True) -> Layout:
    """The widest layout that fits into `width` characters."""
    gap, columns = 1, LAYOUTS[-1]
    for columns in LAYOUTS if details else HIDDEN:
        gap = 2 if len(columns) > 4 else 1
        if _least(columns, gap) <= width:
            break
    widths = [column.least for column in columns]
    for _ in range(max(0, width - _least(columns, gap))):  # each column gets its share of the rest, the emptiest first
        room = [(size / column.most, place) for place, (column, size) in enumerate(zip(columns, widths, strict=True))]
        share, place = min(room)
        if share >= 1:
            break
        widths[place] += 1
    return Layout(tuple(zip(columns, widths, strict=True)), gap)


def _least(columns: Sequence[TableColumn], gap: int) -> int:
    return sum(column.least for column in columns) + gap * (len(columns) - 1)


def _by_name(shown: ShownContact) -> tuple[object, ...]:
    return (shown.name.casefold(), shown.contact)


def _by_state(shown: ShownContact) -> tuple[object, ...]:
    return (_ORDER.get(shown.state, 99) if shown.state is not None else 99, *_by_name(shown))


def _by_change(shown: ShownContact) -> tuple[object, ...]:
    return (-(shown.changed_at or 0.0), *_by_name(shown))


def _by_free(shown: ShownContact) -> tuple[object, ...]:
    """Free contacts first, the longest free before the others."""
    return (not shown.available, shown.changed_at or 0.0 if shown.available else 0.0, *_by_name(shown))


ORDERS: Final[tuple[tuple[str, Callable[[ShownContact], tuple[object, ...]]], ...]] = (
    ("name", _by_name),
    ("state", _by_state),
    ("last change", _by_change),
    ("free first", _by_free),
)
VIEWS: Final[tuple[tuple[str, Callable[[ShownContact, Level], bool]], ...]] = (
    ("everybody", lambda _seen, _level: True),
    ("who is free", lambda shown, level: shown.available and level is Level.LIVE),
    ("who is held", lambda shown, _level: shown.held is not None),
    ("who is not sure", lambda _seen, level: level is not Level.LIVE),
)
