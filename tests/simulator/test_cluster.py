"""The cluster in one process: requests by hand, faults on their way, outages, time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from lxml import etree

from pws_soap.simulator import (
    ConnectionAborted,
    Fault,
    NodeCondition,
    NodeDown,
    Options,
    Presence,
    Simulator,
    State,
    User,
)
from tests.support.soap_by_hand import (
    ANN,
    JOE,
    PWS,
    contacts_list,
    envelope,
    fetch,
    login,
    login_end_user,
    poll,
    register,
    subscribe,
)

from .talk import Callback, StillClock, header, post, ready, settle


@dataclass
class Room:
    """A simulator of two nodes with Ann and Joe, its clock and its callback."""

    simulator: Simulator
    clock: StillClock
    callback: Callback


def room_of(options: Options | None = None, nodes: tuple[str, ...] = ("imp1", "imp2")) -> Room:
    """A room with these options."""
    clock, callback = StillClock(), Callback()
    simulator = Simulator(options, nodes=nodes, clock=clock, sleep=clock.sleep, notify=callback, seed=3)
    simulator.put([Presence(ANN, State.AVAILABLE), Presence(JOE, State.AVAILABLE)])
    return Room(simulator, clock, callback)


@pytest.fixture
async def room() -> AsyncIterator[Room]:
    """A room with the default options."""
    made = room_of()
    yield made
    await made.simulator.aclose()


async def states(room: Room, user: str) -> dict[str, str]:
    """What a fetch of subscription 1 says."""
    return (await post(room.simulator, fetch(), user)).states


async def test_a_change_is_notified_and_fetched(room: Room) -> None:
    """The whole way by hand-written SOAP."""
    _, user = await ready(room.simulator)
    assert await states(room, user) == {ANN: "AVAILABLE", JOE: "AVAILABLE"}
    assert room.simulator.change(ANN, state=State.BUSY)
    assert not room.simulator.change(ANN, state=State.BUSY)
    await room.simulator.drain()
    assert room.callback.ids == [1, 1]
    assert await states(room, user) == {ANN: "BUSY"}
    assert await states(room, user) == {}
    assert room.simulator.counters.requests["getSubscribedPresence"] == 3
    assert room.simulator.delivery.counts["sent"] == 2


async def test_codes_come_in_the_order_in_which_a_server_can_know(room: Room) -> None:
    """Unreadable before the key, the key before what is wrong with the arguments, those before whose they are."""
    assert (await post(room.simulator, "<x/>")).code == 103
    assert (await post(room.simulator, poll())).code == 100
    assert (await post(room.simulator, poll(), "wrong")).code == 101
    assert (await post(room.simulator, login().replace("password", "word"))).code == 112
    room.simulator.counters.faults.pop(112)
    application, _ = await ready(room.simulator)
    assert (await post(room.simulator, poll(), application)).code == 146
    assert (await post(room.simulator, poll(ANN), application)).code == 140
    assert room.simulator.counters.faults == {103: 1, 100: 1, 101: 1, 146: 1, 140: 1}
    assert room.simulator.counters.requests["unreadable"] == 1


async def test_a_chunked_request_is_refused(room: Room) -> None:
    """The server wants a Content-Length (K)."""
    reply = await room.simulator.post("imp1", {"Transfer-Encoding": "chunked"}, envelope(login()))
    assert b"<code>150</code>" in reply.body
    assert reply.close


async def test_a_set_presence_is_heard_by_every_watcher_and_ends_in_time(room: Room) -> None:
    """The task wakes up when it is due, or when the clock is moved beyond it."""
    _, user = await ready(room.simulator)
    me = "dispatcher@example.com"
    added = (
        f'<subscribe xmlns="{PWS}">{contacts_list(me)}<subscriptionType>PRESENCE_NOTIFICATION</subscriptionType>'
        "<expiration>86400</expiration><endPointID>1</endPointID><subscriptionID>1</subscriptionID></subscribe>"
    )
    set_busy = (
        f'<setPresence xmlns="{PWS}"><presenceType>BASIC_PRESENCE</presenceType><presenceInfo>'
        "<basicPresence>BUSY</basicPresence><override>true</override></presenceInfo><expiration>3600</expiration>"
        "</setPresence>"
    )
    assert (await post(room.simulator, added, user)).code is None
    assert (await states(room, user))[me] == "UNKNOWN"
    assert (await post(room.simulator, set_busy, user)).text("status") == "SUCCESS"
    assert await states(room, user) == {me: "BUSY"}
    await room.clock.advance(3599)
    assert await states(room, user) == {}
    await room.clock.advance(1)
    assert await states(room, user) == {me: "UNAVAILABLE"}
    await post(room.simulator, set_busy, user)
    await post(room.simulator, set_busy, user)
    assert await states(room, user) == {me: "BUSY"}
    room.simulator.move_clock(3600)
    assert await states(room, user) == {me: "UNAVAILABLE"}


async def test_moving_the_clock_lets_things_expire(room: Room) -> None:
    """Simulated time is the clock's and an offset."""
    application, user = await ready(room.simulator)
    room.simulator.move_clock(3600)
    assert room.simulator.now() - room.clock() == 3600
    assert (await post(room.simulator, fetch(), user)).code == 133
    assert (await post(room.simulator, subscribe(ANN), user)).code == 132
    assert (await post(room.simulator, register(), application)).text("endPointID") == "1"


# Faults on the way


async def hit(room: Room, kind: str, user: str, **values: object) -> None:
    """Inject a fault of the next fetch."""
    room.simulator.faults.add(Fault(kind, operation="getSubscribedPresence", count=1, **values))  # type: ignore[arg-type]  # a test's own values


async def test_a_reply_is_lost_after_it_was_consumed(room: Room) -> None:
    """The changes are gone with it: only a poll finds them."""
    _, user = await ready(room.simulator)
    await hit(room, "lose-reply", user)
    with pytest.raises(ConnectionAborted) as caught:
        await states(room, user)
    assert caught.value.partial is None
    assert await states(room, user) == {}
    assert (await post(room.simulator, poll(ANN), user)).states == {ANN: "AVAILABLE"}


async def test_a_request_is_reset_before_anything_was_done(room: Room) -> None:
    """abort-request consumes nothing."""
    _, user = await ready(room.simulator)
    await hit(room, "abort-request", user)
    with pytest.raises(ConnectionAborted):
        await states(room, user)
    assert len(await states(room, user)) == 2


async def test_a_truncated_reply(room: Room) -> None:
    """It breaks off in the middle, consumed."""
    _, user = await ready(room.simulator)
    await hit(room, "truncate-reply", user, fraction=0.25)
    with pytest.raises(ConnectionAborted) as caught:
        await states(room, user)
    partial = caught.value.partial
    assert partial is not None
    assert partial.cut == len(partial.body) // 4
    assert await states(room, user) == {}


@pytest.mark.parametrize(
    ("kind", "begins"), [("garble-reply", b"<?xml"), ("html-reply", b"<html"), ("empty-reply", b"")]
)
async def test_a_reply_that_is_none(room: Room, kind: str, begins: bytes) -> None:
    """Garbled, a page of HTML, or empty: not XML, consumed, HTTP 200."""
    _, user = await ready(room.simulator)
    await hit(room, kind, user)
    reply = await room.simulator.post("imp1", {}, envelope(fetch(), user))
    assert reply.status == 200
    assert reply.body.startswith(begins)
    with pytest.raises(etree.XMLSyntaxError):
        etree.fromstring(reply.body)
    assert header(reply.headers, "content-length") == str(len(reply.body))
    assert await states(room, user) == {}


@pytest.mark.parametrize(
    ("kind", "consumed_at_once"), [("delay-reply", True), ("delay-request", False), ("slow-reply", True)]
)
async def test_a_slow_reply(room: Room, kind: str, consumed_at_once: bool) -> None:
    """Before anything is done, or after."""
    _, user = await ready(room.simulator)
    await hit(room, kind, user, seconds=30)
    task = asyncio.create_task(states(room, user))
    await settle()
    pending = room.simulator.place("imp1").node.registry.subscriptions[1].pending
    assert (not pending) is consumed_at_once
    await room.clock.advance(29)
    assert not task.done()
    await room.clock.advance(1)
    assert len(await task) == 2


@pytest.mark.parametrize(("body", "length"), [("envelope", True), ("bare", True), ("empty", False)])
async def test_a_503(room: Room, body: str, length: bool) -> None:
    """With and without a body; nothing is consumed."""
    _, user = await ready(room.simulator)
    await hit(room, "http-503", user, body=body, code=212)
    reply = await room.simulator.post("imp1", {}, envelope(fetch(), user))
    assert (reply.status, bool(reply.body), b"<code>212</code>" in reply.body) == (503, length, length)
    assert len(await states(room, user)) == 2


async def test_any_code_can_be_injected(room: Room) -> None:
    """refuse."""
    _, user = await ready(room.simulator)
    await hit(room, "refuse", user, code=200)
    assert (await post(room.simulator, fetch(), user)).code == 200
    assert len(await states(room, user)) == 2


async def test_connections_are_closed_as_gsoap_does(room: Room) -> None:
    """After a fault (option close_after_fault), and where a fault says so."""
    assert (await room.simulator.post("imp1", {}, envelope(poll(ANN)))).close
    assert not (await room.simulator.post("imp1", {}, envelope(login()))).close
    room.simulator.faults.add(Fault("close-after-reply", count=1))
    assert (await room.simulator.post("imp1", {}, envelope(login()))).close
    lasting = room_of(Options(close_after_fault=False))
    assert not (await lasting.simulator.post("imp1", {}, envelope(poll(ANN)))).close


# Outages


async def test_a_node_that_is_down_refuses_and_one_that_comes_back_remembers(room: Room) -> None:
    """set_state forgets nothing; notifications of the time between are lost, and the latch is closed."""
    _, user = await ready(room.simulator)
    await states(room, user)
    room.simulator.set_state("imp1", NodeCondition.DOWN)
    with pytest.raises(NodeDown):
        await states(room, user)
    room.simulator.change(ANN, state=State.BUSY)
    room.simulator.set_state("imp1", NodeCondition.UP)
    await room.simulator.drain()
    assert room.callback.ids == [1]
    assert room.simulator.place("imp1").node.notifications.withheld == {"node down": 1}
    room.simulator.change(JOE, state=State.BUSY)
    await room.simulator.drain()
    assert room.callback.ids == [1]
    assert await states(room, user) == {ANN: "BUSY", JOE: "BUSY"}


async def test_a_hung_node_answers_when_it_is_back(room: Room) -> None:
    """And not before."""
    _, user = await ready(room.simulator)
    room.simulator.set_state("imp1", NodeCondition.HUNG)
    task = asyncio.create_task(states(room, user))
    await room.clock.advance(3000)
    assert not task.done()
    room.simulator.set_state("imp1", NodeCondition.UP)
    assert len(await task) == 2


async def test_what_a_node_worked_on_when_it_went_down_is_broken_off(room: Room) -> None:
    """Hung or delayed requests end with their connection."""
    _, user = await ready(room.simulator)
    await hit(room, "delay-reply", user, seconds=10)
    delayed = asyncio.create_task(states(room, user))
    await settle()
    room.simulator.set_state("imp1", NodeCondition.HUNG)
    hung = asyncio.create_task(states(room, user))
    await settle()
    room.simulator.set_state("imp1", NodeCondition.DOWN)
    room.simulator.set_state("imp1", NodeCondition.UP)
    with pytest.raises(ConnectionAborted):
        await hung
    await room.clock.advance(10)
    with pytest.raises(ConnectionAborted):
        await delayed


async def test_a_restart_forgets_everything(room: Room) -> None:
    """Numbers begin again, keys don't come twice; states are told to anybody who listens."""
    application, user = await ready(room.simulator)
    seen: list[tuple[str, NodeCondition]] = []
    room.simulator.on_state = lambda name, state: seen.append((name, state))
    assert room.simulator.forget("everything", node="imp1") == 1
    assert seen == [("imp1", NodeCondition.DOWN), ("imp1", NodeCondition.UP)]
    assert (await post(room.simulator, fetch(), user)).code == 101
    again, _ = await ready(room.simulator)
    assert again != application


async def test_sessions_are_killed_one_users_or_all(room: Room) -> None:
    """With all that is theirs."""
    application, user = await ready(room.simulator)
    assert room.simulator.kill_sessions(user="nobody") == 0
    assert room.simulator.kill_sessions(user="dispatcher") == 1
    assert (await post(room.simulator, fetch(), user)).code == 101
    await post(room.simulator, login_end_user(application))
    assert room.simulator.kill_sessions(node="imp2") == 0
    assert room.simulator.kill_sessions() == 2
    assert (await post(room.simulator, register(), application)).code == 101


async def test_ids_are_forgotten(room: Room) -> None:
    """Endpoints or subscriptions, while the sessions live on."""
    application, user = await ready(room.simulator)
    assert room.simulator.forget("endpoints") == 1
    assert (await post(room.simulator, subscribe(ANN), user)).code == 132
    assert len(await states(room, user)) == 2
    assert room.simulator.forget("subscriptions") == 1
    assert (await post(room.simulator, fetch(), user)).code == 133
    assert (await post(room.simulator, register(), application)).text("endPointID") == "1"
    with pytest.raises(ValueError, match="what: expected endpoints"):
        room.simulator.forget("names")


async def test_end_users_move_to_the_backup_while_their_home_is_away() -> None:
    """Option failover; with it off they are redirected to a node that is down."""
    users = (User("pwsapp", "secret", application=True), User("dispatcher", home="imp2"))
    for failover in (True, False):
        room = room_of(Options(users=users, failover=failover), ("imp1", "imp2", "imp3"))
        application = (await post(room.simulator, login(), node="imp3")).text("session-key")
        redirect = (await post(room.simulator, login_end_user(application), node="imp3")).root.find(".//{*}redirect")
        assert redirect is not None
        assert dict(redirect.attrib) == {"primaryServer": "imp2", "backupServer": "imp3"}
        room.simulator.set_state("imp2", NodeCondition.HUNG)
        answer = await post(room.simulator, login_end_user(application), node="imp3")
        assert (answer.root.find(".//{*}redirect") is None) is failover


async def test_a_single_node_names_no_backup() -> None:
    """There is nobody else."""
    room = room_of(nodes=("alone",))
    answer = await post(room.simulator, login(), node="alone")
    success = answer.root.find(".//{*}success")
    assert success is not None
    assert dict(success.attrib) == {}
    assert repr(room.simulator) == "Simulator(alone: up)"


async def test_limits_set_by_hand(room: Room) -> None:
    """Load and rate, for one node or all."""
    room.simulator.set_rate_limit(1, node="imp2")
    for _ in range(2):
        assert (await post(room.simulator, login())).status == 200
    assert [(await post(room.simulator, login(), node="imp2")).code for _ in range(2)] == [None, 212]
    room.simulator.set_cpu(99)
    assert (await post(room.simulator, login())).code == 210
    assert (await post(room.simulator, login())).status == 503


# The world


async def test_people_come_in_bulk_and_leave(room: Room) -> None:
    """Every watcher hears of it; nobody is invented twice."""
    _, user = await ready(room.simulator)
    await states(room, user)
    first = room.simulator.populate(2)
    assert first == [ANN, JOE]
    assert await states(room, user) == {ANN: "UNAVAILABLE", JOE: "UNAVAILABLE"}
    more = room.simulator.populate(500)
    assert not set(more) & set(first)
    assert len(room.simulator.world) == 502
    assert room.simulator.remove(ANN)
    assert not room.simulator.remove(ANN)
    assert await states(room, user) == {ANN: "UNKNOWN"}


def test_nodes_have_different_names() -> None:
    """And there is at least one."""
    for nodes in ((), ("a", "a")):
        with pytest.raises(ValueError, match="nodes: expected different names"):
            Simulator(nodes=nodes)
    with pytest.raises(ValueError, match="node: expected one of imp1, got 'imp9'"):
        Simulator().place("imp9")
    assert len(Simulator().populate(3)) == 3
