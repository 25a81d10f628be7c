"""`pws explain`: from a file or standard input, without server and configuration."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pytest

from pws_soap import pidf
from service.cli.command_line import run

ANN = (
    '<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:ann@example.com"><person><activities>'
    '<user-input since="2026-01-25T10:00:00Z">idle</user-input><busy/><on-the-phone/>'
    '<im-status>available</im-status></activities><note xml:lang="en">Say \u001bhi</note></person>'
    '<tuple id="cmp-1"><status><basic>open</basic></status><servcaps><audio>true</audio></servcaps>'
    '<contact priority="0.8">sip:1@198.51.100.7</contact></tuple></presence>'
).replace("\u001b", "")
BOB = '<presence entity="sip:bob@example.com"><person><activities><dnd/></activities></person></presence>'
BROKEN = '<presence entity="sip:cid@example.com"><person></presence>'


def soap(content: str) -> str:
    """A reply with such a list."""
    return (
        '<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
        '<getPolledPresenceResponse xmlns="urn:cisco:cup:presence:soap"><presenceResponse>'
        f"<presenceType>RICH_PRESENCE</presenceType><richPresenceList>{content}</richPresenceList>"
        "</presenceResponse></getPolledPresenceResponse></s:Body></s:Envelope>"
    )


def test_a_document_is_told_and_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first line of the explanation names what decided."""
    (tmp_path / "ann.xml").write_text(ANN)
    assert run(["explain", str(tmp_path / "ann.xml")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "ann@example.com: BUSY"
    assert "  activities    busy, on-the-phone" in lines
    assert "  input         idle since 2026-01-25T10:00:00Z" in lines
    assert '  note          "Say hi" [en]' in lines
    assert "  device        cmp-1 (desk-phone): open, audio yes, priority 0.8" in lines
    why = lines.index("  why           BUSY: decided by person/activities/busy (the person says so)")
    assert "on-the-phone says BUSY: agrees" in lines[why + 1]


@pytest.mark.parametrize(
    "content",
    [
        ANN + BOB,
        f"<richPresenceList>{ANN}{BOB}</richPresenceList>",
        soap(ANN + BOB),
        soap(escape(ANN + BOB)),
        soap(f"<![CDATA[{ANN}{BOB}]]>"),
    ],
    ids=["documents", "list", "elements", "escaped", "cdata"],
)
def test_lists_and_replies_come_document_by_document(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "reply.xml").write_text(content)
    assert run(["explain", "--json", str(tmp_path / "reply.xml")]) == 0
    ann, bob = json.loads(capsys.readouterr().out)["documents"]
    assert (ann["contact"], ann["state"], ann["decided_by"]) == ("ann@example.com", "BUSY", "person/activities/busy")
    assert (ann["devices"][0]["kind"], ann["devices"][0]["priority"]) == ("desk-phone", 0.8)
    assert (bob["contact"], bob["state"], bob["problem"]) == ("bob@example.com", "DND", None)
    assert bob["explain"] == ["DND: decided by person/activities/dnd (the person says so)"]


def test_one_that_cannot_be_read_costs_the_exit_code_and_not_the_others(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From standard input."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO((BROKEN + BOB).encode())))
    assert run(["explain", "-"]) == 1
    shown = capsys.readouterr()
    assert "cid@example.com: UNKNOWN\n  cannot be read: " in shown.out
    assert "bob@example.com: DND" in shown.out
    assert "1 of 2 documents cannot be read" in shown.err


def test_what_is_past_does_not_count_and_the_output_says_as_of_when(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the present time, or by that of `--at`; a document without times has no such lines."""
    monkeypatch.setattr("service.cli.commands.explain.now", lambda: datetime(2026, 5, 30, 12, 0, 0, 5, tzinfo=UTC))
    timed = ANN.replace("<on-the-phone/>", '<on-the-phone until="2026-05-30T11:00:00Z"/>')
    timed = timed.replace("<busy/>", '<busy until="2026-05-30T15:00:00+02:00"/>')
    (tmp_path / "ann.xml").write_text(timed + BOB)
    assert run(["explain", str(tmp_path / "ann.xml")]) == 0
    ann, bob = (text.splitlines() for text in capsys.readouterr().out.split("\n\n"))
    assert "  activities    busy" in ann
    assert "  as of         2026-05-30T12:00:00Z" in ann
    assert "  valid until   2026-05-30T13:00:00Z" in ann
    assert ann[-1].endswith("person/activities/on-the-phone: until 2026-05-30T11:00:00Z is past: does not count")
    assert not [line for line in bob if "as of" in line or "valid until" in line]
    assert run(["explain", str(tmp_path / "ann.xml"), "--json", "--at", "2026-05-30T12:30:00+02:00"]) == 0
    whole = json.loads(capsys.readouterr().out)
    assert whole["as_of"] == "2026-05-30T10:30:00Z"
    assert [one["valid_until"] for one in whole["documents"]] == ["2026-05-30T11:00:00Z", None]
    assert run(["explain", str(tmp_path / "ann.xml"), "--at", "tomorrow"]) == 2
    assert "--at: expected a date and time such as 2026-05-30T12:00:00Z, got 'tomorrow'" in capsys.readouterr().err


def test_a_file_without_a_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Basic presence is none; a file that is not there is a mistake in the words."""
    (tmp_path / "basic.xml").write_text('<basicPresenceList><contact contactURI="a@b.c"/></basicPresenceList>')
    assert run(["explain", str(tmp_path / "basic.xml")]) == 1
    assert run(["explain", str(tmp_path / "none.xml")]) == 2
    assert run(["explain", str(tmp_path)]) == 2
    assert "no presence document" in capsys.readouterr().err


def test_control_characters_never_reach_a_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "ann.xml").write_text(ANN.replace("cmp-1", "cmp&#x9b;2J"))
    assert run(["explain", str(tmp_path / "ann.xml")]) == 0
    assert "\x9b" not in capsys.readouterr().out


@pytest.mark.parametrize("option", [[], ["--json"]])
def test_documents_are_printed_as_they_are_read(
    option: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """However many there are, none is kept: each is on the output before the next is read."""
    (tmp_path / "many.xml").write_text("".join(BOB.replace("bob", f"b{number}") for number in range(300)))
    printed: list[int] = []
    read_list = pidf.read_list

    def one_by_one(*arguments: Any) -> Iterator[pidf.Reading]:
        for count, reading in enumerate(read_list(*arguments)):
            printed.append(count)
            if count:
                assert f"b{count - 1}@example.com" in capsys.readouterr().out
            yield reading

    monkeypatch.setattr(pidf, "read_list", one_by_one)
    assert run(["explain", str(tmp_path / "many.xml"), *option]) == 0
    assert len(printed) == 300


def test_documents_that_are_no_reply_are_not_made_into_a_tree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A tree of them takes many times their size."""

    def never(_content: bytes) -> None:
        raise AssertionError("parsed as one")

    monkeypatch.setattr("pws_soap.envelope.parse", never)
    (tmp_path / "list.xml").write_text(f"<list>{BOB * 3}</list>")
    assert run(["explain", str(tmp_path / "list.xml")]) == 0
    assert capsys.readouterr().out.count("bob@example.com") == 3


def test_json_is_one_document_however_it_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As it would be were it written at once."""
    (tmp_path / "two.xml").write_text(ANN + BOB)
    assert run(["explain", str(tmp_path / "two.xml"), "--json", "--at", "2026-01-25T12:00:00Z"]) == 0
    out = capsys.readouterr().out
    assert out == json.dumps(json.loads(out), indent=2, ensure_ascii=False) + "\n"
    assert [document["contact"] for document in json.loads(out)["documents"]] == ["ann@example.com", "bob@example.com"]
