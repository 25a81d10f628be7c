"""Which columns a contact has in a terminal of some width, and what stands in them: from all to a mark and a name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from rich.text import Text

from service.cli.shared import output, wording
from service.cli.shared.wording import mark
from service.core.presence.freshness import Level
from service.core.presence.snapshot import ContactSnapshot

GAP: Final = 3
"""Columns between blocks, with a line in the middle."""
FRESH: Final = 1.5
"""Seconds for which a change is marked."""

_FRESHNESS: Final = {
    Level.LIVE: ("live", "green"),
    Level.STALE: ("stale", "bold yellow"),
    Level.UNKNOWN: ("unread", "bright_black"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """A contact as the columns need it: `age` in seconds since its last change, None before the first reading."""

    known: ContactSnapshot
    age: float | None
    plain: bool

    @property
    def just_changed(self) -> bool:
        return self.age is not None and self.age < FRESH


@dataclass(frozen=True, slots=True)
class Column:
    """A column; between `least` and `most` characters wide."""

    title: str
    cell: Callable[[Row], Text]
    least: int
    most: int
    justify: Literal["left", "right"] = "left"


def _name(row: Row) -> Text:
    return Text(wording.name(row.known.record), style="bold" if row.just_changed else "")


def _contact(row: Row) -> Text:
    return Text(output.printable(row.known.record.contact), style="bright_black")


def _state(row: Row) -> Text:
    state = row.known.record.state
    text = mark(state, plain=row.plain)
    return text.append(f" {state.value}")


def _doing(row: Row) -> Text:
    return Text(wording.doing(row.known.record.presence))


def _short(row: Row) -> Text:
    """One word: how sure it is where it isn't, else what the contact is doing."""
    if row.known.freshness.level is not Level.LIVE:
        return _freshness(row)
    return Text(wording.doing(row.known.record.presence, short=True))


def _since(row: Row) -> Text:
    return Text("" if row.age is None else "now" if row.just_changed else wording.age(row.age))


def _freshness(row: Row) -> Text:
    return Text(*_FRESHNESS[row.known.freshness.level])


LAYOUTS: Final[tuple[tuple[int, tuple[Column, ...]], ...]] = (
    (
        2,
        (
            Column("Name", _name, 18, 24),
            Column("Contact", _contact, 22, 32),
            Column("State", _state, 13, 13),
            Column("Doing", _doing, 20, 36),
            Column("For", _since, 4, 4, "right"),
            Column("Freshness", _freshness, 9, 9),
        ),
    ),
    (
        2,
        (
            Column("Name", _name, 14, 24),
            Column("State", _state, 13, 13),
            Column("Doing", _doing, 14, 36),
            Column("For", _since, 4, 4, "right"),
            Column("Freshness", _freshness, 9, 9),
        ),
    ),
    (
        1,
        (
            Column("Name", _name, 11, 24),
            Column("State", _state, 13, 13),
            Column("Doing", _short, 7, 16),
            Column("For", _since, 4, 4, "right"),
        ),
    ),
    (1, (Column("Name", _name, 6, 24), Column("State", _state, 13, 13))),
    (1, (Column("", lambda row: mark(row.known.record.state, plain=row.plain), 1, 1), Column("Name", _name, 1, 24))),
)
"""From the widest to the narrowest: the gap between columns, and the columns."""


def fit(width: int) -> tuple[int, tuple[tuple[Column, int], ...]]:
    """The richest layout for so many characters: the gap, and each column with its width."""
    gap, columns = LAYOUTS[-1]
    for gap, columns in LAYOUTS:
        if _least(gap, columns) <= width:
            break
    spare = max(0, width - _least(gap, columns))
    widths: list[int] = []
    for column in columns:
        more = min(spare, column.most - column.least)
        widths.append(column.least + more)
        spare -= more
    return gap, tuple(zip(columns, widths, strict=True))


def _least(gap: int, columns: Sequence[Column]) -> int:
    return sum(column.least for column in columns) + gap * (len(columns) - 1)


BLOCK: Final = _least(*LAYOUTS[2])
"""The narrowest block that tells everything of a contact; two of them stand in 80 columns."""


def blocks_for(contacts: int, width: int, rows: int) -> int:
    """How many blocks side by side show all the contacts; as many as go where none do."""
    most = max(1, (width + GAP) // (BLOCK + GAP))
    return next((blocks for blocks in range(1, most) if blocks * rows >= contacts), most)
