"""A mirror says what its owner says: over the wire, with another clock, whatever happens, however far it is behind."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from pws_soap.models import Presence, PresenceState
from service.core.claims.model import ClaimRequest
from service.core.events.event import SubscriptionChange
from service.core.presence.filters import Filter
from service.core.presence.freshness import Level
from service.core.presence.records import Source
from service.core.presence.snapshot import ContactSnapshot
from tests.cluster.replicas import ANN, BOB, CID, DAN, GROUPS, Replica, World
from tests.support.bare_service import AVAILABLE, AWAY, BUSY

CONTACTS = (ANN, BOB, CID, DAN)
FEEDS = ("dispatcher", "other")
FILTERS = (
    Filter(),
    Filter(available=True),
    Filter(groups=frozenset({"support"})),
    Filter(groups=frozenset({"sales"}), available=False),
    Filter(levels=frozenset({Level.STALE, Level.UNKNOWN})),
    Filter(within=frozenset({"sales"})),
)
EARLIER = 2e-6
"""Seconds by which sums of times may be rounded."""


class Step(NamedTuple):
    """Something that happens at the owner, or on the way to the mirror."""

    what: str
    who: str = ""
    how: object = None

    def __repr__(self) -> str:
        return f"Step({self.what!r}, {self.who!r}, {self.how!r})"


readings = st.builds(
    Presence,
    st.just(""),
    st.sampled_from([AVAILABLE, BUSY, AWAY, PresenceState.UNKNOWN]),
    on_the_phone=st.sampled_from([None, None, True, False]),
    idle=st.sampled_from([None, None, True]),
    note=st.sampled_from([None, "x"]),
    problem=st.sampled_from([None, None, None, None, "broken"]),
)
contacts = st.sampled_from(CONTACTS)
feeds = st.sampled_from(FEEDS)
steps = st.one_of(
    st.builds(Step, st.just("put"), contacts, readings),
    st.builds(Step, st.just("fetch"), feeds, st.dictionaries(contacts, readings, max_size=3)),
    st.builds(Step, st.just("overlap"), contacts, readings),
    st.builds(Step, st.sampled_from(["watch", "move", "unwatch", "doubt"]), contacts),
    st.builds(Step, st.just("doubtful"), contacts, st.booleans()),
    st.builds(Step, st.sampled_from(["lose", "trust", "anew", "confirm"]), feeds),
    st.builds(Step, st.just("limit"), feeds, st.sampled_from([None, 20.5, 50.5])),
    st.builds(Step, st.just("claim"), st.sampled_from(sorted(GROUPS)), st.sampled_from([1, 2])),
    st.builds(Step, st.sampled_from(["renew", "release", "leave", "tell"])),
    st.builds(Step, st.just("pass"), st.just(""), st.sampled_from([1.0, 2.0, 7.0, 30.0, 130.0])),
    st.builds(Step, st.sampled_from(["look", "note", "beat", "echo", "join", "hush"])),
    st.builds(Step, st.sampled_from(["commit", "follow"]), st.just(""), st.sampled_from([1, 2, 5, 1000])),
)


@dataclass
class Story:
    """A world in which the first replica owns, and what it has ever called live."""

    world: World = field(default_factory=World)
    live: dict[str, set[tuple[object, float]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.owner, *self.mirrors = self.world.replicas

    async def begin(self) -> None:
        """The office opens, and both mirrors know it."""
        for replica in self.mirrors:
            await replica.echo()
        self.world.advance(0.1)
        await self.owner.take_over()
        store = self.owner.store
        store.watch(CONTACTS[:3], FEEDS[0])
        store.trust(FEEDS[0])
        for contact in CONTACTS[:3]:
            self.put(contact, Presence(contact, AVAILABLE))
        self.look()
        await self.world.settle(self.owner, 2)
        for replica in self.mirrors:
            replica.follower.heard()

    def put(self, contact: str, presence: Presence, source: Source = Source.SUBSCRIBED) -> None:
        store = self.owner.store
        store.put([_named(presence, contact)], store.begin(), source=source)

    async def carry_out(self, step: Step) -> None:
        """One step."""
        owner, store, how = self.owner, self.owner.store, step.how
        first = self.mirrors[0]
        match step.what:
            case "put" if isinstance(how, Presence):
                self.put(step.who, how, Source.POLLED)
            case "fetch" if isinstance(how, dict):
                reading = store.begin()
                store.put([_named(each, name) for name, each in how.items()], reading, source=Source.SUBSCRIBED)
                self.look()
                if step.who in store.feeds():
                    store.confirm(step.who, reading)
            case "overlap" if isinstance(how, Presence):
                reading = store.begin()
                self.world.advance(1.0)
                self.put(step.who, Presence(step.who, BUSY))
                self.look()
                store.put([_named(how, step.who)], reading, source=Source.POLLED)
            case "watch":
                store.watch([step.who], FEEDS[0])
            case "move":
                store.watch([step.who], FEEDS[1])
            case "unwatch":
                store.unwatch([step.who])
            case "doubt":
                store.doubt_contacts([step.who], "a reply was lost")
            case "doubtful":  # a contact is put in doubt, and its feed is confirmed: nothing of that may come alone
                if record := store.get(step.who):
                    if how:
                        store.doubt(record.feed, "lost")
                    store.doubt_contacts([step.who], "a reply was lost")
                    self.world.advance(1.0)
                    store.confirm(record.feed, store.begin())
                    store.trust(record.feed)
                    owner.note()
                    await owner.commit()
                    await owner.beat()
            case "lose":
                store.doubt(step.who, "lost")
            case "trust":
                store.trust(step.who)
            case "anew":
                store.trust(step.who, anew=store.begin())
            case "confirm":
                store.confirm(step.who, store.begin())
            case "limit" if how is None or isinstance(how, float):
                store.limit(step.who, how)
            case "claim" if isinstance(how, int):
                owner.core.claim_service.ask(ClaimRequest(step.who, how, 40.5, "", "joe"))
            case "renew":
                for lease in list(owner.core.claim_service.leases())[-1:]:
                    owner.core.claim_service.renew(lease.id, 60.5)
            case "release":
                for lease in list(owner.core.claim_service.leases())[:1]:
                    owner.core.claim_service.release(lease.id)
            case "leave":
                owner.core.claim_service.leave(
                    owner.core.claim_service.ask(ClaimRequest("support", 1, 40.5, "", "gone"))
                )
            case "tell":
                owner.core.log.tell("subscription.lost", SubscriptionChange("dispatcher", "imp1"), store.keys(FEEDS[0]))
            case "pass" if isinstance(how, float):
                self.world.advance(how)
            case "look":
                owner.core.log.touch()
                owner.core.claim_service._attend()
            case "note":
                owner.note()
            case "beat":
                await owner.beat()
            case "echo":
                await first.echo()
            case "join":
                await first.follower.join(first.engine)
            case "hush":
                first.follower.silent("nobody is heard")
                assert not first.store.levels(100.0)[Level.LIVE]
                first.follower.heard()
            case "commit" if isinstance(how, int):
                await owner.commit(how)
            case "follow" if isinstance(how, int):
                await first.follow(how)
        self.look()
        self.check()

    def look(self) -> None:
        """What the owner calls live, and as of when."""
        for key in CONTACTS:
            contact = self.owner.one(key)
            if contact is not None and contact.freshness.level is Level.LIVE:
                self.live.setdefault(key, set()).add((_said(contact.record.presence), _at(self.owner, contact)))

    def check(self) -> None:
        """Whatever a mirror calls live the owner has called live, as of that moment or a later one."""
        for mirror in self.mirrors:
            for key in CONTACTS:
                contact = mirror.one(key)
                if contact is None or contact.freshness.level is not Level.LIVE:
                    continue
                said, at = _said(contact.record.presence), _at(mirror, contact)
                latest = max((known for what, known in self.live.get(key, ()) if what == said), default=None)
                assert latest is not None, (mirror, key, said)
                assert at <= latest + EARLIER, (mirror, key, at - latest)

    async def agree(self) -> None:
        """Once all has come, the mirrors say what the owner says."""
        await self.world.settle(self.owner)
        for mirror in self.mirrors:
            await self._agrees(mirror)

    async def _agrees(self, mirror: Replica) -> None:
        owner = self.owner
        assert mirror.follower.position.log == owner.last == owner.store.revision == mirror.store.revision
        for wanted in FILTERS:
            assert await mirror.listed(wanted) == await owner.listed(wanted), wanted
        for within in (None, frozenset({"sales"})):
            counted, same = await mirror.core.counts.summary(within), await owner.core.counts.summary(within)
            walked = await mirror.core.reader.summary(within)
            assert (counted.counts, counted.groups) == (same.counts, same.groups) == (walked.counts, walked.groups)
        for key in CONTACTS:
            one, other = mirror.one(key), owner.one(key)
            assert (one is None) is (other is None)
            if one is not None and other is not None:
                assert one.freshness.level == other.freshness.level
                assert _reason(one) == _reason(other)
                if one.freshness.as_of is not None:
                    assert _at(mirror, one) <= _at(owner, other) + EARLIER
        assert mirror.told() == owner.told()
        for group in (None, *GROUPS):
            assert mirror.core.trends.counts(group) == owner.core.trends.counts(group)
        self._same_events(mirror)
        self._same_claims(mirror)

    def _same_events(self, mirror: Replica) -> None:
        begin = max(self.owner.core.log.floor, mirror.core.log.floor)
        all_events = self.owner.streamed(begin)
        assert all_events is not None
        for after in (begin, *(id_ for id_, _, _ in all_events)):
            assert mirror.streamed(after) == self.owner.streamed(after)
        assert mirror.streamed(self.owner.store.revision) == []
        assert mirror.core.log.last == self.owner.core.log.last

    def _same_claims(self, mirror: Replica) -> None:
        mine, theirs = mirror.core.claim_service, self.owner.core.claim_service
        assert [
            (each.id, each.people, each.expires.wall) for each in sorted(mine.leases(), key=lambda each: each.id)
        ] == [(each.id, each.people, each.expires.wall) for each in sorted(theirs.leases(), key=lambda each: each.id)]
        for lease in theirs.leases():
            same = mine.get(lease.id)
            assert same is not None
            end, its = self.owner.true_time(lease.expires.monotonic), mirror.true_time(same.expires.monotonic)
            assert end - EARLIER <= its < end + 5.0
        assert mine.order.picked_before == theirs.order.picked_before


def _reason(contact: ContactSnapshot) -> str:
    """Without the seconds, which two clocks count differently."""
    return re.sub(r"\d+", "", contact.freshness.reason or "")


def _leases(replica: Replica) -> list[tuple[object, ...]]:
    return sorted((each.id, each.people, each.expires.wall) for each in replica.core.claim_service.leases())


def _named(presence: Presence, contact: str) -> Presence:
    return Presence(
        contact,
        presence.state,
        on_the_phone=presence.on_the_phone,
        idle=presence.idle,
        note=presence.note,
        problem=presence.problem,
    )


def _said(presence: Presence | None) -> object:
    assert presence is not None
    return (presence.state, presence.on_the_phone, presence.idle, presence.note)


def _at(replica: Replica, contact: ContactSnapshot) -> float:
    assert contact.freshness.as_of is not None
    return replica.true_time(contact.freshness.as_of.monotonic)


@settings(max_examples=100)
@given(st.lists(steps, max_size=30))
def test_a_mirror_says_what_its_owner_says(history: list[Step]) -> None:
    """Never surer than the owner was, and the same once everything has come."""

    async def tell() -> None:
        story = Story()
        await story.begin()
        for step in history:
            await story.carry_out(step)
        await story.agree()

    asyncio.run(tell())
