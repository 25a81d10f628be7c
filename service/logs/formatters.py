"""The two forms of a log line: text for people, JSON for programs. Both are one line, and both pass the redactor.

What is logged holds texts of the server, of contacts, files and requests. Only the lines of a traceback stay lines, and
only in the text form.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, TypeAlias

from service.core.tracing import current_trace
from service.logs.printable import harmless_json, printable
from service.logs.redaction import Redactor

FORMAT: Final = "%(asctime)s %(levelname)-7s %(name)s  %(message)s"
OTHERS: Final = "library.message"
"""The event of lines that libraries write."""
MEMBERS: Final = ("time", "level", "logger", "event", "trace", "message")
"""The members of a JSON line that come first. Fields, `exception` and `stack` follow; no field has such a name."""

Redact: TypeAlias = Callable[[str], str]
_ExcInfo: TypeAlias = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class PrintableFormatter(logging.Formatter):
    """Writes a record without secrets, and without control characters, line ends included."""

    def __init__(self, fmt: str | None = None, redact: Redact | None = None) -> None:
        super().__init__(fmt)
        self._redact = redact or Redactor()

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # the name is that of the standard library
        record.message = printable(self._redact(record.message)).replace("\n", " ")
        return super().formatMessage(record)

    def formatException(self, ei: _ExcInfo) -> str:  # noqa: N802  # as above
        return printable(self._redact(super().formatException(ei)))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802  # as above
        return printable(self._redact(super().formatStack(stack_info)))

    def format(self, record: logging.LogRecord) -> str:
        """See logging.Formatter. A traceback that another handler has kept with the record was not redacted."""
        kept, record.exc_text = record.exc_text, None
        try:
            return super().format(record)
        finally:
            record.exc_text = kept


class JsonFormatter(logging.Formatter):
    """Writes a record as one JSON object: `MEMBERS`, then the fields of the event, then a traceback.

    What a message takes under a name that begins with `_` is a piece of its text, and no field.
    """

    def __init__(self, redact: Redact | None = None) -> None:
        super().__init__()
        self._redact = redact or Redactor()

    def format(self, record: logging.LogRecord) -> str:
        """See logging.Formatter."""
        trace = current_trace()
        line: dict[str, object] = {
            "time": _rfc3339(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": getattr(record, "event", OTHERS),
            "trace": None if trace is None else trace.id,
            "message": self._redact(record.getMessage()),
        }
        fields = record.args
        if isinstance(fields, Mapping):
            shown = {name: value for name, value in fields.items() if not name.startswith("_") and name not in line}
            line |= {name: self._value(value) for name, value in shown.items()}
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = self._redact(self.formatException(record.exc_info))
        if record.stack_info:
            line["stack"] = self._redact(self.formatStack(record.stack_info))
        return harmless_json(json.dumps(line, ensure_ascii=False, separators=(",", ":")))

    def _value(self, value: object) -> object:
        if value is None or isinstance(value, bool | int):
            return value
        if isinstance(value, float):
            return value if math.isfinite(value) else None
        if isinstance(value, list | tuple | set | frozenset):
            return [self._value(item) for item in value]
        return self._redact(str(value))


def _rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
