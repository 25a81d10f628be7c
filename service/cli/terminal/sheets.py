"""Sheets over the list: the help, and the details of one contact."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Final

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from pws_soap.models import PresenceState
from service.cli.shared import wording
from service.cli.shared.output import printable
from service.cli.shared.wording import time
from service.cli.terminal import columns, lines
from service.cli.terminal.bars import Caption
from service.cli.terminal.columns import Cell
from service.core.presence.freshness import Level

KEYS: Final = (
    ("/", "find: contacts with this text in name, state or activity; Esc: everybody again"),
    ("v", "everybody, who is free, who is held, who is not sure"),
    ("s, S", "order by name, state, last change, free first; S reverses it"),
    ("g, G", "the next group, the one before; its rule says who is free"),
    ("arrows", "choose a contact; Enter shows its details"),
    ("q, Ctrl-C", "end"),
)


class Sheet(ModalScreen[None]):
    """Lines over the screen; Esc, q, Enter or ? closes them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter,question_mark", "dismiss", show=False),
    ]

    def __init__(self, text: Callable[[], Text]) -> None:
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        """The lines (textual)."""
        with VerticalScroll(id="sheet"):
            yield Static(self._text(), id="lines")

    def renew(self) -> None:
        """Draw the lines again."""
        self.query_one("#lines", Static).update(self._text())


def help_text(caption: Caption, *, plain: bool) -> Text:
    """What the keys do and what the marks mean."""
    text = Text()
    if caption.hints:
        text.append("Commands to try\n", style="bold")
        for purpose, hint in caption.hints.items():
            text.append(f"{purpose}: ", style="bright_black").append(f"{hint}\n")
        text.append("\n")
    text.append("Keys\n", style="bold")
    for key, what in KEYS:
        text.append(f"{key:<10}", style="bold").append(f"{what}\n")
    text.append("\nStates\n", style="bold")
    for state in PresenceState:
        text.append_text(columns.state(state, Level.LIVE, plain=plain)).append("  ")
    text.append("\n\nFreshness\n", style="bold")
    text.append("live", style="green").append("    true, within the service's bound\n")
    text.append("stale", style="bold yellow").append("   was true that long ago, and may no longer be\n")
    text.append("unread", style="bright_black").append("  was never read\n")
    text.append("\n\nFor: how long the state has lasted. held, 34s left: when the claim ends.\n")
    text.append("\nWithout a connection nothing is sure: everybody is stale and nobody is free.\nEsc closes this.")
    return text


def details(cell: Cell) -> Text:
    """The details of a contact."""
    shown, presence = cell.shown, cell.shown.presence
    rows: list[tuple[str, str | Text]] = [("contact", printable(shown.contact))]
    if shown.state is not None:
        rows.append(("state", columns.state(shown.state, cell.level, plain=cell.plain)))
    rows += [
        ("doing", wording.doing(presence)),
        ("since", time(shown.changed_at) if shown.changed_at is not None else ""),
        ("devices", ", ".join(shown.devices)),
        ("free", "yes" if cell.is_free else "not sure" if cell.level is not Level.LIVE else f"no, {shown.reason}"),
        ("claim", lines.held(shown)),
        ("until", time(shown.held.expires_at)[:8] if shown.held is not None and shown.held.expires_at else ""),
        ("freshness", str(cell.level)),
        ("as of", time(shown.as_of) if shown.as_of is not None else ""),
    ]
    text = Text(f"{shown.name}\n", style="bold")
    for name, value in rows:
        if value:
            text.append(f"{name:<10} ", style="bright_black").append_text(
                value if isinstance(value, Text) else Text(value, style="default")
            ).append("\n")
    return text.append("\nEsc closes this.", style="bright_black")
