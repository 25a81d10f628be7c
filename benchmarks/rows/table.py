"""The table: which module measures which row, and how figures are printed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib import import_module
from typing import Any, Final, NamedTuple

from benchmarks.rows.measure import Figure, Scale, Spread


class Row(NamedTuple):
    """A row: what it is about, what it is beside, and the function `NAME` of `benchmarks.rows.MODULE`."""

    what: str
    beside: str
    module: str
    name: str


ROWS: Final[dict[int, Row]] = {
    1: Row("client call", "lxml on the bytes", "decoding", "basic"),
    2: Row("client call", "lxml on the reply and on each document", "decoding", "documents"),
    3: Row("client call", "lxml on each document", "decoding", "few_changed"),
    4: Row("fetch to stored", "bare round trip, and lxml", "fetching", "changed"),
    5: Row("notification to stored", "bare round trip, and lxml", "fetching", "one_change"),
    6: Row("fetch to stored", "bare round trip", "fetching", "unchanged"),
    7: Row("longest hold", "-", "holding", "first_reading"),
    8: Row("answer", "raw ASGI, same bytes", "answering", "contact"),
    9: Row("answer", "raw ASGI, same bytes", "answering", "lists"),
    10: Row("answer", "200", "answering", "not_modified"),
    11: Row("streams", "a loop over `transport.write`", "streaming", "fan_out"),
    12: Row("change to answer", "the sample scripts' way", "notifying", "notifications"),
    13: Row("memory", "one dict of the same fields", "retained", "contacts"),
    14: Row("claims", "raw ASGI, same bytes", "claiming", "claims"),
    15: Row("idle", "the same with few contacts", "idling", "seconds"),
    16: Row("longest hold", "-", "holding", "actions"),
    17: Row("start", "Python, and what has to be imported", "starting", "starts"),
}


def measure(row: int, scale: Scale) -> list[Figure]:
    """Measure one row. Its module is loaded now: what others load would count where memory or starts are measured."""
    entry = ROWS[row]
    function: Callable[[Scale], list[Figure]] = getattr(import_module(f"benchmarks.rows.{entry.module}"), entry.name)
    return function(scale)


def number(value: float, unit: str) -> str:
    """A figure with two or three digits that mean something, and its unit."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 0.1 else 3
    return f"{value:.{digits}f}{'x' if unit == 'x' else f' {unit}'}"


def spread(value: Spread, unit: str) -> str:
    """Least and most."""
    return f"{number(value.least, unit)} to {number(value.most, unit)}"


def wanted(figure: Figure) -> str:
    """The target in words."""
    if figure.target is None:
        return ""
    return f"{'at least' if figure.target.at_least else 'at most'} {number(figure.target.value, figure.unit)}"


def verdict(figure: Figure) -> str:
    """Whether it is met; or that the results differ, which is worse."""
    if figure.wrong:
        return "WRONG"
    return {True: "yes", False: "no", None: ""}[figure.is_met]


def costs(figure: Figure) -> str:
    """What each way took: the median."""
    return ", ".join(f"{name} {number(each.median, figure.cost_unit)}" for name, each in figure.costs.items())


_HEADS: Final = ("#", "what", "beside", "figure", "spread", "target", "met", "medians")
_BESIDE: Final = 2
"""The column that a terminal has no room for."""


def cells(figure: Figure) -> tuple[str, ...]:
    """One line."""
    row, note = ROWS[figure.row], f" ({figure.note})" if figure.note else ""
    return (
        str(figure.row),
        f"{row.what}: {figure.part}",
        row.beside,
        number(figure.value.median, figure.unit),
        spread(figure.value, figure.unit),
        wanted(figure),
        verdict(figure),
        costs(figure) + note,
    )


def text(figures: Sequence[Figure]) -> str:
    """A table for a terminal."""
    lines = [(*line[:_BESIDE], *line[_BESIDE + 1 :]) for line in (_HEADS, *map(cells, figures))]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def markdown(figures: Sequence[Figure]) -> str:
    """A table for a page."""
    lines = [_HEADS, ("---",) * len(_HEADS), *map(cells, figures)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def as_json(figures: Sequence[Figure]) -> list[dict[str, Any]]:  # Any: JSON
    """All of it, spreads included."""
    return [{**asdict(figure), "is_met": figure.is_met} for figure in figures]
