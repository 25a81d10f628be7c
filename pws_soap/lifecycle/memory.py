"""What must survive a crash, so that nothing is orphaned on the server and nothing of a dead process is trusted.

It is the nodes on which a session of ours may exist, and no more: the next start logs the application's session there
out, which destroys all that it holds, ids, end users' sessions and requests that still wait in the server included
(protocol section 2, Sessions). Times play no part, so no clock that was set can hide anything.
"""

from __future__ import annotations

from dataclasses import dataclass

from pws_soap.lifecycle.table import Phase
from pws_soap.lifecycle.values import State


@dataclass(frozen=True, slots=True)
class Memory:
    """What a state file holds. `nodes` are base URLs of nodes on which something of ours may be.

    `unknown`: there may be something on others too, except those in `clean`.
    """

    nodes: frozenset[str] = frozenset()
    unknown: bool = False
    clean: frozenset[str] = frozenset()


NOTHING_LEFT = Memory()
"""After a clean stop."""
UNKNOWN = Memory(unknown=True)
"""What is known without a state file: nothing."""


def remember(state: State) -> Memory:
    """The nodes on which something of ours may be, now or once the requests under way have been carried out."""
    nodes = {each.node for each in state.leftovers}
    for key, resource in state.resources.items():
        gone = resource.phase in {Phase.ABSENT, Phase.WAITING}
        if not gone or (resource.error is not None and resource.error.may_have_acted):
            nodes.add(key.node)
    nodes |= state.left | (state.suspected - state.clean)
    return Memory(frozenset(nodes), state.unknown, state.clean - nodes if state.unknown else frozenset())
