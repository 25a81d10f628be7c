"""Who owns the sessions at the server, as what passes requests on sees it, and how it waits for the next owner."""

from __future__ import annotations

import asyncio
from typing import Final, NamedTuple, Protocol

from service.runtime.forward_seal import BeatMoment

HANDS_OVER: Final = 3.0
"""Seconds that a request waits at most for the next owner, where one hands over to another."""
NOTICED: Final = 0.5
"""Seconds within which it is known here that an owner that is not reached has handed over."""
_LOOK: Final = 0.02


class Owner(NamedTuple):
    """Who answers what only the owner can: the replica itself, or the one at `address`."""

    epoch: int
    address: str
    is_self: bool


class Owners(Protocol):
    """Knows who owns the sessions, and which replicas there are."""

    def owner(self) -> Owner | None:
        """Who does now; None: nobody is known to."""
        ...

    async def gone(self, owner: Owner) -> None:
        """Wait until it is another one, or nobody."""
        ...

    def is_coming(self) -> bool:
        """Whether nobody owns, and somebody will in a moment."""
        ...

    def is_leaving(self) -> bool:
        """Whether this replica is about to end."""
        ...

    def moment(self) -> BeatMoment:
        """The newest beat that is known here."""
        ...

    def address_of(self, mark: bytes) -> str | None:
        """Where the replica with this mark in its cursors is (`cursors.replica_mark`); None: here, or not there."""
        ...


async def next_owner(owners: Owners, before: Owner | None) -> Owner | None:
    """Who owns, other than `before`, as far as somebody is to be expected; None: nobody."""
    now = asyncio.get_running_loop().time
    until, noticed = now() + HANDS_OVER, now() + (0.0 if before is None else NOTICED)
    while True:
        owner = owners.owner()
        if owner is not None and owner != before:
            return owner
        if now() >= until or (now() >= noticed and not owners.is_coming()):
            return None
        await asyncio.sleep(_LOOK)
