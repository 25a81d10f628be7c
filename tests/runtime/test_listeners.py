"""Two listeners on real sockets: the API on one, the server's notifications on the other; and who is believed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
from ipaddress import ip_network

import pytest

from pws_soap.models import Secret
from service.access.authentication import AccessRules, Authenticator
from service.access.keys import KeyRing
from service.access.networks import Sources
from service.access.rate_limit import RateLimiter
from service.api.app import create_app
from service.api.middleware.limits import MAX_BODY
from service.api.routes.callback import Callback, alone
from service.core.clock import ManualClock
from service.runtime.server import CannotStart, Server, listen
from tests.support.asgi import call
from tests.support.bare_service import AVAILABLE, SECRET, BareService, presence
from tests.support.fake_engine import FakeEngine
from tests.support.listeners import apart, running
from tests.support.people import ANN, bearer, coming_from, guarded

GOOD = f"/pws/{SECRET}?id=5&eventType=PRESENCE_NOTIFICATION"
METHODS = ("GET", "HEAD", "POST", "DELETE", "OPTIONS")


async def ask(port: int, target: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """One request on a connection of its own, with the headers as they are."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write("\r\n".join([*lines, "", ""]).encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.close()
        await writer.wait_closed()
    first, *rest = head.decode().split("\r\n")
    found = dict(line.lower().split(": ", 1) for line in rest)
    found.pop("date", None)
    return int(first.split()[1]), found, body


async def test_ready_is_said_once_when_both_listeners_are_served() -> None:
    office, callback = apart()
    said = asyncio.Queue[str]()
    async with running(office, callback, ready=lambda: said.put_nowait("ready")) as (api, notifications):
        assert await asyncio.wait_for(said.get(), 30) == "ready"
        assert (await ask(api, "/livez"))[0] == 200
        assert (await ask(notifications, GOOD))[0] == 200
    assert said.empty()


async def test_each_listener_has_its_own_routes_and_no_others() -> None:
    office, callback = apart()
    async with running(office, callback) as (api, notifications):
        assert (await ask(api, "/v1/status"))[0] == 200
        assert (await ask(api, GOOD))[0] == 404
        assert office.engine.notifications == []
        assert (await ask(notifications, GOOD))[0] == 200
        assert office.engine.notifications == [(5, "")]
        nothing = await ask(notifications, "/pws/wrong")
        assert nothing[0] == 404
        assert nothing[2] == b""
        for target in (
            "/",
            "/v1/status",
            "/docs",
            "/openapi.json",
            "/livez",
            "/pws",
            "/pws/",
            f"/pws/{SECRET}/a/b",
            f"/pws/{SECRET}/",
        ):
            assert await ask(notifications, target) == nothing
        assert SECRET not in str(nothing)


async def test_both_stop_together_and_the_one_who_closes_is_called_first() -> None:
    office, callback = apart()
    closed: list[bool] = []

    async with running(office, callback, closing=lambda: closed.append(True)) as ports:
        for port in ports:
            await ask(port, "/")
    assert closed == [True]
    for port in ports:
        with pytest.raises(OSError):
            await ask(port, "/")


@pytest.mark.parametrize("turns", range(6))
async def test_a_client_that_connects_in_the_moment_of_the_stop_does_not_hold_it_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, turns: int
) -> None:
    """However far its connection is then: accepted and no more, or made; the stop ends it with the others."""
    office, stopping = BareService(), asyncio.Event()
    with socket.socket() as client:

        class Stops(Server):
            async def main_loop(self) -> None:
                client.connect(self.servers[0].sockets[0].getsockname())
                stopping.set()
                for _ in range(turns):
                    await asyncio.sleep(0)

        monkeypatch.setattr("service.runtime.server.Server", Stops)
        async with running(office, None):
            await stopping.wait()
        client.settimeout(30)
        with contextlib.suppress(ConnectionResetError):  # by the kernel, where it was not accepted
            assert client.recv(1) == b""
    assert "Cancel" not in caplog.text, "uvicorn had to end nothing by force"


async def test_a_port_in_use_is_told_with_its_keys() -> None:
    with contextlib.closing(listen("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotStart, match=rf"127\.0\.0\.1:{port} \(callback\.listen_host, .*: it is in use"):
            listen("127.0.0.1", port, "callback.listen_host, callback.listen_port")


async def test_nobody_is_believed_about_where_they_come_from() -> None:
    """uvicorn would believe 127.0.0.1: its clients could be as many as they like, and come from anywhere."""
    clock = ManualClock()
    office = BareService(clock=clock, authenticator=Authenticator(rate_limiter=RateLimiter(clock, 1, 1), clock=clock))
    sources = Sources([ip_network("10.0.0.0/8")])
    async with running(office, Callback(office.engine, Secret(SECRET), clock, sources)) as (api, notifications):
        assert (await ask(api, "/v1/status", X_Forwarded_For="10.0.0.1"))[0] == 200
        assert (await ask(api, "/v1/status", X_Forwarded_For="10.0.0.2"))[0] == 429
        assert (await ask(notifications, GOOD, X_Forwarded_For="10.0.0.1"))[0] == 404
    assert office.engine.notifications == []


async def test_a_stream_ends_when_its_key_is_revoked() -> None:
    """The connection with it, before anything more is told."""
    office = guarded()
    assert office.authenticator is not None
    async with running(office, None) as (api,), asyncio.timeout(60):
        reader, writer = await asyncio.open_connection("127.0.0.1", api)
        key = bearer("reader")["Authorization"]
        writer.write(f"GET /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: {key}\r\n\r\n".encode())
        assert b"event: snapshot" in await reader.readuntil(b"event: snapshot")
        await reader.readuntil(b"\n\n")
        office.authenticator.rules = AccessRules(KeyRing(), None)
        office.read([presence(ANN, AVAILABLE)])
        rest = await reader.readuntil(b"0\r\n\r\n")
        assert b"event: change" not in rest
        writer.close()
        await writer.wait_closed()


async def test_a_trusted_proxy_is_believed() -> None:
    office, callback = apart(sources=Sources([ip_network("10.0.0.0/8")], [ip_network("127.0.0.0/8")]))
    async with running(office, callback) as (_, notifications):
        assert (await ask(notifications, GOOD, X_Forwarded_For="8.8.8.8, 10.0.0.1"))[0] == 200
        assert (await ask(notifications, GOOD, X_Forwarded_For="10.0.0.1, 8.8.8.8"))[0] == 404
        assert (await ask(notifications, GOOD))[0] == 404
    assert office.engine.notifications == [(5, "")]


# --- without sockets: what a stranger can tell apart, and what the operator hears


def listener(sources: Sources) -> tuple[FakeEngine, Callback]:
    engine = FakeEngine()
    return engine, Callback(engine, Secret(SECRET), ManualClock(), sources)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shared", [False, True], ids=["on its own", "beside the API"])
async def test_who_may_not_send_cannot_tell_that_from_a_wrong_secret(method: str, shared: bool) -> None:
    sources = Sources([ip_network("10.0.0.11")])
    engine, callback = listener(sources)
    app = alone(callback, MAX_BODY)
    if shared:
        office = BareService()
        app = create_app(office.engine, office.core, callback_secret=Secret(SECRET), version="1", sources=sources)
        engine = office.engine
    stranger = await call(coming_from("10.0.0.12", app), method, GOOD)
    wrong = await call(coming_from("10.0.0.11", app), method, GOOD.replace(SECRET, "wrong"))
    assert (stranger.status, stranger.headers, stranger.body) == (404, wrong.headers, wrong.body)
    assert (engine.notifications, engine.rejections) == ([], 0)
    allowed = await call(coming_from("::ffff:10.0.0.11", app), method, GOOD)
    assert allowed.status == (200 if method == "GET" else 405)


async def test_the_operator_hears_of_it_seldom_and_without_the_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    _, callback = listener(Sources([ip_network("10.0.0.11")], [ip_network("192.0.2.1")]))
    app = alone(callback, MAX_BODY)
    for _ in range(5):
        for address in ("10.0.0.12", "10.0.0.13", "192.0.2.1"):
            await call(coming_from(address, app, {"x-forwarded-for": "no\x1b[31m address"}), "GET", GOOD)
        await call(coming_from("10.0.0.14", app), "GET", "/pws/wrong")
    told = [record.getMessage() for record in caplog.records if record.name == "pws.service"]
    assert told == [
        "refused a notification from 10.0.0.12, which callback.allow_from does not name",
        "refused a notification from 10.0.0.13, which callback.allow_from does not name",
        "refused a notification from an unreadable X-Forwarded-For of 192.0.2.1, which callback.allow_from does not "
        "name",
    ]
    assert SECRET not in caplog.text


async def test_a_body_that_is_too_large_is_refused_there_too() -> None:
    _, callback = listener(Sources())
    answer = await call(alone(callback, 100), "GET", GOOD, body=b"x" * 101)
    assert answer.status == 413
    assert SECRET not in json.dumps(answer.json())


def test_a_listener_on_ipv6_works_as_well() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        found = listen("::1", 0)
    except CannotStart:
        pytest.skip("no IPv6 on loopback")
    with found:
        assert (found.family, found.getsockname()[0]) == (socket.AF_INET6, "::1")
