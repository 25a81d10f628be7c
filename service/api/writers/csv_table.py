"""Contacts as a table (RFC 4180), for spreadsheets.

The text begins with a byte order mark: without one, the most common spreadsheet takes a file for the machine's own
8-bit code, and "Müller" for something else. Cells that a spreadsheet would take for a formula are made text: a display
name is whatever somebody typed, and must not run on the machine where the file is opened.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Final

from service.api.writers.fields import COLUMNS, TABLE
from service.core.presence.snapshot import ContactSnapshot

MEDIA_TYPE: Final = "text/csv"
CONTENT_TYPE: Final = "text/csv; charset=utf-8; header=present"

_BOM: Final = "\N{ZERO WIDTH NO-BREAK SPACE}"
_FORMULA: Final = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
"""What a formula begins with, in both widths; and what some programs skip to find one."""


def table(contacts: Iterable[ContactSnapshot], columns: Sequence[str] = COLUMNS) -> bytes:
    """A header and a line for each contact, in UTF-8."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)  # the default dialect: quotes where needed, lines end with CR LF
    writer.writerow(columns)
    readers = [TABLE[name].cell or TABLE[name].read for name in columns]
    writer.writerows([_cell(read(contact)) for read in readers] for contact in contacts)
    return (_BOM + text.getvalue()).encode(errors="replace")


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return _harmless(" ".join(map(str, value)))
    return _harmless(str(value))


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text
