"""The simulated server of `pws demo`, its people and their office day: what one service and several replicas share."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from pws_soap.simulator import OfficeDay, Options, SimulatorServer, User
from pws_soap.simulator.control import views
from pws_soap.simulator.scripts.office_day import HOUR
from service.cli.demo.playground import SimulatorPlayground

OPENS: Final = 8.75
"""The hour at which the office day starts: people are coming in, so changes come at once."""
SEED: Final = 3
"""The seed of the office day: the same day each time, with many changes in the morning."""
USER: Final = "pwsapp"
END_USER: Final = "dispatcher"


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What to run: the service's port (0: any free one), how many people, and how many times as fast as life.

    `facade`: the Presence Web Service as well, for programs written for the presence server. `replicas`: how many
    processes answer; of more than one each is a process of its own (`replicas`).
    """

    port: int
    contacts: int
    speed: float
    facade: bool = False
    replicas: int = 1


@dataclass(frozen=True, slots=True)
class SimulatedOffice:
    """The server, the password of `USER` there, and the people, in their order."""

    server: SimulatorServer
    password: str
    people: list[str]
    day: OfficeDay
    playground: SimulatorPlayground

    async def settle(self) -> None:
        """End the day and all faults: logging out needs a server that answers, whatever faults the user has set."""
        await self.day.stop()
        await self.playground.mend()
        await self.server.settled()

    def left(self) -> Mapping[str, int]:
        """What the simulator holds."""
        return left_at(self.server)


@asynccontextmanager
async def simulated_office(options: DemoOptions) -> AsyncIterator[SimulatedOffice]:
    """Run it while the `async with` lasts."""
    password = secrets.token_urlsafe(16)
    simulated = Options(users=(User(USER, password, application=True), User(END_USER)))
    async with SimulatorServer(simulated) as server:
        people = server.simulator.populate(options.contacts)
        day = OfficeDay(server.simulator, speed=options.speed, seed=SEED, start=OPENS * HOUR)
        day.begin()
        try:
            await asyncio.sleep(0)  # lets the day set everybody's presence of the morning
            yield SimulatedOffice(server, password, people, day, SimulatorPlayground(server.simulator))
        finally:
            await day.stop()


def left_at(server: SimulatorServer) -> dict[str, int]:
    """What the simulator holds."""
    kinds = ("sessions", "endpoints", "subscriptions")
    return {kind: sum(node[kind] for node in views.nodes(server.simulator)) for kind in kinds}
