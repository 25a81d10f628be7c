"""Questions about very many contacts, which are answered in turns: the same as at once, and true at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection

import pytest

from pws_soap.models import Presence, PresenceState
from service.core.clock import ManualClock
from service.core.presence.availability import Availability, Rule
from service.core.presence.freshness import Level
from service.core.presence.memory_store import MemoryStore
from service.core.presence.query import Filter, Reader
from service.core.presence.records import Source
from service.core.presence.sorting import Sort, SortBy
from service.core.presence.steps import SLICE, Steps, at_once, slices
from tests.support import one_turn

MANY = 2 * SLICE + 500
NAMES = [f"user{number:05d}@example.com" for number in range(MANY)]
GROUPS = {"even": NAMES[::2], "third": NAMES[::3], "none": ("nobody@example.com",)}
STATES = list(PresenceState)
EVERYBODY = Filter()


class Interrupted(ManualClock):
    """A clock on which something happens between two turns."""

    def __init__(self) -> None:
        super().__init__()
        self.between: Callable[[], object] = lambda: None
        self.pauses = 0

    async def sleep(self, seconds: float) -> None:
        assert seconds == 0
        self.pauses += 1
        self.between()


class Crowd:
    """Very many contacts of two feeds, in every state."""

    def __init__(self) -> None:
        self.clock = Interrupted()
        self.store = MemoryStore(self.clock)
        rule = Rule(frozenset({PresenceState.AVAILABLE, PresenceState.AWAY}))
        self.reader = Reader(self.store, self.clock, 100.0, GROUPS, Availability(GROUPS, {"even": rule}))
        for feed, names in (("a", NAMES[: MANY // 2]), ("b", NAMES[MANY // 2 :])):
            self.store.watch(names, feed)
            self.store.trust(feed)
            self.read(names)

    def read(self, names: list[str], others: Collection[str] = ()) -> None:
        """Read them; of `others` something else is said than of the rest."""
        found = [
            Presence(
                name,
                STATES[(int(name[4:9]) + (name in others)) % len(STATES)],
                display_name=f"N{int(name[4:9]) % 97}",
            )
            for name in names
        ]
        self.store.put(found, self.store.begin(), source=Source.SUBSCRIBED)

    def once(self, what: Callable[[], object]) -> None:
        """Let it happen at the first pause."""

        def happens() -> None:
            self.clock.between = lambda: None
            what()

        self.clock.between = happens


@pytest.fixture
def crowd() -> Crowd:
    return Crowd()


def is_same(one: object, other: object) -> bool:
    """Whether two answers are equal, without a word on how thousands of contacts differ."""
    return one == other


@pytest.mark.parametrize("sort", [Sort(by, by in {SortBy.CONTACT, SortBy.STATE}) for by in SortBy], ids=str)
@pytest.mark.parametrize(
    "wanted",
    [EVERYBODY, Filter(groups=frozenset({"third"}), available=True)],
    ids=["everybody", "free of a group"],
)
async def test_a_walk_in_turns_meets_whom_a_walk_at_once_meets(crowd: Crowd, wanted: Filter, sort: Sort) -> None:
    cursor, walked = None, list[str]()
    while True:
        page = await crowd.reader.page(wanted, 1000, cursor, sort=sort)
        assert is_same(page, one_turn.page(crowd.reader, wanted, 1000, cursor, sort=sort))
        walked += [contact.record.key for contact in page.contacts]
        cursor = page.cursor
        if cursor is None:
            break
    assert len(walked) == len(set(walked))
    assert set(walked) == {contact.record.key for contact in one_turn.page(crowd.reader, wanted, MANY).contacts}


@pytest.mark.parametrize("within", [None, frozenset({"even"}), frozenset({"even", "third"}), frozenset({"none"})])
async def test_counts_are_those_of_all_contacts(crowd: Crowd, within: frozenset[str] | None) -> None:
    crowd.store.doubt("a", "it does not answer")
    summary = await crowd.reader.summary(within)
    assert crowd.clock.pauses > 0
    assert summary == one_turn.summary(crowd.reader, within)
    for name, counts in ((None, summary.counts), *summary.groups.items()):
        wanted = Filter(within=within) if name is None else Filter(groups=frozenset({name}), within=within)
        seen = one_turn.page(crowd.reader, wanted, MANY).contacts
        assert counts.total == len(seen)
        assert +Counter(dict(counts.by_state)) == Counter(contact.record.state for contact in seen)
        assert +Counter(dict(counts.by_freshness)) == Counter(contact.freshness.level for contact in seen)
        assert counts.available == sum(contact.verdict.available for contact in seen)


async def test_what_changes_meanwhile_is_told_later(crowd: Crowd) -> None:
    before = one_turn.summary(crowd.reader)
    crowd.once(lambda: crowd.read(NAMES, others=NAMES))
    assert await crowd.reader.summary() in (before, one_turn.summary(crowd.reader))


async def test_what_comes_into_doubt_meanwhile_is_not_called_live(crowd: Crowd) -> None:
    crowd.once(lambda: crowd.store.doubt("a", "it does not answer"))
    assert (await crowd.reader.summary()).counts.by_freshness[Level.STALE] == MANY // 2
    crowd.once(lambda: crowd.store.doubt_contacts(NAMES[-3:], "its reply was lost"))
    assert (await crowd.reader.summary()).counts.by_freshness[Level.STALE] == MANY // 2 + 3


async def test_a_list_that_comes_into_doubt_meanwhile_is_asked_anew(crowd: Crowd) -> None:
    crowd.once(lambda: crowd.store.doubt("b", "it does not answer"))
    page = await crowd.reader.page(Filter(levels=frozenset({Level.LIVE})), MANY)
    assert {contact.record.feed for contact in page.contacts} == {"a"}


async def test_a_reading_that_moves_on_meanwhile_says_nothing_of_what_was_taken_before(crowd: Crowd) -> None:
    def changes() -> None:
        crowd.clock.advance(1.0)
        crowd.read(NAMES[: MANY // 2], others=NAMES[MANY // 2 - 1 : MANY // 2])

    crowd.once(changes)
    page = await crowd.reader.page(Filter(), MANY)
    assert is_same(page, one_turn.page(crowd.reader, Filter(), MANY))


async def test_who_never_gets_through_is_answered_in_one_turn(crowd: Crowd) -> None:
    reasons = iter(range(1000))

    def flaps() -> None:
        crowd.store.doubt_contacts(NAMES[:1], f"doubt {next(reasons)}")

    crowd.clock.between = flaps
    summary = await crowd.reader.summary()
    assert summary == one_turn.summary(crowd.reader)
    assert crowd.clock.pauses == 3 * 2, "three times in three turns, and then in one"


async def test_few_contacts_are_answered_at_once(crowd: Crowd) -> None:
    page = await crowd.reader.page(EVERYBODY, SLICE - 1)
    assert (len(page.contacts), crowd.clock.pauses) == (SLICE - 1, 0)


def test_slices_are_the_whole() -> None:
    assert [list(part) for part in slices(range(5), 2)] == [[0, 1], [2, 3], [4]]
    assert list(slices([], 2)) == []


def test_at_once_runs_all_steps() -> None:
    seen: list[int] = []

    def steps() -> Steps[str]:
        for number in range(3):
            seen.append(number)
            yield
        return "done"

    assert (at_once(steps()), seen) == ("done", [0, 1, 2])
