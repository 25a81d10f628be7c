"""The command line around the commands: help, configuration, how it ends, what it prints where."""

from __future__ import annotations

import errno
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

import service.cli
from pws_soap import errors
from pws_soap.errors import ArgumentError, ContractError
from service.cli.command_line import COMMANDS, cli, run
from service.cli.shared import sessions
from tests.cli.configured import configure
from tests.cli.running import PATIENCE

Capture = pytest.CaptureFixture[str]
OURS = ("create", "delete", "fetch", "poll", "set", "migrate")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory, and an environment without our variables."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("PWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "120")
    return tmp_path


# Help


def test_the_overview_names_every_command_with_its_own_first_line() -> None:
    context = click.Context(cli)
    assert cli.list_commands(context) == list(COMMANDS)
    assert cli.get_command(context, "nonsense") is None
    for name in (*OURS, "health", "config", "completion"):
        command = cli.get_command(context, name)
        assert command is not None
        assert (command.help or "").splitlines()[0] == COMMANDS[name][1]


@pytest.mark.parametrize("name", OURS)
def test_the_help_of_each_command_teaches(name: str, capsys: Capture) -> None:
    """A paragraph, an example, and the options that all have."""
    assert run([name, "--help"]) == 0
    text = capsys.readouterr().out
    assert f"pws {name}" in text.partition("Example:")[2]
    assert "--config PATH" in text
    assert "--json" in text
    assert len(text.split()) > 80


def test_the_overview_needs_nothing_heavy() -> None:
    """`pws --help` imports neither zeep nor pydantic nor aiohttp."""
    code = (
        "import sys; from service.cli.command_line import run; assert run(['--help']) == 0; "
        "heavy = {'zeep', 'pydantic', 'aiohttp', 'rich'} & set(sys.modules); assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in OURS)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["fetsh"], "did you mean 'fetch'?"),
        (["xyz"], "there is no command 'xyz'"),
        (["config", "chek"], "there is no command 'chek'; did you mean 'check'?"),
        (["key", "make"], "there is no command 'make'"),
        (["--config", "mine.toml", "serve"], "--config comes after the command"),
        (["--nonsense"], "--nonsense"),
        (["fetch"], "ID"),
        (["fetch", "x"], "ID"),
        (["fetch", "0"], "ID"),
        (["fetch", "1", "RICH"], "expected BASIC_PRESENCE or RICH_PRESENCE, got 'RICH'"),
        (["poll"], "CONTACT"),
    ],
)
def test_wrong_words_end_with_2_and_say_why(words: list[str], told: str, capsys: Capture) -> None:
    assert run(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert told in err


def test_a_module_without_a_command_is_a_bug(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setitem(COMMANDS, "odd", ("service.cli.odd", "x"))
    monkeypatch.setattr(importlib, "import_module", lambda _name: type("Odd", (), {"command": 5}))
    assert run(["odd"]) == 1
    assert "TypeError" in capsys.readouterr().err


# Configuration


def test_without_a_configuration_it_says_how_to_get_one(capsys: Capture) -> None:
    assert run(["poll", "joe"]) == 2
    assert "there is no configuration file pws.toml" in capsys.readouterr().err
    assert run(["poll", "joe", "--config", "other.toml"]) == 2
    assert "other.toml" in capsys.readouterr().err


def test_all_mistakes_of_the_configuration_are_listed(elsewhere: Path, capsys: Capture) -> None:
    (elsewhere / "mine.toml").write_text('[server]\nnodes = ["a b"]\n[http]\nport = -1\n', "utf-8")
    assert run(["poll", "joe", "--config", "mine.toml"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("Error: the configuration has 6 mistakes:\n  server.nodes[0]: expected host or host:port")
    assert "http.port" in err


def test_the_file_may_be_named_in_the_environment(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    configure(elsewhere).rename(elsewhere / "mine.toml")
    monkeypatch.setenv("PWS_CONFIG", "mine.toml")
    assert run(["poll", "a b"]) == 2
    assert "expected user@domain, got 'a b@example.com'" in capsys.readouterr().err


def test_the_environment_alone_may_be_the_configuration(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setenv("PWS_SERVER__NODES", "127.0.0.1:9")
    assert run(["poll", "joe"]) == 2
    assert "PWS_APPLICATION__USERNAME" in capsys.readouterr().err


def test_warnings_of_the_configuration_go_to_standard_error(elsewhere: Path, capsys: Capture) -> None:
    configure(elsewhere)
    assert run(["poll", "a b", "--json"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Warning: application.password is in clear text")


# How it ends


def fail_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Let the next connection raise."""

    def refuse(*_args: object) -> None:
        raise error

    monkeypatch.setattr(sessions, "client_of", refuse)


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (ArgumentError("ca_file", "a file", "x"), 2, "ca_file: expected a file"),
        (ContractError("x.wsdl", ("login",)), 2, "server.wsdl says where it comes from"),
        (errors.UntrustedServer("not trusted", node="imp1"), 1, "server.ca_file and server.fingerprint"),
        (errors.NotXml("a login page"), 1, "is this an IM and Presence node"),
        (ZeroDivisionError("hunter2"), 1, "a bug in pws (ZeroDivisionError at test_command_line.py:"),
    ],
)
def test_an_error_is_one_line_and_a_code(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture, error: BaseException, code: int, told: str
) -> None:
    configure(elsewhere)
    fail_with(monkeypatch, error)
    assert run(["poll", "joe"]) == code
    err = capsys.readouterr().err
    assert told in err
    assert "hunter2" not in err
    assert len([line for line in err.splitlines() if not line.startswith("Warning")]) == 1


def test_ctrl_c_ends_quietly_with_130(elsewhere: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    configure(elsewhere)
    fail_with(monkeypatch, KeyboardInterrupt())
    assert run(["poll", "joe"]) == 130
    assert "Error" not in capsys.readouterr().err


def test_ctrl_c_outside_of_a_call_ends_with_130_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(**_words: Any) -> None:  # click's own signature
        raise click.Abort

    monkeypatch.setattr(cli, "main", interrupt)
    assert run([]) == 130


@pytest.mark.parametrize(("value", "code"), [(1, 1), ("text", 1), (0, 0)])
def test_a_broken_pipe_ends_with_clicks_code(monkeypatch: pytest.MonkeyPatch, value: object, code: int) -> None:
    def leave(**_words: Any) -> None:  # click's own signature
        raise SystemExit(value)

    monkeypatch.setattr(cli, "main", leave)
    assert run([]) == code


def test_the_debug_variable_lets_a_bug_through(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(elsewhere)
    fail_with(monkeypatch, ZeroDivisionError())
    monkeypatch.setenv("PWS_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        run(["poll", "joe"])


def test_main_exits_with_the_code(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr(sys, "argv", ["pws", "xyz"])
    with pytest.raises(SystemExit) as caught:
        service.cli.main()
    assert caught.value.code == 2
    assert "xyz" in capsys.readouterr().err


def test_a_real_ctrl_c_while_the_server_is_silent(elsewhere: Path) -> None:
    """The process is interrupted after it has connected to a server that never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(PATIENCE)
        configure(elsewhere, f"127.0.0.1:{server.getsockname()[1]}")
        environ = os.environ | {
            "PWS_SERVER__TLS": "false",
            "PYTHONPATH": str(Path(service.cli.__file__).parents[2]),
        }
        code = "from service.cli import main; main()"
        with subprocess.Popen(
            [sys.executable, "-c", code, "poll", "joe"], stderr=subprocess.PIPE, text=True, env=environ
        ) as process:
            connection, _ = server.accept()
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=PATIENCE)
            connection.close()
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "Error" not in err


# Where the output goes

_NAME = "Zoë “x” 😀 ●"
_DOCUMENT = f"""<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="ann@example.com"><tuple id="a">
<status><basic>open</basic></status><note>{_NAME}</note></tuple></presence>"""
_FULL = Path("/dev/full")


def called(
    words: list[str], directory: Path, stdout: int = subprocess.PIPE, stderr: int = subprocess.PIPE, **environ: str
) -> subprocess.CompletedProcess[bytes]:
    """`pws` as a process."""
    (directory / "rich.xml").write_text(_DOCUMENT, "utf-8")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PWS_", "PYTHON"))}
    command = [sys.executable, "-c", "from service.cli import main; main()", *words]
    source = {"PYTHONPATH": str(Path(service.cli.__file__).parents[2]), **environ}
    return subprocess.run(
        command, cwd=directory, stdout=stdout, stderr=stderr, env=clean | source, timeout=PATIENCE, check=False
    )


@pytest.mark.parametrize(
    "encoding",
    [
        "cp1252",
        *(pytest.param(name, marks=pytest.mark.long(ci=True)) for name in ("latin-1", "cp437", "ascii", "utf-8")),
    ],
)
@pytest.mark.parametrize(
    "words", [["explain", "rich.xml"], ["explain", "--json", "rich.xml"], ["--help"], ["key", "new"]]
)
def test_what_an_encoding_does_not_have_is_replaced(elsewhere: Path, encoding: str, words: list[str]) -> None:
    done = called(words, elsewhere, PYTHONIOENCODING=encoding)
    assert done.returncode == 0
    assert b"Error" not in done.stderr
    if "rich.xml" in words:
        assert b"x" in done.stdout
    if "--json" in words:  # there a replacement would be another value
        assert _NAME in str(json.loads(done.stdout.decode(encoding)))


@pytest.mark.skipif(not _FULL.exists(), reason="only Linux has a disk that is always full")
@pytest.mark.parametrize(
    "words",
    [
        ["explain", "rich.xml"],
        *(
            pytest.param(words, marks=pytest.mark.long(ci=True))
            for words in (["explain", "--json", "rich.xml"], ["--help"], ["--version"])
        ),
    ],
)
def test_a_full_disk_is_told_and_is_no_bug(elsewhere: Path, words: list[str]) -> None:
    with _FULL.open("wb") as full:
        done = called(words, elsewhere, stdout=full.fileno())
        assert (done.returncode, done.stderr) == (1, b"Error: no space left\n")
        assert called(words, elsewhere, stdout=full.fileno(), stderr=full.fileno()).returncode == 1
        done = called(words, elsewhere, stderr=full.fileno())  # nothing is lost that anybody waits for
        assert done.returncode == 0
        assert done.stdout
        assert called(["xyz"], elsewhere, stderr=full.fileno()).returncode == 2


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "Error: no space left\n"),
        (OSError(errno.ENOSPC, "No space left on device", "a/b"), "Error: no space left: a/b\n"),
        (OSError(errno.EIO, "Input/output error"), "Error: Input/output error\n"),
        (PermissionError(errno.EACCES, "Permission denied", "a\x1bb"), "Error: Permission denied: a?b\n"),
        (OSError("hunter2"), "Error: OSError\n"),
    ],
)
def test_an_error_of_the_system_is_no_bug(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture, error: OSError, told: str
) -> None:
    configure(elsewhere)
    fail_with(monkeypatch, error)
    assert run(["poll", "joe"]) == 1
    assert [line for line in capsys.readouterr().err.splitlines(keepends=True) if "Warning" not in line] == [told]


def test_output_that_was_closed_before_is_no_bug(elsewhere: Path) -> None:
    configure(elsewhere)
    code = "import sys; sys.stdout = sys.stderr = None; from service.cli import main; sys.argv[1:] = ['--help']; main()"
    assert subprocess.run([sys.executable, "-W", "error", "-c", code], check=False).returncode == 0
