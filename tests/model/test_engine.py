"""Counterexamples of the model that the service itself has: replayed against service and simulator in one process."""

from __future__ import annotations

import asyncio

import pytest

from pws_soap.simulator import Fault
from tests.engine.office import STATES, Office, names
from tests.engine.virtual import run


@pytest.mark.xfail(
    raises=AssertionError, reason="a contact counts as subscribed while a request that drops it is pending"
)
def test_a_contact_that_is_being_dropped_is_not_called_live() -> None:
    """The story `carried`: bob is dropped and watched again before the reply to `unsubscribe` has come.

    He is polled and called live, and every fetch confirms him, although the server no longer reports his changes.
    """

    async def story() -> None:
        office = Office(names(2), safety=600.0, reconcile=0.0)
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
