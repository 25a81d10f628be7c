"""Contacts that come and go while the service runs, under a virtual clock."""

from __future__ import annotations

import asyncio

import pytest

from pws_soap.errors import ArgumentError, PwsError
from pws_soap.errors import Fault as PwsFault
from pws_soap.simulator import Fault
from pws_soap.simulator import State as Wire
from service.core.engine import NotAvailable
from service.core.presence.freshness import Level, assess
from service.sync.commands import refuses_contacts
from service.sync.engine import STEP, SyncEngine
from tests.support.virtual_office import BOUND, VirtualOffice, names
from tests.support.virtual_time import run


def level(office: VirtualOffice, contact: str) -> Level:
    record = office.store.get(contact)
    assert record is not None
    return assess(record, office.store.feeds()[record.feed], office.clock.monotonic(), BOUND).level


def test_a_contact_added_at_run_time_joins_the_live_subscription() -> None:
    """It is unknown at once, live a moment later, and its changes come by notification."""

    async def story() -> None:
        office = VirtualOffice(names(3))
        engine = office.start()
        await office.heal()
        office.simulator.change("new@example.com", state=Wire.AVAILABLE)
        office.truth["new@example.com"] = [(0.0, "AVAILABLE")]
        assert engine.watch(["new@example.com"], None) == ["new@example.com"]
        assert level(office, "new@example.com") is Level.UNKNOWN
        await office.heal(5)
        polls = office.simulator.counters.requests["getPolledPresence"]
        office.change("new@example.com", Wire.BUSY)
        await office.heal(2)
        assert office.simulator.counters.requests["getPolledPresence"] == polls
        assert len(engine.driver.live_subscriptions()) == 1
        await office.stop()
        assert office.left() == []

    run(story())


def test_a_removed_contact_leaves_the_subscription_and_the_store() -> None:
    async def story() -> None:
        office = VirtualOffice(names(3))
        engine = office.start()
        await office.heal()
        assert engine.unwatch(["P0001@example.com"]) == ["p0001@example.com"]
        assert office.store.get("p0001@example.com") is None
        await asyncio.sleep(1)
        (subscription,) = office.simulator.places["imp1"].node.registry.subscriptions.values()
        assert sorted(subscription.contacts) == ["p0000@example.com", "p0002@example.com"]
        await office.heal()

    run(story())


def test_removing_the_last_contact_ends_the_subscription_and_adding_makes_one_again() -> None:
    async def story() -> None:
        office = VirtualOffice(names(1))
        engine = office.start()
        await office.heal()
        engine.unwatch(["p0000@example.com"])
        await asyncio.sleep(5)
        assert office.left() == []
        engine.watch(["p0000@example.com"], None)
        await office.heal(10)

    run(story())


def test_adding_goes_on_where_a_request_of_it_failed() -> None:
    """A list of contacts that could not be added is added later."""

    async def story() -> None:
        office = VirtualOffice(names(250))
        office.simulator.faults.add(Fault("http-503", operation="subscribe", count=1))
        office.start()
        await office.heal(60)
        engine = office.engine
        assert engine is not None
        more = [f"q{number:03d}@example.com" for number in range(150)]
        for contact in more:
            office.simulator.change(contact, state=Wire.AWAY)
            office.truth[contact] = [(0.0, "AWAY")]
        office.simulator.faults.add(Fault("http-503", operation="subscribe", count=1))
        engine.watch(more, "dispatcher")
        await office.heal(120)
        (subscription,) = office.simulator.places["imp1"].node.registry.subscriptions.values()
        assert len(subscription.contacts) == 400

    run(story())


def test_reading_the_configuration_again_changes_what_is_watched() -> None:
    async def story() -> None:
        office = VirtualOffice(names(4))
        engine = office.start()
        await office.heal()
        await engine.reload({"dispatcher": office.contacts[1:3]})
        assert [each.contact for each in office.store.records()] == list(office.contacts[1:3])
        await office.heal()
        assert [each.contact for each in engine.watched()] == list(office.contacts[1:3])

    run(story())


def test_a_long_configuration_is_taken_in_by_steps_between_which_others_have_a_turn() -> None:
    """What they add and remove meanwhile counts, whether its step has come or not."""

    async def story() -> None:
        office = VirtualOffice(names(4), users=("dispatcher", "supervisor"))
        engine = office.start()
        await office.heal()
        old = [f"old{number:05}@example.com" for number in range(3 * STEP)]
        new = [f"new{number:05}@example.com" for number in range(3 * STEP)]
        await engine.reload({"dispatcher": old, "supervisor": []})
        reload = asyncio.create_task(engine.reload({"dispatcher": [], "supervisor": [*new, old[0]]}))
        turns = 0
        while old[-1] in subscribed(engine, "dispatcher") and not reload.done():
            await asyncio.sleep(0)
            turns += 1
            if new[0] in subscribed(engine, "supervisor"):  # the first step is done, and the last is not
                engine.unwatch([new[0], new[-1]])
                engine.watch([old[1], old[-1]], "dispatcher")
                break
        assert turns > 3
        changes = await reload
        assert (len(changes.left), len(changes.came)) == (len(old) - 1, len(new))
        assert [(before.end_user, after.end_user) for before, after in changes.moved] == [("dispatcher", "supervisor")]
        assert subscribed(engine, "dispatcher") == {old[1], old[-1]}
        assert subscribed(engine, "supervisor") == {*new[1:-1], old[0]}
        assert {each.contact for each in engine.watched()} == {*new[1:-1], old[0], old[1], old[-1]}

    run(story())


def subscribed(engine: SyncEngine, user: str) -> set[str]:
    """What an end user's subscriptions are wanted to carry."""
    return {contact for slot in engine.driver.state.users[user].slots for contact in slot}


def test_many_who_read_through_make_one_poll() -> None:
    """A hundred clients at a time are one request; without a server they hear why."""

    async def story() -> None:
        office = VirtualOffice(names(20))
        engine = office.start()
        with pytest.raises(NotAvailable, match="no subscription"):
            await engine.read(["p0000@example.com"])
        await office.heal()
        office.simulator.faults.add(Fault("drop-notification", count=1))
        office.change("p0003@example.com", Wire.BUSY)
        before = office.simulator.counters.requests["getPolledPresence"]
        reports = await asyncio.gather(*(engine.read([f"p{n % 20:04d}@example.com"]) for n in range(100)))
        assert office.simulator.counters.requests["getPolledPresence"] == before + 1
        assert {each.changed for each in reports} == {1}
        await office.heal(5)  # the change that nobody had announced is in doubt until a fetch tells of it as well

    run(story())


def test_five_thousand_and_one_contacts_take_two_subscriptions() -> None:
    async def story() -> None:
        office = VirtualOffice(names(5001), rate=1000.0, reconcile=0)
        engine = office.start()
        await office.heal()
        assert sorted(len(each.contacts) for each in engine.driver.live_subscriptions().values()) == [1, 5000]
        office.change("p5000@example.com", Wire.DND)
        office.change("p0000@example.com", Wire.DND)
        await office.heal(5)

    run(story())


@pytest.mark.parametrize(
    ("error", "is_about_contacts"),
    [
        (ArgumentError("contacts[3]", "a contact URI, user@domain", "x"), True),
        (ArgumentError("contacts", "at least one contact", []), False),
        (ArgumentError("expires", "3600 seconds", 1), False),
        *((PwsFault.of(code), True) for code in (124, 143, 147, 148)),
        *((PwsFault.of(code), False) for code in (101, 102, 133, 135, 139, None)),
    ],
)
def test_errors_that_are_about_one_contact_leave_that_one_out(error: PwsError, is_about_contacts: bool) -> None:
    """All others concern the subscription."""
    assert refuses_contacts(error) is is_about_contacts
