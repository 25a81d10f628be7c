"""How contacts are spread over subscriptions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pws_soap.lifecycle.plan import adjust, spread

people = st.frozensets(st.sampled_from("abcdefghijkl"), max_size=10)
most = st.integers(1, 4)


@given(st.lists(people, max_size=5), people, people, most)
def test_adjusting_is_spreading_what_is_left(
    history: list[frozenset[str]], add: frozenset[str], drop: frozenset[str], most: int
) -> None:
    """Whatever was wanted before: the same subscriptions, and those that stay are the very same sets."""
    slots: tuple[frozenset[str], ...] = ()
    for contacts in history:
        slots = spread(slots, contacts, most)
    wanted = (frozenset().union(*slots) - drop) | add
    adjusted = adjust(slots, add, drop, most)
    assert adjusted == spread(slots, wanted, most)
    for before, after in zip(slots, adjusted, strict=False):
        assert before is after or before != after


@given(st.lists(people, min_size=1, max_size=6), most)
def test_everybody_is_in_one_subscription_and_stays_there(history: list[frozenset[str]], most: int) -> None:
    """None has more than it may, and nobody moves."""
    slots: tuple[frozenset[str], ...] = ()
    for contacts in history:
        before, slots = slots, spread(slots, contacts, most)
        assert sorted(each for slot in slots for each in slot) == sorted(contacts)
        assert all(len(slot) <= most for slot in slots)
        for old, new in zip(before, slots, strict=False):
            assert old & contacts <= new
