"""Notifications on their way, and what faults do to them."""

from __future__ import annotations

import pytest

from pws_soap.simulator import Fault, Options, Presence, Simulator, State
from tests.support.soap_by_hand import ANN, JOE, RITA, login, login_end_user, register, subscribe

from .talk import Callback, StillClock, post, settle


async def watched(clock: StillClock, callback: Callback | None, options: Options | None = None) -> Simulator:
    """A simulator with three subscriptions, to Ann, Joe and Rita, their latches open."""
    simulator = Simulator(options, clock=clock, sleep=clock.sleep, notify=callback, seed=5)
    simulator.put(Presence(contact, State.AVAILABLE) for contact in (ANN, JOE, RITA))
    application = (await post(simulator, login())).text("session-key")
    user = (await post(simulator, login_end_user(application))).text("session-key")
    await post(simulator, register(), application)
    for contact in (ANN, JOE, RITA):
        await post(simulator, subscribe(contact), user)
    await simulator.drain()
    for subscription in simulator.place("imp1").node.registry.subscriptions.values():
        subscription.silent = False
    if callback is not None:
        callback.urls.clear()
    simulator.delivery.counts.clear()
    return simulator


async def change(simulator: Simulator, *contacts: str) -> None:
    """Change contacts, one after the other."""
    for contact in contacts:
        simulator.change(contact, state=State.BUSY)
        await settle()


async def test_a_dropped_notification_leaves_the_latch_closed() -> None:
    """Lasting silence (K)."""
    callback = Callback()
    simulator = await watched(StillClock(), callback)
    simulator.faults.add(Fault("drop-notification", count=1))
    await change(simulator, ANN)
    simulator.change(ANN, state=State.AWAY)
    await simulator.drain()
    assert callback.urls == []
    assert simulator.delivery.counts == {"dropped": 1}


async def test_a_delayed_notification() -> None:
    """It comes later."""
    clock, callback = StillClock(), Callback()
    simulator = await watched(clock, callback)
    simulator.faults.add(Fault("delay-notification", count=1, seconds=9))
    await change(simulator, ANN, JOE)
    assert callback.ids == [2]
    await clock.advance(9)
    assert callback.ids == [2, 1]


async def test_a_duplicated_notification() -> None:
    """It comes twice."""
    callback = Callback()
    simulator = await watched(StillClock(), callback)
    simulator.faults.add(Fault("duplicate-notification", count=1))
    await change(simulator, ANN, JOE)
    assert callback.ids == [1, 1, 2]
    assert simulator.delivery.counts == {"sent": 3, "duplicated": 1}


async def test_notifications_out_of_order() -> None:
    """The next one overtakes; without a next one it comes after its time."""
    clock, callback = StillClock(), Callback()
    simulator = await watched(clock, callback)
    simulator.faults.add(Fault("reorder-notification", count=1, seconds=60))
    await change(simulator, ANN, JOE)
    assert callback.ids == [2, 1]
    simulator.faults.add(Fault("reorder-notification", count=1, seconds=60))
    await change(simulator, RITA)
    await clock.advance(60)
    await simulator.drain()
    assert callback.ids == [2, 1, 3]


@pytest.mark.parametrize("tries", [1, 3])
async def test_how_often_it_is_tried_is_an_option(tries: int) -> None:
    """Option notification_tries; one by default (U)."""
    callback = Callback(answers=False)
    simulator = await watched(StillClock(), callback, Options(notification_tries=tries))
    await change(simulator, ANN)
    assert callback.ids == [1] * tries
    assert simulator.delivery.counts == {"failed": 1}


async def test_an_endpoint_that_cannot_be_reached() -> None:
    """A failure is counted; nobody to send with is one too."""
    simulator = await watched(StillClock(), None)

    async def refused(url: str) -> bool:
        raise ConnectionRefusedError(url)

    await change(simulator, ANN)
    simulator.delivery.notify = refused
    await change(simulator, JOE)
    await simulator.drain()
    assert simulator.delivery.counts == {"failed": 2}


async def test_the_first_notification_may_beat_the_reply() -> None:
    """Option notify_before_reply (L, that it happens)."""
    callback = Callback()
    simulator = Simulator(Options(notify_before_reply=True), notify=callback, seed=1)
    application = (await post(simulator, login())).text("session-key")
    user = (await post(simulator, login_end_user(application))).text("session-key")
    await post(simulator, register(), application)
    seen: list[int] = []

    async def notify(url: str) -> bool:
        seen.append(simulator.counters.replies["subscribe"])
        return await callback(url)

    simulator.delivery.notify = notify
    await post(simulator, subscribe(ANN), user)
    assert (callback.ids, seen) == ([1], [0])


async def test_closing_drops_what_is_on_its_way() -> None:
    """Nothing is sent afterwards."""
    clock, callback = StillClock(), Callback()
    simulator = await watched(clock, callback)
    simulator.faults.add(Fault("delay-notification", seconds=5))
    await change(simulator, ANN)
    simulator.later(3, lambda: callback.urls.append("id=99&"))
    await simulator.aclose()
    await clock.advance(10)
    assert callback.urls == []
