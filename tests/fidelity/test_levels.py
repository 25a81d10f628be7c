"""A service behind another's façade: changes arrive, troubles of the lower one heal, and nothing live is ever wrong."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from pws_soap.simulator import NodeCondition
from pws_soap.simulator import State as Wire
from tests.support.fault_histories import CONTACTS, QUIET, Faults
from tests.support.two_levels import LowerOffice
from tests.support.virtual_office import VirtualOffice
from tests.support.virtual_time import run


@pytest.mark.parametrize("rich", [False, True], ids=["basic", "rich"])
def test_changes_and_the_ends_of_troubles_arrive_at_the_top(rich: bool) -> None:
    """A change, the failure of a node below, a restart of the lower service."""

    async def story() -> None:
        office = LowerOffice(CONTACTS, ("imp1", "imp2"), rich=rich, unsure_after=30.0)
        office.start()
        await office.heal()
        office.begin()
        await office.heal()
        office.change(CONTACTS[0], Wire.BUSY)
        assert await office.heal(5) <= 2
        office.simulator.set_state("imp1", NodeCondition.DOWN)
        office.change(CONTACTS[0], Wire.AWAY)
        await office.pass_time(5)
        await office.heal()
        await office.kill()
        office.change(CONTACTS[1], Wire.DND)
        await asyncio.sleep(30)
        office.start()
        await office.heal()
        office.change(CONTACTS[1], Wire.BUSY)
        await office.heal(5)
        await office.end()
        await office.stop()
        await office.simulator.aclose()

    run(story())


class FaultsBelow(Faults):
    """One history, with a service at the top."""

    office: LowerOffice  # made by `new_office`

    def new_office(self, **how: Any) -> VirtualOffice:  # fields of VirtualOffice
        return LowerOffice(CONTACTS, unsure_after=30.0, **how)

    async def begun(self) -> None:
        self.office.begin()
        await self.office.heal()

    async def ended(self) -> None:
        await self.office.end()


def test_nothing_live_at_the_top_is_wrong() -> None:
    """A few histories in the default run, the same ones each time."""
    few = settings(
        max_examples=6,
        stateful_step_count=25,
        deadline=None,
        suppress_health_check=QUIET,
        print_blob=True,
        derandomize=True,
        database=None,
    )
    run_state_machine_as_test(FaultsBelow, settings=few)


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_nothing_live_at_the_top_is_wrong_in_many_histories() -> None:
    """Many and long ones."""
    many = settings(
        max_examples=300, stateful_step_count=60, deadline=None, suppress_health_check=QUIET, print_blob=True
    )
    run_state_machine_as_test(FaultsBelow, settings=many)
