"""`pws demo`: the whole of it on loopback, in lines, in a terminal, and how it ends."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from service.cli.command_line import run
from service.cli.demo import command as demo
from service.cli.demo import loopback, simulated
from tests.cli.at_terminal import FULL_SCREEN, ORDINARY_SCREEN, PROGRAM, at_terminal
from tests.cli.running import PATIENCE, Lines, Running, ask

LEFT = "The simulated server is left without session, endpoint or subscription."


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory, and an environment whose settings of the service are nonsense: the demo heeds none."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PWS_SERVER__NODES", "not a node")
    monkeypatch.setenv("PWS_CALLBACK__SECRET_FILE", "/nowhere")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    return tmp_path


# The whole


@contextmanager
def running(patch: pytest.MonkeyPatch, *words: str, out: Lines | None = None) -> Iterator[Running]:
    """`pws demo` with these words."""
    with Running(patch, demo, ["demo", "--port", "0", *words], out) as command:
        yield command


def test_changes_come_as_lines_and_the_addresses_answer(monkeypatch: pytest.MonkeyPatch, elsewhere: Path) -> None:
    """From the first reading to the clean end, through real sockets; and nothing is written to disk."""
    with running(monkeypatch, "--speed", "600", "--contacts", "12") as command:
        first = re.fullmatch(r"Dashboard: (http://127\.0\.0\.1:\d+)/   API: (\S+)/docs .*", command.out.until(bool))
        assert first
        assert first[1] == first[2]
        assert "An office of 12 people, 600 times as fast as life" in command.out.until(bool)
        url = command.out.having("/v1/presence?available").split("'")[1].partition("?")[0]
        control = command.out.having("-XPUT").split()[4].replace("ann@", "bela@")  # who is away all day
        assert re.match(r"\d\d:\d\d:\d\d\.\d{3}  \w+@example\.com +[A-Z]+", command.out.having("@example.com"))
        command.out.having("; was ")
        assert len(ask(url)["contacts"]) == 12
        ask("http://" + control, "PUT", {"state": "VACATION", "note": "gone"})
        assert command.out.until(lambda line: line.partition("  ")[2].startswith("bela@") and "gone" in line)
        summary = ask(url.replace("presence", "summary"))
        totals = {name: group["total"] for name, group in summary["groups"].items()}
        assert totals == {"support": 6, "sales": 5, "reception": 1}
        assert command.stop() == 0
    assert "never read" not in "\n".join(command.out.all)
    assert command.out.all[-1].startswith("Ended after ")
    assert command.out.all[-1].endswith(LEFT)
    assert not list(elsewhere.iterdir())
    assert "/pws/" not in "\n".join([*command.out.all, *command.err.all])


def test_json_is_what_pws_watch_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard output has events and nothing else; the addresses and the last line are on standard error."""
    with running(monkeypatch, "--json", "--contacts", "3", "--speed", "0.001") as command:
        url = command.err.having("/v1/presence?available").split("'")[1].partition("?")[0]
        first = json.loads(command.out.until(bool))
        assert first.pop("event") == "snapshot"
        assert isinstance(first.pop("id"), int)
        there = ask(f"{url}/{first['contact']}")
        assert list(there) == list(first)
        changing = ("as_of", "freshness", "available", "reason")
        assert there | {key: first[key] for key in changing} == first
    assert all(json.loads(line)["event"] for line in command.out.all)
    assert command.err.all[-1].endswith(LEFT)


@pytest.mark.long(ci=True)
def test_the_health_of_the_service_is_told_when_it_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """On standard error. The demo mends its server before it takes leave of it."""
    with running(monkeypatch, "--contacts", "2", "--speed", "0.001") as command:
        service = command.out.having("/v1/status").split()[-1]
        address = command.out.having("-XPOST").split()[5]
        command.err.having("the service is live")
        ask("http://" + address, "POST", {})
        with pytest.raises(urllib.error.HTTPError, match="503"):
            ask(service.replace("status", "refresh"), "POST")
        command.err.having("does not answer")
    assert command.code == 0
    assert command.out.all[-1].endswith(LEFT)


def test_a_reader_who_leaves_ends_it_and_nothing_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with `pws demo | head`: no traceback, a clean simulator."""
    left: list[dict[str, int]] = []
    look = simulated.left_at

    def seen(*arguments: object) -> dict[str, int]:
        left.append(look(*arguments))  # type: ignore[arg-type]  # whatever it is called with
        return left[-1]

    monkeypatch.setattr(simulated, "left_at", seen)
    with running(monkeypatch, out=Lines(breaks_after=9)) as command:
        assert command.wait() == 1
    assert left == [{"sessions": 0, "endpoints": 0, "subscriptions": 0}]
    assert command.err.all[1:] == []


def test_what_is_left_behind_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulated, "left_at", lambda _server: {"sessions": 0, "endpoints": 1, "subscriptions": 2})
    with running(monkeypatch, "--for", "0.2") as command:
        assert command.wait() == 1
    assert command.err.all[-1] == "Error: the simulated server was left with 1 endpoints, 2 subscriptions"


@pytest.mark.long(ci=True)
def test_the_process_ends_by_itself_after_its_time(elsewhere: Path) -> None:
    """The console script in a pipe: changes, then exit code 0. The one test that takes the time it takes."""
    done = subprocess.run(
        [PROGRAM, "demo", "--port", "0", "--for", "3s"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].endswith(LEFT)
    assert len(re.findall(r"^\d\d:\d\d:\d\d\.\d{3}  ", done.stdout, re.MULTILINE)) > 0
    assert not list(elsewhere.iterdir())


# With the façade


def test_with_the_facade_its_addresses_answer_and_the_command_that_it_prints_asks_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The command stands by itself: in a shell, without a configuration file and without our environment."""
    with running(monkeypatch, "--facade", "--contacts", "3", "--speed", "0.001") as command:
        first = re.fullmatch(r"Dashboard: (http://127\.0\.0\.1:\d+)/.*", command.out.until(bool))
        place = re.fullmatch(r"Façade: (\S+)   \(user attendant, password secret, .*\)", command.out.until(bool))
        wsdl = re.fullmatch(r"Its WSDL: (\S+)", command.out.until(bool))
        assert first
        assert place
        assert wsdl
        with urllib.request.urlopen(wsdl[1], timeout=PATIENCE) as answer:  # noqa: S310  on loopback
            assert f'<soap:address location="{place[1]}"' in answer.read().decode()
        hint = command.out.having("ask over SOAP").partition("SOAP")[2].strip()
        command.out.having("@example.com")
        there = {"PATH": str(Path(PROGRAM).parent)}
        done = subprocess.run(["/bin/sh", "-c", hint], env=there, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines()[1].startswith("ann@example.com")
        (program,) = ask(f"{first[1]}/v1/status")["facade"]["programs"]
        assert (program["user"], program["end_user"], program["agent"]) == ("attendant", "dispatcher", "pws-presence")
        assert command.stop() == 0
    assert command.out.all[-1].endswith(LEFT)


def test_the_facade_goes_elsewhere_where_its_port_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(loopback, "FACADE_PORT", port)
        with loopback._listen_beside(simulated.DemoOptions(8080, 1, 1.0, facade=True)) as listening:
            assert listening.getsockname()[1] != port


# What is wrong is said


def test_a_port_in_use_is_one_line_and_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run(["demo", "--port", str(port)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        f"Error: cannot listen on 127.0.0.1:{port}: Address already in use; "
        "--port takes another, --port 0 any free one\n"
    )


# In a terminal


def test_in_a_terminal_it_shows_the_screen_of_pws_watch_and_the_last_line_stays() -> None:
    """The address is on the ordinary screen before the table is, and the way it ended after it."""
    with at_terminal("demo", "--port", "0", rows=40, columns=120) as process:
        process.until(b"Zora Silverbrook")
        before, _, screen = process.text.partition(FULL_SCREEN)
        assert b"Dashboard: http://127.0.0.1:" in before
        assert b"pws demo" in screen
        process.until(b"office time")
        process.until(b"/control/nodes/imp1/down")
        process.press(b"q")
        process.until(LEFT.encode() + b"\r\n")
        assert process.wait() == 0
    assert ORDINARY_SCREEN in process.text
    assert b"Ended after " in process.text.rpartition(ORDINARY_SCREEN)[2]


def test_what_the_service_logs_does_not_disturb_the_screen() -> None:
    """While its server is down it logs; the screen says it instead, and nothing stands after the table."""
    with at_terminal("demo", "--port", "0", rows=40, columns=120) as process:
        process.until(b"/control/nodes/imp1/down")
        found = re.search(rb"(127\.0\.0\.1:\d+/control/nodes/imp1/down)", process.text)
        assert found
        ask(f"http://{found[1].decode()}", "POST", {})
        process.until(b"does not answer")
        process.terminate()
        process.until(LEFT.encode() + b"\r\n")
        assert process.wait() == 0
    assert b"WARNING" not in process.text
    assert process.text.rpartition(ORDINARY_SCREEN)[2].count(b"\n") == 1
