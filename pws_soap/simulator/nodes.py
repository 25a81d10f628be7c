"""The nodes of a cluster: which of them work, who is homed where, and what the operator of a bad day does to them.

Nothing is sent here and no time passes; `Simulator` adds both.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from pws_soap.simulator import messages as m
from pws_soap.simulator.node import Node
from pws_soap.simulator.options import Options
from pws_soap.simulator.world import World


class NodeCondition(StrEnum):
    """Whether a node works."""

    UP = "up"
    DOWN = "down"
    HUNG = "hung"


@dataclass(slots=True)
class Place:
    """A node and whether it works. `awake` is set unless it hangs; `outages` counts how often it went down."""

    node: Node
    address: str
    state: NodeCondition = NodeCondition.UP
    awake: asyncio.Event = field(default_factory=asyncio.Event)
    outages: int = 0


class Nodes:
    """Nodes that share a world. The first is the home of end users without another; a node's backup is the next one."""

    def __init__(self, options: Options, world: World, names: Sequence[str], seed: int | None) -> None:
        if not names or len(set(names)) != len(names):
            raise ValueError(f"nodes: expected different names, at least one, got {list(names)!r}")
        self.options = options
        self.world = world
        self.on_state: Callable[[str, NodeCondition], None] | None = None
        """Called when a node goes down or comes back: the server then closes or opens its sockets."""
        new_key = _keys(seed)
        self.places = {name: Place(Node(name, world, options, self, new_key), name) for name in names}
        for place in self.places.values():
            place.awake.set()

    def __repr__(self) -> str:
        states = ", ".join(f"{name}: {place.state}" for name, place in self.places.items())
        return f"{type(self).__name__}({states})"

    # Outages

    def place(self, name: str) -> Place:
        """A node by its name. Raises ValueError for a name that is none."""
        try:
            return self.places[name]
        except KeyError:
            raise ValueError(f"node: expected one of {', '.join(self.places)}, got {name!r}") from None

    def set_state(self, name: str, state: NodeCondition) -> None:
        """Take a node down, hang it up or bring it back. It forgets nothing, see `restart`."""
        place = self.place(name)
        before, place.state = place.state, state
        if state is NodeCondition.DOWN and before is not NodeCondition.DOWN:
            place.outages += 1
        if state is NodeCondition.HUNG:
            place.awake.clear()
        else:
            place.awake.set()
        if self.on_state is not None and before is not state:
            self.on_state(name, state)

    def restart(self, name: str) -> None:
        """Let a node forget everything: sessions, endpoints, subscriptions. Its connections break, then it is up."""
        place = self.place(name)
        self.set_state(name, NodeCondition.DOWN)
        place.node.forget()
        self.set_state(name, NodeCondition.UP)

    def kill_sessions(self, *, user: str | None = None, node: str | None = None) -> int:
        """End sessions with all that belongs to them: one user's or everybody's, at one node or all; how many."""
        killed = 0
        for place in self._chosen(node):
            registry = place.node.registry
            before = len(registry.sessions)
            for key in [s.key for s in registry.sessions.values() if user in (None, s.user)]:
                registry.end_session(key)
            killed += before - len(registry.sessions)
        return killed

    def forget(self, what: str, *, node: str | None = None) -> int:
        """Lose the ids of `endpoints` or `subscriptions`, or with `everything` restart; how many nodes or ids."""
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

    # What nodes know of each other (`Neighbours`)

    def redirect(self, user: str, node: str) -> m.Redirect | None:
        """Where an end user has to log in, when it is not at this node."""
        known = self.options.user(user)
        home = known.home if known is not None and known.home in self.places else next(iter(self.places))
        if home is None or home == node:
            return None
        second = self._next(home)
        works = self.places[home].state is NodeCondition.UP
        if self.options.failover and not works and second == node:
            return None
        return m.Redirect(self.places[home].address, None if second is None else self.places[second].address)

    def backup(self, node: str) -> str | None:
        """The address of the node to use when this one fails."""
        second = self._next(node)
        return None if second is None else self.places[second].address

    def _next(self, node: str) -> str | None:
        names = list(self.places)
        return names[(names.index(node) + 1) % len(names)] if len(names) > 1 else None


def _keys(seed: int | None) -> Callable[[], str]:
    """What makes session keys: repeatable ones from a seed."""
    if seed is None:
        return lambda: secrets.token_hex(16)
    dice = random.Random(f"keys of {seed}")  # noqa: S311 - repeatable on purpose
    return lambda: f"{dice.getrandbits(128):032x}"
