"""Which subscriptions have news, as the callback learns it. Pure, and bounded whatever is sent to it.

Anybody who learns the callback's path may send any id as often as they like. So there is one mark per known
subscription, however many notifications come, and a small backlog for ids that nobody knows: a notification may
overtake the reply to `subscribe` (protocol section 2), and becomes a mark once the id is known.

A subscription is clean only after a successful fetch that began after its last mark: the server sends nothing more
until it is asked, so a mark that comes while a fetch is under way may be for a change which that fetch did not see.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, NamedTuple

from service.core.tracing import Trace

MAX_BACKLOG: Final = 256
"""Notifications kept for unknown ids: far more than subscriptions that are being made at one time."""
ANY_NODE: Final = ""
"""The node of a notification whose path does not name it."""


class SubscriptionRef(NamedTuple):
    """A subscription of one node: ids are small numbers, and every node counts from 1."""

    node: str
    id: int


class FetchTicket(NamedTuple):
    """A fetch under way: which subscription, in which of its lives, how many marks it had when it began, and the trace
    of the first of them."""

    ref: SubscriptionRef
    life: int
    marks: int
    trace: Trace | None = None


@dataclass(slots=True)
class _Slot:
    life: int
    marks: int = 0
    trace: Trace | None = None
    """That of the first mark since the last fetch began."""


@dataclass(frozen=True, slots=True)
class Received:
    """Counters since the start: notifications taken, those for unknown ids, and those the backlog dropped of them."""

    received: int
    unknown: int
    dropped: int


class Inbox:
    """Marks subscriptions as having news, and clears them by what fetches achieve."""

    def __init__(self, max_backlog: int = MAX_BACKLOG) -> None:
        self._max_backlog = max_backlog
        self._slots: dict[SubscriptionRef, _Slot] = {}
        self._dirty: OrderedDict[SubscriptionRef, None] = OrderedDict()  # in the order of their first mark
        self._backlog: OrderedDict[SubscriptionRef, Trace | None] = OrderedDict()
        self._lives = 0
        self._received = self._unknown = self._dropped = 0

    def __repr__(self) -> str:
        return f"<Inbox {len(self._slots)} known, {len(self._dirty)} dirty, {len(self._backlog)} in the backlog>"

    def known(self, ref: SubscriptionRef, *, dirty: bool = False) -> bool:
        """The server gave us this id. `dirty` marks it at once. True when there is something to fetch.

        An id that is given again begins a new life: tickets of the old one clean nothing.
        """
        early = self.has_early(ref)
        trace = self.trace(ref)
        self._backlog.pop(ref, None)
        # One from an unnamed node may be meant for another subscription of this id as well: it stays for that one.
        self._lives += 1
        self._dirty.pop(ref, None)
        self._slots[ref] = _Slot(self._lives)
        if dirty or early:
            self._mark(ref, trace)
        return dirty or early

    def has_early(self, ref: SubscriptionRef) -> bool:
        """Whether a notification of this id waits for it to become known."""
        return ref in self._backlog or SubscriptionRef(ANY_NODE, ref.id) in self._backlog

    def forget(self, ref: SubscriptionRef) -> None:
        """The id is no longer ours. Unknown ones are passed over."""
        self._slots.pop(ref, None)
        self._dirty.pop(ref, None)

    def trace(self, ref: SubscriptionRef) -> Trace | None:
        """The trace of the first mark of a subscription that no fetch has begun for; None where there is none."""
        slot = self._slots.get(ref)
        if slot is not None:
            return slot.trace
        return self._backlog.get(ref) or self._backlog.get(SubscriptionRef(ANY_NODE, ref.id))

    def mark(self, id: int, node: str = ANY_NODE, trace: Trace | None = None) -> bool:  # noqa: A002  it is the notification's own word
        """A notification came, which `trace` begins with. True when a known subscription has news now.

        Without a node, all subscriptions of that id are marked: one fetch too many does no harm.
        """
        self._received += 1
        ref = SubscriptionRef(node, id)
        found = [ref] if ref in self._slots else []
        if node == ANY_NODE:
            found = [each for each in self._slots if each.id == id]
        for slot in found:
            self._mark(slot, trace)
        if not found:
            self._unknown += 1
            self._wait(ref, trace)
        return bool(found)

    def dirty(self) -> tuple[SubscriptionRef, ...]:
        """Subscriptions with news, the one that waits longest first."""
        return tuple(self._dirty)

    def begin(self, ref: SubscriptionRef) -> FetchTicket:
        """A fetch begins; call it before the request is sent. KeyError: the subscription is not known."""
        slot = self._slots[ref]
        trace, slot.trace = slot.trace, None
        return FetchTicket(ref, slot.life, slot.marks, trace)

    def finish(self, ticket: FetchTicket, *, ok: bool) -> bool:
        """The fetch ended; `ok` when its reply was read. True when the subscription is clean now.

        One that failed counts as a mark: whether the server now waits to be asked is not known.
        """
        slot = self._slots.get(ticket.ref)
        if slot is None or slot.life != ticket.life:
            return False
        if not ok:
            self._mark(ticket.ref, ticket.trace)
        elif ticket.marks == slot.marks:
            self._dirty.pop(ticket.ref, None)
        return ticket.ref not in self._dirty

    def counters(self) -> Received:
        """What came in so far."""
        return Received(self._received, self._unknown, self._dropped)

    def backlog(self) -> int:
        """How many notifications wait for an id to become known."""
        return len(self._backlog)

    def _mark(self, ref: SubscriptionRef, trace: Trace | None) -> None:
        slot = self._slots[ref]
        slot.marks += 1
        slot.trace = slot.trace or trace
        self._dirty.setdefault(ref, None)

    def _wait(self, ref: SubscriptionRef, trace: Trace | None) -> None:
        self._backlog[ref] = self._backlog.get(ref) or trace
        self._backlog.move_to_end(ref)
        if len(self._backlog) > self._max_backlog:
            self._backlog.popitem(last=False)
            self._dropped += 1
