"""A reply is taken in by steps: nothing that is said between two of them is wrong, and a loss in between ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Sequence

import pytest

from pws_soap.models import Presence
from pws_soap.simulator import Fault
from pws_soap.simulator import State as Wire
from service.core.presence import memory_store
from service.core.presence.freshness import Level, assess
from service.core.presence.records import PutReport, ReadingStart, Source
from service.sync.schedule import Work
from tests.support.virtual_office import BOUND, VirtualOffice, all_faults, names
from tests.support.virtual_time import run


@pytest.fixture(autouse=True)
def _one_contact_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_store, "STEP", 1)


def _between_steps(office: VirtualOffice, then: Callable[[], None]) -> None:
    """Have `then` called between each two steps of a reply."""
    put_in_steps = office.store.put_in_steps

    def watched(
        presences: Sequence[Presence], reading: ReadingStart, *, source: Source
    ) -> Generator[None, None, PutReport]:
        steps = put_in_steps(presences, reading, source=source)
        while True:
            try:
                next(steps)
            except StopIteration as done:
                report: PutReport = done.value
                return report
            then()
            yield

    office.store.put_in_steps = watched  # type: ignore[method-assign]


@pytest.mark.parametrize("kind", all_faults())
def test_no_state_between_two_steps_is_wrong(kind: str) -> None:
    """Whatever kind of fault damages a reply, the promise is kept at every step of it, and all is healed."""

    async def story() -> None:
        office = VirtualOffice(names(6))
        office.start()
        checks = 0

        def check() -> None:
            nonlocal checks
            checks += 1
            office.check()

        _between_steps(office, check)
        await office.heal()
        office.simulator.faults.add(
            Fault(kind, operation=None if "notification" in kind else "getSubscribedPresence", count=2, seconds=30.0)
        )
        for state in (Wire.BUSY, Wire.AWAY):
            for contact in office.contacts[::2]:
                office.change(contact, state)
            await office.pass_time(10, step=0.5)
        office.simulator.faults.clear()
        await office.heal()
        assert checks
        await office.stop()

    run(story())


def test_a_subscription_that_is_lost_on_the_way_ends_the_reply() -> None:
    """Nothing of the feed is live, no matter who was taken in already; the fetch fails, and all is made anew."""

    async def story() -> None:
        office = VirtualOffice(names(6))
        engine = office.start()
        await office.heal()
        steps = 0

        def lose() -> None:
            nonlocal steps
            steps += 1
            if steps == 1:
                (tracked,) = engine.subscriptions
                engine._tracker._close(tracked)
                now, feeds = office.clock.monotonic(), office.store.feeds()
                levels = {assess(each, feeds[each.feed], now, BOUND).level for each in office.store.records()}
                assert levels == {Level.STALE}

        _between_steps(office, lose)
        for contact in office.contacts:
            office.change(contact, Wire.BUSY)
        await asyncio.sleep(1)
        assert steps == 1
        engine._tracker.sync()
        await office.heal()
        await office.stop()

    run(story())


@pytest.mark.parametrize("anew", [False, True])
def test_a_subscription_that_is_lost_before_its_fetch_begins_is_not_fetched(
    anew: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor is the one that has its id by then: that one has a fetch of its own."""

    async def story() -> None:
        office = VirtualOffice(names(2))
        engine = office.start()
        await office.heal()
        (tracked,) = engine.subscriptions
        fetches = engine.subscriptions.counters.fetches
        engine.fetcher._begin(tracked, Work.FETCH)
        engine._tracker._close(tracked)
        if anew:
            engine._inbox.known(tracked.ref)
        await asyncio.gather(*engine.fetcher._tasks)
        assert engine.subscriptions.counters.fetches == fetches
        assert not [each for each in caplog.records if each.exc_info]
        await office.kill()

    run(story())
