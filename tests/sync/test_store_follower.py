"""The store follows what is wanted, a bounded number of contacts in one turn of the event loop."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from pws_soap.models import same_contact
from service.core.clock import ManualClock
from service.core.presence.memory_store import MemoryStore
from service.sync import store_follower
from service.sync.store_follower import STEP, StoreFollower
from tests.support.examples import examples

PEOPLE = [f"P{number}@example.com" for number in range(8)]
FEEDS = ["a", "b", "c"]


def _followed(store: MemoryStore) -> dict[str, set[str]]:
    return {feed: set(store.keys(feed)) for feed in store.feeds() if store.keys(feed)}


homes = st.dictionaries(st.sampled_from(PEOPLE), st.tuples(st.sampled_from(FEEDS), st.booleans()), max_size=8)
"""Of whom is wanted, the feed, and whether it is spelled in small letters."""


@settings(max_examples=examples(150), deadline=None)
@given(st.lists(st.tuples(homes, st.integers(0, 6)), min_size=1, max_size=6))
def test_in_the_end_the_store_has_what_was_wanted_last(history: list[tuple[dict[str, tuple[str, bool]], int]]) -> None:
    """However often it changes before the store has followed."""

    async def story() -> None:
        store = MemoryStore(ManualClock())
        follower = StoreFollower(store)
        for home, turns in history:
            spelled = {(who.lower() if lower else who): where for who, (where, lower) in home.items()}
            wanted = {feed: frozenset(who for who, where in spelled.items() if where == feed) for feed in FEEDS}
            follower.follow(wanted)
            for _ in range(turns):
                await asyncio.sleep(0)
        while follower.pending:  # noqa: ASYNC110  # counts turns
            await asyncio.sleep(0)
        expected = {feed: set(map(same_contact, contacts)) for feed, contacts in wanted.items() if contacts}
        assert _followed(store) == expected
        assert [record.key for record in store.records()] == sorted(set().union(*expected.values()))
        await follower.close()

    before, store_follower.STEP = store_follower.STEP, 2  # type: ignore[misc]
    try:
        asyncio.run(story())
    finally:
        store_follower.STEP = before  # type: ignore[misc]


def test_few_contacts_are_followed_at_once() -> None:
    """Who adds one finds it."""

    async def story() -> None:
        store = MemoryStore(ManualClock())
        follower = StoreFollower(store)
        follower.follow({"a": frozenset(PEOPLE)})
        assert len(store.records()) == len(PEOPLE)
        follower.follow({"a": frozenset(PEOPLE[1:])})
        assert len(store.records()) == len(PEOPLE) - 1
        await follower.close()

    asyncio.run(story())


def test_many_contacts_are_followed_by_steps() -> None:
    """None of the turns takes in more than one step."""

    async def story() -> None:
        store = MemoryStore(ManualClock())
        follower = StoreFollower(store)
        many = frozenset(f"q{number}@example.com" for number in range(3 * STEP + 1))
        follower.follow({"a": many, "b": frozenset(PEOPLE)})
        seen = [len(store.records())]
        while follower.pending:
            await asyncio.sleep(0)
            seen.append(len(store.records()))
        assert max(one - other for one, other in zip(seen, [0, *seen], strict=False)) <= STEP
        assert seen[-1] == len(many | frozenset(PEOPLE))
        await follower.close()

    asyncio.run(story())


def test_a_stop_leaves_the_rest_undone() -> None:
    """Nothing runs on."""

    async def story() -> None:
        store = MemoryStore(ManualClock())
        follower = StoreFollower(store)
        follower.follow({"a": frozenset(f"p{number}@example.com" for number in range(3 * STEP))})
        await follower.close()
        assert len(store.records()) == STEP
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(story())


def test_who_waits_for_it_finds_all_of_them() -> None:
    """Also those who were added while many others were being taken in."""

    async def story() -> None:
        store = MemoryStore(ManualClock())
        follower = StoreFollower(store)
        many = frozenset(f"q{number}@example.com" for number in range(3 * STEP))
        follower.follow({"a": many})
        follower.follow({"a": many, "b": frozenset(PEOPLE)})
        assert not knows(store, PEOPLE)
        await follower.followed()
        assert knows(store, [*many, *PEOPLE])
        await follower.followed()  # at once
        await follower.close()

    asyncio.run(story())


def knows(store: MemoryStore, contacts: list[str]) -> bool:
    return all(store.get(contact) is not None for contact in contacts)
