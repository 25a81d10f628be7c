"""`pws health`: one line and an exit code, whatever answers or does not."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
import trustme

from service.cli.command_line import run
from tests.support.small_web import small_web

Capture = pytest.CaptureFixture[str]
READY = b'{"ready":true,"reason":"live"}'
NOT_READY = b'{"ready":false,"reason":"imp1 does not answer\\u001b[2J\\nsince 10:00"}'


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory, and an environment without our variables."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("PWS_")]:
        monkeypatch.delenv(name)
    return tmp_path


@pytest.mark.parametrize(
    ("status", "body", "words", "code", "line"),
    [
        (200, READY, [], 0, "ready: URL"),
        (503, NOT_READY, [], 1, "not ready: URL: imp1 does not answer\N{REPLACEMENT CHARACTER}[2J since 10:00"),
        (503, b'{"ready":false}', [], 1, "not ready: URL: HTTP 503"),
        (200, b'{"alive":true}', ["--live"], 0, "alive: URL"),
        (500, b'{"title":"x"}', ["--live"], 1, "not alive: URL: HTTP 500"),
        (200, b"<html>", [], 1, "no answer of the service: URL: /readyz says HTTP 200; is the address right?"),
        (404, b'{"title":"x"}', [], 1, "no answer of the service: URL: /readyz says HTTP 404; is the address right?"),
        (302, b"", [], 1, "no answer of the service: URL: /readyz says HTTP 302; is the address right?"),
        (200, READY, ["--json"], 0, '{"ok":true,"url":"URL","verdict":"ready","reason":null}'),
        (503, READY, ["--json"], 1, '{"ok":false,"url":"URL","verdict":"not ready","reason":"live"}'),
    ],
)
def test_the_answer_is_one_line_and_a_code(
    status: int, body: bytes, words: list[str], code: int, line: str, capsys: Capture
) -> None:
    with small_web(status, body) as web:
        url = f"http://127.0.0.1:{web.port}"
        assert run(["health", "--url", f"{url}/", *words]) == code
        assert web.asked == [("/livez" if "--live" in words else "/readyz", None)]
    assert capsys.readouterr() == (line.replace("URL", url) + "\n", "")


def test_the_address_is_that_of_the_configuration(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a file that needs not be right otherwise; the environment beats it."""
    with small_web(200, READY) as web:
        (elsewhere / "mine.toml").write_text(f'[http]\nhost = "0.0.0.0"\nport = {web.port}\n[server]\nx = 1\n')
        assert run(["health", "--config", "mine.toml"]) == 0
        monkeypatch.setenv("PWS_HTTP__PORT", "1")
        assert run(["health", "--config", "mine.toml"]) == 1
        monkeypatch.setenv("PWS_URL", f"http://127.0.0.1:{web.port}")
        assert run(["health"]) == 0


def test_where_nothing_listens(capsys: Capture) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        assert run(["health", "--url", url]) == 1
    assert capsys.readouterr().out == f"no answer: {url}: Connection refused\n"


def test_a_service_that_accepts_and_says_nothing_is_given_up(capsys: Capture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert run(["health", "--url", url, "--timeout", "0.2"]) == 1
    assert capsys.readouterr().out == f"no answer: {url}: no answer within 0.2 s\n"


def test_an_answer_without_an_end_is_given_up(capsys: Capture) -> None:
    """The time is that of all of it: each byte comes in time."""
    with small_web(200, READY, trickles=True) as web:
        assert run(["health", "--url", f"http://127.0.0.1:{web.port}", "--timeout", "0.2"]) == 1
    assert "no answer within 0.2 s" in capsys.readouterr().out


def test_over_tls_a_private_authority_is_named(elsewhere: Path, capsys: Capture) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(elsewhere / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with small_web(200, READY, tls=context) as web:
        url = f"https://127.0.0.1:{web.port}"
        assert run(["health", "--url", url, "--ca-file", "ca.pem"]) == 0
        assert run(["health", "--url", url]) == 1
        assert run(["health", "--url", url, "--ca-file", __file__]) == 2
    out, err = capsys.readouterr()
    assert out.splitlines()[1].startswith(f"no answer: {url}: the certificate is not trusted: ")
    assert f"--ca-file {__file__}: not a file with certificates in PEM" in err


@pytest.mark.parametrize(
    "url", ["ftp://x", "127.0.0.1:8080", "http://", "http://a b", "http://u:p@x", "http://x:0", "http://x:y"]
)
def test_a_wrong_address_is_a_mistake(url: str, capsys: Capture) -> None:
    assert run(["health", "--url", url]) == 2
    assert "--url: expected an address such as http://127.0.0.1:8080" in capsys.readouterr().err


def test_a_wrong_time_is_a_mistake(capsys: Capture) -> None:
    assert run(["health", "--timeout", "0"]) == 2
    assert "--timeout" in capsys.readouterr().err


def test_it_loads_next_to_nothing() -> None:
    """A container asks every few seconds."""
    with small_web(200, READY) as web:
        code = (
            "import sys; from service.cli.command_line import run; "
            f"assert run(['health', '--url', 'http://127.0.0.1:{web.port}']) == 0; "
            "heavy = {'zeep', 'pydantic', 'aiohttp', 'rich', 'asyncio', 'fastapi', 'lxml'} & set(sys.modules); "
            "assert not heavy, heavy"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
