"""The demonstration in a terminal: a picture of one moment, made to fit whatever width and height there are.

Everything that does not fit goes in the order in which it would be missed: first the list of changes and the lines to
try, then columns, and at last the contacts that have not changed for longest, which are then counted. Several blocks
of contacts stand side by side before any is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from service.cli.demo.columns import GAP, Column, Row, blocks_for, fit
from service.cli.demo.scene import Snapshot
from service.cli.shared import output, wording
from service.cli.shared.wording import mark
from service.core.engine import EngineState
from service.core.presence.freshness import Level
from service.core.presence.records import Change
from service.core.presence.snapshot import ContactSnapshot

FEED: Final = 50
"""Columns that a list of changes needs beside the contacts."""

_HEALTH: Final = {
    EngineState.STARTING: "yellow",
    EngineState.LIVE: "green",
    EngineState.DEGRADED: "bold yellow",
    EngineState.DOWN: "bold red",
    EngineState.STOPPING: "yellow",
}


@dataclass(frozen=True, slots=True)
class Board:
    """The picture: something that rich can show. `latest` are changes, the newest last; `ends` says when it is over."""

    snapshot: Snapshot
    urls: Mapping[str, str]
    latest: Sequence[Change]
    ends: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width, height = options.max_width, options.height or console.height
        head = list(self._head(console, width, plain=options.ascii_only))
        foot = list(self._foot(width))
        # What is left for contacts: without the column titles, a line below the head and one above the foot.
        if height < 20:
            foot = foot[: max(0, height - 14)]
        head = head[: max(0, height // 2 - 1)]
        room = max(1, height - len(head) - 2 - (len(foot) + 1 if foot else 0))
        yield from head
        yield Text()
        yield from self._middle(width, room, plain=options.ascii_only)
        if foot:
            yield Text()
            yield from foot

    def _head(self, console: Console, width: int, *, plain: bool) -> Iterator[Text]:
        snapshot = self.snapshot
        yield _line(("pws demo", "bold"), f"  {snapshot.office}  {self.ends}")
        counts = [
            mark(state, plain=plain).append(f" {number} {state.value}", style="default")
            for state, number in snapshot.counts.by_state.items()
            if number
        ]
        yield from _packed([*counts, Text(f"({snapshot.counts.on_the_phone} on the phone)")], width)
        health = Text.assemble((f"{snapshot.status.state}", _HEALTH[snapshot.status.state]), f": {self._health()}")
        yield from map(_one_line, health.wrap(console, width)[:2])

    def _health(self) -> str:
        """What is wrong, or else what goes on."""
        snapshot, status = self.snapshot, self.snapshot.status
        if status.problems:
            return output.printable(status.problems[0].what).replace("\n", " ")
        levels = snapshot.counts.by_freshness
        live = f"{levels[Level.LIVE]} of {snapshot.counts.total} contacts live"
        fetches = sum(each.fetches for each in status.subscriptions)
        return f"{live}, {status.notifications.received} notifications, {fetches} fetches, {snapshot.changes} changes"

    def _foot(self, width: int) -> Iterator[Text]:
        """What to try. A command that is cut off is of no use, so one that does not fit is left out."""
        label = max(map(len, self.urls), default=0)
        labelled = all(label + 2 + cell_len(command) <= width for command in self.urls.values())
        for name, command in self.urls.items():
            if cell_len(command) <= width:
                yield Text.assemble((f"{name:<{label}}  " if labelled else "", "bright_black"), command)

    def _middle(self, width: int, room: int, *, plain: bool) -> RenderResult:
        known = list(self.snapshot.contacts)
        blocks = blocks_for(len(known), width, room)
        hidden = len(known) - blocks * room
        if hidden > 0:
            room -= 1
            known = sorted(known, key=_last_changed, reverse=True)[: blocks * room]
        rows = [Row(each, self._age(each), plain) for each in known]
        gap, columns = fit((width - GAP * (blocks - 1)) // blocks)
        used = sum(each for _, each in columns) + gap * (len(columns) - 1)
        beside = blocks == 1 and width - used - GAP >= FEED
        height = -(-len(rows) // blocks)
        outer = Table.grid(padding=0)
        cells: list[Table | Text] = []
        for number in range(blocks):
            if number:
                cells.append(_separator(height + 1, plain=plain))
            cells.append(_block(columns, gap, rows[number * height : (number + 1) * height]))
        if beside:
            cells += [_separator(room + 1, plain=plain), self._feed(room, width - used - GAP)]
        outer.add_row(*cells)
        yield outer
        if hidden > 0:
            total = len(self.snapshot.contacts)
            yield _line((f"and {total - len(known)} more, unchanged for longer", "bright_black"))
        elif not beside and room - height >= 4:
            yield Text()
            yield self._feed(room - height - 2, width)

    def _age(self, known: ContactSnapshot) -> float | None:
        changed = known.record.changed_at
        return None if changed is None else self.snapshot.monotonic - changed.monotonic

    def _feed(self, rows: int, width: int) -> Table:
        """The last changes, the newest first."""
        feed = Table.grid(padding=(0, 2, 0, 0))
        feed.add_column(no_wrap=True)
        feed.add_column(no_wrap=True, overflow="ellipsis", max_width=24)
        feed.add_column(no_wrap=True, overflow="ellipsis", max_width=max(10, width - 36))
        feed.add_row(Text("Changed", style="bold"), Text(), Text())
        for step in list(reversed(self.latest))[:rows]:
            state = step.record.state
            said = Text(state.value, style=output.state(state).style)
            more = wording.change(step)
            moment = step.record.changed_at
            feed.add_row(
                Text(clock(moment.wall) if moment else "", style="bright_black"),
                Text(wording.name(step.record)),
                said.append(f" {more}" if more else "", style="default"),
            )
        return feed


def clock(wall: float) -> str:
    """The time of day here."""
    return datetime.fromtimestamp(wall).astimezone().strftime("%H:%M:%S")


def _last_changed(known: ContactSnapshot) -> float:
    return known.record.changed_at.monotonic if known.record.changed_at is not None else 0.0


def _block(columns: Sequence[tuple[Column, int]], gap: int, rows: Sequence[Row]) -> Table:
    block = Table.grid(padding=(0, gap, 0, 0), pad_edge=False)
    for column, width in columns:
        block.add_column(width=width, no_wrap=True, overflow="ellipsis", justify=column.justify)
    block.add_row(*(Text(column.title, style="bold") for column, _ in columns))
    for row in rows:
        block.add_row(*(column.cell(row) for column, _ in columns))
    return block


def _separator(height: int, *, plain: bool) -> Text:
    return Text("\n".join([" | " if plain else " │ "] * height), style="bright_black")


def _line(*parts: str | tuple[str, str]) -> Text:
    return _one_line(Text.assemble(*parts))


def _packed(pieces: Sequence[Text], width: int) -> Iterator[Text]:
    """The pieces on as few lines as hold them whole."""
    line = Text()
    for piece in pieces:
        if line and line.cell_len + 2 + piece.cell_len > width:
            yield _one_line(line)
            line = Text()
        line.append_text(Text("  " if line else "")).append_text(piece)
    yield _one_line(line)


def _one_line(text: Text) -> Text:
    text.no_wrap, text.overflow = True, "ellipsis"
    return text
