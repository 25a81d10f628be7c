"""A second server: `pws_soap.server` with other logins and another source of presence, driven by the real client."""

from __future__ import annotations

import ast
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pws_soap import PwsClient
from pws_soap.errors import (
    Disconnected,
    Fault,
    LoginRefused,
    NotLoggedIn,
    RequestRefused,
    ServerTrouble,
    UnreadableReply,
)
from pws_soap.models import PresenceState
from pws_soap.server import HttpReply, Interception, ServerOptions, State, Watcher
from pws_soap.server import messages as m

from . import board as board_module
from .board import ANN, JOE, ServedBoard, endpoint, served_board


@pytest.fixture
async def board() -> AsyncIterator[ServedBoard]:
    """The board, listening."""
    async with served_board() as served:
        yield served


def test_it_is_built_without_the_simulator() -> None:
    """From the server's package alone."""
    tree = ast.parse(Path(str(board_module.__file__)).read_text())
    modules = {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {module for module in modules if module.startswith(("pws_soap", "service", "tests"))} == {"pws_soap.server"}


async def test_the_whole_way(board: ServedBoard) -> None:
    """Login, endpoint, subscription, notification, fetch, poll, logout."""
    async with endpoint() as callback, PwsClient(board.url) as pws:
        application = await pws.login("wall", "brick")
        user = await pws.login_end_user(application, "dispatcher")
        registered = await pws.register_endpoint(application, callback.url)
        subscription = await pws.subscribe(user, registered, [ANN, JOE])
        event = {"id": str(subscription.id), "eventType": "PRESENCE_NOTIFICATION"}
        assert await callback.next() == event
        fetched = await pws.get_subscribed_presence(user, subscription)
        assert {each.contact: each.state for each in fetched} == {ANN: PresenceState.AVAILABLE, JOE: PresenceState.AWAY}

        board.change(JOE, State.BUSY)
        assert await callback.next() == event
        (changed,) = await pws.get_subscribed_presence(user, subscription)
        assert (changed.contact, changed.state) == (JOE, PresenceState.BUSY)

        (polled,) = await pws.get_polled_presence(user, [ANN], rich=True)
        assert (polled.state, polled.display_name, polled.note) == (PresenceState.AVAILABLE, "Ann", "at her desk")
        assert set(board.board.asked) == {Watcher("dispatcher", "wall")}

        await pws.logout(application)
        with pytest.raises(NotLoggedIn) as refused:
            await pws.get_polled_presence(user, [ANN])
        assert refused.value.code == 101
        assert not board.service.node.registry.sessions


async def test_logins_are_decided_by_the_accounts(board: ServedBoard) -> None:
    """A wrong token is code 114, an end user of another application code 113."""
    async with PwsClient(board.url) as pws:
        with pytest.raises(LoginRefused) as wrong:
            await pws.login("wall", "stone")
        spare = await pws.login("spare", "stone")
        with pytest.raises(LoginRefused) as others:
            await pws.login_end_user(spare, "dispatcher")
        assert (wrong.value.code, others.value.code) == (114, 113)


async def test_presence_is_that_of_the_watcher(board: ServedBoard) -> None:
    """Who asks is told to the source."""
    board.board.private["guest"] = {ANN}
    async with PwsClient(board.url) as pws:
        application = await pws.login("wall", "brick")
        states = []
        for name in ("dispatcher", "guest"):
            user = await pws.login_end_user(application, name)
            (presence,) = await pws.get_polled_presence(user, [ANN])
            states.append(presence.state)
        assert states == [PresenceState.AVAILABLE, PresenceState.UNKNOWN]


async def test_presence_that_is_set_is_given_to_the_source(board: ServedBoard) -> None:
    """Which may refuse it with a code."""
    async with PwsClient(board.url) as pws:
        application = await pws.login("wall", "brick")
        user = await pws.login_end_user(application, "dispatcher")
        await pws.set_presence(user, PresenceState.AWAY)
        assert board.board.set_by == [("dispatcher", State.AWAY)]
        guest = await pws.login_end_user(application, "guest")
        with pytest.raises(RequestRefused) as refused:
            await pws.set_presence(guest, PresenceState.AWAY)
        assert refused.value.code == 120


class Interfering:
    """Refuses polls, answers logouts by itself, replaces the body of fetches, breaks off subscriptions."""

    async def arrived(self, node: str) -> Interception:
        return self

    async def before(self, request: m.Request) -> m.Refusal | HttpReply | None:
        match request.call:
            case m.GetPolledPresence():
                return m.Refusal(200)
            case m.Logout():
                return HttpReply(503, "text/plain", b"")
            case m.Subscribe():
                raise ConnectionAbortedError
        return None

    async def after(self, request: m.Request, reply: m.Reply | None, http_reply: HttpReply) -> HttpReply:
        assert (reply is None) == (request.operation == "logout")
        if isinstance(reply, m.EndPoint):
            return HttpReply(502, "text/html", b"<html/>", close=True)
        return http_reply


async def test_an_interceptor_answers_replaces_and_breaks_off() -> None:
    """Before the node's work and after it."""
    async with served_board(interceptor=Interfering()) as board, PwsClient(board.url) as pws:
        application = await pws.login("wall", "brick")
        user = await pws.login_end_user(application, "dispatcher")
        with pytest.raises(ServerTrouble) as refused:
            await pws.get_polled_presence(user, [ANN])
        assert refused.value.code == 200
        with pytest.raises(Disconnected):
            await pws.subscribe(user, 1, [ANN])
        with pytest.raises(Fault):
            await pws.logout(user)
        with pytest.raises(UnreadableReply):
            await pws.register_endpoint(application, "http://127.0.0.1:9/")
        assert len(board.service.node.registry.sessions) == 2
        assert len(board.service.node.registry.endpoints) == 1
        assert board.service.counters.replies["503"] == 1
        assert board.service.counters.faults == {200: 1}


async def test_options_of_the_server_are_kept() -> None:
    """As those of the simulator: an endpoint is told `etype`."""
    options = ServerOptions(notification_parameter="etype")
    async with served_board(options) as board, endpoint() as callback, PwsClient(board.url) as pws:
        application = await pws.login("wall", "brick")
        user = await pws.login_end_user(application, "guest")
        subscription = await pws.subscribe(user, await pws.register_endpoint(application, callback.url), [ANN])
        assert await callback.next() == {"id": str(subscription.id), "etype": "PRESENCE_NOTIFICATION"}
        assert "sessions=2, endpoints=1, subscriptions=1" in repr(board.service)
