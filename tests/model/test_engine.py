"""Counterexamples that the service had: replayed against service and simulator in one process."""

from __future__ import annotations

import asyncio
import contextlib

from pws_soap.simulator import Fault
from service.core.engine import NotAvailable
from tests.support.virtual_office import STATES, VirtualOffice, names
from tests.support.virtual_time import run


def test_a_contact_that_is_being_dropped_is_not_called_live() -> None:
    """The story `carried`: bob is dropped and watched again before the reply to `unsubscribe` has come.

    He is polled and called live, and every fetch confirms him, although the server no longer reports his changes.
    """

    async def story() -> None:
        office = VirtualOffice(names(2), safety=600.0, reconcile=0.0)
        engine = office.start()
        await office.heal()
        ann, bob = office.contacts
        office.simulator.faults.add(Fault("delay-reply", operation="unsubscribe", count=1, seconds=8.0))
        engine.unwatch([bob])
        await asyncio.sleep(0.5)
        engine.watch([bob], None)
        await asyncio.sleep(0.5)
        office.change(bob, STATES[3])
        await asyncio.sleep(0.5)
        office.change(ann, STATES[2])
        for _ in range(10):
            await asyncio.sleep(0.2)
            office.check()
        await office.heal(30)

    run(story())


def test_an_alteration_of_a_lost_subscription_does_not_reach_the_next() -> None:
    """The story `older alteration`: the server is slow to drop bob, forgets the subscription, and gives its id again.

    The drop is executed on the new subscription, under the same session key, and nobody knows.
    """

    async def story() -> None:
        office = VirtualOffice(names(2), safety=600.0, reconcile=0.0)
        engine = office.start()
        await office.heal()
        ann, bob = office.contacts
        office.simulator.faults.add(Fault("delay-request", operation="unsubscribe", count=1, seconds=6.0))
        engine.unwatch([bob])
        await asyncio.sleep(0.1)
        engine.watch([bob], None)
        office.simulator.forget("subscriptions")
        with contextlib.suppress(NotAvailable):
            await engine.refresh(None)
        await asyncio.sleep(8)
        office.change(bob, STATES[3])
        await asyncio.sleep(0.5)
        office.change(ann, STATES[2])
        for _ in range(10):
            await asyncio.sleep(1)
            office.check()
        await office.heal(60)

    run(story())
