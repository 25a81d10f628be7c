"""Orders, and the pages through them."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pws_soap.models import PresenceState
from service.core.clock import ManualClock
from service.core.presence.cursors import CursorExpired, KeptOrders
from service.core.presence.memory_store import MemoryStore
from service.core.presence.query import Filter, Reader, Unknown
from service.core.presence.records import Source
from service.core.presence.sorting import Sort, SortBy
from tests.support import one_turn
from tests.support.bare_service import AVAILABLE, AWAY, BOUND, BUSY, presence
from tests.support.examples import examples

EVERY_SORT = [Sort(by, descending) for by in SortBy for descending in (False, True)]


def walk(board: Reader, sort: Sort, limit: int = 2, wanted: Filter | None = None) -> list[str]:
    """All pages: first names."""
    met: list[str] = []
    cursor: str | None = None
    while True:
        page = one_turn.page(board, wanted or Filter(), limit, cursor, sort=sort)
        met += [known.record.key.partition("@")[0] for known in page.contacts]
        cursor = page.cursor
        if cursor is None:
            return met


def store_and_reader() -> tuple[MemoryStore, Reader, ManualClock]:
    """Nobody is watched yet."""
    clock = ManualClock()
    store = MemoryStore(clock)
    return store, Reader(store, clock, BOUND, {}), clock


def office() -> Reader:
    """One contact of each state, and one that was never read."""
    store, board, clock = store_and_reader()
    names = {"gil": "zed", "eve": "Äon", "bob": "anna", "dan": "Bert", "ann": None, "fay": "", "cid": "Anna"}
    store.watch([f"{name}@x" for name in (*names, "hal")], "f")
    store.trust("f")
    states = list(PresenceState)
    for name, shown in names.items():
        clock.advance(1)
        told = presence(f"{name}@x", states.pop(0), display_name=shown)
        store.put([told], store.begin(), source=Source.SUBSCRIBED)
    return board


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("contact", "ann bob cid dan eve fay gil hal"),
        ("-contact", "hal gil fay eve dan cid bob ann"),
        # Of equals ("anna" and "Anna") the contact decides; who has no name is last, both in either direction.
        ("display_name", "bob cid dan gil eve ann fay hal"),
        ("-display_name", "eve gil dan bob cid ann fay hal"),
        # gil AVAILABLE, eve BUSY, bob DND, dan AWAY, cid VACATION, ann UNAVAILABLE, fay and hal UNKNOWN
        ("state", "gil eve bob dan cid ann fay hal"),
        ("-state", "fay hal ann cid dan bob eve gil"),
        ("changed_at", "gil eve bob dan ann fay cid hal"),
        ("-changed_at", "cid fay ann dan bob eve gil hal"),
        ("available", "gil ann bob cid dan eve fay hal"),
        ("-available", "ann bob cid dan eve fay hal gil"),
    ],
)
@pytest.mark.parametrize("limit", [1, 3, 8, 20])
def test_every_order(sort: str, expected: str, limit: int) -> None:
    """The same, whatever the size of a page."""
    assert walk(office(), Sort.parse(sort), limit) == expected.split()


def test_what_nobody_sorts_by() -> None:
    """Neither another name nor two signs."""
    for text in ("", "-", "note", "--state", "State"):
        with pytest.raises(ValueError, match="SortBy"):
            Sort.parse(text)


@pytest.mark.parametrize("sort", EVERY_SORT, ids=str)
@given(seed=st.integers(0, 2**32), limit=st.integers(1, 7))
@settings(max_examples=examples(25), deadline=None)
def test_walking_pages_while_everything_changes(sort: Sort, seed: int, limit: int) -> None:
    """Who passes all the time is met exactly once, and nobody twice, however names and states change."""
    dice = random.Random(seed)  # noqa: S311  a walk, not a secret
    store, board, clock = store_and_reader()
    everybody = [f"user{number:02}@example.com" for number in range(30)]
    steady = set(dice.sample(everybody, 15))
    others = sorted(set(everybody) - steady)
    store.watch([*steady, *dice.sample(others, 8)], "f")
    store.trust("f")
    passing = (AVAILABLE, BUSY)

    def change() -> None:
        clock.advance(1)
        told = [
            presence(each, dice.choice(passing), display_name=dice.choice("abc"))
            for each in dice.sample(sorted(steady), 8)
        ]
        told += [presence(each, dice.choice((*passing, AWAY))) for each in dice.sample(others, 5)]
        store.put(told, store.begin(), source=Source.SUBSCRIBED)
        store.watch(dice.sample(others, 3), "f")
        store.unwatch(dice.sample(others, 3))

    store.put([presence(each, BUSY) for each in everybody], store.begin(), source=Source.SUBSCRIBED)
    wanted = Filter(states=frozenset(passing))
    met: list[str] = []
    cursor: str | None = None
    while True:
        page = one_turn.page(board, wanted, limit, cursor, sort=sort)
        assert all(known.record.state in passing for known in page.contacts)
        met += [known.record.key for known in page.contacts]
        cursor = page.cursor
        if cursor is None:
            break
        change()
    assert steady <= set(met)
    assert len(met) == len(set(met))


@pytest.mark.parametrize("sort", EVERY_SORT, ids=str)
def test_a_cursor_belongs_to_its_question(sort: Sort) -> None:
    """With another filter, another sort or another key it would lead through the wrong contacts."""
    board = office()
    cursor = one_turn.page(board, Filter(), 2, sort=sort, key_name="a").cursor
    other = Sort(SortBy.STATE if sort.by is not SortBy.STATE else SortBy.AVAILABLE)
    another_limit = one_turn.page(board, Filter(), 3, cursor, sort=sort, key_name="a")
    assert another_limit.contacts  # it is the same question
    for wanted, order, key_name in (
        (Filter(text="n"), sort, "a"),
        (Filter(within=frozenset()), sort, "a"),
        (Filter(), other, "a"),
        (Filter(), Sort(sort.by, not sort.descending), "a"),
        (Filter(), sort, "b"),
    ):
        with pytest.raises(Unknown, match="cursor: expected a cursor of the same filters, sort and API key"):
            one_turn.page(board, wanted, 2, cursor, sort=order, key_name=key_name)


def test_a_cursor_by_contact_is_for_ever() -> None:
    """Nothing is kept for it, so nothing is lost with a restart."""
    cursor = one_turn.page(office(), Filter(), 3).cursor
    assert [known.record.key for known in one_turn.page(office(), Filter(), 2, cursor).contacts] == ["dan@x", "eve@x"]


def test_a_cursor_whose_order_is_gone_says_so() -> None:
    """After a restart, and after a long time without use; each use begins that time anew."""
    sort = Sort(SortBy.STATE)
    cursor = one_turn.page(office(), Filter(), 3, sort=sort).cursor
    with pytest.raises(CursorExpired):
        one_turn.page(office(), Filter(), 3, cursor, sort=sort)
    store, board, clock = store_and_reader()
    store.watch(["a@x", "b@x"], "f")
    cursor = one_turn.page(board, Filter(), 1, sort=sort).cursor
    for _ in range(3):
        clock.advance(500)
        one_turn.page(board, Filter(), 1, cursor, sort=sort)
    clock.advance(601)
    with pytest.raises(CursorExpired):
        one_turn.page(board, Filter(), 1, cursor, sort=sort)


def test_the_same_first_page_has_the_same_cursor() -> None:
    """So that an unchanged answer is the same answer, and asking often keeps little."""
    store, board, _ = store_and_reader()
    store.watch(["a@x", "b@x", "c@x"], "f")
    sort = Sort(SortBy.STATE)
    first = one_turn.page(board, Filter(), 1, sort=sort).cursor
    assert {one_turn.page(board, Filter(), 1, sort=sort).cursor for _ in range(100)} == {first}
    assert repr(board._pager._orders) == "<KeptOrders 1 with 3 contacts>"
    store.watch(["d@x"], "f")
    assert one_turn.page(board, Filter(), 1, sort=sort).cursor != first


# --- what is kept of orders


def test_one_page_keeps_nothing() -> None:
    """Nobody walks on from the last page."""
    board = office()
    one_turn.page(board, Filter(), 8, sort=Sort(SortBy.STATE))
    assert len(board._pager._orders) == 0


def test_an_asker_replaces_its_own_orders_first() -> None:
    """The one it used least lately; others' stay."""
    orders = KeptOrders(ManualClock(), most=10, of_one=2)
    theirs = orders.keep(b"q", "other", ("a",))
    mine = [orders.keep(b"q", "me", (str(number),)) for number in range(2)]
    orders.get(b"q", mine[0])
    mine.append(orders.keep(b"q", "me", ("2",)))
    assert orders.get(b"q", theirs) == ("a",)
    assert orders.get(b"q", mine[0]) == ("0",)
    with pytest.raises(CursorExpired):
        orders.get(b"q", mine[1])


def test_orders_are_bounded_in_number_and_in_size() -> None:
    """No matter who asks, and how."""
    orders = KeptOrders(ManualClock(), most=5, of_one=5, keys=100)
    for number in range(50):
        orders.keep(b"q", f"client {number}", tuple(f"{number}-{each}" for each in range(10)))
    assert (len(orders), orders.keys) == (5, 50)
    large = orders.keep(b"q", "large", tuple(map(str, range(75))))
    assert (len(orders), orders.keys) == (3, 95)
    assert len(orders.get(b"q", large)) == 75
    with pytest.raises(CursorExpired):
        orders.get(b"another question", large)


def test_who_asks_for_many_orders_takes_nobodys_only_one() -> None:
    """The room is the same for all: anybody who has the most of it makes place."""
    orders = KeptOrders(ManualClock(), most=8, of_one=4, keys=100)
    only = orders.keep(b"q", "somebody", ("a", "b"))
    for number in range(50):
        for greedy in ("one", "another", "third"):
            orders.keep(b"q", greedy, (f"{greedy} {number}", "a"))
    assert orders.get(b"q", only) == ("a", "b")
    orders.keep(b"q", "large", tuple(map(str, range(90))))
    assert orders.get(b"q", only) == ("a", "b")


def test_the_room_is_the_clients_and_the_cursor_the_askers() -> None:
    """Those without a key have one name and many addresses; a walk goes on where the address changes."""
    board = office()
    sort = Sort(SortBy.STATE)
    first = one_turn.page(board, Filter(), 2, sort=sort, key_name="anonymous", client="10.0.0.1").cursor
    for by in SortBy:
        for descending in (True, False):
            for text in ("", "x", "@x"):  # more orders than one client may keep
                order = Sort(by, descending)
                one_turn.page(board, Filter(text=text), 1, sort=order, key_name="anonymous", client="10.0.0.2")
    assert one_turn.page(board, Filter(), 2, first, sort=sort, key_name="anonymous", client="10.0.0.3").contacts
