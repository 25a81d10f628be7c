"""The office of `pws demo --replicas`: a simulated server, an engine, the replicas, and a balancer in front of them."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from pws_soap.simulator import OfficeDay
from service.cli.demo import loopback
from service.cli.demo.balancer import Balancer
from service.cli.demo.engine_process import EngineProcess, found
from service.cli.demo.loopback import HOST
from service.cli.demo.replica_processes import ReplicaProcess, ReplicaProcesses
from service.cli.demo.replica_tricks import TRICKS, ReplicaPlayground
from service.cli.demo.reserved import ReservedPort
from service.cli.demo.simulated import DemoOptions, SimulatedOffice, simulated_office

_SECRET: Final = 24
"""Random bytes of the secret that the replicas share."""


@dataclass(slots=True)
class ReplicatedOffice:
    """The running demo, as `loopback.Office` is one. `port` is the balancer's."""

    replicas: ReplicaProcesses
    day: OfficeDay
    port: int
    hints: Mapping[str, str]
    left: Mapping[str, int]
    facade: str | None = None
    """There is none beside replicas."""

    @property
    def url(self) -> str:
        """The address of the balancer, without a slash at the end."""
        return f"http://{HOST}:{self.port}"

    @property
    def places(self) -> dict[str, str]:
        """The replicas' own dashboards."""
        return {each.name: f"{each.url}/" for each in self.replicas.all}

    @property
    def remark(self) -> str:
        """Who owns, and who is gone, in a few words."""
        owner = self.replicas.owner
        gone = ", ".join(each.name for each in self.replicas.ended)
        return f"owner: {owner.name if owner is not None else 'none yet'}{f'; ended: {gone}' if gone else ''}"

    async def started(self) -> None:
        """Wait until the replicas are live, at most ten seconds, since the user may have broken something already."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(loopback.START_PATIENCE):
                while not all(each.health.get("live") for each in self.replicas.all):  # noqa: ASYNC110  see loopback
                    await asyncio.sleep(loopback.POLL_INTERVAL)


@asynccontextmanager
async def replicated_office(
    options: DemoOptions, stop: asyncio.Event, say: Callable[[str], None], relay: Callable[[str], None]
) -> AsyncIterator[ReplicatedOffice]:
    """Run the demo while the `async with` lasts; `stop` ends it.

    Raises CommandFailed when there is no engine on this machine, or a port is not free.
    """
    program = found()
    listening = loopback.listen_for(options.port)
    port: int = listening.getsockname()[1]
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(listening.close)
        engine = EngineProcess(program)
        stack.callback(engine.close)
        simulated = await stack.enter_async_context(simulated_office(options))
        shared = {
            **loopback.values(simulated, port),
            "CLUSTER__URL": engine.url,
            "CLUSTER__UNIT": "demo",
            "CLUSTER__SECRET": secrets.token_urlsafe(_SECRET),
        }

        def values(replica: ReplicaProcess) -> dict[str, str]:
            return {f"PWS_{name}": value for name, value in (shared | {"CLUSTER__ADVERTISE": replica.url}).items()}

        tricks = (*TRICKS, *simulated.playground.tricks)
        replicas = ReplicaProcesses(list(_reserve(options, port, stack)), values, tricks, say, relay)
        engine.ended = lambda: say("the engine has ended")
        playground = ReplicaPlayground(simulated.playground, engine, replicas, say)
        balancer = Balancer(replicas.ports)
        office = ReplicatedOffice(replicas, simulated.day, port, _hints(port, simulated), {})
        try:
            await engine.start()
            await _unless(stop, replicas.start())
            await balancer.start(listening)
            yield office
        finally:
            await simulated.settle()
            stop.set()
            await balancer.stop()
            replicas.expect_ends()
            await playground.give_up()
            engine.stand_still(still=False)
            await replicas.stop()
            await engine.stop()
            office.left = simulated.left()


async def _unless(stop: asyncio.Event, work: Awaitable[None]) -> None:
    """Wait for the work, or until `stop` is set; then it is given up."""
    working, stopped = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait([working, stopped], return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopped.cancel()
        if not working.done():
            working.cancel()
        await asyncio.gather(working, stopped, return_exceptions=True)
    if not working.cancelled():
        working.result()


def _reserve(options: DemoOptions, port: int, stack: contextlib.AsyncExitStack) -> Iterator[int]:
    """The ports behind the balancer's, where they are free and any port was not asked for; else any others."""
    for number in range(1, options.replicas + 1):
        for wanted in (port + number if options.port else 0, 0):
            with contextlib.suppress(OSError, OverflowError):
                yield stack.enter_context(contextlib.closing(ReservedPort(wanted))).number
                break


def _hints(port: int, simulated: SimulatedOffice) -> dict[str, str]:
    """Commands to try while it runs."""
    service, ordinary = f"http://{HOST}:{port}", loopback.hints(port, simulated)
    return {
        "kill the owner": f'curl --json \'{{"fault":"owner-killed"}}\' {service}/demo/faults',
        "start it again": f'curl --json \'{{"fault":"all-started"}}\' {service}/demo/faults',
        "claim somebody": f'curl --json \'{{"group":"support"}}\' {service}/v1/claims',
        **{purpose: ordinary[purpose] for purpose in ("who is free", "service status", "change someone")},
    }
