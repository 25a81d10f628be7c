"""One program sees nothing of another's, and nothing of contacts that its user may not see, not even their changes."""

from __future__ import annotations

import pytest

from pws_soap.models import Secret
from service.facade.settings import FacadeUser
from tests.facade.desk import ANN, AVAILABLE, BOB, BUSY, USERS, facade_desk

pytestmark = pytest.mark.anyio


async def test_a_forced_login_ends_no_session_of_another_user() -> None:
    """Anybody who forces the same end user has a session of its own, and the other one keeps what it has."""
    async with facade_desk() as desk:
        desk.watch(ANN)
        desk.read(ANN)
        one = await desk.program("attendant", "dispatcher")
        subscription = await one.subscribe(ANN)
        pws = desk.client()
        other = await pws.login("support", USERS["support"].password, force=True)
        forced = await pws.login_end_user(other, "dispatcher", force=True)
        assert forced.key != one.session.key
        assert await one.fetch(subscription) == {ANN: AVAILABLE}
        again = await pws.login_end_user(other, "dispatcher", force=True)
        assert again.key != forced.key
        assert await one.poll(ANN) == {ANN: AVAILABLE}


async def test_who_may_not_see_a_contact_is_not_told_when_it_changes() -> None:
    """Neither by a notification nor by a fetch that names it: when somebody comes and goes is not its business."""
    async with facade_desk() as desk:
        desk.watch(ANN, BOB)
        desk.read(ANN)
        desk.read(BOB)
        program = await desk.program("support", "anybody")
        subscription = await program.subscribe(ANN, BOB)
        assert await program.fetch(subscription) == {ANN: AVAILABLE, BOB: "UNKNOWN"}
        desk.notified.clear()
        desk.read(BOB, BUSY)
        await desk.settle()
        desk.core.store.unwatch([BOB])
        await desk.settle()
        desk.watch(BOB)
        desk.read(BOB)
        await desk.settle()
        assert desk.notified == []
        assert await program.fetch(subscription) == {}
        desk.read(ANN, BUSY)
        await desk.settle()
        assert desk.notified == [subscription.id]
        everything = {**USERS, "support": FacadeUser(Secret("desk"), frozenset({"*"}))}
        assert await program.fetch(subscription) == {ANN: BUSY}
        desk.facade.reload(everything)
        await desk.settle()
        assert await program.fetch(subscription) == {ANN: BUSY, BOB: AVAILABLE}
