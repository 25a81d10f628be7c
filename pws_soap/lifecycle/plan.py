"""What hangs on what, what is wanted, and what is due: questions to a state, without changing it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Set

from pws_soap.lifecycle import nodes
from pws_soap.lifecycle.table import SESSIONS, USABLE, Kind, Phase, ResourceEvent
from pws_soap.lifecycle.values import Key, Leftover, Resource, State


def session_of(key: Key) -> Key:
    """The session that a thing lives in: the end user's, or the application user's. That of the latter is itself."""
    if key.kind is Kind.SUBSCRIPTION:
        return Key(Kind.END_USER, key.node, key.user)
    return Key(Kind.APPLICATION, key.node)


def parents(key: Key) -> tuple[Key, ...]:
    """What must be there before `key` can be made, nearest first."""
    application = Key(Kind.APPLICATION, key.node)
    match key.kind:
        case Kind.APPLICATION:
            return ()
        case Kind.ENDPOINT | Kind.END_USER:
            return (application,)
        case Kind.SUBSCRIPTION:
            return (Key(Kind.END_USER, key.node, key.user), Key(Kind.ENDPOINT, key.node))


def children(key: Key, state: State) -> list[Key]:
    """What hangs on `key`, sessions first."""
    return sorted(other for other in state.resources if key in parents(other))


def wanted(state: State) -> set[Key]:
    """All that should be there: what the users need, and the sessions that something left over is removed with."""
    keys: set[Key] = set()
    if state.stopping:
        return keys
    for name, user in state.users.items():
        slots = [slot for slot, contacts in enumerate(user.slots) if contacts]
        if slots:
            keys |= {Key(Kind.APPLICATION, user.node), Key(Kind.ENDPOINT, user.node)}
            keys.add(Key(Kind.END_USER, user.node, name))
            keys |= {Key(Kind.SUBSCRIPTION, user.node, name, slot) for slot in slots}
    for leftover in state.leftovers:
        keys.add(Key(Kind.APPLICATION, leftover.node))
        if leftover.user:
            keys.add(Key(Kind.END_USER, leftover.node, leftover.user))
    keys |= {Key(Kind.APPLICATION, node) for node in state.suspected - state.clean}
    return keys


def ready(key: Key, state: State) -> bool:
    """Whether all that `key` needs is there, and nothing of an earlier life stands in its way."""
    for parent in parents(key):
        resource = state.resources.get(parent)
        if resource is None or resource.phase not in USABLE:
            return False
    if key.kind in SESSIONS:
        return True
    # A first try to remove what is left comes before making more: the server's limits are small. And the id of what is
    # just being removed may be given again: the two take turns.
    first = [each for each in state.leftovers if each.seq or not each.failures]
    return not any(owner(each) == (key.kind, key.node, key.user) for each in first)


def owner(leftover: Leftover) -> tuple[Kind, str, str]:
    """Ids are compared among things of one kind, node and user."""
    return leftover.kind, leftover.node, leftover.user


def removable(leftover: Leftover, state: State) -> bool:
    """Whether the removal of a leftover can be asked for, now that or when it is due."""
    session = state.resources.get(session_of(Key(*owner(leftover))))
    if state.stopping or leftover.seq or session is None or session.phase not in USABLE:
        return False  # a stop ends the session, and all that is in it
    making = (each for each in state.resources.values() if each.phase in {Phase.MAKING, Phase.LEAVING})
    return not any(each.key[:3] == owner(leftover) for each in making)


def contacts_of(key: Key, state: State) -> frozenset[str]:
    """The contacts that a subscription should have."""
    user = state.users.get(key.user)
    return user.slots[key.slot] if user and key.slot < len(user.slots) else frozenset()


def differs(resource: Resource, state: State) -> bool:
    """Whether a subscription has other contacts than it should, or may have."""
    if resource.key.kind is not Kind.SUBSCRIPTION:
        return False
    want = contacts_of(resource.key, state)
    return bool(resource.unsure) or (resource.contacts is not want and resource.contacts != want)


def coming(resource: Resource, is_wanted: bool, state: State) -> Iterator[tuple[float, ResourceEvent]]:
    """What time alone will bring to a thing, and when; the first that is due happens."""
    if resource.expires_at is not None:
        yield resource.expires_at, ResourceEvent.EXPIRED
    match resource.phase:
        case Phase.LINGERING:
            yield resource.due, ResourceEvent.READY
        case Phase.SUSPECT if is_wanted:
            yield resource.due, ResourceEvent.READY
        case Phase.ABSENT | Phase.WAITING if is_wanted and ready(resource.key, state):
            yield resource.due, ResourceEvent.READY
        case Phase.LIVE if is_wanted:
            if resource.key.kind not in SESSIONS:
                yield resource.due, ResourceEvent.DUE
            if differs(resource, state):
                yield resource.alter_due, ResourceEvent.ALTERED


def next_due(state: State) -> float | None:
    """The earliest time at which a Tick will change something, None where only replies can."""
    times = [each.due for each in state.leftovers if removable(each, state)]
    times += [each.expires_at for each in state.leftovers]
    times += [state.suspects_until] if state.suspected or state.unknown else []
    times += nodes.moves(state)
    keys = wanted(state)
    for key, resource in state.resources.items():
        times += [at for at, _ in coming(resource, key in keys, state)]
    return min(times, default=None)


def spread(slots: tuple[frozenset[str], ...], contacts: Iterable[str], most: int) -> tuple[frozenset[str], ...]:
    """Spread `contacts` over subscriptions of at most `most` each; a contact stays where it is."""
    wanted = frozenset(contacts)
    kept = tuple(slot if slot <= wanted else slot & wanted for slot in slots)
    return _fill(kept, wanted.difference(*kept), most)


def adjust(
    slots: tuple[frozenset[str], ...], add: frozenset[str], drop: frozenset[str], most: int
) -> tuple[frozenset[str], ...]:
    """As if those of `slots` were spread, with these added and those taken out; a slot that stays is the very one."""
    gone = drop.difference(add)
    kept = tuple(slot if slot.isdisjoint(gone) else slot - gone for slot in slots)
    return _fill(kept, {each for each in add if not any(each in slot for slot in kept)}, most)


def _fill(slots: tuple[frozenset[str], ...], missing: Collection[str], most: int) -> tuple[frozenset[str], ...]:
    """Give each contact in order to the first subscription with room, and to new ones when all are full."""
    ordered, given, filled = sorted(missing), 0, []
    for slot in slots:
        room = max(0, min(most - len(slot), len(ordered) - given))
        filled.append(_compact(slot.union(ordered[given : given + room])) if room else slot)
        given += room
    filled += [_compact(set(ordered[start : start + most])) for start in range(given, len(ordered), most)]
    return tuple(filled)


def _compact(contacts: Set[str]) -> frozenset[str]:
    """The same, kept for long: a set that was filled one by one has room for four times as many, a copy for twice."""
    return frozenset(set(contacts))
