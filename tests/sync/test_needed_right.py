"""Rights at the presence server: asked right before a request leaves, and what is not sent without one."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from pws_soap import lifecycle
from pws_soap.lifecycle import Act, Command, FailureKind, Key, Kind, failure_of
from pws_soap.memory import MemoryTransport
from pws_soap.models import Endpoint, Secret, Session, SessionKind
from pws_soap.transport import Reply
from service.core.clock import ManualClock
from service.core.rights import ALL_RIGHTS
from service.sync.budget import BudgetedTransport, RequestBudget
from service.sync.commands import CommandRunner, Credentials
from service.sync.needed_right import RightLost, renewing, require

READS = ("getSubscribedPresence", "getPolledPresence")
MAKES = ("login", "logout", "registerEndPoint", "unregisterEndPoint", "subscribe", "unsubscribe", "setPresence")
NODE = "https://imp1"
APPLICATION = Key(Kind.APPLICATION, NODE)
ENDPOINT = Key(Kind.ENDPOINT, NODE)


@dataclass
class SomeRights:
    """As a test says."""

    make: bool = True
    read: bool = True

    def may_make(self) -> bool:
        return self.make

    def may_read(self) -> bool:
        return self.read


@pytest.mark.parametrize("operation", READS + MAKES)
@pytest.mark.parametrize("make", [False, True])
@pytest.mark.parametrize("read", [False, True])
def test_which_right_a_request_needs(operation: str, make: bool, read: bool) -> None:
    """Fetches and polls read, all else makes; a renewal has the name of what it renews, and reads."""
    rights = SomeRights(make, read)
    if read if operation in READS else make:
        require(rights, operation)
    else:
        with pytest.raises(RightLost, match=operation):
            require(rights, operation)
    with renewing():
        if read:
            require(rights, operation)
        else:
            with pytest.raises(RightLost):
                require(rights, operation)


def test_one_process_has_all_rights() -> None:
    """It shares its application user with nobody."""
    assert ALL_RIGHTS.may_make()
    assert ALL_RIGHTS.may_read()


async def test_a_right_is_asked_after_the_wait() -> None:
    """It may go while a request waits for its turn. Then nothing is sent, and the node is not to blame."""
    clock, rights, wire = ManualClock(), SomeRights(), MemoryTransport([Reply(200, b"")] * 3)
    transport = BudgetedTransport(wire, RequestBudget(1, clock, burst=1), rights=rights)
    await transport.post(NODE, b"", {}, operation="login")
    logout = asyncio.create_task(transport.post(NODE, b"", {}, operation="logout"))
    fetch = asyncio.create_task(transport.post(NODE, b"", {}, operation="getSubscribedPresence"))
    await clock.run(0.5)
    rights.make = False
    await clock.run(3)
    with pytest.raises(RightLost) as lost:
        await logout
    await fetch
    assert [each.operation for each in wire.sent] == ["login", "getSubscribedPresence"]
    failure = failure_of(lost.value)
    assert (failure.kind, failure.may_have_acted) == (FailureKind.SERVER, False)


class OneNode:
    """A node's client that asks for its right and does nothing."""

    def __init__(self, rights: SomeRights) -> None:
        self._rights = rights

    async def login(self, *_: object, **__: object) -> Session:
        require(self._rights, "login")
        return Session("app", SessionKind.APPLICATION, NODE, Secret("key"))

    async def register_endpoint(self, *_: object, **__: object) -> Endpoint:
        require(self._rights, "registerEndPoint")
        return Endpoint(1, Secret("http://here/path"), 3600)

    async def renew_endpoint(self, *_: object, **__: object) -> None:
        require(self._rights, "registerEndPoint")


async def test_without_the_right_to_make_what_is_there_is_renewed() -> None:
    """Commands say what they need: a renewal goes on, and nothing is made."""
    rights = SomeRights()
    at_work = {APPLICATION: lifecycle.Resource(APPLICATION, seq=1)}
    runner = CommandRunner(
        Credentials("app", Secret("password"), Secret("http://here/path")),
        lambda _node: OneNode(rights),  # type: ignore[arg-type, return-value]  # all of a client that is used here
        ManualClock(),
        lambda: at_work,
    )
    assert isinstance(await runner.run(Command(Act.MAKE, APPLICATION, 1)), lifecycle.Succeeded)
    rights.make = False
    made = await runner.run(Command(Act.MAKE, ENDPOINT, 2))
    assert isinstance(made, lifecycle.Failed)
    assert "not sent" in made.failure.text
    assert isinstance(await runner.run(Command(Act.RENEW, ENDPOINT, 3, id=1)), lifecycle.Succeeded)
    rights.read = False
    assert isinstance(await runner.run(Command(Act.RENEW, ENDPOINT, 4, id=1)), lifecycle.Failed)
