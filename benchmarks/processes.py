"""What is under test, as processes of its own on free ports of the loopback interface: `pws simulate`, `pws serve`.

Everything that is started is ended again, whatever happens, and by its own process id.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import aiohttp

PWS: Final = str(Path(sys.executable).with_name("pws"))
"""The console script, as a user calls it."""
PATIENCE: Final = 60.0
"""Seconds within which a process starts or ends, on a busy machine too."""
PASSWORD: Final = "secret"  # noqa: S105  the simulator's own
_PAUSE: Final = 0.05
_BUGS: Final = ("Traceback", "unexpected error", "never awaited", "a bug in")


def http_session(seconds: float) -> aiohttp.ClientSession:
    """For the loopback interface: no proxy, and a limit to every request."""
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=seconds), trust_env=False)


class Program:
    """`pws WORDS...`, or another program with these words; its output is appended to a file."""

    def __init__(self, words: Sequence[str], log: Path, program: str = PWS) -> None:
        self._program = program
        self._words = words
        self.log = log
        self._process: asyncio.subprocess.Process | None = None
        self.starts = 0

    @property
    def runs(self) -> bool:
        """Whether it is there."""
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int:
        """Its number, while it is there."""
        assert self._process is not None
        return self._process.pid

    @property
    def said(self) -> str:
        """All its output so far."""
        return self.log.read_text("utf-8", "replace") if self.log.exists() else ""

    def bugs(self) -> list[str]:
        """Lines of its output that no program should write."""
        return [line for line in self.said.splitlines() if any(word in line for word in _BUGS)]

    async def start(self, output: int | None = None) -> None:
        """Start it, and wait for nothing."""
        if self.runs:
            raise RuntimeError("it runs already")
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PWS_")}
        with self.log.open("ab") as file:
            self._process = await asyncio.create_subprocess_exec(
                self._program,
                *self._words,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=file if output is None else output,
                stderr=file,
                env=clean,
            )
        self.starts += 1

    async def first_line(self) -> bytes:
        """The first line of its standard output, where that was started as a pipe."""
        assert self._process is not None
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            return await self._process.stdout.readline()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        if self._process is not None and self.runs:
            self._process.send_signal(number)

    async def ended(self) -> int:
        """Its exit code, once it has ended."""
        assert self._process is not None
        async with asyncio.timeout(PATIENCE):
            return await self._process.wait()

    async def kill(self) -> None:
        """End it as a crash does."""
        if self.runs:
            self.send(signal.SIGKILL)
            await self.ended()

    async def stop(self) -> int:
        """End it as an operator does; its exit code."""
        self.send(signal.SIGTERM)
        return await self.ended()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.kill()


class Server(Program):
    """`pws simulate` with a control interface; nobody is in its world at first."""

    def __init__(self, directory: Path, words: Sequence[str]) -> None:
        fixed = ["simulate", "--port", "0", "--control-port", "0", "--contacts", "0", "--json"]
        super().__init__([*fixed, *words], directory / "simulator.log")
        self.nodes: list[str] = []
        """Their addresses, `host:port`."""
        self._control = ""
        self._http = http_session(30.0)

    async def __aenter__(self) -> Self:
        await self.start(asyncio.subprocess.PIPE)
        where = json.loads(await self.first_line())
        self.nodes = [node["address"] for node in where["nodes"]]
        self._control = where["control"]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.close()
        await super().__aexit__(kind, error, trace)

    async def ask(self, method: str, path: str, body: object = None) -> Any:  # JSON is of any type
        """What the control interface answers under `/control`."""
        async with self._http.request(method, self._control + path, json=body) as answer:
            found = await answer.json()
            if answer.status != 200:
                raise RuntimeError(f"{method} {path}: {found}")
            return found

    async def change(self, contact: str, state: str) -> None:
        """Somebody's presence changes."""
        await self.ask("PUT", f"/contacts/{contact}", {"state": state})

    async def inject(self, fault: str, **values: object) -> int | None:
        """Inject a fault (docs/simulator.md); its number, where it stays on."""
        told = await self.ask("POST", "/faults", {"fault": fault, **values})
        number: int | None = told.get("id")
        return number

    async def on(self) -> set[int]:
        """The numbers of the faults that are still on."""
        return {each["id"] for each in (await self.ask("GET", "/faults"))["faults"]}

    async def holds(self) -> dict[str, int]:
        """How many sessions, endpoints and subscriptions there are at all nodes together."""
        nodes = (await self.ask("GET", "/nodes"))["nodes"]
        return {name: sum(node[name] for node in nodes) for name in ("sessions", "endpoints", "subscriptions")}


class Service(Program):
    """`pws serve` with a configuration file, and the state file that belongs to it."""

    def __init__(self, directory: Path, port: int) -> None:
        config = directory / "pws.toml"
        super().__init__(["serve", "--config", str(config)], directory / "service.log")
        self.config = config
        self.state_file = config.with_name("pws.state.json")
        """Where the ids are kept over a crash, unless the configuration says otherwise."""
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._http = http_session(5.0)

    def configure(
        self, sections: Mapping[str, Mapping[str, object]], watch: Mapping[str, Sequence[str]], *, rich: bool = True
    ) -> None:
        """Write the configuration. `watch` names the contacts by end user; the first has RICH presence where `rich`."""
        blocks = [_block(f"[{name}]", values) for name, values in sections.items()]
        for number, (user, contacts) in enumerate(watch.items()):
            kind = "BASIC_PRESENCE" if number or not rich else "RICH_PRESENCE"
            blocks.append(_block("[[watch]]", {"end_user": user, "contacts": list(contacts), "presence_type": kind}))
        self.config.write_text("\n\n".join(blocks) + "\n", "utf-8")

    async def get(self, path: str) -> Any:  # JSON is of any type
        """What it answers; None where it does not."""
        try:
            async with self._http.get(self.url + path) as answer:
                return await answer.json()
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return None

    async def ready(self) -> bool:
        """Whether it says of itself that it is, within our patience."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while self.runs:
                    if ((await self.get("/readyz")) or {}).get("ready"):
                        return True
                    await asyncio.sleep(_PAUSE)
        return False

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.close()
        await super().__aexit__(kind, error, trace)


def _block(head: str, values: Mapping[str, object]) -> str:
    """A section of TOML; JSON writes strings, numbers, lists and truth the same way."""
    return "\n".join([head, *(f"{name} = {json.dumps(value)}" for name, value in values.items())])
