"""No text of a server, a contact, a file or a request makes a terminal or a log do anything."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import sys
from pathlib import Path

import pytest

import service.cli.command_line
from pws_soap.client import PwsClient
from pws_soap.errors import NO_DESCRIPTORS_LEFT, Unreachable
from pws_soap.models import Presence, PresenceState, PresenceType
from service.cli.command_line import run
from service.cli.shared import hints
from service.cli.shared.harmless import harmless_json, json_text, printable
from service.logs import configuration as logs
from service.logs.formatters import FORMAT, PrintableFormatter
from tests.cli.configured import configure
from tests.cli.conftest import CommandOffice

HOSTILE = (
    "\x1b[31m",  # a colour
    "\x1b]0;title\x07",
    "\x9b31m",  # the same in one character
    "\u202eevil",  # right to left from here
    "\u2066x\u2069",
    "\u200f",
    "\u2028",
    "\r",
    "\x08",
    "\x7f",
    "\ufeff",
    "\U000e0041",  # a tag, which does not show
)
ALL = "".join(HOSTILE)


def is_harmless(text: str) -> bool:
    return all(char.isprintable() or char == "\n" for char in text)


@pytest.mark.parametrize("text", HOSTILE)
def test_what_does_not_print_is_replaced_or_escaped(text: str) -> None:
    """In JSON it is escaped, so that the value is the same."""
    assert is_harmless(printable(f"a{text}b\nc"))
    assert printable(f"a{text}b\nc").endswith("b\nc")
    for indent in (None, 2):
        written = json_text({"a": text, text: ["é", "\U0001f600"]}, indent=indent)
        assert is_harmless(written)
        assert "é" in written
        assert json.loads(written) == {"a": text, text: ["é", "\U0001f600"]}


def test_what_prints_is_left_as_it_is() -> None:
    for text in ("Ann Exämple", "日本語", "👩", "שלום"):
        assert printable(text) == text
        assert harmless_json(f'"{text}"') == f'"{text}"'


def test_a_log_line_is_one_line_without_controls(capsys: pytest.CaptureFixture[str]) -> None:
    """Its traceback has lines, and none of them has more."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PrintableFormatter(FORMAT))
    logger = logging.getLogger("pws.test-of-harmless")
    logger.addHandler(handler)
    logger.propagate = False
    try:
        logger.warning("refused %s\n2026-01-01 00:00:00,000 INFO forged", ALL)
        try:
            int(f"x{ALL}")
        except ValueError:
            logger.exception("unexpected %s", ALL, stack_info=True)
    finally:
        logger.removeHandler(handler)
    first, *rest = capsys.readouterr().err.splitlines()
    assert "forged" in first
    assert is_harmless(first)
    assert all(map(is_harmless, rest))
    assert any("ValueError: " in line for line in rest)


def test_pws_serve_logs_so(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[logging.Handler] = []
    monkeypatch.setattr(logging, "basicConfig", lambda *, handlers, level: used.extend(handlers))
    level = logging.getLogger("pws").level
    logs.configure("info")
    logging.getLogger("pws").setLevel(level)
    assert [type(handler.formatter) for handler in used] == [PrintableFormatter]


def test_lines_that_nobody_configured_are_guarded_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert logging.lastResort is not None
    assert isinstance(logging.lastResort.formatter, PrintableFormatter)
    capsys.readouterr()


@pytest.mark.parametrize("words", [["--x" + ALL], [ALL], ["poll"], ["poll", "ann", "--type", ALL], ["explain", ALL]])
def test_what_was_typed_is_not_repeated_raw(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    configure(tmp_path)
    assert run(words) == 2
    out, err = capsys.readouterr()
    assert is_harmless(out + err)
    assert err


def test_what_a_server_says_of_a_contact_reaches_no_terminal_raw(
    office: CommandOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither as a table nor as JSON, and neither in the error about somebody else."""
    hostile = Presence(
        "ann@example.com", PresenceState.BUSY, PresenceType.RICH, (ALL,), None, ALL, ALL, problem=f"x{ALL}"
    )

    async def polled(*_args: object, **_options: object) -> list[Presence]:
        return [hostile]

    monkeypatch.setattr(PwsClient, "get_polled_presence", polled)
    for words in (["poll", "ann"], ["poll", "ann", "--json"], ["poll", "joe"]):
        result = office.pws(*words)
        assert is_harmless(result.out + result.err)
    assert office.pws("poll", "ann", "--json").document["contacts"][0]["note"] == ALL


# Nothing left to open


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
async def test_running_out_of_descriptors_is_said(number: int, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """While connecting, to a lone address or to the first of several; the hint is not about the network then."""

    async def refuse(*_args: object, **_options: object) -> None:
        raise OSError(number, "Too many open files")

    monkeypatch.setattr("aiohappyeyeballs.start_connection", refuse)
    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", refuse)
    async with PwsClient(f"http://{host}:9") as pws:
        with pytest.raises(Unreachable) as caught:
            await pws.login("pwsapp", "password")
    assert NO_DESCRIPTORS_LEFT in str(caught.value)
    assert hints.message(caught.value) == str(caught.value)


async def test_a_name_that_is_not_resolved_for_want_of_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_args: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    async with PwsClient("http://nowhere.invalid:9") as pws:
        with pytest.raises(Unreachable, match="cannot be resolved"):
            await pws.login("pwsapp", "password")
        monkeypatch.setattr("pws_soap.transport.os.open", none_left)
        with pytest.raises(Unreachable, match="no file descriptors are left"):
            await pws.login("pwsapp", "password")


def test_a_command_that_cannot_open_anything_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, code in ((errno.EMFILE, NO_DESCRIPTORS_LEFT), (errno.EIO, "no\n")):

        def fail(*_args: object, number: int = number, **_options: object) -> None:
            raise OSError(number, "no")

        monkeypatch.setattr(service.cli.command_line.cli, "main", fail)
        assert run(["poll"]) == 1
        assert capsys.readouterr().err.startswith(f"Error: {code}")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("山田　太郎", "山田 太郎"),
        ("a\u00a0b\tc", "a b c"),
        ("\U0001f468\u200d\U0001f469", "\U0001f468\u200d\U0001f469"),
        ("\u0645\u06cc\u200c\u062e", "\u0645\u06cc\u200c\u062e"),
        ("a\u202eb\u200fc\u2028d\x1be", "a�b�c�d�e"),
        ("one\ntwo", "one\ntwo"),
    ],
)
def test_letters_of_every_script_stay_and_controls_do_not(text: str, shown: str) -> None:
    assert printable(text) == shown
