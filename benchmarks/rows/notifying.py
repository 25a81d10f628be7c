"""Row 12: from a change at the server until a query answers with it, beside the sample scripts' way.

The service is `pws serve` in a process; a client waits for the contact's next state with `Prefer: wait`, as one does
that must not miss it. The other way is what the sample scripts do: an endpoint that runs a script for each
notification, which logs in twice, fetches and prints; a client asks the endpoint again and again. Each has a simulator
of its own, which notifies it. Once with a single contact, and once with the last of a subscription of 5000.

Times are of the wall, from the simulator's clock before the change (the clocks of two processes are one clock) until
the answer has come. Of several changes in a round the quickest counts: other programs only lengthen it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Final

from benchmarks.rows.http_load import Answer, Connection, connections, get, read
from benchmarks.rows.measure import Figure, Scale, Target, differences, ratio, spreads, take_turns
from benchmarks.rows.processes import ROOT, Child
from benchmarks.rows.serving import Whole, whole
from pws_soap.client import PwsClient
from tests.support.ports import free_port

PRODUCT: Final = "pws serve"
SAMPLE: Final = "sample scripts"
_PATIENCE: Final = 60.0
_BETWEEN: Final = 0.002
"""Seconds between two questions to the endpoint."""
_STATES: Final = ("AVAILABLE", "BUSY", "AWAY")


class ServiceWay:
    """`pws serve`, and a client that waits."""

    def __init__(self, service: Whole) -> None:
        self._service = service
        self._name = service.names[-1]
        self._target = f"/v1/presence/{self._name}"

    def change(self, state: str) -> float:
        """Let the contact change; the seconds until its new state has come."""
        with connections(self._service.port, 1) as (connection,):
            tag = connection.ask(get(self._target)).header("etag")
            connection.send(get(self._target, {"If-None-Match": tag, "Prefer": "wait=30"}))
            time.sleep(0.05)  # it waits now
            began = self._service.change({self._name: state})
            answer = _answer(connection)
            taken = time.monotonic() - began
        assert json.loads(answer.body)["state"] == state, answer
        return taken


def _answer(connection: Connection) -> Answer:
    return read(*connection.receive())


class SampleWay:
    """The endpoint of the sample scripts, with a subscription of its own."""

    def __init__(self, simulator: Child, names: list[str]) -> None:
        self._simulator = simulator
        self._name = names[-1]
        self._port = free_port()
        settings = {"server": f"127.0.0.1:{simulator.port}", "port": self._port}
        script = [sys.executable, "-m", "benchmarks.rows.programs.sample_endpoint", json.dumps(settings)]
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(script, cwd=ROOT, stdout=quiet, stderr=quiet)
        try:
            self._until_it_listens()
            asyncio.run(self._subscribe(names))
            self._until("AVAILABLE")
        except BaseException:
            self.close()
            raise

    def change(self, state: str) -> float:
        """Let the contact change; the seconds until the endpoint knows it."""
        told = self._simulator.ask("change", states={self._name: state})
        self._until(state)
        return time.monotonic() - float(told["at"])

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()

    async def _subscribe(self, names: list[str]) -> None:
        """What the script pws-create does."""
        async with PwsClient(f"http://127.0.0.1:{self._simulator.port}") as client:
            application = await client.login("pwsapp", "secret")
            user = await client.login_end_user(application, "dispatcher")
            endpoint = await client.register_endpoint(application, f"http://127.0.0.1:{self._port}/pws")
            await client.subscribe(user, endpoint, names)

    def _state(self) -> str:
        connection = Connection(self._port)
        try:
            return connection.ask(get(f"/presence/{self._name}")).body.decode()
        finally:
            connection.close()

    def _until(self, state: str) -> None:
        until = time.monotonic() + _PATIENCE
        while self._state() != state:
            if time.monotonic() > until:
                raise TimeoutError(f"{self._name} is {self._state()!r}")
            time.sleep(_BETWEEN)

    def _until_it_listens(self) -> None:
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until:
            with contextlib.suppress(ConnectionRefusedError):
                self._state()
                return
            time.sleep(0.02)
        raise TimeoutError("the endpoint does not listen")


@contextlib.contextmanager
def _sample(contacts: int) -> Iterator[SampleWay]:
    with Child("simulator", contacts=contacts) as simulator:
        way = SampleWay(simulator, [f"p{number:06d}@example.com" for number in range(contacts)])
        try:
            yield way
        finally:
            way.close()


def notifications(scale: Scale) -> list[Figure]:
    """Row 12."""
    return [_part(scale, 1, 150.0), _part(scale, scale.contacts, 100.0)]


def _part(scale: Scale, contacts: int, target: float) -> Figure:
    with whole(contacts) as service, _sample(contacts) as sample:
        service.until(service.is_live)
        ways: dict[str, tuple[ServiceWay | SampleWay, int]] = {
            PRODUCT: (ServiceWay(service), scale.times(20)),
            SAMPLE: (sample, 2),
        }
        turns = dict.fromkeys(ways, 0)

        def change(name: str) -> float:
            way, times = ways[name]
            taken = []
            for _ in range(times):
                turns[name] += 1
                taken.append(way.change(_STATES[turns[name] % len(_STATES)]))
            return min(taken)

        costs = take_turns(
            scale.rounds, {PRODUCT: lambda _number: change(PRODUCT), SAMPLE: lambda _number: change(SAMPLE)}
        )
        wrong = differences("live", service.is_live(), True)
    part = "a contact alone" if contacts == 1 else f"one of {contacts}"
    value = ratio(costs, SAMPLE, PRODUCT)
    return Figure(12, part, value, "x", Target(target, at_least=True), spreads(costs), wrong=wrong)
