"""The façade in front of a virtual office: simulator, service and façade in one process, without sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from pws_soap.models import Secret
from service.core.wiring import Core
from service.facade.facade import SoapFacade
from service.facade.settings import FacadeSettings, FacadeUser
from service.sync.engine import SyncEngine
from tests.support.virtual_office import VirtualOffice

ADDRESS: Final = "https://presence.example.com:8083"
USERS: Final = {
    name: FacadeUser(Secret(password), frozenset({"dispatcher", "supervisor"}))
    for name, password in (("pwsapp", "secret"), ("wallboard", "brick"))
}


@dataclass
class FacadeOffice(VirtualOffice):
    """A virtual office whose service has a façade. `notify` gets the URL of each notification to a program."""

    keeps_documents: bool = True
    unsure_after: float = 60.0
    notify: Callable[[str], Awaitable[str]] | None = None
    """What becomes of a notification: nothing where it was answered, else why not."""
    facade_settings: FacadeSettings | None = None
    background: list[asyncio.Task[None]] = field(default_factory=list)

    def built(self, engine: SyncEngine) -> None:
        """Build the façade, and start it."""
        self.core = Core.of(self.store, self.clock, self.bound, {})
        settings = self.facade_settings or FacadeSettings(ADDRESS, USERS, unsure_after=self.unsure_after)
        self.facade = SoapFacade(settings, self.core, engine, notify=self._notify_program)
        self.facade.start()
        self.background = [asyncio.create_task(self.core.log.run())]

    async def kill(self) -> None:
        """End both as SIGKILL does."""
        await self._end_facade()
        await super().kill()

    async def stop(self, limit: float = 60.0) -> None:
        """Stop both as SIGTERM does."""
        await self._end_facade()
        await super().stop(limit)

    async def _end_facade(self) -> None:
        for task in self.background:
            task.cancel()
        await asyncio.gather(*self.background, return_exceptions=True)
        await self.facade.stop()

    async def _notify_program(self, url: str, _registered_from: str | None) -> str:
        return "" if self.notify is None else await self.notify(url)
