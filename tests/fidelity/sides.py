"""Who is asked: a server in this process, without sockets, and what it has notified.

Both sides run in one event loop whose time jumps, so that a day of both is a matter of milliseconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Protocol, TypeVar, TypeVarTuple

from starlette.types import ASGIApp

from pws_soap.server import State
from pws_soap.simulator import Options, Simulator, User
from pws_soap.simulator.serving import node_app
from service.core.presence.freshness import default_bound
from service.facade.settings import FacadeSettings
from tests.fidelity.steps import APPLICATIONS, END_USERS, WATCHED, Change, Leave
from tests.support.facade_office import ADDRESS, FacadeOffice
from tests.support.facade_office import USERS as FACADE_USERS
from tests.support.virtual_time import LoopClock, VirtualLoop

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

USERS = (
    *(User(name, password, application=True) for name, password in APPLICATIONS.items()),
    *(User(name) for name in END_USERS),
)
"""Who may log in at the simulator, as at the façade."""
OPTIONS = Options(users=USERS, any_end_user=False)


SAFETY = 600.0
"""Seconds between two fetches of the service behind the façade where nothing happens, as by default."""


class Side(Protocol):
    """A server, asked as over HTTP."""

    app: ASGIApp
    notified: list[str]
    """The URLs of all notifications that it has sent."""

    def do(self, step: Change | Leave) -> None:
        """Something happens to the people behind it."""

    async def settled(self) -> None:
        """Wait until it has told all that it wants to tell."""

    async def aclose(self) -> None:
        """End it."""


class SimulatorSide:
    """A simulator of one node. `before` are made in it first: endpoints that are not the test's."""

    def __init__(self, options: Options | None = None, *, seed: int = 7) -> None:
        self.clock = LoopClock()
        self.notified: list[str] = []
        self.simulator = Simulator(options or OPTIONS, clock=self.clock.now, notify=self._notify, seed=seed)
        for contact in WATCHED:
            self.do(Change(contact, (("state", State.AVAILABLE),)))
        self.app: ASGIApp = node_app(self.simulator, "imp1")

    def do(self, step: Change | Leave) -> None:
        if isinstance(step, Change):
            self.simulator.change(step.contact, **dict(step.fields))
        else:
            self.simulator.remove(step.contact)

    async def settled(self) -> None:
        await self.simulator.drain()

    async def aclose(self) -> None:
        await self.simulator.aclose()

    async def _notify(self, url: str) -> bool:
        self.notified.append(url)
        return True


class FacadeSide:
    """A façade in front of a service in front of a simulator of its own, in which the same happens."""

    def __init__(self, *, set_presence: bool = False) -> None:
        self.notified: list[str] = []
        self.settings = FacadeSettings(ADDRESS, FACADE_USERS, set_presence=set_presence, unsure_after=60.0)
        self.office = FacadeOffice(
            WATCHED,
            rich=True,
            options=OPTIONS,
            safety=SAFETY,
            bound=default_bound(SAFETY),
            reconcile=0.0,
            notify=self._notify,
            facade_settings=self.settings,
        )

    async def start(self) -> None:
        """Start the service, and wait until all is live."""
        self.office.start()
        async with asyncio.timeout(60):
            while self.office.wrong():  # noqa: ASYNC110  # its time jumps
                await asyncio.sleep(0.5)
        self.app: ASGIApp = self.office.facade.app

    def do(self, step: Change | Leave) -> None:
        if isinstance(step, Change):
            self.office.simulator.change(step.contact, **dict(step.fields))
        else:
            self.office.simulator.remove(step.contact)

    async def settled(self) -> None:
        """Wait until nothing is under way."""
        await self.office.facade.service.delivery.drain()

    async def aclose(self) -> None:
        await self.office.stop()
        await self.office.simulator.aclose()

    async def _notify(self, url: str) -> str:
        self.notified.append(url)
        return ""


class InlineLoop(VirtualLoop):
    """An event loop whose time jumps, and whose threads have done their work at once: it does not jump meanwhile."""

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        done: asyncio.Future[T] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001  # whatever it raises is its caller's
            done.set_exception(error)
        return done
