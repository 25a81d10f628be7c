"""Ways in which a contact could be called live though nothing keeps it true, or a fault could last for ever."""

from __future__ import annotations

import asyncio
import logging

import pytest

from pws_soap.lifecycle import CallReported, Failure, FailureKind, Key
from pws_soap.simulator import Fault, NodeCondition
from pws_soap.simulator import State as Wire
from service.core.engine import NotAvailable
from service.core.presence.freshness import Level, assess
from service.sync.engine import SyncEngine
from tests.support.virtual_office import BOUND, READ_TIMEOUT, VirtualOffice, names
from tests.support.virtual_time import run


def level(office: VirtualOffice, contact: str) -> Level:
    record = office.store.get(contact)
    assert record is not None
    return assess(record, office.store.feeds()[record.feed], office.clock.monotonic(), BOUND).level


def people(office: VirtualOffice, *contacts: str) -> None:
    for contact in contacts:
        office.simulator.change(contact, state=Wire.AVAILABLE)
        office.truth[contact] = [(0.0, "AVAILABLE")]


def test_what_was_polled_but_is_in_no_subscription_is_not_live() -> None:
    """Adding it is refused for want of room; a read-through tells its state, and nothing keeps that true."""

    async def story() -> None:
        office = VirtualOffice(names(3))
        engine = office.start()
        await office.heal()
        people(office, "new@example.com")
        office.simulator.faults.add(Fault("refuse", operation="subscribe", code=211))
        engine.watch(["new@example.com"], None)
        await asyncio.sleep(1)
        await engine.read(["new@example.com"])
        assert level(office, "new@example.com") is Level.STALE
        office.change("new@example.com", Wire.BUSY)
        await office.pass_time(200)
        assert level(office, "new@example.com") is Level.STALE
        assert any("211" in each.what and "--sweep" in each.what for each in engine.status().problems)
        assert level(office, office.contacts[0]) is Level.LIVE
        office.simulator.faults.clear()
        await office.heal(400)

    run(story())


def test_a_contact_that_moves_to_another_end_user_is_not_settled_by_the_old_one() -> None:
    async def story() -> None:
        office = VirtualOffice(names(4), users=("dispatcher", "supervisor"))
        engine = office.start()
        await office.heal()
        moving = office.contacts[0]
        office.simulator.faults.add(Fault("refuse", operation="subscribe", code=211))
        await engine.reload({"dispatcher": office.contacts[2:3], "supervisor": (moving, *office.contacts[1::2])})
        office.change(moving, Wire.AWAY)
        await office.pass_time(5)
        office.change(moving, Wire.BUSY)
        await office.pass_time(200)
        assert level(office, moving) is not Level.LIVE
        office.simulator.faults.clear()
        await office.heal(400)

    run(story())


def test_another_spelling_of_a_contact_is_the_same_contact() -> None:
    """The server does not tell them apart: adding one and removing the other would remove it."""

    async def story() -> None:
        office = VirtualOffice(names(3))
        engine = office.start()
        await office.heal()
        await engine.reload({"dispatcher": ("P0000@EXAMPLE.com", *office.contacts[1:])})
        await office.pass_time(5)
        (subscription,) = office.simulator.places["imp1"].node.registry.subscriptions.values()
        assert len(subscription.contacts) == 3
        engine.unwatch(["p0000@example.com"])
        engine.watch(["P0000@example.com"], None)
        await office.pass_time(5)
        assert len(subscription.contacts) == 3
        office.change("p0000@example.com", Wire.BUSY)
        await office.heal(5)

    run(story())


def test_a_fetch_that_outlives_its_subscription_takes_nothing_from_the_next() -> None:
    """It was slow at the server; meanwhile the subscription was lost, and its id given again."""

    async def story() -> None:
        office = VirtualOffice(names(3))
        engine = office.start()
        await office.heal()
        office.simulator.faults.add(Fault("delay-request", operation="getSubscribedPresence", count=1, seconds=8.0))
        office.change("p0000@example.com", Wire.BUSY)
        await office.pass_time(1, step=0.1)
        office.simulator.forget("subscriptions")
        key = next(iter(engine.subscriptions)).key
        engine.driver.post(_lost(engine, key))
        await office.pass_time(5, step=0.1)
        office.simulator.faults.add(Fault("delay-notification", count=1, seconds=20.0))
        office.change("p0001@example.com", Wire.DND)
        await office.pass_time(60, step=0.1)
        await office.heal()
        known = [office.store.get(contact) for contact in names(3)]
        assert [record.state.value for record in known if record is not None] == ["BUSY", "DND", "AVAILABLE"]

    run(story())


def _lost(engine: SyncEngine, key: Key) -> CallReported:
    """The server says that it does not know this subscription."""
    return CallReported(
        key, engine.driver.live_subscriptions()[key].generation, Failure(FailureKind.SUBSCRIPTION_LOST, "133")
    )


@pytest.mark.parametrize("bad", ["x@refused.example", "a@refused.example"])
def test_a_contact_that_the_server_refuses_holds_up_nobody(bad: str) -> None:
    """Left out and named as a problem, whether it is there at the start or added later; the others are live."""

    async def story() -> None:
        office = VirtualOffice(names(6))
        refuse(office, "refused.example")
        engine = office.start()
        await office.heal()
        people(office, "new@example.com")
        engine.watch([bad, "new@example.com"], None)
        await office.pass_time(10)
        assert level(office, bad) is Level.UNKNOWN
        assert level(office, "new@example.com") is Level.LIVE
        problem = next(each for each in engine.status().problems if bad in each.what)
        assert "124" in problem.what
        office.simulator.forget("everything")
        await office.pass_time(60)
        assert level(office, "new@example.com") is Level.LIVE
        asked = office.simulator.counters.requests["subscribe"]
        await office.pass_time(300)
        assert office.simulator.counters.requests["subscribe"] == asked
        engine.unwatch([bad])
        await office.pass_time(5)
        assert office.wrong() == []
        assert engine.status().problems == ()

    run(story())


def refuse(office: VirtualOffice, domain: str) -> None:
    """Let the server refuse lists with a contact of that domain."""
    answer = office.simulator.post

    async def post(node, headers, body):  # type: ignore[no-untyped-def]
        if f"@{domain}".encode() in body and b":subscribe" in body:
            number = office.simulator.faults.add(Fault("refuse", operation="subscribe", code=124, count=1))
            try:
                return await answer(node, headers, body)
            finally:
                office.simulator.faults.remove(number)
        return await answer(node, headers, body)

    office.simulator.post = post  # type: ignore[method-assign]


def test_a_bug_in_a_fetch_neither_stops_nor_trusts_the_subscription(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        office = VirtualOffice(names(3))
        engine = office.start()
        await office.heal()
        put = office.store.put_in_steps

        def broken(*words, **more):  # type: ignore[no-untyped-def]
            office.store.put_in_steps = put  # type: ignore[method-assign]
            raise RuntimeError("a bug")

        office.store.put_in_steps = broken  # type: ignore[method-assign]
        office.change("p0000@example.com", Wire.BUSY)
        logouts = office.simulator.counters.requests["logout"]
        await office.heal(30)
        assert engine.subscriptions.counters.unknown_outcomes == 1
        assert office.simulator.counters.requests["logout"] == logouts + 1

    with caplog.at_level(logging.ERROR, "pws.fetch"):
        run(story())
    assert "unexpected error in a fetch" in caplog.text


def test_a_bug_in_the_lifecycles_loop_does_not_end_it() -> None:
    async def story() -> None:
        office = VirtualOffice(names(3))
        engine = office.start()
        await office.heal()
        post = engine.driver.post

        def broken(event):  # type: ignore[no-untyped-def]
            engine.driver.post = post  # type: ignore[method-assign]
            raise RuntimeError("a bug")

        engine.driver.post = broken  # type: ignore[method-assign]
        engine.driver._woken.set()
        await asyncio.sleep(2)
        await asyncio.sleep(3 * 3600)
        await office.heal(5)
        assert len(engine.driver.live_subscriptions()) == 1

    run(story())


def test_a_move_leaves_nothing_stale_behind() -> None:
    """The old node hangs in the middle of a request while everything moves: its late end touches nothing new."""

    async def story() -> None:
        office = VirtualOffice(names(5), nodes=("imp1", "imp2"), safety=600.0)
        engine = office.start()
        await office.heal()
        people(office, "new@example.com")
        office.simulator.set_state("imp1", NodeCondition.HUNG)
        engine.watch(["new@example.com"], None)
        await asyncio.sleep(0.5)
        engine.move("imp2", None)
        await office.heal(30)
        await office.pass_time(60)
        assert office.wrong() == []

    run(story())


def test_reading_through_a_node_that_hangs_is_bounded() -> None:
    """One who asks for one contact does not wait behind one who asks for all."""

    async def story() -> None:
        office = VirtualOffice(names(1000), rate=500.0)
        engine = office.start()
        await office.heal()
        office.simulator.set_state("imp1", NodeCondition.HUNG)
        began = office.clock.monotonic()
        every = asyncio.create_task(engine.read(list(office.contacts)))
        await asyncio.sleep(0.1)
        for asked in (engine.read(["p0000@example.com"]), every):
            with pytest.raises(NotAvailable):
                await asked
        assert office.clock.monotonic() - began < 4 * READ_TIMEOUT

    run(story())


def test_an_order_to_fetch_does_not_undo_the_back_off() -> None:
    """However often somebody orders a refresh, a server that fails is asked with growing pauses."""

    async def story() -> None:
        office = VirtualOffice(names(2))
        engine = office.start()
        await office.heal()
        office.simulator.faults.add(Fault("http-503", operation="getSubscribedPresence"))
        before = office.simulator.counters.requests["getSubscribedPresence"]
        for _ in range(200):
            with pytest.raises(NotAvailable):
                await engine.refresh(None)
            await asyncio.sleep(0.5)
        assert office.simulator.counters.requests["getSubscribedPresence"] - before < 20

    run(story())


def test_an_order_to_fetch_what_is_lost_meanwhile_is_answered() -> None:
    async def story() -> None:
        office = VirtualOffice(names(2))
        engine = office.start()
        await office.heal()
        office.simulator.faults.add(Fault("delay-reply", operation="getSubscribedPresence", count=1, seconds=5.0))
        order = asyncio.create_task(engine.refresh(None))
        await asyncio.sleep(0.5)
        second = asyncio.create_task(engine.refresh(None))
        await asyncio.sleep(0.5)
        key = next(iter(engine.subscriptions)).key
        engine.driver.post(_lost(engine, key))
        for task in (order, second):
            with pytest.raises(NotAvailable, match="lost meanwhile"):
                await asyncio.wait_for(task, 20)

    run(story())


def test_a_sweep_goes_on_where_a_poll_failed() -> None:
    async def story() -> None:
        office = VirtualOffice(names(300), reconcile=600.0)
        office.start()
        await office.heal()
        polls = office.simulator.counters.requests
        office.simulator.faults.add(Fault("http-503", operation="getPolledPresence", count=1))
        await asyncio.sleep(700)
        assert polls["getPolledPresence"] == 4

    run(story())


def test_a_poll_that_keeps_failing_is_a_problem() -> None:
    async def story() -> None:
        office = VirtualOffice(names(3))
        engine = office.start()
        await office.heal()
        office.simulator.faults.add(Fault("http-503", operation="getPolledPresence"))
        office.simulator.faults.add(Fault("rename-entry", operation="getSubscribedPresence", count=1, form="nameless"))
        office.change("p0000@example.com", Wire.BUSY)
        began = office.clock.now()
        await office.pass_time(60)
        problems = [each for each in engine.status().problems if "cannot be polled" in each.what]
        assert len(problems) == 1
        assert "503" in problems[0].what
        assert problems[0].since < began + 10
        office.simulator.faults.clear()
        await office.heal()
        office.change("p0001@example.com", Wire.BUSY)
        await office.heal()
        assert engine.status().problems == ()

    run(story())


def test_a_fetch_that_timed_out_and_runs_later_takes_nothing_along() -> None:
    """The server is slow: it carries the fetch out after we gave up, and takes a change that came meanwhile."""

    async def story() -> None:
        office = VirtualOffice(names(3))
        engine = office.start()
        await office.heal()
        seconds = READ_TIMEOUT + 5
        office.simulator.faults.add(Fault("delay-request", operation="getSubscribedPresence", count=1, seconds=seconds))
        office.change("p0000@example.com", Wire.BUSY)
        await office.pass_time(READ_TIMEOUT + 2, step=0.1)
        office.simulator.faults.add(Fault("delay-notification", count=1, seconds=10.0))
        office.change("p0001@example.com", Wire.DND)
        await office.pass_time(60, step=0.1)
        await office.heal()
        assert engine.subscriptions.counters.unknown_outcomes == 1

    run(story())
