"""A place in which one thing is misconfigured: a simulated server, pws.toml, and `pws serve` where that is wanted."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import pytest

from pws_soap import contract
from pws_soap.simulator import KNOWN_CALLBACK_PORTS, inject
from service.cli.doctor import callback
from service.cli.doctor.listener import NotificationListener
from service.config import load, server_sections
from service.runtime import assembly
from service.runtime.server import listen, serve
from service.runtime.state_lock import alone_with
from service.sync.subscriptions import FetchSettings
from tests.cli.conftest import CommandOffice
from tests.cli.running import PATIENCE, ask
from tests.e2e.processes import eventually

SECRET: Final = "a-secret-of-at-least-16"
FIRST_NOTIFICATION: Final = 0.2
"""Seconds that the service in the lab waits for a subscription's first notification, in place of 10."""


class _OverOnceARequestCame(NotificationListener):
    """The time for the notification is over once another request has come, however long that takes."""

    def __init__(self) -> None:
        super().__init__()
        self.changed = _Changed(self)


class _Changed(asyncio.Event):
    def __init__(self, listener: NotificationListener) -> None:
        super().__init__()
        self._listener = listener

    async def wait(self) -> Literal[True]:
        while not self.is_set():
            if self._listener.others or self._listener.foreign:
                raise TimeoutError
            await asyncio.sleep(0.01)
        return True


def over_once_a_request_came(patch: pytest.MonkeyPatch) -> None:
    """Where doctor is to tell what came in place of a notification, it waits for that, and not for a time."""
    patch.setattr(callback, "NotificationListener", _OverOnceARequestCame)


@dataclass
class Lab:
    """`office` is the server and pws.toml, `port` where the service listens; `opened` ends with the test."""

    office: CommandOffice
    patch: pytest.MonkeyPatch
    opened: ExitStack
    port: int
    sections: dict[str, str] = field(default_factory=dict)
    """Sections of pws.toml that replace the healthy ones."""
    few_ports: bool = False
    """Whether servers are known that notify few ports only; a test has none of these ports."""

    @property
    def directory(self) -> Path:
        return self.office.directory

    @property
    def address(self) -> str:
        """Host and port of the first node."""
        return self.office.server.nodes[0].address

    def write(self) -> None:
        """Write pws.toml: a healthy one, but for `sections`."""
        ports = KNOWN_CALLBACK_PORTS if self.few_ports else frozenset(range(1, 65536))
        self.patch.setattr(server_sections, "CALLBACK_PORTS", ports)
        secret = self.directory / "secret"
        secret.write_text(SECRET, "ascii")
        secret.chmod(0o600)
        healthy = {
            "callback": f'url = "http://127.0.0.1:{self.port}"\nsecret_file = "secret"',
            "http": f"port = {self.port}",
        }
        self.office.write(**healthy | self.sections)

    def inject(self, **values: Any) -> None:  # the values of a fault are of any type
        """Inject a fault at the server."""
        self.office.at_server(lambda: inject(self.office.simulator, values))

    def examine(self, patience: float = 60.0) -> list[dict[str, str]]:
        """What `pws doctor` finds; it waits that many seconds for a notification."""
        self.write()
        result = self.office.pws("doctor", "--timeout", str(patience), "--json")
        found: list[dict[str, str]] = result.document["checks"]
        return found

    def settled(self, words: str) -> None:
        """Wait until the service's status has these words among its problems; without words, until it is live."""
        ends = time.monotonic() + PATIENCE
        while time.monotonic() < ends:
            with contextlib.suppress(OSError):
                status = ask(f"http://127.0.0.1:{self.port}/v1/status")
                if words in str(status["problems"]) if words else status["state"] == "live":
                    return
            time.sleep(0.02)
        raise AssertionError(f"the status does not say {words or 'live'!r}: {status}")

    def until_ready(self) -> None:
        """Wait until all that the service watches is live; that can be asked without a key."""

        def ready() -> None:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
            try:
                connection.request("GET", "/readyz")
                assert connection.getresponse().status == 200
            finally:
                connection.close()

        eventually(ready)

    def bundled_wsdl(self) -> str:
        """The service's own WSDL."""
        return contract.bundled_wsdl().decode()

    @contextmanager
    def serving(self) -> Iterator[None]:
        """The service with the present pws.toml, in a thread of this process, until the end of the block."""
        self.write()
        config = load(self.office.config, {})
        loop, stop = asyncio.new_event_loop(), asyncio.Event()
        listening = listen(config.http.host, config.http.port)  # before doctor looks whether the port is free

        async def served() -> None:
            with alone_with(config.state_path):
                parts = assembly.assemble(config)
                await serve(parts.app, listening, stop)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(assembly, "FetchSettings", partial(FetchSettings, first_notification=FIRST_NOTIFICATION))
            thread = threading.Thread(target=loop.run_until_complete, args=[served()], daemon=True)
            thread.start()
            try:
                yield
            finally:
                loop.call_soon_threadsafe(stop.set)
                thread.join(PATIENCE)
                assert not thread.is_alive()
                loop.close()

    @contextmanager
    def serving_process(self) -> Iterator[None]:
        """`pws serve` itself with the present pws.toml, as a process, until the end of the block."""
        self.write()
        words = [sys.executable, "-c", "from service.cli import main; main()", "serve"]
        with subprocess.Popen([*words, "--config", str(self.office.config)], stderr=subprocess.DEVNULL) as process:
            try:
                yield
            finally:
                process.terminate()
