"""`pws watch` in lines and as JSON: a service that streams, over real sockets, and everything that can go wrong."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiohttp import web

from service.cli.command_line import run
from service.cli.terminal import lines
from service.cli.terminal.contact import read
from service.cli.terminal.follow import Health, StreamEvent
from service.cli.watch import command as watch
from tests.cli.at_terminal import FULL_SCREEN, ORDINARY_SCREEN, PROGRAM, at_terminal
from tests.cli.running import PATIENCE, Lines, Running
from tests.cli.streaming import END, Streaming, contact
from tests.support.ports import free_port

Start = Callable[..., Running]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory, and an environment without our variables."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("PWS_")]:
        monkeypatch.delenv(name)
    return tmp_path


@pytest.fixture
def service() -> Iterator[Streaming]:
    with Streaming().threaded() as streaming:
        streaming.begin = [Streaming.snapshot(contact("ann"), contact("joe", "BUSY"))]
        yield streaming


@pytest.fixture
def start(service: Streaming, monkeypatch: pytest.MonkeyPatch) -> Start:
    """`pws watch` of the service."""

    def begin(*words: str, out: Lines | None = None) -> Running:
        return Running(monkeypatch, watch, ["watch", "--url", service.url, *words], out)

    return begin


def refused(status: int, detail: str = "") -> web.Response:
    return web.json_response({"detail": detail, "status": status}, status=status)


def documents(running: Running) -> list[dict[str, Any]]:
    return [json.loads(line) for line in running.out.all]


# Lines


def test_a_line_for_each_contact_and_each_change(service: Streaming, start: Start) -> None:
    """In the columns of `pws demo`: when, who, how, and what was different before."""
    with start() as running:
        running.err.having("the service is live")
        assert running.out.having("ann").split("  ", 1)[1] == "ann@example.com           AVAILABLE"
        running.out.having("joe")
        service.send(
            service.event("change", 11, contact("ann", "BUSY", on_the_phone=True, reason="support: on the phone"))
        )
        assert running.out.having("ann").endswith(
            "BUSY         on the phone; was AVAILABLE; not free: support: on the phone"
        )
        held = {"id": "c", "group": "support", "for": "ticket 4711", "holder": "crm", "expires_at": None}
        service.send(service.event("change", 12, contact("joe", available=False, reason="claimed", claim=held)))
        assert running.out.having("joe").endswith("held by crm for ticket 4711; was BUSY")
        service.send(service.event("change", 13, contact("joe", freshness="stale", available=False)))
        assert "stale, as of " in running.out.having("joe")
        service.send(service.event("removed", 14, {"contact": "joe@example.com", "revision": 14, "watched": True}))
        assert running.out.having("joe").endswith("left the filter")
        lost = {"at": "2026-11-21T10:00:03.120Z", "end_user": "dispatcher", "node": "imp1", "reason": "code 133\x1b[2J"}
        service.send(service.event("subscription.lost", 15, lost))
        assert running.out.having("lost").endswith("subscription.lost dispatcher at imp1 (code 133\ufffd[2J)")
        service.send(service.event("something.new", 16, {"at": "2026-11-21T10:00:03.120Z"}))
        assert running.out.having("new").endswith("something.new")
        assert running.stop() == 0
    assert running.err.all == ["the service is live"]


def test_json_is_a_document_for_each_contact_and_each_event(service: Streaming, start: Start) -> None:
    """What the service said, with the event's name and id before it; standard output has nothing else."""
    with start("--json") as running:
        running.out.having("joe")
        service.send(service.event("change", 11, contact("ann", "DND", note="\u2028\x9b")))
        running.out.having("DND")
        data = {"at": "2026-11-21T10:00:03.120Z", "revision": 12, "group": "support", "free": 0, "min_free": 1}
        service.send(service.event("coverage.low", 12, data))
        running.out.having("coverage")
        assert running.stop() == 0
    found = documents(running)
    assert [(each["event"], each["id"]) for each in found] == [
        ("snapshot", 10),
        ("snapshot", 10),
        ("change", 11),
        ("coverage.low", 12),
    ]
    assert found[0] == {"event": "snapshot", "id": 10, **contact("ann")}
    assert found[2] == {"event": "change", "id": 11, **contact("ann", "DND", note="\u2028\x9b")}
    assert found[3] == {"event": "coverage.low", "id": 12, **data}
    assert "\\u2028\\u009b" in running.out.all[2]


def test_after_a_break_it_resumes_and_says_that_nothing_was_sure_meanwhile(service: Streaming, start: Start) -> None:
    with start("--json") as running:
        running.out.having("joe")
        service.begin = [
            refused(503, "starting"),
            b"retry: 1\n\n" + service.event("change", 11, contact("ann", "AWAY")),
        ]
        service.send(END)
        running.out.having("AWAY")
    assert [each["event"] for each in documents(running)[2:]] == ["disconnected", "connected", "change"]
    assert documents(running)[2] == {"event": "disconnected", "id": None, "reason": "the service ended the stream"}
    assert [headers.get("Last-Event-ID") for headers in service.headers] == [None, "10", "10"]


def test_a_new_snapshot_takes_away_who_is_gone(service: Streaming, start: Start) -> None:
    """So the last line of each contact is what is known of it."""
    with start("--json") as running:
        running.out.having("joe")
        service.send(service.snapshot(contact("ann", "AWAY"), number=20, reason="behind"))
        running.out.having("removed")
    assert [(each["event"], each["contact"]) for each in documents(running)[2:]] == [
        ("snapshot", "ann@example.com"),
        ("removed", "joe@example.com"),
    ]


def test_in_lines_a_break_is_told_once(service: Streaming, start: Start) -> None:
    with start() as running:
        running.out.having("joe")
        service.begin = [refused(502), refused(429, "too many"), service.snapshot(contact("ann"), reason="not-kept")]
        service.send(END)
        assert (
            "NOT CONNECTED: the service ended the stream; the lines so far may no longer be true"
            in running.out.having("NOT")
        )
        running.out.having("connected again")
        running.out.having("changes were missed; this is how it is now")
        running.out.having("joe")
    assert sum("NOT CONNECTED" in line for line in running.out.all) == 1
    assert running.out.all[-1].endswith("no longer watched")


def test_a_key_that_sees_no_details_gets_lines_too(service: Streaming, start: Start) -> None:
    brief = {"contact": "ann@example.com", "display_name": "Ann", "available": True, "freshness": "live", "revision": 1}
    service.begin = [service.snapshot(brief)]
    with start() as running:
        running.out.having("ann@example.com           FREE")
        service.send(service.event("change", 11, brief | {"available": False}))
        assert running.out.having("NOT FREE").endswith("not free")


def test_nobody_is_told_as_such(service: Streaming, start: Start) -> None:
    service.begin = [service.snapshot()]
    with start() as running:
        running.out.having("no contact passes the filter")


def test_the_words_become_the_filter_and_the_key_a_header(service: Streaming, start: Start, elsewhere: Path) -> None:
    """The key is in a file, and in no output."""
    key = elsewhere / "key"
    key.write_text("pws_abcdefgh\n")
    key.chmod(0o600)
    words = ["--group", "support", "--group", "sales", "--state", "away", "--available", "--freshness", "LIVE"]
    with start(*words, "--search", "ann & joe", "--key-file", str(key)) as running:
        running.out.having("joe")
    request = service.asked[0]
    assert list(request.query.items()) == [
        ("group", "support"), ("group", "sales"), ("state", "AWAY"), ("freshness", "live"), ("available", "true"),
        ("q", "ann & joe"),
    ]  # fmt: skip
    assert request.headers["Authorization"] == "Bearer pws_abcdefgh"
    assert "abcdefgh" not in "\n".join(running.out.all + running.err.all)


def test_how_the_service_is_doing_is_told_on_standard_error(service: Streaming, start: Start) -> None:
    """When it changes; an event about a subscription makes it ask at once."""
    service.status = {"state": "degraded", "problems": [{"since": None, "what": "imp1 does not answer"}], "now": None}
    with start("--json") as running:
        assert running.err.having("service is") == "the service is degraded: imp1 does not answer"


def test_more_calls_that_fail_are_no_news() -> None:
    """Of an outage one line is written, and not one for each call."""
    first, second = (
        Health("down", ((None, f"imp1 does not answer ({calls}): timed out"),), None)
        for calls in ("1 call", "2 calls in a row")
    )
    assert lines.news(first) == lines.news(second) == "the service is down: imp1 does not answer: timed out"
    assert lines.health(second) == "the service is down: imp1 does not answer (2 calls in a row): timed out"


def test_it_ends_after_its_time(start: Start) -> None:
    with start("--for", "0.2") as running:
        assert running.wait() == 0


def test_a_reader_who_leaves_ends_it_quietly(service: Streaming, start: Start) -> None:
    """As with `pws watch | head`."""
    with start("--json", out=Lines(breaks_after=1)) as running:
        assert running.wait() == 1
    assert not [line for line in running.err.all if "service is" not in line]


def test_what_is_no_event_makes_it_begin_anew(service: Streaming, start: Start) -> None:
    """Not from the id before it, where it would meet the same again."""
    with start("--json") as running:
        running.out.having("joe")
        service.begin = [service.snapshot(contact("ann", "AWAY"))]
        service.send(b"id: 12\ndata: [nonsense\n\n")
        running.out.having("AWAY")
    assert "cannot be read: an event 'message' without a JSON object" in running.out.all[2]
    assert service.headers[1].get("Last-Event-ID") is None


# No


@pytest.mark.parametrize(
    ("status", "detail", "code", "said"),
    [
        (401, "", 1, "wants a key: set PWS_KEY (`pws watch` also reads it from --key-file)"),
        (403, "the scope read is missing", 1, "does not allow this with the key: the scope read is missing"),
        (404, "", 1, "there is no /v1/events at"),
        (422, "group: expected one of sales, support", 2, "group: expected one of sales, support"),
        (429, "too many streams", 1, "cannot be reached: HTTP 429: too many streams"),
        (418, "\x1b[2Jteapot", 1, "refuses: HTTP 418: \ufffd[2Jteapot"),
    ],
)
def test_a_refusal_at_the_start_is_one_line(
    status: int, detail: str, code: int, said: str, service: Streaming, capsys: pytest.CaptureFixture[str]
) -> None:
    service.begin = [refused(status, detail)]
    assert run(["watch", "--url", service.url]) == code
    error = capsys.readouterr().err
    assert error.startswith("Error: ")
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (web.Response(text="<html>", content_type="text/html"), "is not a stream of events: is the address right?"),
        (web.Response(status=302, headers={"Location": "https://sso.example.com/"}), "redirects to https://sso"),
    ],
)
def test_another_program_at_the_address_is_told(
    answer: web.Response, said: str, service: Streaming, capsys: pytest.CaptureFixture[str]
) -> None:
    """The key is not taken along to wherever it sends."""
    service.begin = [answer]
    assert run(["watch", "--url", service.url]) == 1
    assert said in capsys.readouterr().err


def test_a_wrong_key_is_told_without_it(
    service: Streaming, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PWS_KEY", "pws_wrong")
    service.begin = [refused(401)]
    assert run(["watch", "--url", service.url]) == 1
    error = capsys.readouterr().err
    assert "does not know the key that was sent" in error
    assert "pws_wrong" not in error


def test_nobody_there_is_exit_code_1_and_a_way_out(capsys: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    assert run(["watch", "--url", f"http://127.0.0.1:{port}"]) == 1
    assert capsys.readouterr().err == (
        f"Error: http://127.0.0.1:{port} cannot be reached: connection refused: nothing listens there. "
        "Is the service running there? --wait waits for it\n"
    )


def test_with_wait_it_tries_on(start: Start, service: Streaming) -> None:
    service.begin = [refused(503), Streaming.snapshot(contact("ann"))]
    with start("--wait") as running:
        running.out.having("NOT CONNECTED")
        running.out.having("ann@")


def test_https_at_a_port_without_it_says_so(service: Streaming, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["watch", "--url", service.url.replace("http", "https")]) == 1
    assert (
        "TLS failed: the port does not speak TLS (wrong version number); without TLS, the address begins with http://"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--url", "127.0.0.1:8080"], "--url: expected an address such as http://127.0.0.1:8080"),
        (["--url", "ftp://x"], "--url: expected an address"),
        (["--url", "http://x:99999"], "--url: expected an address"),
        (["--url", "http://joe:hunter2@x"], "--url: expected no user and password in it"),
        (["--url", "http://x?key=hunter2"], "--url: expected an address"),
        (["--url", "http://127.0.0.1:1", "--ca-file", "x"], "--ca-file: expected an https address with it"),
        (["--url", "https://127.0.0.1:1", "--ca-file", "x"], "--ca-file x: not a file with certificates in PEM"),
        (["--key-file", "nowhere"], "--key-file nowhere: cannot be read: No such file"),
        (["--state", "sleeping"], "--state: expected AVAILABLE, BUSY"),
        (["--freshness", "old"], "--freshness: expected live, stale or unknown, got 'old'"),
    ],
)
def test_wrong_words_are_exit_code_2(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["watch", *words]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "hunter2" not in error


@pytest.mark.parametrize("text", ["two words", "pws_ü", "x" * 2000])
def test_a_key_that_is_none_is_told_without_it(
    text: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PWS_KEY", text)
    assert run(["watch"]) == 2
    error = capsys.readouterr().err
    assert "PWS_KEY: expected one API key" in error
    assert text not in error


# TLS


def test_https_with_a_private_authority(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """--ca-file trusts it; without it nothing is sent."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(elsewhere / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with Streaming().threaded(context) as service:
        service.begin = [Streaming.snapshot(contact("ann"))]
        url = service.url.replace("http", "https")
        assert run(["watch", "--url", url]) == 1
        error = capsys.readouterr().err
        assert f"the certificate of {url} is not trusted: " in error
        assert "--ca-file names a private authority" in error
        assert not service.asked
        assert run(["watch", "--url", service.url]) == 1
        assert "cannot be reached" in capsys.readouterr().err
        with Running(monkeypatch, watch, ["watch", "--url", url, "--ca-file", "ca.pem"]) as running:
            running.out.having("ann@")


# The process


def test_in_a_terminal_it_leaves_the_screen_as_it_was(service: Streaming) -> None:
    """A table, and after SIGTERM the ordinary screen and exit code 0."""
    with at_terminal("watch", "--url", service.url) as process:
        process.until(b"Ann Example")
        assert FULL_SCREEN in process.text
        process.terminate()
        process.until(ORDINARY_SCREEN)
        assert process.wait() == 0


def test_who_has_left_is_noticed_without_another_change(service: Streaming) -> None:
    """As `| head -1`, where nothing may happen for long."""
    words = [PROGRAM, "watch", "--json", "--url", service.url]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as done:
        assert done.stdout is not None
        assert done.stderr is not None
        assert done.stdout.readline().startswith(b'{"event":"snapshot"')
        done.stdout.close()
        assert done.wait(PATIENCE) in {0, 1}
        assert b"Traceback" not in done.stderr.read()


def test_a_claim_of_which_a_key_sees_little_leaves_no_gap() -> None:
    """It may see no more than that somebody is held."""
    claim = {"id": "c5f0", "group": "", "for": "", "holder": ""}
    assert lines.held(read(contact("ann", claim=claim))) == "held"
    told = StreamEvent("claim.made", 12, {"claim": {**claim, "contacts": [contact("ann")]}})
    assert lines.event_text(told) == "claim.made ann@example.com"
