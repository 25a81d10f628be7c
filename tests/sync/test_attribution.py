"""Whom a reply is about, and what follows where that is not known, under a virtual clock.

An entry about a contact that the subscription carries, carried until a moment ago or is just taking in is attributed,
and doubts nobody. Whatever else a reply names settles nobody, and is never a reason to call anybody live.
"""

from __future__ import annotations

import pytest

from pws_soap.simulator import Fault, Options
from pws_soap.simulator import State as Wire
from service.core.engine import EngineState
from service.core.presence.freshness import Freshness, Level, assess, default_bound
from service.sync.engine import SyncEngine
from tests.support.virtual_office import BOUND, VirtualOffice, names
from tests.support.virtual_time import run

FETCH = "getSubscribedPresence"
POLL = "getPolledPresence"
NEW = "new@example.com"


def fresh(office: VirtualOffice, contact: str) -> Freshness:
    record = office.store.get(contact)
    assert record is not None
    return assess(record, office.store.feeds()[record.feed], office.clock.monotonic(), BOUND)


def levels(office: VirtualOffice) -> set[Level]:
    """The freshness of all contacts of the office."""
    return {fresh(office, contact).level for contact in office.contacts}


def asked(office: VirtualOffice, operation: str) -> int:
    """How often the simulator was asked for an operation."""
    return office.simulator.counters.requests[operation]


def people(office: VirtualOffice, *contacts: str) -> None:
    for contact in contacts:
        office.simulator.change(contact, state=Wire.AVAILABLE)
        office.truth[contact] = [(0.0, "AVAILABLE")]


async def settled(office: VirtualOffice) -> SyncEngine:
    """Start, and wait until everything is live and true and nothing is under way."""
    engine = office.start()
    await office.heal()
    await office.pass_time(5)
    return engine


# Replies that come again


def test_a_repeated_reply_is_looked_through_again_once_a_contact_has_left() -> None:
    """A late reply that still names it may be the very one that was taken in before; it doubts nobody else."""

    async def story() -> None:
        office = VirtualOffice(names(4), options=Options(fetch="all"))
        engine = await settled(office)
        leaving, *staying = office.contacts

        async def refreshed() -> int:
            before = office.repeated
            await engine.refresh(None)
            return office.repeated - before

        await engine.refresh(None)
        assert await refreshed() == 1
        office.change(staying[0], Wire.DND)
        await office.pass_time(5, step=0.1)
        await engine.refresh(None)
        assert await refreshed() == 1
        office.simulator.faults.add(Fault("stale-reply", operation=FETCH))
        engine.unwatch([leaving])
        await office.pass_time(2, step=0.1)
        # The late one, the first without the contact, and that one again.
        assert [await refreshed() for _ in range(3)] == [0, 0, 1]
        assert engine.status().reading.unattributed == 0
        assert {fresh(office, contact).level for contact in staying} == {Level.LIVE}

    run(story())


def test_a_repeated_reply_of_a_stranger_doubts_everybody_each_time() -> None:
    """Nothing is remembered of it."""

    async def story() -> None:
        office = VirtualOffice(names(4), options=Options(fetch="all"))
        engine = await settled(office)
        office.simulator.faults.add(Fault("rename-entry", operation=FETCH, form="mangled"))
        for number in range(1, 4):
            await engine.refresh(None)
            assert engine.status().reading.unattributed == number
        assert office.repeated == 0

    run(story())


# Contacts that come and go


def test_an_entry_about_a_contact_that_was_just_unwatched_is_attributed() -> None:
    """The server still carries it when it answers, and names it; nobody is doubted or polled for that."""

    async def story() -> None:
        office = VirtualOffice(names(3))
        engine = await settled(office)
        leaving, *staying = office.contacts
        office.simulator.faults.add(Fault("delay-reply", operation=FETCH, count=1, seconds=3.0))
        office.change(leaving, Wire.BUSY)
        await office.pass_time(1, step=0.1)
        engine.unwatch([leaving])
        await office.pass_time(10, step=0.1)
        assert engine.status().reading.unattributed == 0
        assert [each for each in engine.status().problems if " returned " in each.what] == []
        assert {fresh(office, contact).level for contact in staying} == {Level.LIVE}
        office.change(staying[0], Wire.DND)
        await office.heal(5)

    run(story())


def test_a_change_of_a_contact_whose_removal_is_refused_is_attributed() -> None:
    """The subscription goes on carrying it, and each fetch may name it."""

    async def story() -> None:
        office = VirtualOffice(names(3))
        engine = await settled(office)
        leaving, *staying = office.contacts
        office.simulator.faults.add(Fault("http-503", operation="unsubscribe"))
        engine.unwatch([leaving])
        await office.pass_time(2, step=0.1)
        for state in (Wire.BUSY, Wire.AWAY):
            office.change(leaving, state)
            office.change(staying[0], state)
            await office.pass_time(5, step=0.1)
        assert engine.status().reading.unattributed == 0
        assert {fresh(office, contact).level for contact in staying} == {Level.LIVE}

    run(story())


def test_an_entry_about_a_contact_that_is_just_being_added_is_attributed() -> None:
    """The server has taken it in and names it before its reply to `subscribe` has come."""

    async def story() -> None:
        office = VirtualOffice(names(3))
        engine = await settled(office)
        people(office, NEW)
        office.simulator.faults.add(Fault("delay-reply", operation="subscribe", count=1, seconds=5.0))
        engine.watch([NEW], None)
        await office.pass_time(1, step=0.1)
        fetches = asked(office, FETCH)
        office.change(NEW, Wire.BUSY)
        office.change(office.contacts[0], Wire.DND)
        await office.pass_time(2, step=0.1)
        assert asked(office, FETCH) > fetches
        assert engine.status().reading.unattributed == 0
        assert levels(office) == {Level.LIVE}
        await office.heal(10)
        assert engine.status().problems == ()

    run(story())


# Entries about somebody else


@pytest.mark.parametrize("rich", [False, True], ids=["basic", "rich"])
def test_a_fetch_that_names_somebody_else_confirms_nobody(rich: bool) -> None:
    """All contacts are stale until a poll, whose reading began after that fetch."""

    async def story() -> None:
        office = VirtualOffice(names(3), rich=rich)
        engine = await settled(office)
        office.simulator.faults.add(Fault("http-503", operation=POLL))
        office.simulator.faults.add(Fault("rename-entry", operation=FETCH, count=1, form="mangled"))
        office.change(office.contacts[0], Wire.BUSY)
        await office.pass_time(2, step=0.1)
        assert levels(office) == {Level.STALE}
        assert engine.status().reading.unattributed == 1
        before = office.clock.monotonic()
        office.simulator.faults.clear()
        await office.heal(60)
        confirmed = [fresh(office, contact).as_of for contact in office.contacts]
        assert all(moment is not None and moment.monotonic >= before for moment in confirmed)

    run(story())


@pytest.mark.parametrize("rich", [False, True], ids=["basic", "rich"])
def test_a_fetch_that_repeats_the_reply_to_another_subscription_confirms_nobody(rich: bool) -> None:
    """The server has forgotten one, and given its id to one like the other, whose documents the client has kept."""

    async def story() -> None:
        office = VirtualOffice(names(40), rich=rich, users=("ann", "bob"), safety=3600.0, reconcile=0.0)
        engine = await settled(office)
        tracked = {each.feed: each for each in engine.subscriptions}
        there = office.simulator.places["imp1"].node.registry.subscriptions
        forgotten, like = there[tracked["ann"].ref.id], there[tracked["bob"].ref.id]
        office.simulator.faults.add(Fault("drop-notification"))
        office.simulator.faults.add(Fault("http-503", operation=POLL))
        for contact in tracked["ann"].subscription.contacts:
            office.change(contact, Wire.DND)
        forgotten.contacts, forgotten.pending = dict(like.contacts), dict.fromkeys(like.contacts)
        await engine.fetcher.fetch(tracked["ann"])
        office.check()
        assert engine.status().reading.unattributed == len(like.contacts)
        assert {fresh(office, contact).level for contact in tracked["ann"].subscription.contacts} == {Level.STALE}

    run(story())


def test_a_poll_that_answers_about_somebody_else_settles_nobody() -> None:
    """The contacts that were asked for stay stale, and are polled again with growing pauses until they are named."""

    async def story() -> None:
        office = VirtualOffice(names(3), safety=3600.0)
        await settled(office)
        office.simulator.faults.add(Fault("rename-entry", operation=FETCH, count=1, form="nameless"))
        office.simulator.faults.add(Fault("rename-entry", operation=POLL, form="mangled"))
        first = office.contacts[0]
        office.change(first, Wire.BUSY)
        await office.pass_time(30, step=0.1)
        assert fresh(office, first).level is Level.STALE
        polls = asked(office, POLL)
        assert polls > 2
        await office.pass_time(300)
        assert 5 <= asked(office, POLL) - polls <= 40
        assert fresh(office, first).level is Level.STALE
        office.simulator.faults.clear()
        await office.heal(60)

    run(story())


# What a heartbeat finds


def test_a_change_that_a_heartbeat_finds_is_stale_until_it_is_fetched() -> None:
    """The poll found it, but no notification announced it: the fetch that takes it from the server settles it."""

    async def story() -> None:
        office = VirtualOffice(names(1), safety=3600.0, reconcile=0.0, heartbeat=10.0)
        engine = await settled(office)
        (contact,) = office.contacts
        office.simulator.faults.add(Fault("drop-notification", count=1))
        office.simulator.faults.add(Fault("delay-request", operation=FETCH, count=1, seconds=5.0))
        fetches, polls = asked(office, FETCH), asked(office, POLL)
        office.change(contact, Wire.BUSY)
        while asked(office, POLL) == polls:
            await office.pass_time(0.1, step=0.1)
        await office.pass_time(0.5, step=0.1)
        record = office.store.get(contact)
        assert record is not None
        assert str(record.state) == "BUSY"
        assert fresh(office, contact).level is Level.STALE
        assert asked(office, FETCH) == fetches + 1
        await office.heal(10)
        await office.pass_time(5)
        assert engine.status().reading.missed_notifications == 1

    run(story())


def test_a_lost_notification_shortly_after_another_one_is_counted_and_the_subscription_fetched() -> None:
    """Two contacts change within a second; the second notification is dropped, and a poll finds its change."""

    async def story() -> None:
        office = VirtualOffice(names(2), safety=3600.0, reconcile=0.0)
        engine = await settled(office)
        first, second = office.contacts
        office.change(first, Wire.BUSY)
        await office.pass_time(0.2, step=0.1)
        office.simulator.faults.add(Fault("drop-notification", count=1))
        office.change(second, Wire.BUSY)
        await engine.refresh([second])
        await office.pass_time(60)
        (subscription,) = office.simulator.places["imp1"].node.registry.subscriptions.values()
        assert not subscription.silent
        assert engine.status().reading.missed_notifications == 1

    run(story())


# What does not come at all


def test_without_any_notification_nobody_is_live_for_minutes_unconfirmed() -> None:
    """The safety interval is an hour; once the silence is noticed, what is live was confirmed within 90 seconds."""

    async def story() -> None:
        office = VirtualOffice(names(3), safety=3600.0, reconcile=0.0)
        office.simulator.faults.add(Fault("drop-notification"))
        engine = office.start()
        await office.heal()
        await office.pass_time(20)
        assert [each for each in engine.status().problems if "callback.url" in each.what]
        assert engine.status().state is EngineState.DEGRADED
        assert levels(office) == {Level.LIVE}
        office.simulator.faults.add(Fault("http-503", operation=FETCH))
        office.simulator.faults.add(Fault("http-503", operation=POLL))
        for _ in range(300):
            await office.pass_time(1)
            for contact in office.contacts:
                known = fresh(office, contact)
                age = office.clock.monotonic() - known.as_of.monotonic if known.as_of is not None else 0.0
                assert known.level is not Level.LIVE or age <= 90
        assert levels(office) == {Level.STALE}
        office.simulator.faults.clear()
        await office.heal(60)
        await engine.refresh(None)
        office.change(office.contacts[0], Wire.BUSY)
        await office.heal(5)
        assert engine.status().problems == ()
        assert engine.status().state is EngineState.LIVE

    run(story())


def test_a_change_without_notification_is_found_within_seconds_where_none_ever_came() -> None:
    """The safety interval is an hour, but the silence of the first notification has made it short."""

    async def story() -> None:
        office = VirtualOffice(names(3), safety=3600.0, reconcile=0.0)
        office.simulator.faults.add(Fault("drop-notification"))
        office.start()
        await office.heal()
        await office.pass_time(20)
        office.change(office.contacts[0], Wire.BUSY)
        assert await office.heal(20) <= 16

    run(story())


# What the absence of notifications proves


def test_a_callback_that_is_not_reached_is_a_problem_within_twenty_seconds_of_the_start() -> None:
    """The safety interval is 15 seconds from then on, and the bound of live follows it."""

    async def story() -> None:
        office = VirtualOffice(names(3), safety=600.0, reconcile=0.0)
        office.simulator.faults.add(Fault("drop-notification"))
        engine = office.start()
        await office.pass_time(20)
        (problem,) = engine.status().problems
        assert "was not notified when it was made" in problem.what
        assert engine.status().state is EngineState.DEGRADED
        (feed,) = office.store.feeds().values()
        assert feed.bound == default_bound(15.0)
        fetches = asked(office, FETCH)
        await office.pass_time(60)
        assert asked(office, FETCH) == fetches + 4
        office.simulator.faults.clear()
        office.change(office.contacts[0], Wire.BUSY)
        await office.heal(5)
        assert engine.status().problems == ()
        assert engine.status().state is EngineState.LIVE
        (feed,) = office.store.feeds().values()
        assert feed.bound is None

    run(story())
