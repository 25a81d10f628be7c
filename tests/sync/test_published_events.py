"""The events of subscriptions, with the simulator behind: each transition once, and its consequences after it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from pws_soap.simulator import Fault, NodeCondition
from pws_soap.simulator import State as Wire
from service.core.events.event import CHANGE, SubscriptionChange
from service.core.events.log import EventLog
from service.core.presence.freshness import Level
from service.core.presence.query import Reader
from service.sync.subscription_events import FAILED_OVER, LOST, MISSED, RECREATED, RENEWED
from tests.support.virtual_office import BOUND, VirtualOffice, names
from tests.support.virtual_time import run

Story = Callable[["Followed"], Awaitable[None]]


class Followed(VirtualOffice):
    """An office whose log is kept."""

    log: EventLog

    async def begin(self) -> None:
        """Start, and wait until all is well."""
        engine = self.start()
        self.log = EventLog(self.store, Reader(self.store, self.clock, BOUND, {}), self.clock)
        engine._publisher._publish = self.log.tell
        self._ticking = asyncio.create_task(self.log.run())
        await self.heal()
        await self.pass_time(2)

    async def end(self) -> None:
        """Stop."""
        self._ticking.cancel()
        await self.stop()

    def events(self, after: int) -> list[str]:
        """Events since then in words: subscriptions by their events' names, contacts by their freshness."""
        found = []
        for event in self.log.since(after) or ():
            if event.name != CHANGE:
                found.append(event.name)
            elif event.after is not None:
                found.append(str(event.after.contact.freshness.level))
        return found

    def news(self, after: int) -> list[str]:
        """Of these, what is about subscriptions."""
        return [each for each in self.events(after) if each.startswith("subscription.")]


def story(work: Story, **more: Any) -> None:  # of an Office
    """Play it on a loop whose time jumps."""

    async def played() -> None:
        office = Followed(names(3), **more)
        await office.begin()
        try:
            await work(office)
        finally:
            await office.end()

    run(played())


def test_sessions_that_are_killed() -> None:
    """Lost, then stale; made anew, then live. One event each."""

    async def work(office: Followed) -> None:
        seen = office.log.last
        office.simulator.kill_sessions()
        office.change(office.contacts[0], Wire.BUSY)
        await office.heal()
        await office.pass_time(5)
        events = office.events(seen)
        assert [each for each in events if each.startswith("subscription.")] == [LOST, RECREATED]
        assert events.index(Level.LIVE) > events.index(RECREATED)
        assert events[-1] == Level.LIVE

    story(work)


def test_the_contacts_of_the_feed_are_named() -> None:
    """A client that follows a group gets the events of its own feeds."""

    async def work(office: Followed) -> None:
        seen = office.log.last
        office.simulator.kill_sessions()
        office.change(office.contacts[0], Wire.BUSY)
        await office.heal()
        lost = next(event for event in office.log.since(seen) or () if event.name == LOST)
        assert lost.keys == frozenset(office.contacts)
        assert isinstance(lost.data, SubscriptionChange)
        assert lost.data.end_user == "dispatcher"

    story(work)


def test_a_node_that_goes_down() -> None:
    """Failed over with from and to, and made anew there; what is stale in between is stale before."""

    async def work(office: Followed) -> None:
        seen = office.log.last
        office.simulator.set_state("imp1", NodeCondition.DOWN)
        await office.pass_time(15)
        await office.heal()
        await office.pass_time(5)
        assert office.news(seen) == [FAILED_OVER, RECREATED]
        moved = next(event for event in office.log.since(seen) or () if event.name == FAILED_OVER)
        assert isinstance(moved.data, SubscriptionChange)
        assert (moved.data.origin, moved.data.node) == ("http://imp1:8082", "http://imp2:8082")
        assert office.events(seen).count(Level.STALE) == len(office.contacts)

    story(work, nodes=("imp1", "imp2"), heartbeat=10.0)


def test_renewals_are_events_and_nothing_else_of_a_quiet_day() -> None:
    """One in an hour, however many fetches and polls there are."""

    async def work(office: Followed) -> None:
        seen = office.log.last
        await office.pass_time(3 * 3600, step=60)
        news = office.news(seen)
        assert set(news) == {RENEWED}
        assert 3 <= len(news) <= 5
        assert office.events(seen) == news, "nobody was stale"

    story(work)


def test_changes_that_nobody_announces_are_one_event() -> None:
    """Until notifications come again, and are lost again."""

    async def work(office: Followed) -> None:
        seen = office.log.last
        office.simulator.faults.add(Fault("drop-notification"))
        for state in (Wire.BUSY, Wire.AWAY, Wire.DND):
            office.change(office.contacts[0], state)
            await office.pass_time(70)
        assert office.news(seen) == [MISSED]
        office.simulator.faults.clear()
        for state in (Wire.BUSY, Wire.AWAY):
            office.change(office.contacts[0], state)
            await office.pass_time(70)
        office.simulator.faults.add(Fault("drop-notification"))
        office.change(office.contacts[0], Wire.DND)
        await office.pass_time(130)
        assert office.news(seen) == [MISSED, MISSED]

    story(work, reconcile=0.0)  # else the sweep may find it first
