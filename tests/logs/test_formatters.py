"""Both forms of a log line: one line, harmless, without secrets, and the JSON form a whole object."""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest

from pws_soap.models import Secret
from service.core.tracing import ID_TRACER, current_trace
from service.logs import configuration
from service.logs.formatters import FORMAT, MEMBERS, OTHERS, JsonFormatter, PrintableFormatter
from service.logs.redaction import HIDDEN, Redactor

PASSWORD = 'pass"word\\ä'


class Written:
    """A logger of its own, and what it has written in both forms."""

    def __init__(self) -> None:
        redactor = Redactor([Secret(PASSWORD)])
        self.logger = logging.getLogger("pws.test-of-formatters")
        self.logger.propagate = False
        self.logger.setLevel(logging.DEBUG)
        self._text, self._json = StringIO(), StringIO()
        self.handlers = [configuration.LogHandler(self._text), configuration.LogHandler(self._json)]
        self.handlers[0].setFormatter(PrintableFormatter(FORMAT, redactor))
        self.handlers[1].setFormatter(JsonFormatter(redactor))
        for handler in self.handlers:
            self.logger.addHandler(handler)

    @property
    def text(self) -> str:
        return self._text.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:  # JSON is of any type
        return [json.loads(line) for line in self._json.getvalue().splitlines()]

    @property
    def everything(self) -> str:
        return self._text.getvalue() + self._json.getvalue()


@pytest.fixture
def written() -> Iterator[Written]:
    made = Written()
    yield made
    for handler in made.handlers:
        made.logger.removeHandler(handler)


def test_members_come_first_and_then_the_fields(written: Written) -> None:
    written.logger.warning(
        "%(feed)s%(_more)s: %(count)d",
        {"feed": "dispatcher", "_more": "!", "count": 3, "ratio": 0.5, "none": None, "node": ("a", "b")},
        extra={"event": "test.done"},
    )
    (line,) = written.lines
    assert list(line) == [*MEMBERS, "feed", "count", "ratio", "none", "node"]
    assert line["message"] == "dispatcher!: 3"
    assert (line["level"], line["event"], line["trace"]) == ("warning", "test.done", None)
    assert line["time"].endswith("Z")
    assert line["node"] == ["a", "b"]
    assert written.text.endswith(" WARNING pws.test-of-formatters  dispatcher!: 3\n")


def test_the_trace_is_that_of_the_span(written: Written) -> None:
    with ID_TRACER.span("notification") as trace:
        written.logger.info("inside")
        with ID_TRACER.span("fetch"):
            written.logger.info("further inside")
    with ID_TRACER.span("fetch", trace):
        written.logger.info("later")
    with ID_TRACER.span("fetch"):
        written.logger.info("another")
    assert current_trace() is None
    first, second, third, other = (line["trace"] for line in written.lines)
    assert first == second == third == trace.id
    assert len(other) == 32
    assert other != first


def test_a_line_of_a_library_has_no_name_of_its_own(written: Written) -> None:
    written.logger.warning("%s of %d", "one", 2)
    assert (written.lines[0]["event"], written.lines[0]["message"]) == (OTHERS, "one of 2")


def _fails() -> None:
    try:
        dict[str, str]()[PASSWORD]
    except KeyError as error:
        raise ValueError(f"wrong: {PASSWORD!r}, {error}, {[error]}") from error


def test_no_form_shows_a_secret(written: Written) -> None:
    """Not in the message, a field, an exception with its cause, a stack, or the representation of a value."""
    log = written.logger
    log.info("it is %(secret)s", {"secret": PASSWORD, "list": [PASSWORD], "value": ValueError(PASSWORD)})
    log.info("it is %r", PASSWORD)
    log.info("it is %s", json.dumps({"password": PASSWORD}))
    try:
        _fails()
    except ValueError:
        log.exception("failed", stack_info=True)
    assert "Traceback" in written.text
    assert "KeyError" in written.lines[-1]["exception"]
    assert "test_formatters" in written.lines[-1]["stack"]
    assert HIDDEN in written.everything
    for spelling in ("pass", "word\\"):
        assert spelling not in written.everything.replace("password", "").replace("passw0rd", "")


def test_a_traceback_that_another_handler_kept_is_redacted_too(written: Written) -> None:
    careless = logging.StreamHandler(StringIO())
    written.logger.handlers.insert(0, careless)
    try:
        _fails()
    except ValueError:
        written.logger.exception("failed")
    finally:
        written.logger.handlers.remove(careless)
    assert "word\\" not in written.everything


def test_lines_are_harmless(written: Written) -> None:
    """What a terminal would obey is escaped in JSON, so that the value is the same."""
    text = "a\x1b[31m\u202eb\nforged"
    written.logger.warning("got %(text)s", {"text": text})
    assert written.lines[0]["text"] == text
    raw = written.everything.splitlines()
    assert len(raw) == 2
    assert all(line.isprintable() for line in raw)


def test_a_record_that_cannot_be_written_ends_nothing_and_shows_nothing(
    written: Written, capsys: pytest.CaptureFixture[str]
) -> None:
    """The standard library's own handler would print the arguments."""
    record = logging.LogRecord("pws.test", logging.WARNING, __file__, 1, "%d", (PASSWORD,), None)
    for handler in written.handlers:
        handler.handle(record)
    assert written.everything == ""
    assert capsys.readouterr() == ("", "")


def test_what_python_would_print_is_logged(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """An exception that ends a thread, and one that nobody can be given."""
    hooks = threading.excepthook, sys.unraisablehook

    class Broken:
        def __del__(self) -> None:
            raise ValueError("in a finalizer")

    with configuration.catch_the_rest():
        thread = threading.Thread(target=_fails, name="broken")
        thread.start()
        thread.join()
        broken = Broken()
        del broken
    assert (threading.excepthook, sys.unraisablehook) == hooks
    assert caplog.records[0].getMessage() == "thread broken: unexpected error"
    assert [record.exc_info[1].args[0][:5] for record in caplog.records if record.exc_info and record.exc_info[1]] == [
        "wrong",
        "in a ",
    ]
