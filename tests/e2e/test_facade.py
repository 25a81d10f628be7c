"""`pws serve` with a façade, before `pws simulate`: programs speak SOAP to the one as they would to the other."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from pws_soap import PwsClient
from pws_soap.errors import LoginRefused
from pws_soap.models import PresenceState
from tests.e2e.processes import eventually
from tests.e2e.simulated import Server, Service, configure
from tests.support.ports import free_port

ANN, JOE, RITA = "ann@example.com", "joe@example.com", "rita@example.com"


def facade(directory: Path, port: int, more: str = "") -> dict[str, Any]:
    """The sections of a façade on that port, for `configure`; it writes the file with its user's password."""
    password = directory / "seat"
    password.write_text("a seat\n", "utf-8")
    password.chmod(0o600)
    return {
        "facade": f'listen_port = {port}\naddress = "http://127.0.0.1:{port}"\n{more}',
        "facade.users.attendant": 'password_file = "seat"\nend_users = ["dispatcher"]',
    }


@asynccontextmanager
async def endpoint() -> AsyncIterator[tuple[str, asyncio.Queue[str]]]:
    """A program's endpoint: its URL, and the queries that come."""
    queries = asyncio.Queue[str]()

    async def come(request: web.Request) -> web.Response:
        queries.put_nowait(request.query_string)
        return web.Response()

    app = web.Application()
    app.router.add_get("/told", come)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/told", queries
    finally:
        await runner.cleanup()


async def story(url: str, server: Server) -> None:
    """What a program does in its life."""
    async with PwsClient(url, wsdl="live") as pws, endpoint() as (told, queries):
        application = await pws.login("attendant", "a seat")
        user = await pws.login_end_user(application, "dispatcher")
        (ann, stranger) = await pws.get_polled_presence(user, [ANN, "nobody@example.com"], rich=True)
        assert (ann.display_name, ann.state) == ("Ann Example", PresenceState.AVAILABLE)
        assert stranger.state is PresenceState.UNKNOWN
        subscription = await pws.subscribe(user, await pws.register_endpoint(application, told), [ANN, JOE])
        assert await asyncio.wait_for(queries.get(), 30) == f"id={subscription.id}&eventType=PRESENCE_NOTIFICATION"
        assert len(await pws.get_subscribed_presence(user, subscription, rich=True)) == 2
        server.put(JOE, state="BUSY", activities=["on-the-phone"])
        await asyncio.wait_for(queries.get(), 30)
        (joe,) = await pws.get_subscribed_presence(user, subscription, rich=True)
        assert (joe.contact, joe.state, joe.on_the_phone) == (JOE, PresenceState.BUSY, True)
        await pws.set_presence(user, PresenceState.AWAY)
        await pws.logout(application)


def test_a_program_lives_with_the_facade_as_with_the_server(tmp_path: Path) -> None:
    """One subscription upstream, whatever programs do; setPresence reaches the server; SIGHUP takes a user away."""
    port = free_port()
    with Server(tmp_path) as server:
        server.ready()
        server.put(ANN, state="AVAILABLE", display_name="Ann Example")
        server.put(JOE, state="AWAY")
        site = configure(tmp_path, server.port, tls=None, **facade(tmp_path, port, "set_presence = true"))
        with Service(tmp_path, site) as service:
            service.ready()
            before = server.holds()
            asyncio.run(story(f"http://127.0.0.1:{port}", server))
            assert server.holds() == before
            contacts = server.control.get("/control/contacts").json
            assert "dispatcher@example.com" in str(contacts)

            configuration = tmp_path / "pws.toml"
            text = configuration.read_text("utf-8").replace("[facade.users.attendant]", "[facade.users.other]")
            configuration.write_text(text, "utf-8")
            service.signal(signal.SIGHUP)
            eventually(lambda: _assert_refused(port))
            assert service.stop() == 0
            assert "a seat" not in service.output


def _assert_refused(port: int) -> None:
    async def is_refused() -> bool:
        async with PwsClient(f"http://127.0.0.1:{port}") as pws:
            try:
                await pws.login("attendant", "a seat")
            except LoginRefused:
                return True
            return False

    assert asyncio.run(is_refused())


@pytest.mark.long(ci=True)
def test_a_service_lives_behind_the_facade_of_another(tmp_path: Path) -> None:
    """Two levels deep: changes arrive, and what the lower one loses is not live in the upper one, until it is back."""
    low, high = tmp_path / "low", tmp_path / "high"
    low.mkdir()
    high.mkdir()
    port = free_port()
    with Server(low) as server:
        server.ready()
        for contact in (ANN, JOE, RITA):
            server.put(contact, state="AVAILABLE", display_name=contact)
        sections = facade(low, port, "unsure_after = 5") | {"fetch": "heartbeat_interval = 2"}
        lower_site = configure(low, server.port, tls=None, **sections)
        with Service(low, lower_site) as lower:
            lower.ready()
            upper_site = configure(
                high, port, application='username = "attendant"\npassword = "a seat"', fetch="heartbeat_interval = 2"
            )
            with Service(high, upper_site) as upper:
                upper.ready()
                upper.sees(ANN, state="AVAILABLE", freshness="live", display_name=ANN)
                server.put(ANN, state="BUSY", activities=["on-the-phone"])
                upper.sees(ANN, state="BUSY", freshness="live", on_the_phone=True)
                server.node("down")
                lower.sees(ANN, freshness="stale")
                eventually(lambda: _assert_unsure(upper))
                server.put(ANN, state="DND")
                server.node("up")
                upper.sees(ANN, state="DND", freshness="live")
                assert upper.stop() == 0
            assert lower.stop() == 0


def _assert_unsure(service: Service) -> None:
    """Nobody who asks is told that it is as it was."""
    ann = service.site.get(f"/v1/presence/{ANN}").json
    assert ann["freshness"] != "live" or ann["state"] == "UNKNOWN"
