"""Presence that is set for somebody else: in whose session, what becomes of refusals, and what is left alone."""

from __future__ import annotations

import pytest

from pws_soap.models import PresenceState
from pws_soap.simulator import Fault, NodeCondition, Options, User
from service.core.engine import NotAvailable, PresenceNotSet, PresenceToSet
from tests.support.virtual_office import VirtualOffice, names
from tests.support.virtual_time import run

AWAY = PresenceToSet(PresenceState.AWAY)


async def an_office(nodes: tuple[str, ...] = ("imp1",), options: Options | None = None) -> VirtualOffice:
    """A service that has read everybody."""
    office = VirtualOffice(names(2), nodes, options=options)
    office.start()
    await office.heal()
    return office


def state_of(office: VirtualOffice, user: str) -> str:
    return str(office.simulator.world.get(f"{user}@example.com").state)


@pytest.mark.parametrize("user", ["dispatcher", "supervisor"])
def test_it_is_set_in_the_end_users_own_session(user: str) -> None:
    """That of the lifecycle where there is one, else a new one; neither is ended, and nothing else is lost."""

    async def story() -> None:
        office = await an_office()
        assert office.engine is not None
        await office.engine.set_presence(user, AWAY)
        assert state_of(office, user) == "AWAY"
        await office.engine.set_presence(user, PresenceToSet(PresenceState.DND, override=True))
        assert state_of(office, user) == "DND"
        sessions = office.simulator.place("imp1").node.registry.sessions.values()
        assert sorted(session.user for session in sessions) == sorted({"pwsapp", "dispatcher", user})
        assert not office.wrong()
        await office.stop()
        assert office.left() == []

    run(story())


def test_a_session_that_is_gone_is_begun_anew() -> None:
    async def story() -> None:
        office = await an_office()
        assert office.engine is not None
        await office.engine.set_presence("supervisor", AWAY)
        office.simulator.kill_sessions(user="supervisor")
        await office.engine.set_presence("supervisor", PresenceToSet(PresenceState.BUSY))
        assert state_of(office, "supervisor") == "BUSY"
        await office.stop()

    run(story())


def test_an_end_user_of_another_node_is_logged_in_there_or_not_at_all() -> None:
    """Where the service has no session, it says so."""

    async def story() -> None:
        users = (User("pwsapp", "secret", application=True), User("dispatcher"), User("boss", home="imp2"))
        office = await an_office(("imp1", "imp2"), Options(users=users))
        assert office.engine is not None
        with pytest.raises(NotAvailable, match="at home on"):
            await office.engine.set_presence("boss", AWAY)
        await office.stop()

    run(story())


def test_what_the_server_refuses_is_told_with_its_code() -> None:
    async def story() -> None:
        office = await an_office(options=Options(any_end_user=False))
        assert office.engine is not None
        with pytest.raises(PresenceNotSet) as refused:
            await office.engine.set_presence("nobody", AWAY)
        assert refused.value.code == 113
        device = '<tuple id="x"><status><basic>open</basic></status></tuple>'
        no_source = f'<presence entity="sip:dispatcher@example.com">{device}</presence>'.encode()
        with pytest.raises(PresenceNotSet) as refused:
            await office.engine.set_presence("dispatcher", PresenceToSet(document=no_source))
        assert refused.value.code == 162
        await office.stop()

    run(story())


@pytest.mark.parametrize("kind", ["lose-reply", "http-503", "html-reply"])
def test_an_unknown_outcome_is_no_answer(kind: str) -> None:
    """It may have been set: to set it again does no harm."""

    async def story() -> None:
        office = await an_office()
        assert office.engine is not None
        await office.engine.set_presence("supervisor", AWAY)
        office.simulator.faults.add(Fault(kind, operation="setPresence", count=3))
        with pytest.raises(NotAvailable):
            await office.engine.set_presence("supervisor", PresenceToSet(PresenceState.BUSY))
        office.simulator.faults.clear()
        await office.engine.set_presence("supervisor", PresenceToSet(PresenceState.BUSY))
        assert state_of(office, "supervisor") == "BUSY"
        await office.stop()

    run(story())


def test_nothing_is_set_while_the_server_is_down() -> None:
    async def story() -> None:
        office = await an_office()
        assert office.engine is not None
        office.simulator.set_state("imp1", NodeCondition.DOWN)
        with pytest.raises(NotAvailable):
            await office.engine.set_presence("supervisor", AWAY)
        with pytest.raises(NotAvailable):
            await office.engine.set_presence("dispatcher", AWAY)
        office.simulator.set_state("imp1", NodeCondition.UP)
        await office.stop()

    run(story())
