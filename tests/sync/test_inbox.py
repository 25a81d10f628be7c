"""What the callback remembers: never more than it must, never less."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from service.sync.inbox import ANY_NODE, FetchTicket, Inbox, SubscriptionRef
from tests.support.examples import examples

ONE = SubscriptionRef("a", 1)
TWO = SubscriptionRef("a", 2)
OTHER = SubscriptionRef("b", 1)


def inbox(*known: SubscriptionRef) -> Inbox:
    """An inbox that knows these."""
    made = Inbox()
    for ref in known:
        made.known(ref)
    return made


def test_a_mark_makes_dirty_and_a_good_fetch_clean() -> None:
    """The plain course of things."""
    box = inbox(ONE, TWO)
    assert box.mark(1, "a")
    assert box.dirty() == (ONE,)
    assert box.finish(box.begin(ONE), ok=True)
    assert box.dirty() == ()


def test_many_marks_are_one() -> None:
    """A thousand notifications ask for one fetch, and are counted."""
    box = inbox(ONE)
    for _ in range(1000):
        box.mark(1, "a")
    assert box.dirty() == (ONE,)
    assert box.counters().received == 1000
    assert box.finish(box.begin(ONE), ok=True)


def test_a_mark_during_a_fetch_asks_for_another() -> None:
    """The fetch may have passed the server before the change."""
    box = inbox(ONE)
    box.mark(1, "a")
    ticket = box.begin(ONE)
    box.mark(1, "a")
    assert not box.finish(ticket, ok=True)
    assert box.dirty() == (ONE,)
    assert box.finish(box.begin(ONE), ok=True)


def test_a_failed_fetch_leaves_it_dirty() -> None:
    """Also one that no notification asked for."""
    box = inbox(ONE)
    assert not box.finish(box.begin(ONE), ok=False)
    assert box.dirty() == (ONE,)
    assert box.finish(box.begin(ONE), ok=True)
    assert box.dirty() == ()


def test_an_older_fetch_that_succeeds_late_cleans_nothing_newer() -> None:
    """Of two fetches under way, the one that began after the mark counts."""
    box = inbox(ONE)
    old = box.begin(ONE)
    box.mark(1, "a")
    new = box.begin(ONE)
    assert not box.finish(old, ok=True)
    assert box.finish(new, ok=True)


def test_the_longest_waiting_comes_first() -> None:
    """A second mark does not push anybody back."""
    box = inbox(ONE, TWO)
    for number in (2, 1, 2):
        box.mark(number, "a")
    assert box.dirty() == (TWO, ONE)


def test_nodes_are_kept_apart() -> None:
    """Every node counts its subscriptions from 1."""
    box = inbox(ONE, OTHER)
    box.mark(1, "b")
    assert box.dirty() == (OTHER,)


def test_without_a_node_all_of_that_id_are_marked() -> None:
    """One fetch too many is better than one too few."""
    box = inbox(ONE, TWO, OTHER)
    assert box.mark(1)
    assert set(box.dirty()) == {ONE, OTHER}


@pytest.mark.parametrize("node", ["a", ANY_NODE])
def test_a_notification_ahead_of_its_id_becomes_a_mark(node: str) -> None:
    """It may overtake the reply to subscribe."""
    box = Inbox()
    assert not box.mark(1, node)
    assert box.counters().unknown == 1
    assert box.known(ONE)
    assert box.dirty() == (ONE,)


def test_a_notification_for_another_node_waits_for_that_one() -> None:
    """An id of one node says nothing about the same id of another."""
    box = Inbox()
    box.mark(1, "b")
    assert not box.known(ONE)
    assert box.dirty() == ()
    assert box.known(OTHER)


def test_a_mark_from_the_backlog_is_used_once() -> None:
    """The same id in its next life starts clean."""
    box = Inbox()
    box.mark(1, "a")
    box.known(ONE)
    box.forget(ONE)
    assert not box.known(ONE)


def test_the_backlog_drops_its_oldest() -> None:
    """However many ids somebody invents, it stays small and counts what it lost."""
    box = Inbox(max_backlog=3)
    for number in (1, 2, 3, 1, 4):
        box.mark(number, "a")
    assert box.backlog() == 3
    assert (box.counters().unknown, box.counters().dropped) == (5, 1)
    assert not box.known(TWO)
    assert box.known(ONE)


def test_a_new_subscription_may_be_dirty_at_once() -> None:
    """The first fetch needs no notification."""
    box = Inbox()
    assert box.known(ONE, dirty=True)
    assert box.dirty() == (ONE,)


def test_a_ticket_of_an_earlier_life_cleans_nothing() -> None:
    """The server gives the same small ids again."""
    box = inbox(ONE)
    ticket = box.begin(ONE)
    box.forget(ONE)
    assert not box.finish(ticket, ok=True)
    box.known(ONE, dirty=True)
    assert not box.finish(ticket, ok=True)
    assert not box.finish(ticket, ok=False)
    assert box.dirty() == (ONE,)


def test_what_is_forgotten_is_neither_dirty_nor_fetched() -> None:
    """And forgetting it twice does no harm."""
    box = inbox(ONE)
    box.mark(1, "a")
    box.forget(ONE)
    box.forget(ONE)
    assert box.dirty() == ()
    with pytest.raises(KeyError):
        box.begin(ONE)
    assert repr(box) == "<Inbox 0 known, 0 dirty, 0 in the backlog>"


refs = st.builds(SubscriptionRef, st.sampled_from(["a", "b"]), st.integers(1, 4))


class InboxMachine(RuleBasedStateMachine):
    """The inbox against the plainest model: every subscription remembers when it was marked, and when fetches began."""

    def __init__(self) -> None:
        super().__init__()
        self.box = Inbox(max_backlog=3)
        self.time = 0
        self.marked: dict[SubscriptionRef, int] = {}  # the last reason to fetch, by when it came
        self.fetched: dict[SubscriptionRef, int] = {}  # the begin of the latest good fetch
        self.tickets: list[tuple[FetchTicket, int, int]] = []  # with its begin, and the life it belongs to
        self.lives: Counter[SubscriptionRef] = Counter()
        self.waiting: list[SubscriptionRef] = []

    def now(self) -> int:
        self.time += 1
        return self.time

    @rule(ref=refs, dirty=st.booleans())
    def know(self, ref: SubscriptionRef, dirty: bool) -> None:
        early = ref in self.waiting or SubscriptionRef(ANY_NODE, ref.id) in self.waiting
        assert self.box.known(ref, dirty=dirty) == (dirty or early)
        if ref in self.waiting:
            self.waiting.remove(ref)
        self.lives[ref] += 1
        self.marked[ref] = self.now() if dirty or early else 0
        self.fetched[ref] = 0

    @rule(ref=refs)
    def forget(self, ref: SubscriptionRef) -> None:
        self.box.forget(ref)
        self.marked.pop(ref, None)

    @rule(ref=refs, named=st.booleans())
    def mark(self, ref: SubscriptionRef, named: bool) -> None:
        sent = ref if named else SubscriptionRef(ANY_NODE, ref.id)
        meant = [each for each in self.marked if each == sent or (not named and each.id == ref.id)]
        assert self.box.mark(sent.id, sent.node) == bool(meant)
        for slot in meant:
            self.marked[slot] = self.now()
        if not meant:
            self.waiting = [*(each for each in self.waiting if each != sent), sent][-3:]

    @precondition(lambda self: self.marked)
    @rule(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        ref = data.draw(st.sampled_from(sorted(self.marked)))
        self.tickets.append((self.box.begin(ref), self.now(), self.lives[ref]))

    @precondition(lambda self: self.tickets)
    @rule(data=st.data(), ok=st.booleans())
    def finish(self, data: st.DataObject, ok: bool) -> None:
        ticket, began, life = self.tickets.pop(data.draw(st.integers(0, len(self.tickets) - 1)))
        ref = ticket.ref
        clean = self.box.finish(ticket, ok=ok)
        if ref not in self.marked or life != self.lives[ref]:
            assert not clean
            return
        if ok:
            self.fetched[ref] = max(self.fetched[ref], began)
        else:
            self.marked[ref] = self.now()
        assert clean == (self.fetched[ref] >= self.marked[ref])

    @invariant()
    def dirty_is_what_was_not_fetched_since_its_mark(self) -> None:
        expected = {ref for ref, marked in self.marked.items() if marked > self.fetched[ref]}
        assert set(self.box.dirty()) == expected
        assert self.box.backlog() == len(self.waiting) <= 3


TestInboxMachine = InboxMachine.TestCase
TestInboxMachine.settings = settings(max_examples=examples(60), stateful_step_count=30, deadline=None)
