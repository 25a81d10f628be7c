"""Where log lines go, from which level on and in which form: standard error, by a handler that never fails loudly."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from service.logs.formatters import FORMAT, JsonFormatter, PrintableFormatter
from service.logs.redaction import Redactor

LEVELS: Final = ("debug", "info", "warning", "error")
FORMATS: Final = ("text", "json")

_log = logging.getLogger("pws.service")


class LogHandler(logging.StreamHandler):  # type: ignore[type-arg]  # generic in its stubs alone
    """Writes to standard error. What cannot be written is lost: there is no other place to say so."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # the name is that of the standard library
        """See logging.Handler. The standard library's own would print the record's arguments as they are."""


def configure(level: str, form: str = "text", redactor: Redactor | None = None) -> None:
    """Our own messages, one line each, on standard error; of the libraries' only warnings, since some tell too much."""
    redact = redactor or Redactor()
    handler = LogHandler()
    handler.setFormatter(JsonFormatter(redact) if form == "json" else PrintableFormatter(FORMAT, redact))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    set_level(level)


def set_level(level: str) -> None:
    """From which level on our own messages are written."""
    logging.getLogger("pws").setLevel(level.upper())


def guard_what_nobody_configured() -> None:
    """The same for the lines that Python writes where no handler is configured, as in most commands."""
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(PrintableFormatter())


@contextmanager
def catch_the_rest() -> Iterator[None]:
    """Log what Python itself would print to standard error, with all that is in it: an exception that ends a thread or
    that nobody could be given, and warnings."""

    def of_thread(args: threading.ExceptHookArgs) -> None:
        error = args.exc_value
        if error is not None:
            name = args.thread.name if args.thread is not None else "?"
            _unexpected(f"thread {name}", error)

    def unraisable(args: sys.UnraisableHookArgs) -> None:
        if args.exc_value is not None:
            _unexpected(args.err_msg or "exception ignored", args.exc_value)

    before = threading.excepthook, sys.unraisablehook
    threading.excepthook, sys.unraisablehook = of_thread, unraisable
    logging.captureWarnings(True)
    try:
        yield
    finally:
        threading.excepthook, sys.unraisablehook = before
        logging.captureWarnings(False)


def _unexpected(part: str, error: BaseException) -> None:
    _log.error("%(part)s: unexpected error", {"part": part}, exc_info=error, extra={"event": "internal.error"})
