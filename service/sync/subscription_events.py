"""Events of subscriptions for clients, derived from two states of the lifecycle, one step apart.

| event | when |
|---|---|
| `subscription.lost` | one that worked is gone although it is wanted; its contacts are stale until it is made anew |
| `subscription.renewed` | its life was prolonged in time |
| `subscription.recreated` | it works again, after a loss or on another node |
| `subscription.failed-over` | its end user has moved to another node, and it moves along |
| `subscription.missed` | a change came that no notification had announced; once, until notifications come again |

That one is made for the first time is no event, nor is the end of one that is no longer wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from pws_soap.lifecycle import USABLE, Key, Kind, Resource, State
from service.core.events.event import SubscriptionChange
from service.core.presence.store import Store
from service.sync.subscriptions import feed_of

LOST: Final = "subscription.lost"
RENEWED: Final = "subscription.renewed"
RECREATED: Final = "subscription.recreated"
FAILED_OVER: Final = "subscription.failed-over"
MISSED: Final = "subscription.missed"

_WITHOUT_NOTICE: Final = "a change came that no notification had told of"

Publish = Callable[[str, SubscriptionChange, Iterable[str]], None]
"""Takes the event's name, what happened, and the keys of the contacts that it is about."""


class Slot(NamedTuple):
    """A subscription wherever it is: its end user, and which of several it is."""

    user: str
    number: int

    @property
    def feed(self) -> str:
        """The feed that it is in the store."""
        return feed_of(Key(Kind.SUBSCRIPTION, "", self.user, self.number))


@dataclass(frozen=True, slots=True)
class SubscriptionEvent:
    """One event. `origin` is the node that an end user has left."""

    name: str
    slots: tuple[Slot, ...]
    node: str
    reason: str | None = None
    origin: str | None = None

    def data(self) -> SubscriptionChange:
        """The value that the log keeps."""
        return SubscriptionChange(self.slots[0].user, self.node, self.reason, self.origin)


def working(state: State) -> frozenset[Slot]:
    """The subscriptions that are there and wanted where they are."""
    return frozenset(
        Slot(key.user, key.slot)
        for key, resource in state.resources.items()
        if key.kind is Kind.SUBSCRIPTION and resource.phase in USABLE and _is_wanted(key, state)
    )


def events_between(old: State, new: State, known: Collection[Slot]) -> list[SubscriptionEvent]:
    """What the step from `old` to `new` means. `known` are the subscriptions that have worked before."""
    if new.stopping:
        return []
    found = list(_moved(old, new, known))
    for key in sorted({*old.resources, *new.resources}):
        if key.kind is Kind.SUBSCRIPTION and _is_wanted(key, new):
            found += _became(key, old, new, known)
    return found


def _moved(old: State, new: State, known: Collection[Slot]) -> Iterator[SubscriptionEvent]:
    for name, user in new.users.items():
        before = old.users.get(name)
        slots = tuple(sorted(slot for slot in known if slot.user == name))
        if before is None or before.node == user.node or not slots:
            continue
        left = new.nodes.get(before.node)
        reason = f"{before.node} {left.words}: {left.error}" if left is not None and left.error else None
        yield SubscriptionEvent(FAILED_OVER, slots, user.node, reason, before.node)


def _became(key: Key, old: State, new: State, known: Collection[Slot]) -> Iterator[SubscriptionEvent]:
    slot = Slot(key.user, key.slot)
    was, now = old.resources.get(key), new.resources.get(key)
    was_there, is_there = was is not None and was.phase in USABLE, now is not None and now.phase in USABLE
    if was_there and not is_there:
        yield SubscriptionEvent(LOST, (slot,), key.node, _why(key, old, new))
    elif now is not None and is_there:
        if was is None or was.generation != now.generation:
            if was_there:
                yield SubscriptionEvent(LOST, (slot,), key.node, _why(key, old, new))
            if slot in known:
                yield SubscriptionEvent(RECREATED, (slot,), key.node)
        elif _later(was, now):
            yield SubscriptionEvent(RENEWED, (slot,), key.node)


def _later(was: Resource, now: Resource) -> bool:
    return was.expires_at is not None and now.expires_at is not None and now.expires_at > was.expires_at


def _why(key: Key, old: State, new: State) -> str:
    """The newest error of the subscription, or of what it hangs on."""
    above = (Key(Kind.ENDPOINT, key.node), Key(Kind.END_USER, key.node, key.user), Key(Kind.APPLICATION, key.node))
    for part in (key, *above):
        was, now = old.resources.get(part), new.resources.get(part)
        if now is not None and now.error is not None and (was is None or now.error is not was.error):
            return now.error.text
    return "it was not renewed in time"


def _is_wanted(key: Key, state: State) -> bool:
    user = state.users.get(key.user)
    return user is not None and user.node == key.node and key.slot < len(user.slots) and bool(user.slots[key.slot])


class Publisher:
    """Publishes these events. It remembers which subscriptions have worked before."""

    def __init__(self, store: Store, publish: Publish) -> None:
        self._store = store
        self._publish = publish
        self._known: frozenset[Slot] = frozenset()

    def changed(self, old: State, new: State) -> None:
        """A step of the lifecycle."""
        for event in events_between(old, new, self._known):
            self._publish(event.name, event.data(), self._keys(event.slots))
        wanted = {slot for slot in self._known if slot.user in new.users}
        self._known = working(new).union(wanted)

    def missed(self, key: Key) -> None:
        """A change came through this subscription without a notification: the first of a series."""
        slot = Slot(key.user, key.slot)
        event = SubscriptionEvent(MISSED, (slot,), key.node, _WITHOUT_NOTICE)
        self._publish(event.name, event.data(), self._keys(event.slots))

    def _keys(self, slots: Iterable[Slot]) -> list[str]:
        return [key for slot in slots for key in self._store.keys(slot.feed)]
