"""Runs a simulated office and the service that watches it, on loopback in one event loop: real sockets, real SOAP.

Reads neither files nor the environment, and writes nothing: the configuration is made here, for this run.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from pws_soap.simulator import OfficeDay, SimulatorServer
from service.cli.demo.simulated import END_USER, USER, DemoOptions, SimulatedOffice, simulated_office
from service.cli.shared.output import CommandFailed
from service.config import Config, load
from service.core.clock import SystemClock
from service.core.engine import EngineState
from service.runtime.assembly import Assembly, assemble
from service.runtime.facade_listener import KEEP_ALIVE
from service.runtime.server import Beside, CannotStart, listen, serve

HOST: Final = "127.0.0.1"
SAFETY: Final = 5.0
"""Seconds between fetches without a notification (600 in a real service), so that a broken server is noticed soon."""
HEARTBEAT: Final = 2.0
"""Seconds without a reply after which one contact is polled (30 in a real service), for the same reason."""
START_PATIENCE: Final = 10.0
POLL_INTERVAL: Final = 0.05
"""Seconds between two checks whether every contact is live."""
FACADE_PORT: Final = 8083
"""The façade's, where it is free; else any other."""
FACADE_USER: Final = "attendant"
FACADE_PASSWORD: Final = "secret"  # noqa: S105  # printed: the API beside it, on the same loopback, wants none at all
SILENT_AFTER: Final = 30.0
"""Seconds without a fetch after which a program is called silent (900 in a real service): soon enough to be seen."""


@dataclass(slots=True)
class Office:
    """The running demo. After its end `left` counts the sessions, endpoints and subscriptions of the simulator."""

    assembly: Assembly
    server: SimulatorServer
    day: OfficeDay
    port: int
    hints: Mapping[str, str]
    """Commands to try while it runs, by their purpose."""
    left: Mapping[str, int]
    facade: str | None = None
    """Where the façade speaks SOAP."""

    @property
    def url(self) -> str:
        """The address of the dashboard and of the API, without a slash at the end."""
        return f"http://{HOST}:{self.port}"

    @property
    def places(self) -> dict[str, str]:
        """Further dashboards: none."""
        return {}

    @property
    def remark(self) -> str:
        """What else there is to say while it runs: nothing."""
        return ""

    async def started(self) -> None:
        """Wait until every contact is live, at most ten seconds, since the user may have broken the server already."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_PATIENCE):
                while not self._is_live():  # noqa: ASYNC110  neither the store nor the engine has an event for it
                    await asyncio.sleep(POLL_INTERVAL)

    def _is_live(self) -> bool:
        watched = self.assembly.store.summary().contacts
        return watched > 0 and self.assembly.engine.status().state is EngineState.LIVE


@asynccontextmanager
async def office(options: DemoOptions, stop: asyncio.Event) -> AsyncIterator[Office]:
    """Run the demo while the `async with` lasts; `stop` ends it, and is set when the service ends by itself.

    Raises CommandFailed when the port is not free.
    """
    listening = listen_for(options.port)
    port: int = listening.getsockname()[1]
    beside = _listen_beside(options) if options.facade else None
    facade: str | None = None if beside is None else f"{HOST}:{beside.getsockname()[1]}"
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(listening.close)
        if beside is not None:
            stack.callback(beside.close)
        simulated = await stack.enter_async_context(simulated_office(options))
        assembly = assemble(_config(simulated, port, facade), SystemClock(), simulated.playground)
        programs = []
        if assembly.facade is not None and beside is not None:
            programs.append(Beside(assembly.facade.app, beside, keep_alive=KEEP_ALIVE))
        work = serve(assembly.app, listening, stop, beside=programs, closing=assembly.let_go)
        serving = asyncio.create_task(work, name="demo")
        serving.add_done_callback(lambda _task: stop.set())
        commands = hints(port, simulated)
        running = Office(assembly, simulated.server, simulated.day, port, commands, {})
        if facade is not None:
            running.facade = f"http://{facade}/presence-service/soap"
            commands["ask over SOAP"] = _poll_command(facade, simulated.people[0])
        try:
            yield running
        finally:
            await simulated.settle()
            stop.set()
            await serving
            running.left = simulated.left()


def listen_for(port: int) -> socket.socket:
    """A listening socket. Raises CommandFailed with the reason, and what to do."""
    try:
        return listen(HOST, port)
    except CannotStart as error:
        cause = error.__context__
        reason = cause.strerror if isinstance(cause, OSError) else None
        raise CommandFailed(
            f"cannot listen on {HOST}:{port}: {reason or 'not possible'}; --port takes another, --port 0 any free one"
        ) from None


def _listen_beside(options: DemoOptions) -> socket.socket:
    """A socket for the façade: at its usual port, where that is free and any port was not asked for."""
    if options.port:
        with contextlib.suppress(CannotStart):
            return listen(HOST, FACADE_PORT)
    return listen_for(0)


def values(simulated: SimulatedOffice, port: int) -> dict[str, str]:
    """What a service is told, as its environment would say it. The environment itself is ignored."""
    people = simulated.people
    reception, rest = people[: len(people) // 8], people[len(people) // 8 :]
    half = (len(rest) + 1) // 2
    found = {
        "SERVER__NODES": simulated.server.nodes[0].address,
        "SERVER__TLS": "false",
        "APPLICATION__USERNAME": USER,
        "APPLICATION__PASSWORD": simulated.password,
        "CALLBACK__URL": f"http://{HOST}:{port}",
        "WATCH__0__END_USER": END_USER,
        "WATCH__0__CONTACTS": ",".join(people),
        "FETCH__SAFETY_INTERVAL": f"{SAFETY:g}",
        "FETCH__HEARTBEAT_INTERVAL": f"{HEARTBEAT:g}",
        "GROUPS__SUPPORT__CONTACTS": ",".join(rest[:half]),
        "GROUPS__SUPPORT__MIN_FREE": str(half // 4),
        "GROUPS__SALES__CONTACTS": ",".join(rest[half:]),
    }
    if reception:
        found["GROUPS__RECEPTION__CONTACTS"] = ",".join(reception)
        found["GROUPS__RECEPTION__MIN_FREE"] = "1"
    return found


def _config(simulated: SimulatedOffice, port: int, facade: str | None) -> Config:
    """The configuration of this run, as `pws serve` would have it."""
    found = values(simulated, port)
    if facade is not None:
        found["FACADE__LISTEN_PORT"] = facade.rpartition(":")[2]
        found["FACADE__ADDRESS"] = f"http://{facade}"
        found["FACADE__SET_PRESENCE"] = "true"
        found["FACADE__SILENT_AFTER"] = f"{SILENT_AFTER:g}"
        found[f"FACADE__USERS__{FACADE_USER.upper()}__PASSWORD"] = FACADE_PASSWORD
        found[f"FACADE__USERS__{FACADE_USER.upper()}__END_USERS"] = END_USER
    return load(None, {f"PWS_{name}": value for name, value in found.items()})


def _poll_command(facade: str, contact: str) -> str:
    """Reads a contact as a program does, over SOAP; it needs no configuration file."""
    environment = {
        "SERVER__NODES": facade,
        "SERVER__TLS": "false",
        "APPLICATION__USERNAME": FACADE_USER,
        "APPLICATION__PASSWORD": FACADE_PASSWORD,
        "CALLBACK__URL": f"http://{HOST}:1",
        "WATCH__0__END_USER": END_USER,
        "WATCH__0__CONTACTS": contact,
    }
    return " ".join([*(f"PWS_{name}={value}" for name, value in environment.items()), f"pws poll {contact}"])


def hints(port: int, simulated: SimulatedOffice) -> dict[str, str]:
    """Commands to try while it runs."""
    service, control = f"http://{HOST}:{port}", simulated.server.control_url.removeprefix("http://")
    contact = simulated.people[0]
    return {
        "who is free": f"curl '{service}/v1/presence?available=true'",
        "one contact": f"curl {service}/v1/presence/{contact}",
        "service status": f"curl {service}/v1/status",
        "change someone": f'curl -XPUT {control}/control/contacts/{contact} -d \'{{"state":"DND"}}\'',
        "break the server": f"curl -XPOST {control}/control/nodes/imp1/down -d '{{\"for\":10}}'",
    }
