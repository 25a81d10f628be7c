"""The list of contacts on the screen. Draws visible lines only, so that thousands of contacts are cheap."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Final

from rich.style import Style
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.events import Click
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from service.cli.terminal.contact import ShownContact

_CURSOR: Final = Style(reverse=True)


class ContactList(ScrollView, can_focus=True):
    """Contacts, one a line. The cursor follows its contact when the order changes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown,space", "page(1)", show=False),
        Binding("home", "edge(0)", show=False),
        Binding("end", "edge(-1)", show=False),
        Binding("enter", "choose", show=False),
    ]

    class Chosen(Message):
        """The user asks for the details of a contact."""

        def __init__(self, contact: str) -> None:
            self.contact = contact
            super().__init__()

    def __init__(self, draw: Callable[[ShownContact], Text]) -> None:
        super().__init__(id="contacts")
        self._draw = draw
        self._rows: Sequence[ShownContact] = ()
        self.cursor: str | None = None

    def display_rows(self, rows: Sequence[ShownContact]) -> None:
        """Show these."""
        self._rows = rows
        self.virtual_size = Size(0, len(rows))
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """A line of the screen (textual)."""
        width = self.size.width
        place = y + self.scroll_offset.y
        if not 0 <= place < len(self._rows):
            return Strip.blank(width)
        shown = self._rows[place]
        strip = Strip(self._draw(shown).render(self.app.console)).adjust_cell_length(width)
        return strip.apply_style(_CURSOR) if shown.contact == self.cursor else strip

    def action_move(self, lines: int) -> None:
        """Move the cursor; without one it appears at the first visible line."""
        here = self._place()
        self._go(self.scroll_offset.y if here is None else here + lines)

    def action_page(self, pages: int) -> None:
        """Move the cursor by a screen."""
        here = self._place()
        self._go((self.scroll_offset.y if here is None else here) + pages * max(1, self.size.height - 1))

    def action_edge(self, place: int) -> None:
        """Move the cursor to the first or the last line."""
        self._go(place if place >= 0 else len(self._rows) - 1)

    def action_choose(self) -> None:
        """Ask for the details of the contact under the cursor."""
        if self._place() is not None and self.cursor is not None:
            self.post_message(self.Chosen(self.cursor))

    def on_click(self, event: Click) -> None:
        """The first click moves the cursor there, the second asks for details."""
        place = event.y + self.scroll_offset.y
        if 0 <= place < len(self._rows):
            again = self._rows[place].contact == self.cursor
            self._go(place)
            if again:
                self.action_choose()

    def _place(self) -> int | None:
        return next((place for place, shown in enumerate(self._rows) if shown.contact == self.cursor), None)

    def _go(self, place: int) -> None:
        if self._rows:
            place = max(0, min(place, len(self._rows) - 1))
            self.cursor = self._rows[place].contact
            self.scroll_to_region(Region(0, place, 1, 1), animate=False)
            self.refresh()
