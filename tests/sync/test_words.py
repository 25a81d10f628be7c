"""The words of problems and of the log while something is wrong; and that the demo's lines come true."""

from __future__ import annotations

import contextlib
import logging
import re

import pytest

from pws_soap.errors import PwsError
from pws_soap.simulator import Fault, NodeCondition, Options, Simulator, User
from pws_soap.simulator import State as Wire
from service.cli.demo import loopback
from service.cli.demo.playground import SimulatorPlayground
from service.core.engine import NotAvailable
from service.core.presence.freshness import Level
from service.sync.silence import LATE
from tests.support.virtual_office import VirtualOffice, names
from tests.support.virtual_time import run


def demo() -> VirtualOffice:
    """An office whose service reads as often as that of `pws demo`."""
    return VirtualOffice(names(25), safety=loopback.SAFETY, heartbeat=loopback.HEARTBEAT)


async def play(simulator: Simulator, name: str) -> None:
    await SimulatorPlayground(simulator).play(name)


def lost(office: VirtualOffice) -> list[str]:
    assert office.engine is not None
    return [each.what for each in office.engine.status().problems if "being lost" in each.what]


def levels(office: VirtualOffice) -> list[Level]:
    assert office.engine is not None
    return [level for level, number in office.engine._levels().items() if number]


def test_notifications_that_are_lost_are_a_problem_until_one_comes_again() -> None:
    """However short the safety interval is: the demo's cannot be halved."""

    async def story() -> None:
        office = demo()
        office.start()
        await office.heal()
        await office.pass_time(5)
        assert lost(office) == []
        await play(office.simulator, "notifications-dropped")
        office.change(office.contacts[20], Wire.BUSY)  # whom the heartbeat does not come to so soon
        await office.pass_time(loopback.SAFETY + LATE + 1)
        (what,) = lost(office)
        assert "(1 change came without one)" in what
        await office.pass_time(20)
        assert len(lost(office)) == 1
        office.change(office.contacts[20], Wire.AWAY)
        await office.pass_time(1)
        assert lost(office) == []

    run(story())


def test_the_demo_notices_within_three_seconds_that_its_server_is_down() -> None:
    async def story() -> None:
        office = demo()
        office.start()
        await office.heal()
        await office.pass_time(7)
        await play(office.simulator, "node-down")
        await office.pass_time(3)
        assert set(levels(office)) == {Level.STALE}
        assert office.engine is not None
        assert any("does not answer" in each.what for each in office.engine.status().problems)
        await office.pass_time(14)
        assert set(levels(office)) == {Level.STALE}  # as long as its button says
        await office.heal()
        assert set(levels(office)) == {Level.LIVE}

    run(story())


def test_one_failed_call_is_none_in_a_row() -> None:
    async def story() -> None:
        office = VirtualOffice(names(2), safety=loopback.SAFETY)
        office.start()
        await office.heal()
        office.simulator.set_state("imp1", NodeCondition.DOWN)
        seen: set[str] = set()
        for _ in range(100):
            await office.pass_time(0.1)
            assert office.engine is not None
            seen |= {each.what for each in office.engine.status().problems}
        found = {text for each in seen for text in re.findall(r"does not answer (\(.*?\))", each)}
        assert found >= {"(1 call)", "(2 calls in a row)"}

    run(story())


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault("html-reply", operation="getPolledPresence", count=1), "answers nothing that can be used (1 call)"),
        (Fault("delay-reply", operation="getPolledPresence", count=1, seconds=60.0), "does not answer (1 call)"),
    ],
    ids=["a page", "nothing"],
)
def test_a_node_that_answers_what_cannot_be_used_is_not_said_to_be_silent(fault: Fault, words: str) -> None:
    async def story() -> None:
        office = VirtualOffice(names(2), safety=loopback.SAFETY)
        engine = office.start()
        await office.heal()
        office.simulator.faults.add(fault)
        with contextlib.suppress(PwsError, NotAvailable):
            await engine.refresh(office.contacts)
        (problem,) = [each.what for each in engine.status().problems if each.what.startswith("http://imp1:8082 ")]
        assert problem.startswith(f"http://imp1:8082 {words}: ")

    run(story())


def test_sessions_that_are_lost_are_one_line_each_and_no_advice(caplog: pytest.LogCaptureFixture) -> None:
    """The service heals that by itself; who reads the log has nothing to do."""

    async def story() -> None:
        office = demo()
        office.start()
        await office.heal()
        with caplog.at_level(logging.WARNING, "pws"):
            office.simulator.kill_sessions()
            office.change(office.contacts[0], Wire.BUSY)
            await office.heal()
            await office.pass_time(5)

    run(story())
    assert sorted(each.getMessage() for each in caplog.records) == [
        "the session of dispatcher at http://imp1:8082 is gone (code 101): logging in again",
        "the session of pwsapp at http://imp1:8082 is gone (code 101): logging in again",
    ]


def test_subscriptions_and_endpoints_that_are_lost_too(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        office = demo()
        office.start()
        await office.heal()
        with caplog.at_level(logging.WARNING, "pws"):
            for what in ("subscriptions", "endpoints"):
                office.simulator.forget(what)
            office.change(office.contacts[0], Wire.BUSY)
            await office.pass_time(10)

    run(story())
    assert [each.getMessage() for each in caplog.records] == [
        "the subscription of dispatcher at http://imp1:8082 is gone (code 133): subscribing again",
        "the endpoint at http://imp1:8082 is gone (code 132): registering again",
    ]


def test_what_a_person_has_to_act_on_keeps_its_advice(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        office = VirtualOffice(names(2), options=Options(users=(User("pwsapp", "another", application=True),)))
        with caplog.at_level(logging.WARNING, "pws"):
            office.start()
            await office.pass_time(2)

    run(story())
    meaning = "login refused with code 114 (login failed: wrong user name or password)"
    fix = "Check the user name, the password and the user's groups."
    assert caplog.records[0].getMessage() == f"application at http://imp1:8082: {meaning}; fix: {fix}"
