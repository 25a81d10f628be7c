"""The simulated world as the server's source of presence."""

from __future__ import annotations

from collections.abc import Callable

from pws_soap.server.messages import SetPresence
from pws_soap.server.presence import ManualPresence, Presence, Watcher
from pws_soap.simulator.office.world import World


class WorldPresence:
    """Presence from a `World` (`pws_soap.server.ports.PresenceSource`): every watcher sees the same.

    `on_set` is called with each contact whose presence an end user has changed.
    """

    def __init__(self, world: World, domain: str, on_set: Callable[[str], None]) -> None:
        self._world = world
        self._domain = domain
        self._on_set = on_set

    def contact_key(self, contact: str) -> str:
        """The form under which contact URIs are compared."""
        return self._world.contact_key(contact)

    def presence_of(self, contact: str, watcher: Watcher) -> Presence:
        """The contact's presence; UNKNOWN when there is no such contact."""
        return self._world.get(contact)

    async def set_presence(self, user: str, manual: ManualPresence | None, sent: SetPresence) -> None:
        """Set the presence of an end user, whose domain is the server's unless the name has one."""
        contact = user if "@" in user else f"{user}@{self._domain}"
        if self._world.set_manual(contact, manual):
            self._on_set(contact)
