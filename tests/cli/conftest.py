"""A simulated server in a thread of its own, over real sockets, and the command line pointed at it."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from pws_soap.simulator import Options, Simulator, SimulatorServer, User
from service.cli.command_line import run
from service.cli.commands import health
from service.cli.demo import loopback
from service.cli.doctor import engine, facade, reach, running
from service.cli.shared import api
from tests.cli.running import PATIENCE

T = TypeVar("T")

USERS = (
    User("pwsapp", "hunter2", application=True),
    User("otherapp", "hunter3", application=True),
    User("dispatcher"),
    User("supervisor", home="imp2"),
)


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands wait as long as the tests do: what they call slow or silent, a busy machine may be at any time."""
    for module, name in (
        (api, "CONNECT"),
        (api, "ANSWER"),
        (engine, "SLOW"),
        (facade, "CONNECT"),
        (loopback, "START_PATIENCE"),
        (reach, "PATIENCE"),
        (running, "PATIENCE"),
    ):
        monkeypatch.setattr(module, name, PATIENCE)
    monkeypatch.setattr(api.Api.__init__, "__defaults__", (api.SILENCE, PATIENCE))
    (seconds,) = [option for option in health.command.params if option.name == "seconds"]
    monkeypatch.setattr(seconds, "default", min(PATIENCE, 60.0))


@dataclass(frozen=True)
class Result:
    """How a command ended, and what it printed where."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:  # JSON is of any type
        return json.loads(self.out)


class CommandOffice:
    """The server, the directory with pws.toml, and `pws` itself."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.directory = directory
        self.config = directory / "pws.toml"
        self.server: SimulatorServer
        self._capsys = capsys
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()

    @property
    def simulator(self) -> Simulator:
        return self.server.simulator

    @contextmanager
    def running(self, options: Options, nodes: Sequence[str], tls: tuple[str, str] | None) -> Iterator[None]:
        started = threading.Event()

        async def serve() -> None:
            async with SimulatorServer(options, nodes=nodes, control_port=None, tls=tls, seed=1) as server:
                self.server = server
                server.simulator.populate(8)
                started.set()
                await self._stop.wait()

        thread = threading.Thread(target=self._loop.run_until_complete, args=[serve()], daemon=True)
        thread.start()
        assert started.wait(PATIENCE)
        try:
            yield
        finally:
            self._loop.call_soon_threadsafe(self._stop.set)
            thread.join(PATIENCE)
            assert not thread.is_alive()
            self._loop.close()

    def at_server(self, work: Callable[[], T]) -> T:
        """Do something at the simulator, in its own thread."""

        async def there() -> T:
            return work()

        return asyncio.run_coroutine_threadsafe(there(), self._loop).result(PATIENCE)

    def write(self, **changes: str) -> None:
        """Write pws.toml; the words replace or add whole sections."""
        nodes = ", ".join(f'"{node.address}"' for node in self.server.nodes)
        sections = {
            "server": f"nodes = [{nodes}]\ntls = {str(self.server.nodes[0].tls).lower()}",
            "application": 'username = "pwsapp"\npassword_file = "password"',
            "callback": 'url = "http://127.0.0.1:8080"\nsecret = "a-secret-of-at-least-16"',
            "watch": 'end_user = "dispatcher"\ndomain = "example.com"\ncontacts = ["ann", "joe", "rita"]',
        } | changes
        text = ""
        for name, lines in sections.items():
            text += "".join(
                f"[[watch]]\n{block}\n" if name == "watch" else f"[{name}]\n{block}\n"
                for block in lines.split("\n--\n")
            )
        self.config.write_text(text, "utf-8")
        password = self.directory / "password"
        password.write_text("hunter2\n", "utf-8")
        password.chmod(0o600)

    def pws(self, *words: str) -> Result:
        """Run the command line; nothing secret is ever printed."""
        self._capsys.readouterr()
        code = run([*words, *([] if "--config" in words else ["--config", str(self.config)])])
        out, err = self._capsys.readouterr()
        assert "hunter" not in out + err
        assert "a-secret" not in out + err
        assert "Traceback" not in err
        return Result(code, out, err)

    def left(self) -> dict[str, int]:
        """What the server holds: sessions, endpoints and subscriptions of all nodes."""

        def count() -> dict[str, int]:
            registries = [place.node.registry for place in self.simulator.places.values()]
            return {
                "sessions": sum(len(registry.sessions) for registry in registries),
                "endpoints": sum(len(registry.endpoints) for registry in registries),
                "subscriptions": sum(len(registry.subscriptions) for registry in registries),
            }

        return self.at_server(count)


@pytest.fixture
def make_office(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., CommandOffice]]:
    """Makes an office of so many nodes, with options and TLS."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("PWS_") or name == "FORCE_COLOR"]:
        monkeypatch.delenv(name)
    running: list[Any] = []  # context managers

    def make(
        options: Options | None = None, nodes: Sequence[str] = ("imp1",), tls: tuple[str, str] | None = None
    ) -> CommandOffice:
        office = CommandOffice(tmp_path, capsys)
        served = office.running(options or Options(users=USERS), nodes, tls)
        served.__enter__()
        running.append(served)
        office.write()
        return office

    yield make
    for served in running:
        served.__exit__(None, None, None)


@pytest.fixture
def office(make_office: Callable[..., CommandOffice]) -> CommandOffice:
    """One node, with the users and contacts of pws.toml."""
    return make_office()
