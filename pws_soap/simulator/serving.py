"""The simulator on sockets: TLS, notifications over HTTP and the control interface around a `Simulator`.

`SimulatorServer` runs inside the event loop of another program and changes neither its signals nor its logging.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from pws_soap.server.http.app import PATH, SoapApp
from pws_soap.server.http.listener import Listener
from pws_soap.server.http.notifier import HttpNotifier
from pws_soap.simulator.cluster.simulator import Simulator
from pws_soap.simulator.control.app import Control, control_app
from pws_soap.simulator.faults.connection import FaultyConnection, FaultySender
from pws_soap.simulator.faults.outages import NodeCondition
from pws_soap.simulator.options import Options

_log = logging.getLogger("pws.simulator")
_REOPEN_TRIES: Final = 50
_REOPEN_PAUSE: Final = 0.1
"""A node that comes back tries 50 times, 0.1 seconds apart, to listen at its port again; then it stays down."""


@dataclass(frozen=True, slots=True)
class NodeAddress:
    """Where a node listens; port 0 means any free one."""

    name: str = "imp1"
    host: str = "127.0.0.1"
    port: int = 0


@dataclass(frozen=True, slots=True)
class ServedNode:
    """A node that listens. `address` is `host:port`, `url` that of its SOAP service."""

    name: str
    host: str
    port: int
    tls: bool

    @property
    def address(self) -> str:
        """`host:port`, as redirects and backups name it."""
        return f"{_bracketed(self.host)}:{self.port}"

    @property
    def base_url(self) -> str:
        """Scheme, host and port."""
        return f"{'https' if self.tls else 'http'}://{self.address}"

    @property
    def url(self) -> str:
        """The URL of the SOAP service; with `?wsdl` that of the WSDL."""
        return self.base_url + PATH


class SimulatorServer:
    """A simulator that listens for as long as the `async with` lasts.

    `nodes` are names or `NodeAddress`es; `tls` is a context, or the paths of a certificate and its key; `control_port`
    None means no control interface. Inside the `async with`, `nodes` and `control_url` say where they listen.
    """

    def __init__(
        self,
        options: Options | None = None,
        *,
        nodes: Sequence[str | NodeAddress] = ("imp1",),
        control_port: int | None = 0,
        control_host: str = "127.0.0.1",
        tls: ssl.SSLContext | tuple[str | Path, str | Path] | None = None,
        simulator: Simulator | None = None,
        seed: int | None = None,
    ) -> None:
        self._addresses = [NodeAddress(node) if isinstance(node, str) else node for node in nodes]
        names = [address.name for address in self._addresses]
        self.simulator = simulator or Simulator(options, nodes=names, seed=seed)
        if list(self.simulator.places) != names:
            raise ValueError(f"nodes: expected those of the simulator, {list(self.simulator.places)}, got {names}")
        self._tls = _context(tls)
        self._listeners: dict[str, Listener] = {}
        self.control = Control(self.simulator)
        self._control: Listener | None = None
        self._control_at = None if control_port is None else (control_host, control_port)
        # The endpoint is the client's own, so any certificate will do.
        self._notifier = HttpNotifier(self.simulator.options.notification_timeout, tls=False)
        self._opening: set[asyncio.Task[None]] = set()
        self.nodes: tuple[ServedNode, ...] = ()

    @property
    def control_url(self) -> str:
        """The control interface's URL, without a path; empty when there is none."""
        if self._control is None:
            return ""
        return f"http://{_bracketed(self._control.host)}:{self._control.port}"

    async def __aenter__(self) -> Self:
        """Listen. Raises OSError when an address is taken."""
        try:
            await self._start()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening, break open connections, drop the notifications on their way."""
        await self._stop()

    async def _start(self) -> None:
        self._notifier.open()
        if self.simulator.delivery.notify is None:
            self.simulator.delivery.notify = self._notifier.get
        served = []
        for address in self._addresses:
            app = node_app(self.simulator, address.name)
            listener = Listener(app, address.host, address.port, self._tls, connections=FaultyConnection)
            await listener.open()
            self._listeners[address.name] = listener
            node = ServedNode(address.name, address.host, listener.port, self._tls is not None)
            served.append(node)
            self.simulator.place(address.name).address = node.address
        self.nodes = tuple(served)
        self.simulator.on_state = self._on_state
        if self._control_at is not None:
            control = Listener(control_app(self.control), *self._control_at, server="pws-simulator")
            await control.open()
            self._control = control

    async def _stop(self) -> None:
        self.simulator.on_state = None
        opening = list(self._opening)
        for task in opening:
            task.cancel()
        await asyncio.gather(*opening, return_exceptions=True)
        if self._control is not None:
            await self._control.aclose()
        await self.control.aclose()
        for listener in self._listeners.values():
            await listener.aclose()
        # Before the deliveries are cancelled: TLS of a cancelled request says goodbye for up to 30 seconds, and would
        # be left open when the loop ends. Closing the connector breaks it at once.
        await self._notifier.aclose()
        await self.simulator.aclose()

    def _on_state(self, name: str, state: NodeCondition) -> None:
        listener = self._listeners[name]
        if state is NodeCondition.DOWN:
            listener.close()
        elif not listener.is_open:
            task = asyncio.get_running_loop().create_task(self._reopen(name, listener))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _reopen(self, name: str, listener: Listener) -> None:
        for attempt in range(_REOPEN_TRIES):
            if attempt:
                await asyncio.sleep(_REOPEN_PAUSE)
            if self.simulator.place(name).state is NodeCondition.DOWN:
                return
            with contextlib.suppress(OSError):  # somebody else has taken the port meanwhile
                await listener.open()
                if self.simulator.place(name).state is NodeCondition.DOWN:
                    listener.close()  # it went down again while the socket was opened
                return
        _log.warning("node %s cannot listen at port %d again: it is taken", name, listener.port)

    async def settled(self) -> None:
        """Wait until every node that came back listens again."""
        while self._opening:
            await asyncio.wait(self._opening)


def node_app(simulator: Simulator, node: str) -> SoapApp:
    """The ASGI program of one node, with the simulator's faults."""
    sender = FaultySender(sleep=simulator.sleep, later=simulator.later)
    return SoapApp(simulator.place(node).service, send_reply=sender)


async def serve(
    options: Options | None = None,
    *,
    nodes: Sequence[str | NodeAddress] = ("imp1",),
    control_port: int | None = 8084,
    control_host: str = "127.0.0.1",
    tls: ssl.SSLContext | tuple[str | Path, str | Path] | None = None,
    contacts: int = 24,
    seed: int | None = None,
    started: Callable[[SimulatorServer], None] | None = None,
) -> None:
    """Serve until cancelled, with `contacts` invented people; `started` is called once everything listens."""
    async with SimulatorServer(
        options, nodes=nodes, control_port=control_port, control_host=control_host, tls=tls, seed=seed
    ) as server:
        server.simulator.populate(contacts)
        if started is not None:
            started(server)
        await asyncio.Event().wait()


def run(
    options: Options | None = None,
    *,
    nodes: Sequence[str | NodeAddress] = ("imp1",),
    control_port: int | None = 8084,
    tls: tuple[str | Path, str | Path] | None = None,
    contacts: int = 24,
    started: Callable[[SimulatorServer], None] | None = None,
) -> None:
    """Serve until Ctrl-C, in an event loop of its own."""
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(options, nodes=nodes, control_port=control_port, tls=tls, contacts=contacts, started=started))


def _context(tls: ssl.SSLContext | tuple[str | Path, str | Path] | None) -> ssl.SSLContext | None:
    if tls is None or isinstance(tls, ssl.SSLContext):
        return tls
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*tls)
    return context


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
