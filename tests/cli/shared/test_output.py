"""What commands print: tables, documents, and what comes from the server as mere text."""

from __future__ import annotations

import asyncio
import json

import pytest

from pws_soap.models import Device, Presence, PresenceState, PresenceType
from service.cli.shared import output

Capture = pytest.CaptureFixture[str]

RICH = Presence(
    "ann@example.com",
    PresenceState.BUSY,
    PresenceType.RICH,
    activities=("busy", "on-the-phone"),
    on_the_phone=True,
    display_name="Ann [bold]Example[/bold]",
    note="a\nb\x1b]0;x\x07\x9b",
    idle=True,
    devices=(Device("cmp-8001", open=True, audio=True), Device("jabber", open=False)),
)


def test_a_table_in_a_pipe_is_plain_and_whole(capsys: Capture) -> None:
    output.table(["A", "B"], [["x" * 300, "y"]])
    assert capsys.readouterr().out.splitlines() == ["A" + " " * 301 + "B", "x" * 300 + "  y"]


def test_a_table_in_a_terminal_has_a_frame_and_colours(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    output.presences([Presence("ann@example.com", PresenceState.AVAILABLE)], rich=False)
    out = capsys.readouterr().out
    assert "╭" in out
    assert "\x1b[32mAVAILABLE" in out


def test_what_the_server_says_is_neither_markup_nor_control(capsys: Capture) -> None:
    output.presences([RICH], rich=True)
    out, err = capsys.readouterr()
    assert "Ann [bold]Example[/bold]" in out
    assert "busy, on-the-phone, idle" in out
    assert "cmp-8001, (jabber)" in out
    assert "\x1b" not in out
    assert "\x07" not in out
    assert err == "Devices in parentheses are closed.\n"


def test_a_contact_whose_document_could_not_be_read_says_so(capsys: Capture) -> None:
    output.presences([Presence("a@b", PresenceState.UNKNOWN, PresenceType.RICH, problem="no XML")], rich=True)
    assert "no XML" in capsys.readouterr().out


def test_json_keeps_what_is_known(capsys: Capture) -> None:
    output.document(output.as_json(RICH))
    text = capsys.readouterr().out
    assert not set("\x07\x1b\x9b") & set(text)
    assert json.loads(text) == {
        "contact": "ann@example.com",
        "state": "BUSY",
        "activities": ["busy", "on-the-phone"],
        "on_the_phone": True,
        "display_name": "Ann [bold]Example[/bold]",
        "note": "a\nb\x1b]0;x\x07\x9b",
        "idle": True,
        "devices": [
            {"id": "cmp-8001", "open": True, "audio": True, "video": None, "text": None},
            {"id": "jabber", "open": False, "audio": None, "video": None, "text": None},
        ],
        "problem": None,
    }


async def test_a_long_wait_is_shown_in_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(output, "PATIENCE", 0)
    with output.waiting("Asking [imp1]"):
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert "Asking [imp1]" in capsys.readouterr().err


async def test_a_wait_is_not_shown_elsewhere(capsys: Capture) -> None:
    with output.waiting("Asking imp1"):
        pass
    assert capsys.readouterr().err == ""
