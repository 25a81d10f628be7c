"""The promise, against a server that is as awkward as it may be: what is called live is what the server says.

Random walks: requests begin, are looked at by the server at some later moment, and their replies arrive at some still
later one, or never; in any order. Change-only fetches consume what they tell. A failing walk prints its steps.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from hypothesis import given, note, settings
from hypothesis import strategies as st

from pws_soap.models import PresenceState
from service.core.clock import ManualClock
from service.core.presence.freshness import Level, assess
from service.core.presence.memory_store import MemoryStore
from service.core.presence.records import Change, ChangeKind, ReadingStart, Source
from tests.support.bare_service import AVAILABLE, AWAY, BUSY, presence
from tests.support.examples import examples

CONTACTS = ("ann@example.com", "bob@example.com")
BOUND = 1000.0
STATES = (AVAILABLE, BUSY, AWAY)


@dataclass
class Request:
    """A fetch under way; `reply` is what the server answered, None before it has looked."""

    reading: ReadingStart
    source: Source
    contacts: tuple[str, ...]
    subscription: int
    reply: dict[str, PresenceState] | None = None


@dataclass
class Server:
    """The truth, and what the present subscription has not yet told of it."""

    truth: dict[str, PresenceState]
    untold: set[str] = field(default_factory=set)
    subscription: int = 1

    def look(self, request: Request) -> None:
        """Answer: a poll tells what it was asked for, a fetch what is new to its subscription."""
        if request.source is Source.POLLED:
            told = set(request.contacts)
        elif request.subscription == self.subscription:
            told, self.untold = self.untold, set()
        else:
            told = set()
        request.reply = {contact: self.truth[contact] for contact in told}


class World:
    """The store between an awkward server and a caller that keeps the rules of `service.core.presence.store`."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311  a walk, not a secret
        self.clock = ManualClock()
        self.store = MemoryStore(self.clock)
        self.server = Server(dict.fromkeys(CONTACTS, AVAILABLE))
        self.requests: list[Request] = []
        self.changes: list[Change] = []
        self.store.changes.listen(self.changes.extend)
        self.store.watch(CONTACTS, "f")
        self.subscribe()
        self.fetch()
        self.take(self.requests.pop())

    def step(self) -> None:
        """Something happens."""
        actions = {
            self.somebody_changes: 6,
            self.fetch: 4,
            self.poll: 4,
            self.the_server_looks: 6,
            self.a_reply_comes_in: 6,
            self.a_reply_is_lost: 1,
            self.the_subscription_is_made_anew: 1,
            self.time_passes: 1,
        }
        (action,) = self.random.choices(list(actions), list(actions.values()))
        action()
        note(f"{action.__name__}: {self.server} {[each.reply for each in self.requests]} {self.store.records()}")
        self.nothing_false_is_live()
        self.changes_tell_the_whole_story()
        self.unsettled_is_what_wants_reading()

    # --- what may happen

    def somebody_changes(self) -> None:
        contact, state = self.random.choice(CONTACTS), self.random.choice(STATES)
        if self.server.truth[contact] is not state:
            self.server.truth[contact] = state
            self.server.untold.add(contact)

    def time_passes(self) -> None:
        self.clock.advance(self.random.choice([1.0, BOUND / 2]))
        self.clock.jump(self.random.choice([-86400.0, 0.0, 86400.0]))

    def fetch(self) -> None:
        """One change-only fetch at a time: that is the caller's rule."""
        if not any(each.source is Source.SUBSCRIBED for each in self.requests):
            self.requests.append(Request(self.store.begin(), Source.SUBSCRIBED, CONTACTS, self.server.subscription))

    def poll(self) -> None:
        if len(self.requests) < 4:
            contacts = self.random.choice([CONTACTS, CONTACTS[:1], CONTACTS[1:]])
            self.requests.append(Request(self.store.begin(), Source.POLLED, contacts, 0))

    def the_server_looks(self) -> None:
        waiting = [request for request in self.requests if request.reply is None]
        if waiting:
            self.server.look(self.random.choice(waiting))

    def a_reply_comes_in(self) -> None:
        if self.requests:
            self.take(self.requests.pop(self.random.randrange(len(self.requests))))

    def a_reply_is_lost(self) -> None:
        if self.requests:
            request = self.requests.pop(self.random.randrange(len(self.requests)))
            if request.reply is None:
                self.server.look(request)
            if request.source is Source.SUBSCRIBED:
                self.store.doubt_contacts(CONTACTS, "its reply was lost")

    def the_subscription_is_made_anew(self) -> None:
        self.store.doubt("f", "subscription lost")
        self.subscribe()

    def subscribe(self) -> None:
        """A new subscription; its first fetch should tell everything, and may tell less."""
        self.server.subscription += 1
        self.server.untold = set(CONTACTS[: self.random.choice([0, 1, 2, 2])])
        self.store.trust("f", anew=self.store.begin())

    def take(self, request: Request) -> None:
        if request.reply is None:
            self.server.look(request)
        told = [presence(contact, state) for contact, state in (request.reply or {}).items()]
        self.store.put(told, request.reading, source=request.source)
        if request.source is Source.SUBSCRIBED and request.subscription == self.server.subscription:
            self.store.confirm("f", request.reading)

    # --- what must hold

    def nothing_false_is_live(self) -> None:
        """A live state is the server's, unless the server has something to tell or a reply with news is under way."""
        coming = {
            contact
            for request in self.requests
            if request.source is Source.SUBSCRIBED and request.subscription == self.server.subscription
            for contact in request.reply or ()
        }
        for record in self.store.records():
            feed = self.store.feeds()[record.feed]
            freshness = assess(record, feed, self.clock.monotonic(), BOUND)
            if freshness.level is Level.LIVE and record.key not in self.server.untold | coming:
                assert record.state is self.server.truth[record.key]

    def unsettled_is_what_wants_reading(self) -> None:
        """The list that is kept is the one that would be found."""
        wanting = [each.contact for each in self.store.records() if each.presence is None or each.doubt is not None]
        assert self.store.unsettled() == self.store.unsettled("f") == wanting

    def changes_tell_the_whole_story(self) -> None:
        """Replaying them gives the store, in revisions without a gap."""
        assert [change.revision for change in self.changes] == list(range(1, self.store.revision + 1))
        replayed = {change.record.key: change for change in self.changes if change.kind is not ChangeKind.REMOVED}
        for record in self.store.records():
            assert replayed[record.key].record.state is record.state
            assert replayed[record.key].revision == record.revision

    def all_is_live_and_true_once_it_is_quiet(self) -> None:
        """A fetch and a poll that nothing disturbs settle every doubt."""
        self.requests.clear()
        for source in (Source.SUBSCRIBED, Source.POLLED):
            self.take(Request(self.store.begin(), source, CONTACTS, self.server.subscription))
        for record in self.store.records():
            freshness = assess(record, self.store.feeds()[record.feed], self.clock.monotonic(), BOUND)
            assert (freshness.level, record.state) == (Level.LIVE, self.server.truth[record.key])
        assert self.store.unsettled() == []


@given(st.integers(0, 2**32))
@settings(max_examples=examples(400), deadline=None)
def test_promise(seed: int) -> None:
    """Whatever happens: nothing false is live, and once it is quiet everything is."""
    world = World(seed)
    for _ in range(80):
        world.step()
    world.all_is_live_and_true_once_it_is_quiet()
