"""The version of a store: as long as it is the same, nothing that an answer is made of has changed."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from service.core.clock import ManualClock
from service.core.presence.memory_store import MemoryStore
from service.core.presence.records import Source
from tests.support.bare_service import AVAILABLE, BUSY, presence
from tests.support.examples import examples

PEOPLE = ["ann@example.com", "bob@example.com", "cid@example.com"]
FEEDS = ["f", "g"]
some = st.lists(st.sampled_from(PEOPLE), max_size=3)
feed = st.sampled_from(FEEDS)
steps = st.one_of(
    st.tuples(st.just("watch"), some, feed),
    st.tuples(st.just("unwatch"), some, feed),
    st.tuples(st.just("put"), some, st.sampled_from([AVAILABLE, BUSY])),
    st.tuples(st.just("unreadable"), some, feed),
    st.tuples(st.just("doubt contacts"), some, feed),
    st.tuples(st.sampled_from(["confirm", "doubt", "trust", "anew", "limit", "unlimit"]), some, feed),
    st.tuples(st.sampled_from(["stamp", "begin", "lapse", "read"]), some, feed),
)


def _take(store: MemoryStore, what: str, contacts: list[str], value: str) -> None:
    match what:
        case "watch":
            store.watch(contacts, value)
        case "unwatch":
            store.unwatch(contacts)
        case "put":
            told = [presence(contact, value) for contact in contacts]  # type: ignore[arg-type]
            store.put(told, store.begin(), source=Source.SUBSCRIBED)
        case "unreadable":
            store.put([presence(each, problem="no") for each in contacts], store.begin(), source=Source.POLLED)
        case "doubt contacts":
            store.doubt_contacts(contacts, "a reply was lost")
        case "confirm":
            store.confirm(value, store.begin())
        case "doubt":
            store.doubt(value, "lost")
        case "trust":
            store.trust(value)
        case "anew":
            store.trust(value, anew=store.begin())
        case "limit":
            store.limit(value, 5.0)
        case "unlimit":
            store.limit(value, None)
        case "stamp":
            store.stamp()
        case "begin":
            store.begin()
        case "lapse":
            store.lapse()
        case _:
            store.get(PEOPLE[0]), store.summary(), store.unsettled()


@settings(max_examples=examples(200))
@given(st.lists(steps, max_size=12))
def test_the_version_grows_with_all_that_an_answer_is_made_of(history: list[tuple[str, list[str], str]]) -> None:
    """Whatever is done: where records, feeds or the revision differ afterwards, the version has grown."""
    clock = ManualClock()
    store = MemoryStore(clock)
    for what, contacts, value in history:
        clock.advance(1)
        before = store.version, list(store.records()), dict(store.feeds()), store.revision
        _take(store, what, contacts, value)
        after = store.version, list(store.records()), dict(store.feeds()), store.revision
        assert after[0] >= before[0]
        if after[1:] != before[1:]:
            assert after[0] > before[0]


def test_reading_leaves_the_version_as_it_is() -> None:
    """Else nothing that is kept for a version would ever be used."""
    store = MemoryStore(ManualClock())
    store.watch(PEOPLE, "f")
    version = store.version
    for what in ("begin", "read", "lapse"):
        _take(store, what, [], "f")
    assert store.version == version
