"""Rich documents that cannot be read, under a virtual clock: each costs its own contact only."""

from __future__ import annotations

import asyncio
from typing import Literal

import pytest

from pws_soap.simulator import Options
from pws_soap.simulator import State as Wire
from service.core.presence.freshness import Freshness, Level, assess
from tests.support.virtual_office import BOUND, VirtualOffice, names
from tests.support.virtual_time import run

BROKEN = "1x"
"""No name of an element: a document with this activity is not well-formed."""


def fresh(office: VirtualOffice, contact: str) -> Freshness:
    record = office.store.get(contact)
    assert record is not None
    return assess(record, office.store.feeds()[record.feed], office.clock.monotonic(), BOUND)


@pytest.mark.parametrize("carrier", ["escaped", "cdata"])
def test_a_broken_document_costs_its_own_contact_only(carrier: Literal["escaped", "cdata"]) -> None:
    """It keeps its last state, stale with the reason, and is counted; its neighbours in the same reply change and stay
    live. Once its document can be read again, all is as before."""

    async def story() -> None:
        office = VirtualOffice(names(5), options=Options(rich_carrier=carrier), rich=True)
        office.start()
        await office.heal()
        bad, neighbour = office.contacts[2:4]
        office.simulator.change(bad, state=Wire.BUSY, activities=(BROKEN,))
        office.truth[bad].append((office.clock.monotonic(), "BUSY"))
        office.change(neighbour, Wire.DND)
        await asyncio.sleep(2)
        office.check()
        record = office.store.get(bad)
        assert record is not None
        assert str(record.state) == "AVAILABLE"
        level, as_of, reason = fresh(office, bad)
        assert (level, as_of is not None) == (Level.STALE, True)
        assert reason is not None
        assert "document could not be read" in reason
        assert record.problem is not None
        assert office.store.summary().unreadable > 0
        others = [each for each in office.contacts if each != bad]
        assert {fresh(office, each).level for each in others} == {Level.LIVE}
        assert str(getattr(office.store.get(neighbour), "state", None)) == "DND"

        # It is read again now and then, and never hammered.
        before = office.simulator.counters.requests["getPolledPresence"]
        await office.pass_time(600, step=5)
        assert 10 <= office.simulator.counters.requests["getPolledPresence"] - before <= 60
        assert fresh(office, bad).level is Level.STALE
        assert {fresh(office, each).level for each in others} == {Level.LIVE}

        office.simulator.change(bad, activities=())
        await office.heal(60)
        record = office.store.get(bad)
        assert record is not None
        assert (str(record.state), record.problem) == ("BUSY", None)

    run(story())


def test_a_contact_whose_first_document_is_broken_is_unknown() -> None:
    """Nothing was ever known of it; the reason says why."""

    async def story() -> None:
        office = VirtualOffice(names(3), options=Options(rich_carrier="escaped"), rich=True)
        office.simulator.change(office.contacts[0], activities=(BROKEN,))
        office.start()
        await asyncio.sleep(5)
        level, _, reason = fresh(office, office.contacts[0])
        assert level is Level.UNKNOWN
        assert reason is not None
        assert "well-formed" in reason
        assert {fresh(office, each).level for each in office.contacts[1:]} == {Level.LIVE}

    run(story())


def test_federated_contacts_in_basic_are_reported_to_need_rich() -> None:
    """A problem in the status once they were read, and none while nobody is known or where rich presence is read."""

    async def story(*, rich: bool, federated: int) -> list[str]:
        office = VirtualOffice(names(6), rich=rich)
        for contact in office.contacts[:federated]:
            office.simulator.change(contact, federated=True)
        engine = office.start()
        assert engine.status().problems == () or not any("RICH" in each.what for each in engine.status().problems)
        await asyncio.sleep(5)
        assert {fresh(office, each).level for each in office.contacts} == {Level.LIVE}
        return [each.what for each in engine.status().problems]

    (problem,) = run(story(rich=False, federated=4))
    assert problem.startswith(
        "4 contacts are UNKNOWN to dispatcher with basic presence "
        "(p0000@example.com, p0001@example.com, p0002@example.com and 1 more)"
    )
    assert "RICH_PRESENCE" in problem
    assert run(story(rich=True, federated=4)) == []
    assert run(story(rich=False, federated=0)) == []
    assert run(story(rich=False, federated=6)) == []
