"""What long runs against real processes found, kept as stories under a virtual clock."""

from __future__ import annotations

from tests.engine.office import STATES, Office, names
from tests.engine.virtual import run


def test_the_pauses_of_sessions_that_are_lost_again_and_again_do_not_add_up() -> None:
    """The end user's loss is noticed first, the application's when it logs in again: once they waited for both."""

    async def story() -> None:
        office = Office(names(4), users=("dispatcher", "supervisor"), safety=5.0)
        engine = office.start()
        await office.heal()
        slowest = 0.0
        for number in range(9):
            office.simulator.kill_sessions()
            for contact in office.contacts:
                office.change(contact, STATES[(number + 1) % 5])
            slowest = max(slowest, await office.heal())
        most = engine.keeper.state.settings.retry_most
        assert slowest < most + 2 * office.safety, slowest

    run(story())
