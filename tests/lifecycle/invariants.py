"""What must hold in every state of the histories, and which states are healed."""

from __future__ import annotations

from pws_soap.lifecycle import Act, Key, Kind, Phase, next_due, remember
from tests.lifecycle.one_process import World, covers
from tests.lifecycle.small_server import APPLICATION, END_USER, ENDPOINT


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
        if (world.held(END_USER), number) in world.late_fetches:
            return "it fetches under a key and id that an abandoned fetch may still consume changes of"
        if _may_be_altered(world, key, number):
            return "it uses a subscription that an older or abandoned request may still alter"
        if missing := _missing(world, key, number):
            return f"subscription {number} lacks {', '.join(sorted(missing))}, and the process does not know"
    if world.server.holds_anything and not covers(remember(world.state)):
        return "the state file does not know of what is at the server"
    for kind, generation in ((Kind.ENDPOINT, 1), (Kind.SUBSCRIPTION, len(world.want))):
        if (orphans := _orphans(world, kind)) > world.faults * generation:
            return f"{orphans} orphaned {kind}s after {world.faults} faults"
    if world.state.finished and not world.faults and (world.server.application or world.server.user):
        return f"stopped, and left behind: {world.server}"
    return None


def _may_be_altered(world: World, key: Key, number: int) -> bool:
    """Whether a request for an older subscription, or an abandoned one, could change the contacts of this one."""
    generation = world.state.resources[key].generation
    pending = [each for each in world.requests if each.reply is None and each.command.seq < generation]
    return any(
        each.command.act is Act.ALTER and each.key == world.held(END_USER) and each.command.id == number
        for each in (*world.late, *pending)
    )


def _missing(world: World, key: Key, number: int) -> frozenset[str]:
    """Contacts that count as subscribed, and of which the server will not tell under this id."""
    there = dict(world.server.subscriptions).get(number)
    others = [each.reply for each in world.requests if each.command.key.kind is Kind.SUBSCRIPTION]
    given_again = any(getattr(reply, "id", None) == number for reply in others)  # which the reply will tell
    if there is None or given_again or world.held(END_USER) != world.server.user:
        return frozenset()
    resource = world.state.resources[key]
    return resource.contacts - resource.unsure - there


def _orphans(world: World, kind: Kind) -> int:
    """Endpoints, or subscriptions, at the server that the process does not know."""
    known = {resource.id for key, resource in world.state.resources.items() if key.kind is kind}
    known |= {each.id for each in world.state.leftovers if each.kind is kind}
    known |= {getattr(each.reply, "id", None) for each in world.requests if each.command.key.kind is kind}
    return len(world.server.ids(kind) - known)


def healed(world: World) -> bool:
    """All contacts are subscribed in the process and at the server; or the process has stopped."""
    if world.requests:
        return False
    if world.state.stopping:
        return world.state.finished
    state, server = world.state, world.server
    phases = {resource.phase for resource in state.resources.values()}
    known = {each.id: each.contacts for key, each in state.resources.items() if key.kind is Kind.SUBSCRIPTION}
    return (
        phases == {Phase.LIVE}
        and world.held(APPLICATION) == server.application
        and world.held(END_USER) == server.user
        and server.endpoints == {state.resources[ENDPOINT].id}
        and dict(server.subscriptions) == known
        and sorted(contact for contacts in known.values() for contact in contacts) == sorted(world.want)
        and not state.leftovers
        and not world.to_reset
    )
