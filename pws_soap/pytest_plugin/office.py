"""The people of a test: their presence as it is, and whether a client has been told of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from pws_soap.pytest_plugin.server import PATIENCE, PwsServer
from pws_soap.server.presence import Device, Presence
from pws_soap.simulator.bounds import shown
from pws_soap.simulator.office.world import Fields
from pws_soap.simulator.scripts.contact_values import fields_from, valid_contact

_LEFT: Final[Any] = object()  # Any: stands for a value of every type that an argument has
"""What is not given stays as it is."""


class PwsOffice:
    """Changes the presence of contacts; those who watch them are notified, as by the real server."""

    def __init__(self, server: PwsServer) -> None:
        self._server = server

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.contacts)} contacts)"

    def set(
        self,
        contact: str,
        state: str,
        *,
        activities: Iterable[str] = (),
        idle: bool = _LEFT,
        note: str | None = _LEFT,
        display_name: str | None = _LEFT,
        devices: Sequence[Device] = _LEFT,
        federated: bool = _LEFT,
    ) -> Presence:
        """Set a contact's presence (a new contact is made), and return what the server says of it now.

        `contact` is `user@domain`; `state` is AVAILABLE, AWAY, BUSY, DND, VACATION, UNAVAILABLE or UNKNOWN.
        `activities` stand beside the state, such as `on-the-phone` or `meeting`, which make AVAILABLE BUSY; without
        them there are none. What else is not given stays as it is. Notifications are on their way when it returns.

        Raises ValueError that names the argument and what was expected; nothing has changed then.
        """
        if isinstance(activities, str):
            raise ValueError(f"activities: expected a list of names such as on-the-phone, got {shown(activities)}")  # noqa: TRY004
        valid_contact(contact)
        given = {"idle": idle, "note": note, "display_name": display_name, "federated": federated}
        values = {"state": state, "activities": list(activities)}
        fields = fields_from(values | {name: value for name, value in given.items() if value is not _LEFT})
        if devices is not _LEFT:
            fields["devices"] = _devices(devices)
        return self._change(contact, fields)

    def get(self, contact: str) -> Presence:
        """The truth about a contact, whatever a client believes; UNKNOWN where there is no such contact."""
        return self._server.call(lambda simulator: simulator.world.get(contact))

    @property
    def contacts(self) -> tuple[str, ...]:
        """Everybody, in the order in which they came."""
        return self._server.call(lambda simulator: tuple(presence.contact for presence in simulator.world))

    def add(self, count: int) -> list[str]:
        """Add invented people, 1 to 100000, who are UNAVAILABLE; returns their contact URIs.

        Raises ValueError for another number.
        """
        if not 1 <= count <= 100_000:
            raise ValueError(f"count: expected 1 to 100000, got {shown(count)}")
        return self._server.call(lambda simulator: simulator.populate(count))

    def remove(self, contact: str) -> bool:
        """Take a contact out, who is UNKNOWN then; whether there was one."""
        return self._server.call(lambda simulator: simulator.remove(contact))

    def wait_until_told(self, contact: str, *, timeout: float = PATIENCE) -> Presence:
        """Wait until a client was told of a contact as it is now; returns what it was told.

        That is when a reply to getSubscribedPresence or getPolledPresence that named it so has been handed whole to the
        connection; the client may still be reading it. `timeout` is in seconds, above 0, at most 3600. Raises
        WaitTimedOut (an AssertionError), and RuntimeError inside a running event loop.
        """
        __tracebackhide__ = True
        world = self._server.call(lambda simulator: simulator.world)

        def find() -> Presence | None:
            now = world.get(contact)
            return now if self._server.told(contact) == now else None

        return self._server.wait(f"reply that says of {contact} what holds now", find, timeout)

    def _change(self, contact: str, fields: Fields) -> Presence:
        def change_and_get(simulator: Any) -> Presence:
            simulator.change_many({contact: fields})
            presence: Presence = simulator.world.get(contact)
            return presence

        return self._server.call(change_and_get)


def _devices(devices: object) -> tuple[Device, ...]:
    if not isinstance(devices, list | tuple) or not all(isinstance(device, Device) for device in devices):
        raise ValueError(f"devices: expected a list of pws_soap.simulator.Device, got {shown(devices)}")
    return tuple(devices)
