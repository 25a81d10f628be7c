"""What must hold in every state of the histories, and which states are healed."""

from __future__ import annotations

from typing import Final

from pws_soap.lifecycle import Act, Key, Phase, next_due, remember
from tests.lifecycle.one_process import World, covers
from tests.lifecycle.small_server import APPLICATION, END_USER, ENDPOINT, SUBSCRIPTION

EVERYTHING: Final = (APPLICATION, END_USER, ENDPOINT, SUBSCRIPTION)


def wrong(world: World) -> str | None:
    """What is wrong in a state, if anything."""
    if world.problem is not None:
        return world.problem
    due = next_due(world.state)
    if due is not None and due <= world.now:
        return f"it ticks without an end: due {due - world.now} s from now"
    if not world.requests and due is None and not world.state.finished:
        return "nothing is pending and nothing is due"
    if (world.held(END_USER), world.usable()) in world.late_fetches:
        return "it fetches under a key and id that an abandoned fetch may still consume changes of"
    if world.usable() and _may_be_altered(world):
        return "it uses a subscription that an older or abandoned request may still alter"
    if missing := _missing(world):
        return f"the subscription lacks {', '.join(sorted(missing))}, and the process does not know"
    if world.server.holds_anything and not covers(remember(world.state)):
        return "the state file does not know of what is at the server"
    for key in (ENDPOINT, SUBSCRIPTION):
        if (orphans := _orphans(world, key)) > world.faults:
            return f"{orphans} orphaned {key.kind}s after {world.faults} faults"
    if world.state.finished and not world.faults and (world.server.application or world.server.user):
        return f"stopped, and left behind: {world.server}"
    return None


def _may_be_altered(world: World) -> bool:
    """Whether a request for an older subscription, or an abandoned one, could change the contacts of this one."""
    generation = world.state.resources[SUBSCRIPTION].generation
    pending = [each for each in world.requests if each.reply is None and each.command.seq < generation]
    return any(
        each.command.act is Act.ALTER and each.key == world.held(END_USER) and each.command.id == world.usable()
        for each in (*world.late, *pending)
    )


def _missing(world: World) -> frozenset[str]:
    """Contacts that count as subscribed, and of which this subscription will not tell."""
    resource = world.state.resources.get(SUBSCRIPTION)
    there = dict(world.server.subscriptions).get(world.usable())
    if resource is None or there is None or world.held(END_USER) != world.server.user:
        return frozenset()
    return resource.contacts - resource.unsure - there


def _orphans(world: World, key: Key) -> int:
    """Endpoints, or subscriptions, at the server that the process does not know."""
    resource = world.state.resources.get(key)
    known = {resource.id} if resource is not None else set()
    known |= {each.id for each in world.state.leftovers if each.kind is key.kind}
    known |= {getattr(each.reply, "id", None) for each in world.requests if each.command.key == key}
    return len(world.server.ids(key) - known)


def healed(world: World) -> bool:
    """The subscription is live in the process and at the server; or the process has stopped."""
    if world.requests:
        return False
    if world.state.stopping:
        return world.state.finished
    state, server = world.state, world.server
    return (
        all(key in state.resources and state.resources[key].phase is Phase.LIVE for key in EVERYTHING)
        and world.held(APPLICATION) == server.application
        and world.held(END_USER) == server.user
        and server.endpoints == {state.resources[ENDPOINT].id}
        and server.subscriptions == ((state.resources[SUBSCRIPTION].id or 0, world.want),)
        and not state.leftovers
        and not world.to_reset
    )
