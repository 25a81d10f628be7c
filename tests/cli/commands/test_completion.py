"""What shells are offered, and that whatever fails offers nothing and says nothing."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete

from service.cli.command_line import COMMANDS, cli, run
from service.cli.commands.completion import SHELLS, VARIABLE
from service.cli.shared import completion
from tests.support.small_web import small_web

Capture = pytest.CaptureFixture[str]
SUMMARY = json.dumps({"groups": {"sales": {}, "Support": {}, "$(reboot)": {}, "a b": {}, "-x": {}}}).encode()
PEOPLE = json.dumps({"contacts": [{"contact": "ann@example.com"}, {"contact": "ann@example.org"}, 5, {"contact": 5}]})


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory, and an environment without our variables."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("PWS_")]:
        monkeypatch.delenv(name)
    return tmp_path


def offered(*words: str) -> list[str]:
    """What is offered for the last word."""
    *before, begun = words
    return [item.value for item in ShellComplete(cli, {}, "pws", VARIABLE).get_completions(before, begun)]


def test_commands_are_offered_without_being_imported() -> None:
    assert offered("") == list(COMMANDS)
    assert offered("co") == ["config", "completion"]
    assert offered("--ver") == ["--version"]
    assert offered("config", "s") == ["schema", "show"]
    code = (
        "import sys; from service.cli.command_line import run; run([]); "
        "heavy = {'zeep', 'pydantic', 'aiohttp', 'rich'} & set(sys.modules); assert not heavy, heavy"
    )
    environ = os.environ | {VARIABLE: "bash_complete", "COMP_WORDS": "pws wa", "COMP_CWORD": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environ)
    assert (done.returncode, done.stdout, done.stderr) == (0, "plain,watch\n", "")


def test_words_are_offered_in_any_case() -> None:
    assert offered("watch", "--state", "a") == ["AVAILABLE", "AWAY"]
    assert offered("watch", "--freshness", "") == ["live", "stale", "unknown"]
    assert offered("fetch", "1", "r") == ["RICH_PRESENCE"]
    assert offered("completion", "z") == ["zsh"]


def test_end_users_are_those_of_the_configuration(elsewhere: Path) -> None:
    assert offered("set", "d") == []
    (elsewhere / "pws.toml").write_text('[[watch]]\nend_user = "dispatcher"\n[[watch]]\nend_user = 5\n')
    assert offered("set", "d") == ["dispatcher"]
    (elsewhere / "mine.toml").write_text('[[watch]]\nend_user = "supervisor"\n')
    assert offered("poll", "--config", "mine.toml", "--end-user", "") == ["supervisor"]
    (elsewhere / "pws.toml").write_text("watch = 5")
    assert offered("set", "d") == []
    (elsewhere / "pws.toml").write_text("not TOML")
    assert offered("set", "d", "a") == ["AVAILABLE", "AWAY"]


def test_groups_are_those_of_the_running_service(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """None of them can be taken for a command by the shell. The key goes along to this machine, and to https."""
    with small_web(200, SUMMARY) as web:
        (elsewhere / "pws.toml").write_text(f"[http]\nport = {web.port}\n")
        assert offered("watch", "--group", "") == ["sales", "Support"]
        assert offered("watch", "--group", "sales", "--group", "su") == ["Support"]
        monkeypatch.setenv("PWS_KEY", "a-key")
        assert offered("key", "new", "--group", "sa") == ["sales"]
        (elsewhere / "key").write_text("another-key\n")
        assert offered("watch", "--key-file", "key", "--group", "sa") == ["sales"]
        assert [key for _, key in web.asked] == [None, None, "Bearer a-key", "Bearer another-key"]
        assert {path for path, _ in web.asked} == {"/v1/summary"}


def test_a_key_is_not_sent_in_the_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[dict[str, str]] = []

    def get(_url: str, _seconds: float, headers: dict[str, str], _ca_file: object) -> tuple[int, bytes]:
        sent.append(headers)
        return 200, SUMMARY

    monkeypatch.setattr("service.cli.shared.quick_http.get", get)
    monkeypatch.setenv("PWS_KEY", "a-key")
    assert offered("watch", "--url", "http://presence.example.com", "--group", "sa") == ["sales"]
    assert offered("watch", "--url", "https://presence.example.com", "--group", "sa") == ["sales"]
    assert ["Authorization" in headers for headers in sent] == [False, True]


def test_contacts_are_those_of_the_running_service() -> None:
    with small_web(200, PEOPLE.encode()) as web:
        os.environ["PWS_URL"] = f"http://127.0.0.1:{web.port}/"
        try:
            assert offered("poll", "An") == ["ann@example.com", "ann@example.org"]
            assert offered("poll", "joe", "ann@example.o") == ["ann@example.org"]
            assert web.asked[0][0] == "/v1/presence?fields=contact&limit=100&q=An"
            # bash: an @ is a word by itself, and what is typed from it on is replaced
            assert offered("poll", "joe", "ann", "@") == ["@example.com", "@example.org"]
            assert offered("poll", "ann", "@", "example.o") == ["@example.org"]
        finally:
            del os.environ["PWS_URL"]


@pytest.mark.parametrize(
    ("status", "body"), [(200, b"<html>"), (200, b"[]"), (200, b'{"groups":[]}'), (401, SUMMARY), (500, b"")]
)
def test_an_answer_that_cannot_be_used_offers_nothing(status: int, body: bytes, capsys: Capture) -> None:
    with small_web(status, body) as web:
        assert offered("watch", "--url", f"http://127.0.0.1:{web.port}", "--group", "") == []
    assert capsys.readouterr() == ("", "")


def test_a_service_that_is_silent_or_slow_offers_nothing(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completion, "PATIENCE", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent, small_web(200, SUMMARY, trickles=True) as slow:
        for port in (silent.getsockname()[1], slow.port, 1):
            assert offered("watch", "--url", f"http://127.0.0.1:{port}", "--group", "") == []
    assert offered("watch", "--url", "http://[", "--group", "") == []
    assert offered("watch", "--key-file", "none", "--group", "") == []
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_asks_by_our_variable(shell: str, capsys: Capture) -> None:
    assert run(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert f"{VARIABLE}={shell}_complete" in script
    assert "pws" in script


def test_the_variable_that_click_documents_says_the_same(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    assert run(["completion", "fish"]) == 0
    ours = capsys.readouterr().out
    monkeypatch.setenv(VARIABLE, "fish_source")
    assert run([]) == 0
    assert capsys.readouterr().out.strip() == ours.strip()


def test_the_overview_says_how_to_turn_it_on(capsys: Capture) -> None:
    assert run(["--help"]) == 0
    assert "pws completion --help" in capsys.readouterr().out
    assert run(["completion", "--help"]) == 0
    assert 'eval "$(pws completion bash)"' in capsys.readouterr().out
    assert isinstance(cli, click.Group)
