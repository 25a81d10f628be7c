"""The façade's status: who is in trouble comes first, and all programs of a user are counted together."""

from __future__ import annotations

import pytest

from service.core.facade import FacadeUserStatus
from tests.facade.desk import ANN, BOB, BUSY, USERS, facade_desk

pytestmark = pytest.mark.asyncio


async def test_programs_in_trouble_come_first_and_users_have_the_sums() -> None:
    async with facade_desk(silent_after=100.0) as desk:
        desk.watch(ANN, BOB)
        desk.read(ANN)
        desk.read(BOB)
        silent = await desk.program("attendant", "supervisor")
        await silent.subscribe(ANN)
        await desk.pass_time(120)
        failing = await desk.program("support", "lobby")
        desk.refuse_notifications = "HTTP 500"
        await failing.subscribe(ANN)
        desk.refuse_notifications = ""
        well = await desk.program("attendant", "dispatcher")
        await well.fetch(await well.subscribe(ANN, BOB))
        await desk.client().login("support", USERS["support"].password)

        status = desk.facade.status()
        assert [(each.user, each.end_user) for each in status.programs] == [
            ("attendant", "supervisor"),
            ("support", "lobby"),
            ("attendant", "dispatcher"),
        ]
        assert (status.silent, status.programs_in_all) == (1, 3)
        first, second, third = (program.subscriptions[0] for program in status.programs)
        assert (first.silent, second.silent, third.silent) == (True, False, False)
        assert (second.failing_since, second.last_error, second.failed) == (desk.clock.now(), "HTTP 500", 1)
        assert status.users == [
            FacadeUserStatus("attendant", 3, 2, 2, 3, 1, desk.clock.now(), {"sent": 2, "failed": 0, "refused": 0}),
            FacadeUserStatus("support", 2, 1, 1, 1, 0, None, {"sent": 0, "failed": 1, "refused": 0}),
        ]
        assert desk.facade.status(programs=1).programs == status.programs[:1]
        assert desk.facade.status(programs=0).users == status.users


async def test_a_notification_that_is_answered_ends_the_failure() -> None:
    """How many have failed stays."""
    async with facade_desk() as desk:
        desk.watch(ANN)
        desk.read(ANN)
        program = await desk.program()
        desk.refuse_notifications = "no answer within 5 s"
        made = await program.subscribe(ANN)
        desk.refuse_notifications = ""
        await program.fetch(made)
        desk.read(ANN, BUSY)
        await desk.settle()
        (shown,) = desk.facade.status().programs[0].subscriptions
        assert (shown.notifications, shown.failed) == (2, 1)
        assert (shown.failing_since, shown.last_error) == (None, None)
        (user, _) = desk.facade.status().users
        assert user.notifications == {"sent": 1, "failed": 1, "refused": 0}


async def test_a_user_without_programs_is_shown_with_zeros() -> None:
    async with facade_desk() as desk:
        status = desk.facade.status()
        assert [(each.user, each.sessions, each.silent) for each in status.users] == [
            ("attendant", 0, 0),
            ("support", 0, 0),
        ]
        assert (status.programs, status.programs_in_all) == ([], 0)
        assert set(status.requests.values()) == {0}
