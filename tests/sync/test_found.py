"""What long runs against real processes found, kept as stories under a virtual clock."""

from __future__ import annotations

from pws_soap.simulator import Fault
from tests.support.virtual_office import STATES, VirtualOffice, names
from tests.support.virtual_time import run


def test_the_pauses_of_sessions_that_are_lost_again_and_again_do_not_add_up() -> None:
    """The end user's loss is noticed first, the application's when it logs in again: once they waited for both."""

    async def story() -> None:
        office = VirtualOffice(names(4), users=("dispatcher", "supervisor"), safety=5.0)
        engine = office.start()
        await office.heal()
        slowest = 0.0
        for number in range(9):
            office.simulator.kill_sessions()
            for contact in office.contacts:
                office.change(contact, STATES[(number + 1) % 5])
            slowest = max(slowest, await office.heal())
        most = engine.driver.state.settings.retry_most
        assert slowest < most + 2 * office.safety, slowest

    run(story())


def test_an_endpoint_that_the_server_forgot_is_made_anew_at_the_first_change_that_came_unannounced() -> None:
    """Subscriptions live on without it, and nothing but a renewal tells: once it was polled for until that was due."""

    async def story() -> None:
        office = VirtualOffice(names(2), safety=600.0, reconcile=0.0)
        engine = office.start()
        await office.heal()
        office.simulator.forget("endpoints")
        office.change(office.contacts[0], STATES[1])
        await office.heal(2 * office.safety)
        await office.pass_time(30)
        assert engine.subscriptions.counters.missed_notifications == 1
        office.change(office.contacts[1], STATES[1])
        assert await office.heal() < 2
        assert [each for each in office.left() if "endpoint" in each] == ["imp1: endpoint 1"]

    run(story())


def test_changes_that_come_unannounced_again_and_again_cost_one_renewal() -> None:
    """Where the server does not reach us, the endpoint is there all the same."""

    async def story() -> None:
        office = VirtualOffice(names(2), safety=20.0, reconcile=0.0)
        office.start()
        await office.heal()
        office.simulator.faults.add(Fault("drop-notification"))
        before = office.simulator.counters.requests["registerEndPoint"]
        for number in range(10):
            office.change(office.contacts[0], STATES[number % 2 + 1])
            await office.heal()
        assert office.simulator.counters.requests["registerEndPoint"] == before + 1

    run(story())


def test_what_goes_with_a_lost_endpoint_does_not_wait_as_if_it_had_been_lost_by_itself() -> None:
    """The subscription has been lost often before; this time it is the endpoint, for the first time."""

    async def story() -> None:
        office = VirtualOffice(names(2), safety=3.0, reconcile=0.0)
        office.start()
        await office.heal()
        for number in range(6):
            office.simulator.forget("subscriptions")
            office.change(office.contacts[0], STATES[number % 2 + 1])
            await office.heal()
        office.simulator.forget("endpoints")
        office.change(office.contacts[0], STATES[3])
        await office.pass_time(office.safety + 0.5)  # the change comes unannounced, and the endpoint is missed
        assert await office.heal() < 2

    run(story())
