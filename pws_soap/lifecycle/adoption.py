"""What one process hands over to another, so that nothing has to be made anew: pure.

A process that hands over stops asking the server for anything, and waits until nothing is under way. What is in working
order then may be gone on with by one other process. It logs in without force, which gives the session that is there.
Only where that is the very session that was handed over (the caller compares) has nobody reset it meanwhile, and what
lives in it is adopted. In every other case the node is reset, as after a crash.

A node is handed over as a whole, or not at all: a reset destroys all that is in the application's session.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from pws_soap.lifecycle.backoff import renewal
from pws_soap.lifecycle.plan import contacts_of, parents, session_of
from pws_soap.lifecycle.table import SESSIONS, Kind, Phase
from pws_soap.lifecycle.values import EndUser, Key, Resource, State


@dataclass(frozen=True, slots=True)
class HandedOver:
    """Endpoints and subscriptions in working order, and where each end user is at home.

    Of a resource only `key`, `id`, `contacts` and `expires_at` count, the last on the clock of the process that has it.
    """

    resources: tuple[Resource, ...] = ()
    homes: Mapping[str, str] = field(default_factory=dict)


NOTHING_HANDED_OVER: Final = HandedOver()


# Handing over


def handed_over(state: State) -> HandedOver:
    """What another process may go on with, once nothing is under way."""
    nodes = {key.node for key in state.resources if key.kind is Kind.APPLICATION and _is_in_order(key.node, state)}
    resources = tuple(
        resource
        for key, resource in sorted(state.resources.items())
        if key.node in nodes and key.kind not in SESSIONS and resource.phase is Phase.LIVE
    )
    homes = {name: user.node for name, user in state.users.items() if user.node in nodes}
    return HandedOver(resources, homes)


def _is_in_order(node: str, state: State) -> bool:
    """Whether all that is at a node is known, and works."""
    here = [resource for key, resource in state.resources.items() if key.node == node]
    left_over = any(each.node == node for each in state.leftovers)
    not_ours_yet = any(each.key.node == node for each in state.adoptable)
    if state.stopping or state.needs_reset(node) or left_over or not_ours_yet:
        return False
    return all(_works(each, state) or _is_not_there(each) for each in here)


def _works(resource: Resource, state: State) -> bool:
    above = (state.resources.get(key) for key in parents(resource.key))
    is_whole = resource.phase is Phase.LIVE and not resource.unsure
    return is_whole and all(parent is not None and parent.phase is Phase.LIVE for parent in above)


def _is_not_there(resource: Resource) -> bool:
    may_be_there = resource.error is not None and resource.error.may_have_acted
    return resource.phase in {Phase.ABSENT, Phase.WAITING} and not may_be_there


# Going on


def prepared(state: State, left: HandedOver) -> State:
    """A start that goes on with what was left: contacts keep their places, and end users their homes.

    None of it is used before the login.
    """
    adoptable = tuple(each for each in left.resources if each.key.node in state.suspected and _is_usable(each))
    homes = {name: node for name, node in left.homes.items() if node in state.suspected}
    slots: dict[str, dict[int, frozenset[str]]] = {name: {} for name in homes}
    for each in adoptable:
        if each.key.kind is Kind.SUBSCRIPTION and homes.get(each.key.user) == each.key.node:
            slots[each.key.user][each.key.slot] = each.contacts
    users = {
        name: EndUser(tuple(found.get(slot, frozenset()) for slot in range(max(found, default=-1) + 1)), homes[name])
        for name, found in slots.items()
    }
    return replace(state, users=users, adoptable=adoptable)


def _is_usable(resource: Resource) -> bool:
    return resource.key.kind not in SESSIONS and resource.id is not None and resource.expires_at is not None


def waiting_sessions(node: str, state: State) -> set[Key]:
    """The sessions at a node that something adoptable waits for: its own, and the application's that holds it."""
    return {key for each in state.adoptable if each.key.node == node for key in _sessions_of(each.key)}


def _sessions_of(key: Key) -> tuple[Key, Key]:
    return session_of(key), Key(Kind.APPLICATION, key.node)


def is_hopeless(node: str, state: State) -> bool:
    """Whether a session that something at this node waits for does not come as it was handed over."""
    for key in waiting_sessions(node, state):
        user = state.users.get(key.user)
        if key.kind is Kind.END_USER and (user is None or user.node != node):
            return True  # nobody logs in there
        resource = state.resources.get(key)
        if resource is None:
            continue
        if resource.failures or resource.losses or resource.phase not in {Phase.ABSENT, Phase.MAKING, Phase.LIVE}:
            return True
    return False


def adopted(resource: Resource, state: State, seq: int, now: float) -> Resource:
    """What was handed over, as one of ours; it is renewed when the one before would have done so."""
    key, settings = resource.key, state.settings
    life = settings.endpoint_expires if key.kind is Kind.ENDPOINT else settings.subscription_expires
    expires_at = min(resource.expires_at or now, now + life)
    want = contacts_of(key, state)
    return Resource(
        key,
        Phase.LIVE,
        since=now,
        id=resource.id,
        seq=seq,
        generation=seq,
        made_at=now,
        expires_at=expires_at,
        outlasts=expires_at,
        due=expires_at - life + renewal(settings, life, key, seq),
        contacts=want if resource.contacts == want else resource.contacts,
    )
