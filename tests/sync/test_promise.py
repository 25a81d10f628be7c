"""The promise, under a virtual clock: no wrong `live`, and healed within a bounded time after any fault."""

from __future__ import annotations

import asyncio

import pytest

from pws_soap.simulator import Fault, NodeCondition, Options
from pws_soap.simulator import State as Wire
from service.core.engine import NoSuchEndUser, NoSuchNode
from tests.support.virtual_office import READ_TIMEOUT, VirtualOffice, all_faults, names
from tests.support.virtual_time import run


def test_a_change_arrives_by_notification() -> None:
    """A change at the server is in the store a moment later, without any polling."""

    async def story() -> None:
        office = VirtualOffice(names(3))
        office.start()
        await office.heal()
        office.change("p0001@example.com", Wire.BUSY)
        took = await office.heal(5)
        assert took <= 1
        assert office.simulator.counters.requests["getPolledPresence"] == 0
        await office.stop()
        assert office.left() == []

    run(story())


def _state(office: VirtualOffice, contact: str) -> str:
    """What the service knows of a contact; that all is live and true is the office's to check."""
    record = office.store.get(contact)
    assert record is not None
    return record.state.value


@pytest.mark.parametrize("kind", all_faults())
def test_heals_after_a_fault_in_a_fetch(kind: str) -> None:
    """Each kind of fault in the fetch that carries a change: nothing is lost, nothing wrong is called live."""

    async def story() -> None:
        office = VirtualOffice(names(5))
        office.start()
        await office.heal()
        operation = None if "notification" in kind else "getSubscribedPresence"
        office.simulator.faults.add(Fault(kind, operation=operation, count=2, seconds=30.0))
        office.change("p0002@example.com", Wire.BUSY)
        await office.pass_time(20, step=0.1)
        office.change("p0002@example.com", Wire.AWAY)
        office.change("p0003@example.com", Wire.DND)
        await office.pass_time(5, step=0.1)
        office.simulator.faults.clear()
        await office.heal()
        assert [_state(office, name) for name in names(4)[2:]] == ["AWAY", "DND"]

    run(story())


def test_a_restarted_server_is_taken_up_again() -> None:
    """The server forgets everything: logged in, registered and subscribed anew."""

    async def story() -> None:
        office = VirtualOffice(names(4))
        office.start()
        await office.heal()
        office.simulator.restart("imp1")
        office.change("p0000@example.com", Wire.BUSY)
        await office.pass_time(1)
        await office.heal()
        assert _state(office, "p0000@example.com") == "BUSY"

    run(story())


@pytest.mark.parametrize("state", [NodeCondition.DOWN, NodeCondition.HUNG])
def test_a_failed_node_is_left_for_the_next(state: NodeCondition) -> None:
    """With two nodes, the failure of one moves everything to the other, and back only when that one fails."""

    async def story() -> None:
        office = VirtualOffice(names(4), nodes=("imp1", "imp2"))
        engine = office.start()
        await office.heal()
        office.simulator.set_state("imp1", state)
        office.change("p0000@example.com", Wire.BUSY)
        await office.heal()
        assert {each.node for each in engine.driver.state.users.values()} == {"http://imp2:8082"}
        office.simulator.set_state("imp1", NodeCondition.UP)
        await office.pass_time(300)
        assert {each.node for each in engine.driver.state.users.values()} == {"http://imp2:8082"}
        office.simulator.set_state("imp2", state)
        office.change("p0001@example.com", Wire.BUSY)
        await office.heal()
        assert {each.node for each in engine.driver.state.users.values()} == {"http://imp1:8082"}

    run(story())


def test_a_single_node_that_hangs_and_comes_back() -> None:
    """With one node there is nowhere to go: stale while it hangs, live soon after."""

    async def story() -> None:
        office = VirtualOffice(names(4))
        office.start()
        await office.heal()
        office.simulator.set_state("imp1", NodeCondition.HUNG)
        office.change("p0000@example.com", Wire.BUSY)
        await office.pass_time(400)
        assert office.check() == 0
        office.simulator.set_state("imp1", NodeCondition.UP)
        await office.heal()

    run(story())


def test_killed_sessions_make_one_login() -> None:
    """All sessions gone at once: one login of the application user, one of the end user."""

    async def story() -> None:
        office = VirtualOffice(names(4))
        office.start()
        await office.heal()
        before = office.simulator.counters.requests["login"]
        office.simulator.kill_sessions()
        office.change("p0000@example.com", Wire.BUSY)
        await office.heal()
        assert office.simulator.counters.requests["login"] - before <= 3

    run(story())


def test_silence_is_found_by_the_safety_fetch() -> None:
    """Above 80 % CPU the server notifies nobody: the safety fetch finds the change and shortens its interval."""

    async def story() -> None:
        office = VirtualOffice(names(4))
        engine = office.start()
        await office.heal()
        office.simulator.set_cpu(85)
        for round_ in range(3):
            office.change("p0000@example.com", Wire.BUSY if round_ % 2 else Wire.AWAY)
            await office.heal()
        assert engine.subscriptions.counters.missed_notifications >= 2
        tracked = next(iter(engine.subscriptions))
        assert tracked.interval < office.safety
        assert any("being lost" in each.what for each in engine.status().problems)
        office.simulator.set_cpu(10)
        await asyncio.sleep(200)
        office.change("p0001@example.com", Wire.DND)
        await office.heal()
        assert tracked.interval == office.safety

    run(story())


def test_stolen_changes_are_found_by_the_sweep() -> None:
    """Somebody else fetches with our session and takes the change along: the reconciling sweep finds it."""

    async def story() -> None:
        office = VirtualOffice(names(4), reconcile=120)
        engine = office.start()
        await office.heal()
        tracked = next(iter(engine.subscriptions))
        office.simulator.faults.add(Fault("drop-notification", count=1))
        office.change("p0000@example.com", Wire.BUSY)
        client = engine.driver.client(tracked.key.node)
        stolen = await client.get_subscribed_presence(tracked.subscription.session, tracked.subscription.id)
        assert [each.contact for each in stolen] == ["p0000@example.com"]
        await asyncio.sleep(125)
        assert office.wrong() == []
        assert engine.subscriptions.counters.drift == 1

    run(story())


def test_the_operator_takes_it_to_another_node() -> None:
    """Moved by hand, by the name in the configuration; nothing is left on the old node."""

    async def story() -> None:
        office = VirtualOffice(names(4), nodes=("imp1", "imp2"), options=Options(failover=True))
        engine = office.start()
        await office.heal()
        with pytest.raises(NoSuchNode, match="imp1"):
            engine.move("imp9", None)
        with pytest.raises(NoSuchEndUser, match="dispatcher"):
            engine.move("imp2", "nobody")
        office.simulator.set_state("imp1", NodeCondition.HUNG)
        assert engine.move("imp2", None) == "http://imp2:8082"
        await office.heal()
        assert {each.node for each in engine.driver.state.users.values()} == {"http://imp2:8082"}
        office.simulator.set_state("imp1", NodeCondition.UP)
        engine.move("imp1", "dispatcher")
        await office.heal()
        await office.pass_time(60)
        assert [each for each in office.left() if each.startswith("imp2")] == []

    run(story())


def test_one_failed_fetch_leaves_it_ready_and_a_lasting_one_does_not() -> None:
    """The probe does not flap; the status says since when."""

    async def story() -> None:
        office = VirtualOffice(names(2))
        engine = office.start()
        assert engine.ready() == (False, "nothing has been read yet")
        await office.heal()
        office.simulator.faults.add(Fault("http-503", operation="getSubscribedPresence"))
        office.change("p0000@example.com", Wire.BUSY)
        await asyncio.sleep(1)
        began = office.clock.now()
        assert office.check() == 0
        assert engine.ready()[0] is True
        await asyncio.sleep(30)
        ready, reason = engine.ready()
        assert not ready
        assert "503" in reason
        problems = engine.status().problems
        assert all(began - 2 < each.since <= began for each in problems), problems

    run(story())


def test_a_mark_during_a_fetch_leads_to_another_fetch() -> None:
    """A change that comes while its fetch is under way is fetched as well."""

    async def story() -> None:
        office = VirtualOffice(names(2))
        office.start()
        await office.heal()
        before = office.simulator.counters.requests["getSubscribedPresence"]
        office.simulator.faults.add(Fault("delay-reply", operation="getSubscribedPresence", count=1, seconds=2.0))
        office.change("p0000@example.com", Wire.BUSY)
        await asyncio.sleep(1)
        office.change("p0001@example.com", Wire.AWAY)
        await office.heal(5)
        assert office.simulator.counters.requests["getSubscribedPresence"] == before + 2

    run(story())


@pytest.mark.parametrize("contacts", [100, pytest.param(5000, marks=pytest.mark.long(ci=True))])
def test_a_day_with_many_contacts_asks_what_the_intervals_say(contacts: int) -> None:
    """24 hours: no expiry is missed, and requests stay within 5 % of what the settings say.

    An endpoint and a subscription live 3600 s and are renewed after 0.8 of it less 5 % on average; a safety fetch every
    600 s, a sweep every 6 hours; at the start two logins and, since nobody knows what was before, a reset; a
    registration, a subscribe request for each hundred contacts, and two fetches.
    """

    async def story() -> None:
        hundreds = contacts // 100
        office = VirtualOffice(names(contacts), rate=200.0, safety=600.0, reconcile=6 * 3600.0, heartbeat=60.0)
        engine = office.start()
        await office.heal()
        day = 86400.0
        await asyncio.sleep(day)
        asked = office.simulator.counters.requests
        renewals = day / (3600 * 0.8 * 0.95)
        assert (asked["login"], asked["logout"]) == (3, 1)
        assert asked["registerEndPoint"] == pytest.approx(1 + renewals, rel=0.05)
        assert asked["subscribe"] == pytest.approx(hundreds + renewals, rel=0.05)
        assert asked["getSubscribedPresence"] == pytest.approx(2 + day / 600, rel=0.05)
        # The first sweep comes after half to a whole interval, by chance, so that services do not sweep together.
        beats = day / 60 * 9 / 10  # a fetch every 600 s takes the place of one
        sweeps = 3.5 * hundreds
        assert asked["getPolledPresence"] == pytest.approx(beats + sweeps, rel=0.05)
        assert engine.subscriptions.counters.missed_notifications == engine.subscriptions.counters.drift == 0
        assert office.wrong() == []

    run(story())


@pytest.mark.parametrize("state", [NodeCondition.DOWN, NodeCondition.HUNG])
def test_the_heartbeat_notices_an_outage(state: NodeCondition) -> None:
    """Nothing changes and nothing is due for minutes: soon after the server is gone nothing is live all the same."""

    async def story() -> None:
        office = VirtualOffice(names(3), safety=600.0, heartbeat=30.0)
        engine = office.start()
        await office.heal()
        await office.pass_time(100)
        assert office.check() == 3
        office.simulator.set_state("imp1", state)
        await office.pass_time(30 + 2 * READ_TIMEOUT + 1)
        assert office.check() == 0
        assert not engine.ready()[0]
        office.simulator.set_state("imp1", NodeCondition.UP)
        await office.heal(60)

    run(story())


def test_a_time_out_does_not_make_everything_flap() -> None:
    """After a fetch that timed out, notifications go on being fetched, and nobody becomes stale by that."""

    async def story() -> None:
        office = VirtualOffice(names(5))
        engine = office.start()
        await office.heal()
        office.simulator.faults.add(Fault("delay-reply", operation="getSubscribedPresence", count=1, seconds=30.0))
        office.change("p0000@example.com", Wire.BUSY)
        await office.pass_time(READ_TIMEOUT + 1)
        await office.heal(10)
        assert engine.subscriptions.counters.unknown_outcomes == 1
        for number in range(40):
            office.change("p0001@example.com", Wire.AWAY if number % 2 else Wire.DND)
            for _ in range(10):
                await asyncio.sleep(0.05)
                assert office.check() == 5
        await office.heal(5)

    run(story())
