"""The log of a real service on a bad day: JSON from the first line to the last, one trace each, and no secret."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest

from pws_soap.simulator import Fault, Options, SimulatorServer, State, User
from pws_soap.simulator.cluster.nodes import session_keys
from service.access.keys import hash_of
from tests.e2e.processes import Running, Site, eventually
from tests.e2e.simulated import SECRET, Service, configure

PASSWORD: Final = 'correct "horse" & <battery> \\stäple'
"""With what is written otherwise in a repr, in JSON, in XML and in a URL."""
KEY: Final = f"pws_{'k' * 43}"
SEED: Final = 11
WRONG_KEY: Final = f"pws_{'w' * 43}"
FAULTS: Final = (
    "garble-reply",
    "lose-reply",
    "truncate-reply",
    "html-reply",
    "refuse",
    "replace-reply",
)


def lines(output: str) -> list[dict[str, Any]]:  # JSON is of any type
    return [json.loads(line) for line in output.splitlines()]


def given_out(server: SimulatorServer) -> set[str]:
    """All session keys that the server has given out: those that are made of its seed, up to the last one in use."""
    used = {key for place in server.simulator.places.values() for key in place.node.registry.sessions}
    make, keys = session_keys(SEED), set[str]()
    while not used <= keys:
        keys.add(make())
    return keys


@contextlib.asynccontextmanager
async def server_with_secrets() -> AsyncIterator[SimulatorServer]:
    """A server with three people, to which PASSWORD belongs."""
    options = Options(users=(User("pwsapp", PASSWORD, application=True), User("dispatcher")))
    async with SimulatorServer(options, control_port=None, seed=SEED) as server:
        server.simulator.populate(3)
        yield server


def with_secrets(directory: Path, server: SimulatorServer, log: str, key: str = "") -> Site:
    """A configuration with PASSWORD and KEY; `log` and `key` are lines of their sections."""
    site = configure(directory, server.nodes[0].port)
    (directory / "password").write_text(PASSWORD)
    with (directory / "pws.toml").open("a") as file:
        file.write(f'\n[log]\n{log}\n\n[keys.board]\nhash = "{hash_of(KEY)}"\n{key}\n')
    return site


@pytest.mark.parametrize("form", ["text", "json"])
async def test_no_secret_is_logged_on_a_bad_day(tmp_path: Path, form: str) -> None:
    """Everything at the level debug, while every kind of damage comes, sessions die, and clients send wrong things."""
    async with server_with_secrets() as server:
        site = with_secrets(
            tmp_path, server, f'format = "{form}"\nlevel = "debug"', 'scopes = ["read", "claim", "admin"]'
        )
        with Service(tmp_path, site) as service:

            def live() -> None:
                shown = json.loads(site.ask("GET", "/v1/presence", key=KEY).body)
                assert {each["freshness"] for each in shown["contacts"]} == {"live"}

            await asyncio.to_thread(eventually, live)
            for kind in FAULTS:
                for operation in ("getSubscribedPresence", "login", "subscribe"):
                    server.simulator.faults.add(Fault(kind, operation=operation, count=1))
                await asyncio.to_thread(site.ask, "POST", "/v1/refresh", key=KEY)
                server.simulator.kill_sessions()
                await asyncio.to_thread(site.ask, "POST", "/v1/refresh", key=KEY)
            for target in (f"/pws/{SECRET}", f"/pws/{SECRET}x", f"/pws/{SECRET}?id=x", f"/v1/presence/{KEY}"):
                await asyncio.to_thread(site.ask, "GET", target, key=WRONG_KEY)
            server.simulator.faults.clear()
            server.simulator.change("ann@example.com", state=State.BUSY)
            await asyncio.to_thread(eventually, live)
            keys = given_out(server)
            assert await asyncio.to_thread(service.stop) == 0
        output = service.output
        assert len(keys) > 4
    assert "cannot be fetched" in output
    assert "refused a request from" in output
    for secret in (PASSWORD, json.dumps(PASSWORD)[1:-1], SECRET, KEY, WRONG_KEY, *keys):
        assert secret not in output
    assert "horse" not in output
    if form == "json":
        assert {line["event"] for line in lines(output)} >= {"service.listening", "fetch.failed", "request.refused"}


BROKEN: Final = f"""
from pathlib import Path
from pws_soap.client import PwsClient
from service.cli import main
from service.core.presence.query import Reader

async def fetch(self, session, *_arguments, **_options):
    try:
        raise ValueError("the session is " + repr(session.key.reveal()))
    except ValueError as error:
        raise RuntimeError(Path("password").read_text(), Path("callback-secret").read_text(), [error]) from error

def look(self, *_arguments, **_options):
    raise KeyError("{KEY}")

PwsClient.get_subscribed_presence = fetch
Reader.one_until = look
main()
"""
"""A service with bugs whose errors quote every kind of secret: in a fetch, in the hot lane and in a route."""


@pytest.mark.parametrize("form", ["text", "json"])
async def test_no_secret_is_in_a_traceback(tmp_path: Path, form: str) -> None:
    async with server_with_secrets() as server:
        site = with_secrets(tmp_path, server, f'format = "{form}"')
        with Running([sys.executable, "-c", BROKEN, "serve"], tmp_path, "service.log") as service:

            def broken() -> None:
                assert site.ask("GET", "/v1/presence/ann@example.com", key=KEY).status == 500
                assert service.output.count("RuntimeError") > 1

            await asyncio.to_thread(eventually, broken)
            keys = given_out(server)
        output = service.output
    assert "Traceback" in output
    assert "the hot lane failed" in output
    assert "failed to answer GET /v1/presence/" in output
    assert "the session is '***'" in output
    for secret in (SECRET, KEY, *keys, "horse"):
        assert secret not in output
    if form == "json":
        failed = [line for line in lines(output) if line["event"] in {"internal.error", "request.failed"}]
        assert failed
        assert all("Traceback" in line["exception"] for line in failed)


async def test_one_id_leads_from_the_notification_to_the_event(tmp_path: Path) -> None:
    """And the event has the id that clients get."""
    async with SimulatorServer(control_port=None) as server:
        server.simulator.populate(3)
        site = configure(tmp_path, server.nodes[0].port)
        with (tmp_path / "pws.toml").open("a") as file:
            file.write('\n[log]\nformat = "json"\nlevel = "debug"\n')
        with Service(tmp_path, site) as service:
            await asyncio.to_thread(service.ready)
            server.simulator.change("ann@example.com", state=State.BUSY)
            await asyncio.to_thread(service.sees, "ann@example.com", state="BUSY", freshness="live")
            told = json.loads((await asyncio.to_thread(site.get, "/v1/presence/ann@example.com")).body)
            assert await asyncio.to_thread(service.stop) == 0
    written = lines(service.output)
    assert [line["event"] for line in written[:2]] == ["configuration.warning", "service.listening"]
    assert written[-1]["event"] == "service.stopped"
    (event,) = (line for line in written if line["event"] == "event.told" and line["id"] == told["revision"])
    assert event["contact"] == "ann@example.com"
    story = [line["event"] for line in written if line["trace"] == event["trace"]]
    assert story[0] == "notification.came"
    assert [name for name in story if not name.startswith("notification.")] == [
        "fetch.begun",
        "contact.changed",
        "event.told",
        "fetch.done",
    ]
    untraced = {line["event"] for line in written if line["trace"] is None}
    assert untraced.isdisjoint({"notification.came", "fetch.begun", "fetch.done", "poll.done"})


async def test_the_level_is_read_again(tmp_path: Path) -> None:
    """Where it was not given with the command."""
    async with SimulatorServer(control_port=None) as server:
        server.simulator.populate(1)
        site = configure(tmp_path, server.nodes[0].port)
        text = (tmp_path / "pws.toml").read_text()
        with Service(tmp_path, site) as service:
            await asyncio.to_thread(service.ready)
            (tmp_path / "pws.toml").write_text(f'{text}\n[log]\nlevel = "debug"\n')
            service.signal(signal.SIGHUP)
            await asyncio.to_thread(eventually, lambda: _has(service, "configuration read again"))
            await asyncio.to_thread(site.ask, "POST", "/v1/refresh")
            await asyncio.to_thread(eventually, lambda: _has(service, "fetch begins"))
            assert await asyncio.to_thread(service.stop) == 0


def _has(service: Service, text: str) -> None:
    assert text in service.output
