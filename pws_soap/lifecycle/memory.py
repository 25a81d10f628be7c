"""What must survive a crash, so that nothing is orphaned on the server: ids and expiries, no secrets.

What is being made has no id yet; should we crash before the reply, its session is doubtful and is reset at the next
start, which destroys whatever it holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pws_soap.lifecycle.plan import session_of
from pws_soap.lifecycle.table import SESSIONS, Kind, Phase
from pws_soap.lifecycle.values import Doubt, Leftover, State

_MAY_HOLD: Final = frozenset({Phase.SUSPECT, Phase.RESETTING, Phase.REMOVING, Phase.LINGERING})
"""Phases of a session that may hold something nobody knows the id of: also one that is to take along what could not be
removed by itself."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What a state file holds. `expires_at` is on the lifecycle's clock; the file's writer turns it into wall time."""

    leftovers: tuple[Leftover, ...] = ()
    doubtful: tuple[Doubt, ...] = ()


def remember(state: State, now: float) -> Memory:
    """All that is ours on the server, as an earlier run's leftovers."""
    leftovers = [Leftover(each.kind, each.node, each.user, each.id, each.expires_at) for each in state.leftovers]
    doubtful = {(each.node, each.user): each.until for each in state.doubtful}
    latest = now + max(state.settings.endpoint_expires, state.settings.subscription_expires)
    for key, resource in state.resources.items():
        if key.kind in SESSIONS:
            if resource.phase in _MAY_HOLD:
                doubtful[key.node, key.user] = latest
        elif resource.id is not None:
            leftovers.append(Leftover(key.kind, key.node, key.user, resource.id, resource.outlasts))
        elif resource.phase in {Phase.MAKING, Phase.LEAVING}:
            session = session_of(key)
            doubtful[session.node, session.user] = latest
    users = {(each.node, each.user) for each in leftovers} | set(doubtful)
    nodes = {node for node, _ in users}
    for key in sorted(state.resources, reverse=True):  # end users before the application that they hang on
        resource = state.resources[key]
        known = key.node in nodes if key.kind is Kind.APPLICATION else (key.node, key.user) in users
        if key.kind in SESSIONS and not known and resource.phase not in {Phase.ABSENT, Phase.WAITING}:
            doubtful[key.node, key.user] = latest  # nothing else would lead back to it
            nodes.add(key.node)
    return Memory(tuple(leftovers), tuple(Doubt(node, user, until) for (node, user), until in doubtful.items()))
