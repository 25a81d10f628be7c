"""What the commands print: one document or one table on standard output, everything else on standard error.

What comes from the server is data: it is never read as markup, and control characters in it never reach a terminal.
Tables are drawn by rich, which is imported where one is drawn: the service draws none.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

import click

from pws_soap.models import Presence, PresenceState
from service.cli.shared.harmless import json_text as json_text
from service.cli.shared.harmless import printable as printable
from service.sync import federation

if TYPE_CHECKING:
    from rich.text import Text

PATIENCE: Final = 1.0
"""Seconds after which a wait is shown."""

_STYLES: Final = {
    PresenceState.AVAILABLE: "green",
    PresenceState.BUSY: "red",
    PresenceState.DND: "bold red",
    PresenceState.AWAY: "yellow",
    PresenceState.UNAVAILABLE: "bright_black",
    PresenceState.VACATION: "magenta",
    PresenceState.UNKNOWN: "bright_black",
}


class CommandFailed(click.ClickException):
    """The server or the network refused or failed (exit code 1)."""

    exit_code = 1

    def show(self, file: object = None) -> None:
        """One line on standard error."""
        click.secho("Error: ", fg="red", bold=True, nl=False, err=True)
        click.echo(printable(self.format_message()), err=True)


class Mistake(CommandFailed):
    """The arguments or the configuration are wrong (exit code 2)."""

    exit_code = 2


def note(text: str) -> None:
    """Print a line for the user on standard error, so that standard output has the result alone."""
    with suppress(OSError):  # a full disk behind standard error ends nothing
        click.echo(printable(text), err=True)


def warn(text: str) -> None:
    """Warn the user of a risk, on standard error."""
    with suppress(OSError):
        click.secho("Warning: ", fg="yellow", nl=False, err=True)
        click.echo(printable(text), err=True)


def is_interactive() -> bool:
    """Whether standard input and output are a terminal that can show a screen."""
    return sys.stdout.isatty() and sys.stdin.isatty() and os.environ.get("TERM") != "dumb"


def document(value: object) -> None:
    """The one JSON document of a command."""
    click.echo(json_text(value, indent=2))


def written() -> None:
    """Empty the buffer of standard output. Raises OSError where nobody takes it: a full disk, a closed pipe."""
    if sys.stdout is not None:
        sys.stdout.flush()


def table(columns: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> None:
    """Rows as a table: framed in a terminal, bare and never cut elsewhere."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    terminal = console.is_terminal
    shown = Table(box=box.ROUNDED if terminal else None, header_style="bold", pad_edge=terminal)
    for column in columns:
        shown.add_column(column, overflow="fold", no_wrap=column == columns[0])
    for row in rows:
        shown.add_row(*(cell if isinstance(cell, Text) else Text(printable(cell)) for cell in row))
    if terminal:
        console.print(shown)
    else:
        wide = Console(width=10_000, no_color=True)
        for line in wide.render_lines(shown, wide.options, pad=False):
            click.echo("".join(segment.text for segment in line).rstrip())


def state(value: PresenceState) -> Text:
    """The word of a state in its colour."""
    from rich.text import Text

    return Text(value.value, style=_STYLES[value])


def presences(found: Iterable[Presence], *, rich: bool) -> None:
    """Contacts with their states; with rich presence also what they are doing and on which devices."""
    ordered = sorted(found, key=lambda presence: presence.contact.casefold())
    if not rich:
        table(["Contact", "State"], [[presence.contact, state(presence.state)] for presence in ordered])
        return
    table(
        ["Contact", "Name", "State", "Activities", "Phone", "Devices", "Note"],
        [
            [
                presence.contact,
                presence.display_name or "",
                state(presence.state),
                ", ".join((*presence.activities, *(["idle"] if presence.idle else []))),
                {True: "on the phone", False: "no", None: ""}[presence.on_the_phone],
                ", ".join(device.id if device.open else f"({device.id})" for device in presence.devices),
                presence.problem or presence.note or "",
            ]
            for presence in ordered
        ],
    )
    if any(not device.open for presence in ordered for device in presence.devices):
        note("Devices in parentheses are closed.")


def unknown(end_user: str, found: Iterable[Presence]) -> None:
    """Say what to do about contacts that are UNKNOWN with basic presence."""
    names = federation.unknown_in(found)
    if names:
        note(f"Note: {federation.hint(end_user, names)}.")


def as_json(presence: Presence) -> dict[str, object]:
    """A contact as JSON: the fields of the HTTP API, without those that only a running service has."""
    devices = [
        {
            "id": device.id,
            "open": device.open,
            "audio": device.audio,
            "video": device.video,
            "text": device.text,
        }
        for device in presence.devices
    ]
    return {
        "contact": presence.contact,
        "state": presence.state.value,
        "activities": list(presence.activities),
        "on_the_phone": presence.on_the_phone,
        "display_name": presence.display_name,
        "note": presence.note,
        "idle": presence.idle,
        "devices": devices,
        "problem": presence.problem,
    }


@contextmanager
def waiting(text: str) -> Iterator[None]:
    """Show in a terminal that something takes longer than a second, and what."""
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    status = console.status(Text(printable(text)))
    timer = asyncio.get_running_loop().call_later(PATIENCE, status.start)
    try:
        yield
    finally:
        timer.cancel()
        status.stop()
