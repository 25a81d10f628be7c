"""The promise to programs under random faults: what is told over SOAP was true, and nobody is left behind.

Two programs poll all the time and two are notified and fetch, with BASIC and with RICH presence. Each state that they
are told is held against the truth, by the service's own `as_of`; so is what a program takes for true after each fetch
(`benchmarks.told` says what can be proved). Once the server works again every program knows the truth.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from benchmarks.told import SLACK
from pws_soap.simulator import Fault, NodeCondition
from pws_soap.simulator import State as Wire
from tests.support.checked_office import CheckedOffice
from tests.support.fault_histories import CONTACTS, QUIET, Faults
from tests.support.virtual_office import BOUND, VirtualOffice
from tests.support.virtual_time import run

UNSURE_AFTER = 30.0
FETCH = "getSubscribedPresence"
SEEN: Counter[str] = Counter()
"""What programs were told in all histories of a test, so that one in which nothing happens is noticed."""


class FaultsBeforePrograms(Faults):
    """One history, with programs at the façade."""

    office: CheckedOffice  # made by `new_office`

    def new_office(self, **how: Any) -> VirtualOffice:  # fields of VirtualOffice
        return CheckedOffice(CONTACTS, unsure_after=UNSURE_AFTER, **how)

    async def begun(self) -> None:
        self.office.begin()
        await self.office.heal()

    async def ended(self) -> None:
        figures = self.office.programs.figures
        SEEN.update(states=figures.states, unsaid=figures.unsaid, unknown=figures.unknown)
        await self.office.programs.stop()
        self.office.check()


def _play(**how: Any) -> None:  # settings of Hypothesis
    SEEN.clear()
    run_state_machine_as_test(
        FaultsBeforePrograms, settings=settings(deadline=None, suppress_health_check=QUIET, print_blob=True, **how)
    )
    assert all(SEEN[what] > 0 for what in ("states", "unsaid", "unknown")), SEEN


STORIES: dict[str, Callable[[CheckedOffice], object]] = {
    "the node hangs": lambda office: office.simulator.set_state("imp1", NodeCondition.HUNG),
    "the node is down": lambda office: office.simulator.set_state("imp1", NodeCondition.DOWN),
    "every fetch is lost": lambda office: office.simulator.faults.add(Fault("lose-reply", operation=FETCH)),
    "no request comes through": lambda office: office.simulator.faults.add(Fault("http-503")),
}
"""What may go on for long."""


@pytest.mark.parametrize("trouble", STORIES)
@pytest.mark.parametrize("rich", [False, True], ids=["basic", "rich"])
def test_a_long_trouble_is_told_and_so_is_its_end(trouble: str, rich: bool) -> None:
    """Programs that only fetch when they are notified learn that nothing is known, and later what is."""

    async def story() -> None:
        office = CheckedOffice(CONTACTS, unsure_after=UNSURE_AFTER, rich=rich)
        office.start()
        office.begin()
        await office.heal()
        figures = office.programs.figures
        STORIES[trouble](office)
        for contact in CONTACTS[:3]:
            office.change(contact, Wire.BUSY)
        await office.pass_time(BOUND + UNSURE_AFTER + SLACK + 60, step=5)
        assert figures.waited > 0
        assert figures.unknown >= len(CONTACTS)
        office.simulator.set_state("imp1", NodeCondition.UP)
        office.simulator.faults.clear()
        await office.heal()
        office.change(CONTACTS[4], Wire.AWAY)
        await office.heal(5)
        await office.programs.stop()
        await office.stop()
        await office.simulator.aclose()

    run(story())


def test_what_is_told_over_soap_was_true() -> None:
    """A few histories in the default run, the same ones each time."""
    _play(max_examples=8, stateful_step_count=25, derandomize=True, database=None)


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_what_is_told_over_soap_was_true_in_many_histories() -> None:
    """Many and long ones."""
    _play(max_examples=300, stateful_step_count=60)
