"""Histories in which Hypothesis once broke the promise, kept as stories."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pws_soap.simulator import Fault, NodeCondition
from pws_soap.simulator import State as Wire
from service.core.engine import NotAvailable
from tests.support.virtual_office import VirtualOffice, names
from tests.support.virtual_time import run


def test_leftovers_on_a_node_that_redirects_its_user_go_with_the_applications_session(tmp_path: Path) -> None:
    """A crash while the user was on the backup node; at the next start that node sends it home."""

    async def story() -> None:
        office = VirtualOffice(names(3), nodes=("imp1", "imp2"), state_file=tmp_path / "state.json")
        office.start()
        await office.heal()
        office.simulator.set_state("imp1", NodeCondition.HUNG)
        office.change("p0000@example.com", Wire.BUSY)
        await office.heal()
        assert "imp2: subscription 1" in office.left()
        await office.kill()
        office.simulator.set_state("imp1", NodeCondition.UP)
        engine = office.start()
        await office.heal()
        await office.pass_time(120)
        assert [each for each in office.left() if each.startswith("imp2")] == []
        assert engine.driver.state.leftovers == ()

    run(story())


def test_a_lost_subscription_whose_id_went_to_another_user_takes_no_news_from_it() -> None:
    """The server forgets all subscriptions and gives the small ids again, to the other end user first."""

    async def story() -> None:
        office = VirtualOffice(names(6), users=("dispatcher", "supervisor"))
        engine = office.start()
        await office.heal()
        for _ in range(4):
            office.simulator.forget("subscriptions")
            with pytest.raises(NotAvailable, match="133"):
                await engine.refresh(None)
            await office.heal()
        office.change("p0005@example.com", Wire.BUSY)
        office.change("p0004@example.com", Wire.BUSY)
        await office.heal(5)

    run(story())


def test_nothing_ticks_for_a_leftover_that_nobody_can_remove(tmp_path: Path) -> None:
    """Restarted while the server is down: it waits for its back-off, and does not spin."""

    async def story() -> None:
        office = VirtualOffice(names(3), state_file=tmp_path / "state.json")
        office.start()
        await office.heal()
        await office.kill()
        office.simulator.set_state("imp1", NodeCondition.DOWN)
        engine = office.start()
        steps = 0
        post = engine.driver.post

        def counted(event: object) -> None:
            nonlocal steps
            steps += 1
            post(event)  # type: ignore[arg-type]  # passed on as it is

        engine.driver.post = counted  # type: ignore[method-assign]
        await asyncio.sleep(600)
        assert 0 < steps < 200
        office.simulator.set_state("imp1", NodeCondition.UP)
        await office.heal()

    run(story())


def test_a_stop_during_a_login_that_is_never_answered_claims_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """The session may be there: the log says so, and the next start resets it."""

    async def story() -> None:
        office = VirtualOffice(names(2))
        office.simulator.faults.add(Fault("lose-reply"))
        office.start()
        await office.stop()
        assert office.left() == ["imp1: session of pwsapp"]

    caplog.set_level("INFO", logger="pws.service")
    run(story())
    assert "what is left on the server is removed at the next start" in caplog.text
    assert "nothing of ours is left" not in caplog.text


def test_two_nodes_that_hung_for_long_are_tried_again_with_a_clean_record() -> None:
    """Each sends the user to the other while one is believed to have failed; it ends when both work."""

    async def story() -> None:
        office = VirtualOffice(names(3), nodes=("imp1", "imp2"), users=("dispatcher", "supervisor"))
        engine = office.start()
        await office.heal()
        for state in (NodeCondition.HUNG, NodeCondition.DOWN, NodeCondition.HUNG):
            office.simulator.set_state("imp2", state)
            office.simulator.set_state("imp1", state)
            await office.pass_time(400, step=20)
        office.simulator.set_state("imp1", NodeCondition.UP)
        office.simulator.set_state("imp2", NodeCondition.UP)
        assert engine.ready()[0] is False
        await office.heal()
        assert engine.ready() == (True, "live")

    run(story())
