"""How log lines are written: one line each, and nothing in them that a terminal would obey.

What is logged holds texts of the server, of contacts, files and requests. Only the lines of a traceback stay lines.
"""

from __future__ import annotations

import logging
from types import TracebackType
from typing import Final, TypeAlias

from service.cli.shared.harmless import printable

FORMAT: Final = "%(asctime)s %(levelname)-7s %(name)s  %(message)s"

_ExcInfo: TypeAlias = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class PrintableFormatter(logging.Formatter):
    """Writes a record without control characters, line ends included."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # the name is that of the standard library
        record.message = printable(record.message).replace("\n", " ")
        return super().formatMessage(record)

    def formatException(self, ei: _ExcInfo) -> str:  # noqa: N802  # as above
        return printable(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802  # as above
        return printable(super().formatStack(stack_info))


def configure(level: str) -> None:
    """Our own messages, one line each, on standard error; of the libraries' only warnings, since some tell too much."""
    handler = logging.StreamHandler()
    handler.setFormatter(PrintableFormatter(FORMAT))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    logging.getLogger("pws").setLevel(level.upper())


def guard_what_nobody_configured() -> None:
    """The same for the lines that Python writes where no handler is configured, as in most commands."""
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(PrintableFormatter())
