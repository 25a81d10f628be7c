"""What must hold in every state of the histories, and which states are healed."""

from __future__ import annotations

from pws_soap.lifecycle import Act, Key, Kind, Phase, next_due, remember
from pws_soap.lifecycle.plan import session_of
from pws_soap.lifecycle.table import SESSIONS
from tests.lifecycle.one_process import World, covers


def wrong(world: World) -> str | None:
    """What is wrong in a state, if anything."""
    if world.problem is not None:
        return world.problem
    due = next_due(world.state)
    if due is not None and due <= world.now:
        return f"it ticks without an end: due {due - world.now} s from now"
    if not world.requests and due is None and not world.state.finished:
        return "nothing is pending and nothing is due"
    for key, number in world.usable().items():
        if (key.node, world.held(session_of(key)), number) in world.late_fetches:
            return "it fetches under a key and id that an abandoned fetch may still consume changes of"
        if _may_be_altered(world, key, number):
            return "it uses a subscription that an older or abandoned request may still alter"
        if missing := _missing(world, key, number):
            return f"subscription {number} lacks {', '.join(sorted(missing))}, and the process does not know"
    memory = remember(world.state)
    for node, server in world.servers:
        if server.holds_anything and not covers(memory, node):
            return "the state file does not know of what is at the server"
        for kind, generation in ((Kind.ENDPOINT, 1), (Kind.SUBSCRIPTION, len(world.want))):
            if (orphans := _orphans(world, node, kind)) > world.faults * generation:
                return f"{orphans} orphaned {kind}s after {world.faults} faults"
        if world.state.finished and not world.faults and (server.application or server.user):
            return f"stopped, and left behind: {server}"
    return None


def _may_be_altered(world: World, key: Key, number: int) -> bool:
    """Whether a request for an older subscription, or an abandoned one, could change the contacts of this one."""
    generation = world.state.resources[key].generation
    pending = [each for each in world.requests if each.reply is None and each.command.seq < generation]
    return any(
        each.command.act is Act.ALTER
        and each.command.key.node == key.node
        and each.key == world.held(session_of(key))
        and each.command.id == number
        for each in (*world.late, *pending)
    )


def _missing(world: World, key: Key, number: int) -> frozenset[str]:
    """Contacts that count as subscribed, and of which the server will not tell under this id."""
    server = world.at(key.node)
    there = dict(server.subscriptions).get(number)
    others = [each.reply for each in world.requests if each.command.key[:2] == key[:2]]
    given_again = any(getattr(reply, "id", None) == number for reply in others)  # which the reply will tell
    if there is None or given_again or world.held(session_of(key)) != server.user:
        return frozenset()
    resource = world.state.resources[key]
    return resource.contacts - resource.unsure - there


def _orphans(world: World, node: str, kind: Kind) -> int:
    """Endpoints, or subscriptions, at a node that the process does not know."""
    known = {resource.id for key, resource in world.state.resources.items() if key[:2] == (kind, node)}
    known |= {each.id for each in world.state.leftovers if (each.kind, each.node) == (kind, node)}
    known |= {getattr(each.reply, "id", None) for each in world.requests if each.command.key[:2] == (kind, node)}
    return len(world.at(node).ids(kind) - known)


def healed(world: World) -> bool:
    """All contacts are subscribed in the process and at the server; or the process has stopped."""
    if world.requests:
        return False
    if world.state.stopping:
        return world.state.finished
    state = world.state
    if {resource.phase for resource in state.resources.values()} != {Phase.LIVE} or state.leftovers or world.to_reset:
        return False
    home = state.users["ann"].node
    for node, server in world.servers:
        mine = {key: each for key, each in state.resources.items() if key.node == node}
        ids = {each.id for key, each in mine.items() if key.kind is Kind.ENDPOINT}
        known = {each.id: each.contacts for key, each in mine.items() if key.kind is Kind.SUBSCRIPTION}
        contacts = sorted(contact for each in known.values() for contact in each)
        sessions = {world.held(key) for key in mine if key.kind in SESSIONS} | {0}
        if server.endpoints != ids or dict(server.subscriptions) != known:
            return False
        if {server.application, server.user, 0} != sessions or contacts != sorted(world.want if node == home else ()):
            return False
    return True
