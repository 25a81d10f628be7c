"""The nodes of a cluster: which of them work, who is homed where, and outages on demand.

Nothing is sent here and no time passes; `Simulator` adds both.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pws_soap.server.http.service import PresenceWebService
from pws_soap.server.node.operations import Node
from pws_soap.simulator.faults.outages import NodeCondition, Outages
from pws_soap.simulator.office.world import World
from pws_soap.simulator.options import Options


@dataclass(slots=True)
class Place:
    """A node in its cluster: what answers there, its address, and whether it works."""

    service: PresenceWebService
    address: str
    outages: Outages = field(default_factory=Outages)

    @property
    def node(self) -> Node:
        """The node's sessions, endpoints and subscriptions."""
        return self.service.node

    @property
    def state(self) -> NodeCondition:
        """Whether the node works."""
        return self.outages.condition


class Nodes:
    """Nodes that share a world. The first is the home of end users without another; a node's backup is the next one.

    They are each other's `pws_soap.server.ports.NodeDirectory`.
    """

    def __init__(
        self, options: Options, world: World, names: Sequence[str], make_place: Callable[[str], Place]
    ) -> None:
        if not names or len(set(names)) != len(names):
            raise ValueError(f"nodes: expected different names, at least one, got {list(names)!r}")
        self.options = options
        self.world = world
        self.on_state: Callable[[str, NodeCondition], None] | None = None
        """Called when a node goes down or comes back: the server then closes or opens its sockets."""
        self.places = {name: make_place(name) for name in names}

    def __repr__(self) -> str:
        states = ", ".join(f"{name}: {place.state}" for name, place in self.places.items())
        return f"{type(self).__name__}({states})"

    # Outages

    def place(self, name: str) -> Place:
        """A node by its name. Raises ValueError for an unknown name."""
        try:
            return self.places[name]
        except KeyError:
            raise ValueError(f"node: expected one of {', '.join(self.places)}, got {name!r}") from None

    def set_state(self, name: str, state: NodeCondition) -> None:
        """Take a node down, let it hang, or bring it back. It forgets nothing, see `restart`."""
        if self.place(name).outages.become(state) and self.on_state is not None:
            self.on_state(name, state)

    def restart(self, name: str) -> None:
        """Let a node forget everything: sessions, endpoints, subscriptions. Its connections break, then it is up."""
        place = self.place(name)
        self.set_state(name, NodeCondition.DOWN)
        place.node.forget()
        self.set_state(name, NodeCondition.UP)

    def kill_sessions(self, *, user: str | None = None, node: str | None = None) -> int:
        """End the sessions of one user or of all, at one node or all, with all that belongs to them; how many."""
        killed = 0
        for place in self._chosen(node):
            registry = place.node.registry
            before = len(registry.sessions)
            for key in [each.key for each in registry.sessions.values() if user in (None, each.user)]:
                registry.end_session(key)
            killed += before - len(registry.sessions)
        return killed

    def forget(self, what: str, *, node: str | None = None) -> int:
        """Lose `endpoints` or `subscriptions`, or with `everything` restart; how many ids or nodes that were."""
        if what not in ("endpoints", "subscriptions", "everything"):
            raise ValueError(f"what: expected endpoints, subscriptions or everything, got {what!r}")
        lost = 0
        for place in self._chosen(node):
            registry = place.node.registry
            if what == "everything":
                self.restart(place.node.name)
                lost += 1
            elif what == "endpoints":
                lost += len(registry.endpoints)
                for number in list(registry.endpoints):
                    registry.end_endpoint(number)
            else:
                lost += len(registry.subscriptions)
                for number in list(registry.subscriptions):
                    registry.end_subscription(number)
        return lost

    def set_cpu(self, percent: float, *, node: str | None = None) -> None:
        """Set the load: above 80 % no notifications are sent, near 100 % requests are refused."""
        for place in self._chosen(node):
            place.node.cpu = percent

    def set_rate_limit(self, requests_per_second: int | None, *, node: str | None = None) -> None:
        """Set how many requests a second a node takes; None: any number."""
        for place in self._chosen(node):
            place.node.requests_per_second = requests_per_second

    def _chosen(self, node: str | None) -> list[Place]:
        return list(self.places.values()) if node is None else [self.place(node)]

    # What nodes know of each other (`NodeDirectory`)

    def home_of(self, user: str) -> str:
        """The name of the node on which an end user has to log in."""
        known = self.options.user(user)
        return known.home if known is not None and known.home in self.places else next(iter(self.places))

    def works(self, node: str) -> bool:
        """Whether a node answers requests."""
        return self.places[node].state is NodeCondition.UP

    def address_of(self, node: str) -> str:
        """`host:port` of a node; without sockets its name."""
        return self.places[node].address

    def backup_of(self, node: str) -> str | None:
        """The name of the node that takes over when this one fails, or None."""
        names = list(self.places)
        return names[(names.index(node) + 1) % len(names)] if len(names) > 1 else None


def session_keys(seed: int | None) -> Callable[[], str]:
    """What makes session keys: repeatable ones from a seed."""
    if seed is None:
        return lambda: secrets.token_hex(16)
    dice = random.Random(f"keys of {seed}")  # noqa: S311 - repeatable on purpose
    return lambda: f"{dice.getrandbits(128):032x}"
