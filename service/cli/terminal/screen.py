"""The table in a terminal: shows the contacts as they change, and searches them.

Updates are applied as they come; the screen is drawn a few times a second, however many there were.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import ClassVar, Final

from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, Static

from service.cli.shared.api import NoAnswer, ServiceRefused
from service.cli.terminal import bars, columns, sheets
from service.cli.terminal.bars import Caption
from service.cli.terminal.columns import Cell
from service.cli.terminal.contact import ShownContact
from service.cli.terminal.contact_list import ContactList
from service.cli.terminal.follow import Update
from service.cli.terminal.picture import Picture

PAUSE: Final = 0.2
"""Seconds between two drawings: faster ones would not be seen."""
FIRST_HINT: Final = 20
"""Lines of the terminal that contacts get first; each line beyond shows one more command to try."""
Updates = AsyncGenerator[Update, None]


class WatchApp(App[None]):
    """The screen. `first`: the first update and those after it; `follow` begins a new stream, for one group or as at
    the start."""

    ENABLE_COMMAND_PALETTE = False
    CSS = """
    Screen { layout: vertical; overflow: hidden; }
    #banner { width: 100%; height: auto; max-height: 3; display: none; }
    #top { height: auto; }
    #top Static { height: auto; max-height: 2; }
    #titles { height: 1; }
    #contacts { height: 1fr; min-height: 2; scrollbar-size-vertical: 1; overflow-x: hidden; }
    #hints { height: auto; margin-top: 1; }
    #last-event, #keys { height: 1; }
    #search { display: none; height: 1; border: none; padding: 0; }
    Sheet { align: center middle; }
    #sheet { width: 90%; max-width: 84; height: auto; max-height: 95%; border: round; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", show=False),
        Binding("ctrl+c", "quit", show=False, priority=True),
        Binding("slash", "search", show=False),
        Binding("escape", "everybody", show=False),
        Binding("s", "order(1)", show=False),
        Binding("S", "turn", show=False),
        Binding("v", "view", show=False),
        Binding("g", "group(1)", show=False),
        Binding("G", "group(-1)", show=False),
        Binding("question_mark", "help", show=False),
    ]

    def __init__(
        self,
        url: str,
        picture: Picture,
        follow: Callable[[str | None], Updates],
        first: tuple[Update, Updates],
        caption: Caption,
        *,
        fixed: Sequence[tuple[str, str]] = (),
        groups: Sequence[str] = (),
    ) -> None:
        super().__init__(ansi_color=True)
        self.picture = picture
        self.caption = caption
        self.failure: ServiceRefused | NoAnswer | None = None
        self.options = bars.ViewOptions(url, tuple(fixed), tuple(groups))
        self._follow = follow
        self._first = first
        self._plain = not (sys.stdout.encoding or "").lower().startswith("utf")
        self._layout = columns.layout(80)
        self._stale = True
        self._drawn_at = 0.0

    def compose(self) -> ComposeResult:
        """The parts, from top to bottom (textual)."""
        yield Static(id="banner")
        with Vertical(id="top"):
            yield Static(id="head")
            yield Static(id="counts")
            yield Static(id="groups")
        yield Static(id="titles")
        yield ContactList(self._line)
        yield Static(id="hints")
        yield Static(id="last-event")
        yield Input(id="search", placeholder="find", compact=True)
        yield Static(id="keys")

    def on_mount(self) -> None:
        """Start to follow and to draw (textual)."""
        self.picture.take(self._first[0])
        self.query_one(ContactList).focus()
        self._watch(self._first[1])
        self.set_interval(PAUSE, self._tick)
        self._draw()

    @work(exclusive=True, group="watch", exit_on_error=False)
    async def _watch(self, updates: Updates) -> None:
        """Apply updates, until another query begins."""
        try:
            async with aclosing(updates):
                async for update in updates:
                    self.picture.take(update)
                    self._stale = True
        except (ServiceRefused, NoAnswer) as error:
            self.failure = error
            self.exit()

    # --- drawing

    def _tick(self) -> None:
        if self._stale or self.picture.clock.monotonic() - self._drawn_at >= 1.0:
            self._draw()

    def on_resize(self) -> None:
        """Draw with the columns of the new size (textual)."""
        self._draw()

    def _line(self, shown: ShownContact) -> Text:
        return self._layout.row(self._cell(shown))

    def _cell(self, shown: ShownContact) -> Cell:
        return Cell(shown, self.picture.level(shown), self.picture.now(), self._plain)

    def _draw(self) -> None:
        """Draw everything anew."""
        self._stale, self._drawn_at = False, self.picture.clock.monotonic()
        picture, options, width, height = self.picture, self.options, self.size.width, self.size.height
        if picture.health is not None:
            options.known_groups = picture.health.groups
        details = not any(shown.presence is None for shown in picture.contacts.values())
        self._layout = columns.layout(width - 1, details=details)  # the scroll bar
        rows = options.chosen(picture)
        self._put("banner", bars.banner(picture, self.picture.clock.monotonic()))
        self._put("head", bars.head(picture, options, self.caption, width) if height >= 9 else None)
        found = bars.counts(picture.counts(), len(rows), width, sure=picture.sure, plain=self._plain)
        self._put("counts", found if height >= 12 or "\n" not in found.plain else found.split("\n")[0])
        self._put("groups", bars.groups(options, width, sure=picture.sure) if height >= 11 else None)
        self._put("titles", self._layout.titles() if rows or height < 8 else Text(bars.empty(picture, options)))
        self._put("hints", bars.hints(self.caption, width, max(0, height - FIRST_HINT)))
        self._put("last-event", bars.last_event(picture) if height >= 16 and picture.last_event is not None else None)
        self._put("keys", None if self.query_one("#search").display else bars.keys(options, width))
        self.query_one(ContactList).display_rows(rows)
        for sheet in self.screen_stack[1:]:
            if isinstance(sheet, sheets.Sheet):
                sheet.renew()

    def _put(self, name: str, text: Text | None) -> None:
        if not self.screen_stack:
            return
        part = self.screen_stack[0].query_one(f"#{name}", Static)
        part.display = text is not None
        if text is not None:
            part.update(text)

    # --- keys

    def action_order(self, step: int) -> None:
        """The next order."""
        self.options.order = (self.options.order + step) % len(columns.ORDERS)
        self._draw()

    def action_turn(self) -> None:
        """Reverse the order."""
        self.options.turned = not self.options.turned
        self._draw()

    def action_view(self) -> None:
        """The next view: everybody, free, held, not sure."""
        self.options.view = (self.options.view + 1) % len(columns.VIEWS)
        self._draw()

    def action_group(self, step: int) -> None:
        """Show the next group; after the last comes the query of the start."""
        names: list[str | None] = [None, *(name for name, _, _ in self.options.known_groups)]
        if len(names) == 1:
            return
        here = names.index(self.options.group) if self.options.group in names else 0
        self.options.group = names[(here + step) % len(names)]
        self.picture.clear()
        self._watch(self._follow(self.options.group))
        self._draw()

    def action_search(self) -> None:
        """Begin to find."""
        field = self.query_one("#search", Input)
        field.display = True
        field.value = self.options.text
        field.focus()
        self._draw()

    def action_everybody(self) -> None:
        """End the search, and show everybody."""
        self.options.text, self.options.view = "", 0
        self._end_search()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Search while the user types (textual)."""
        if event.input.display:
            self.options.text = event.value
            self._draw()

    def on_input_submitted(self) -> None:
        """Keep the search, and go back to the list (textual)."""
        self._end_search()

    def _end_search(self) -> None:
        self.query_one("#search", Input).display = False
        self.query_one(ContactList).focus()
        self._draw()

    def action_help(self) -> None:
        """Show what the keys do."""
        self.push_screen(sheets.Sheet(lambda: sheets.help_text(self.caption, plain=self._plain)))

    def on_contact_list_chosen(self, event: ContactList.Chosen) -> None:
        """Show the details of a contact (textual)."""
        key = event.contact.casefold()

        def text() -> Text:
            shown = self.picture.contacts.get(key)
            return sheets.details(self._cell(shown)) if shown is not None else Text("No longer in the list.")

        self.push_screen(sheets.Sheet(text))
