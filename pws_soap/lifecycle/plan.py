"""What hangs on what, what is wanted, and what is due: questions to a state, without changing it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pws_soap.lifecycle.table import PAUSED, SESSIONS, USABLE, Kind, Phase
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
    """What hangs on `key`."""
    return [other for other in state.resources if key in parents(other)]


def wanted(state: State) -> set[Key]:
    """All that should be there: what the users need, and the sessions that a leftover is removed with."""
    keys: set[Key] = set()
    if state.stopping:
        return keys
    for name, user in state.users.items():
        slots = [slot for slot, contacts in enumerate(user.slots) if contacts]
        if slots:
            keys |= {Key(Kind.APPLICATION, user.node), Key(Kind.ENDPOINT, user.node)}
            keys.add(Key(Kind.END_USER, user.node, name))
            keys |= {Key(Kind.SUBSCRIPTION, user.node, name, slot) for slot in slots}
    owners = {(each.node, each.user) for each in state.leftovers}
    owners |= {(each.node, each.user) for each in state.doubtful}
    for node, name in owners:
        keys.add(Key(Kind.APPLICATION, node))
        if name:
            keys.add(Key(Kind.END_USER, node, name))
    return keys


def ready(key: Key, state: State) -> bool:
    """Whether all that `key` needs is there, and nothing of an earlier life stands in its way."""
    for parent in parents(key):
        resource = state.resources.get(parent)
        if resource is None or resource.phase not in USABLE:
            return False
    if key.kind in SESSIONS:
        return True
    first_tries = (each for each in state.leftovers if not each.failures)
    if any((each.kind, each.node, each.user) == (key.kind, key.node, key.user) for each in first_tries):
        return False  # a first try to remove what is left comes before making more: the server's limits are small
    session = session_of(key)
    return not any((each.node, each.user) == (session.node, session.user) for each in state.doubtful)


def removable(leftover: Leftover, state: State) -> bool:
    """Whether a leftover can be removed now, but for its pause: its session is there and no request is under way."""
    kind = Kind.APPLICATION if leftover.kind is Kind.ENDPOINT else Kind.END_USER
    session = state.resources.get(Key(kind, leftover.node, leftover.user))
    return not leftover.seq and session is not None and session.phase in USABLE


def next_due(state: State) -> float | None:
    """The earliest time at which a Tick will change something, None where only replies can."""
    times = [each.due for each in state.leftovers if removable(each, state)]
    times += [each.expires_at for each in state.leftovers]
    times += [each.until for each in state.doubtful]
    for resource in state.resources.values():
        times += _times(resource, state)
    return min(times, default=None)


def _times(resource: Resource, state: State) -> Iterator[float]:
    if resource.expires_at is not None and resource.phase not in {Phase.ABSENT, Phase.WAITING}:
        yield resource.expires_at
    if resource.phase in PAUSED:
        if resource.phase in {Phase.SUSPECT, Phase.LINGERING} or ready(resource.key, state):
            yield resource.due
    elif resource.phase is Phase.LIVE and resource.key.kind not in SESSIONS:
        yield resource.due
        user = state.users.get(resource.key.user)
        if user and resource.key.slot < len(user.slots) and resource.contacts != user.slots[resource.key.slot]:
            yield resource.alter_due


def spread(slots: tuple[frozenset[str], ...], contacts: Iterable[str], most: int) -> tuple[frozenset[str], ...]:
    """Spread `contacts` over subscriptions of at most `most` each; a contact stays where it is."""
    missing = set(contacts)
    new: list[set[str]] = []
    for slot in slots:
        kept = slot & missing
        missing -= kept
        new.append(set(kept))
    for contact in sorted(missing):
        place = next((slot for slot in new if len(slot) < most), None)
        if place is None:
            place = set()
            new.append(place)
        place.add(contact)
    return tuple(frozenset(slot) for slot in new)
