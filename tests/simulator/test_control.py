"""The control interface over HTTP."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from pws_soap.simulator import NodeCondition, SimulatorServer, State
from pws_soap.simulator.control.app import ROUTES
from pws_soap.simulator.faults.kinds import FORMS
from pws_soap.simulator.scripts.actions import KINDS
from tests.support.soap_by_hand import ANN

from .talk import ready


class Remote:
    """A tester with a simulator of two nodes."""

    def __init__(self, server: SimulatorServer, http: aiohttp.ClientSession) -> None:
        self.server = server
        self.simulator = server.simulator
        self._http = http

    async def ask(self, method: str, path: str, body: object = None, *, status: int = 200, raw: bytes = b"") -> Any:
        """The JSON of an answer, which must have that status."""
        url = self.server.control_url + "/control" + path
        data = {"data": raw} if raw else {"json": body} if body is not None else {}
        async with self._http.request(method, url, **data) as answer:
            content = await answer.json()
            assert answer.status == status, content
            return content

    async def error(self, status: int, method: str, path: str, body: object = None, *, raw: bytes = b"") -> str:
        """The message of an error, which must have that status."""
        content = await self.ask(method, path, body, status=status, raw=raw)
        assert content["error"]["status"] == status
        message = content["error"]["message"]
        assert isinstance(message, str)
        return message


@pytest.fixture
async def remote() -> AsyncIterator[Remote]:
    """A simulator with a control interface on loopback."""
    async with (
        SimulatorServer(nodes=("imp1", "imp2"), seed=1) as server,
        aiohttp.ClientSession() as http,
    ):
        yield Remote(server, http)


async def test_everything_is_listed_and_documented(remote: Remote) -> None:
    """`GET /control` knows every route and fault, and so does docs/simulator.md."""
    index = await remote.ask("GET", "")
    assert [(one["method"], one["path"]) for one in index["routes"]] == [(route[0], route[1]) for route in ROUTES]
    assert index["faults"] == KINDS
    documentation = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text()
    for method, path, *_ in ROUTES:
        assert f"`{method} {path}`" in documentation
    for kind in (*KINDS, *itertools.chain(*FORMS.values())):
        assert f"`{kind}`" in documentation


async def test_contacts_are_added_in_bulk_listed_and_taken_out(remote: Remote) -> None:
    """Invented ones and given ones."""
    made = await remote.ask("POST", "/contacts", {"count": 30, "seed": 2})
    assert made["contacts"][0] == ANN
    given = [{"contact": ANN, "state": "BUSY"}, {"contact": "eve@partner.example", "state": "AWAY", "federated": True}]
    assert (await remote.ask("POST", "/contacts", {"contacts": given}))["changed"] == 2
    page = await remote.ask("GET", "/contacts?offset=28&limit=2")
    assert page["total"] == 31
    assert len(page["contacts"]) == 2
    eve = await remote.ask("GET", "/contacts/eve@partner.example")
    assert (eve["state"], eve["basic"]) == ("AWAY", "UNKNOWN")
    assert await remote.ask("DELETE", f"/contacts/{ANN}") == {"removed": ANN}
    assert await remote.error(404, "GET", f"/contacts/{ANN}") == f"no contact {ANN}"
    assert await remote.error(404, "DELETE", f"/contacts/{ANN}") == f"no contact {ANN}"


async def test_a_contact_is_changed_basic_and_rich(remote: Remote) -> None:
    """All that a document can say."""
    device = {"id": "cmp-8001-162", "open": True, "audio": True, "address": "sip:8001@198.51.100.7:5060"}
    fields = {
        "state": "BUSY",
        "activities": ["on-the-phone"],
        "idle": True,
        "note": "Café & tea",
        "display_name": "Ann Example",
        "devices": [device],
    }
    shown = await remote.ask("PUT", f"/contacts/{ANN}", fields)
    assert {key: shown[key] for key in fields if key != "devices"} == {
        k: v for k, v in fields.items() if k != "devices"
    }
    assert shown["devices"][0].items() >= device.items()
    presence = remote.simulator.world.get(ANN)
    assert (presence.state, presence.note, presence.devices[0].audio) == (State.BUSY, "Café & tea", True)
    assert (await remote.ask("PUT", f"/contacts/{ANN}", {"note": None}))["note"] is None


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"state": "HERE"}, "state: expected one of"),
        ({"activities": "busy"}, "activities: expected a list of names"),
        ({"activities": ["<x>"]}, "activities: expected a list of names"),
        ({"idle": 1}, "idle: expected true or false"),
        ({"federated": "no"}, "federated: expected true or false"),
        ({"note": 5}, "note: expected text"),
        ({"note": "\u0001"}, "note: expected text that XML can hold"),
        ({"display_name": []}, "display_name: expected text"),
        ({"mood": "fine"}, "mood: no such key"),
        ({"devices": {}}, "devices: expected a list"),
        ({"devices": [5]}, "devices: expected an object with an id"),
        ({"devices": [{"id": "a", "colour": 1}]}, "devices: colour: no such key"),
        ({"devices": [{"id": "a", "open": "yes"}]}, "devices: open: expected true or false"),
        ({"devices": [{"id": "a", "priority": 1}]}, "devices: priority: expected text"),
    ],
)
async def test_a_wrong_field_is_named(remote: Remote, body: dict[str, object], message: str) -> None:
    """422, and nothing is changed."""
    assert message in await remote.error(422, "PUT", f"/contacts/{ANN}", body)
    assert ANN not in remote.simulator.world


@pytest.mark.parametrize(
    ("method", "path", "body", "message"),
    [
        ("PUT", "/contacts/ann", {}, "contact: expected user@domain"),
        ("POST", "/contacts", {}, "count: expected a whole number"),
        ("POST", "/contacts", {"count": 0}, "count: expected a whole number from 1"),
        ("POST", "/contacts", {"count": True}, "count: expected a whole number"),
        ("POST", "/contacts", {"number": 1}, "number: no such key"),
        ("POST", "/contacts", {"contacts": [5]}, "contacts: expected a list of objects"),
        ("POST", "/contacts", {"contacts": [{"state": "BUSY"}]}, "contact: expected user@domain"),
        ("GET", "/contacts?limit=many", None, "limit: expected a whole number from 0 to"),
        ("POST", "/faults", {"fault": "earthquake"}, "fault: expected one of"),
        ("POST", "/faults", {"fault": "lose-reply", "node": "imp9"}, "node: expected one of imp1, imp2"),
        ("POST", "/faults", {"fault": "stale-reply", "form": "old"}, "form: stale-reply expects one of plain, age"),
        ("POST", "/forget", {"what": "names"}, "what: expected endpoints"),
        ("POST", "/forget", {}, "what: expected endpoints"),
        ("POST", "/sessions/kill", {"name": "x"}, "name: kill-sessions takes no such key"),
        ("POST", "/nodes/imp1/down", {"for": -1}, "for: expected"),
        ("POST", "/clock", {}, "move: expected a number"),
        ("POST", "/office", {"speed": "fast"}, "speed: expected a number"),
        ("POST", "/office", {"speed": 0}, "speed: expected a number from 0.001 to 1000000000, got 0"),
        ("POST", "/office", {"start": 5}, "start: expected an hour from 7 to below 19, got 5"),
        ("POST", "/office", {"repeat": 1}, "repeat: expected true or false"),
    ],
)
async def test_wrong_values_are_named(remote: Remote, method: str, path: str, body: object, message: str) -> None:
    """422."""
    assert message in await remote.error(422, method, path, body)


async def test_what_cannot_be_read_or_is_not_there(remote: Remote) -> None:
    """400, 404 and 405, all as JSON."""
    assert "not JSON" in await remote.error(400, "POST", "/faults", raw=b"{")
    assert "not a JSON object" in await remote.error(400, "POST", "/faults", raw=b"[]")
    assert "not UTF-8" in await remote.error(400, "POST", "/scenario", raw=b"\xff")
    assert "not TOML" in await remote.error(422, "POST", "/scenario", raw=b"x")
    assert await remote.error(404, "GET", "/nothing") == "Not Found"
    assert await remote.error(404, "POST", "/nodes/imp9/down") == "no node imp9"
    assert "expected down, hang, up or restart" in await remote.error(404, "POST", "/nodes/imp1/sleep")
    assert await remote.error(404, "DELETE", "/faults/7") == "no fault 7 is switched on"
    assert await remote.error(404, "DELETE", "/faults/x") == "no fault x is switched on"
    assert await remote.error(405, "PATCH", "/contacts") == "Method Not Allowed"


async def test_what_a_node_keeps_is_shown_without_its_secrets(remote: Remote) -> None:
    """Keys shortened, urls without their path."""
    application, user = await ready(remote.simulator)
    sessions = (await remote.ask("GET", "/sessions"))["sessions"]
    assert [(one["user"], one["kind"], one["application"]) for one in sessions] == [
        ("pwsapp", "application", "pwsapp"),
        ("dispatcher", "end-user", "pwsapp"),
    ]
    assert [one["key"] for one in sessions] == [application[:4] + "...", user[:4] + "..."]
    (endpoint,) = (await remote.ask("GET", "/endpoints"))["endpoints"]
    assert (endpoint["id"], endpoint["user"], endpoint["url"]) == (1, "pwsapp", "http://127.0.0.1:8080/...")
    assert 3590 < endpoint["expires_in"] <= 3600
    (subscription,) = (await remote.ask("GET", "/subscriptions"))["subscriptions"]
    assert subscription["pending"] == [ANN, "joe@example.com"]
    assert (subscription["silent"], subscription["contacts"], subscription["user"]) == (True, 2, "dispatcher")
    everything = str(sessions) + str(endpoint) + str(subscription)
    for secret in (application, user, "/pws/path"):
        assert secret not in everything
    nodes = (await remote.ask("GET", "/nodes"))["nodes"]
    assert [(one["sessions"], one["endpoints"], one["subscriptions"]) for one in nodes] == [(2, 1, 1), (0, 0, 0)]
    remote.simulator.place("imp1").node.registry.endpoints[1].url = "http://[bad"
    assert (await remote.ask("GET", "/endpoints"))["endpoints"][0]["url"] == "..."


async def test_options_are_shown(remote: Remote) -> None:
    """Without passwords."""
    options = await remote.ask("GET", "/options")
    assert options["max_endpoints"] == 100
    assert "'secret'" not in str(options)


async def test_counters_count_and_are_reset(remote: Remote) -> None:
    """Requests by operation, faults by code, notifications."""
    await ready(remote.simulator)
    await remote.simulator.drain()
    counters = await remote.ask("GET", "/counters")
    assert counters["requests"] == {"login": 2, "registerEndPoint": 1, "subscribe": 1}
    assert counters["replies"] == counters["requests"]
    assert counters["notifications"] == {"sent": 0, "failed": 1, "dropped": 0}
    remote.simulator.change(ANN, state=State.BUSY)
    remote.simulator.place("imp1").service.refuse(150)
    counters = await remote.ask("GET", "/counters")
    assert counters["faults"] == {"150": 1}
    assert counters["notifications_withheld"] == {"latch": 1}
    assert (counters["contacts"], counters["changes"]) == (1, 1)
    counters = await remote.ask("DELETE", "/counters")
    assert (counters["requests"], counters["faults"], counters["notifications_withheld"]) == ({}, {}, {})


async def test_faults_are_injected_listed_and_switched_off(remote: Remote) -> None:
    """By number or all."""
    number = (await remote.ask("POST", "/faults", {"fault": "lose-reply", "count": 2}))["id"]
    await remote.ask("POST", "/faults", {"fault": "drop-notification"})
    faults = (await remote.ask("GET", "/faults"))["faults"]
    assert [(one["id"], one["kind"], one["left"]) for one in faults] == [
        (number, "lose-reply", 2),
        (number + 1, "drop-notification", None),
    ]
    await remote.ask("POST", "/faults", {"fault": "rename-entry", "form": "port"})
    assert [one["form"] for one in (await remote.ask("GET", "/faults"))["faults"]] == ["", "", "port"]
    assert await remote.ask("DELETE", f"/faults/{number}") == {"cleared": 1}
    assert await remote.ask("DELETE", "/faults") == {"cleared": 2}
    assert await remote.ask("POST", "/faults", {"fault": "cpu", "percent": 50}) == {"affected": 2}


async def test_sessions_are_killed_and_ids_forgotten(remote: Remote) -> None:
    """One user's, or everything."""
    await ready(remote.simulator)
    assert await remote.ask("POST", "/forget", {"what": "endpoints", "node": "imp1"}) == {"forgotten": 1}
    assert await remote.ask("POST", "/sessions/kill", {"user": "dispatcher"}) == {"killed": 1}
    assert await remote.ask("POST", "/sessions/kill") == {"killed": 1}
    assert await remote.ask("POST", "/forget", {"what": "everything"}) == {"forgotten": 2}


async def test_nodes_go_down_hang_and_come_back(remote: Remote) -> None:
    """With and without `for`."""
    for state, expected in (("down", "down"), ("hang", "hung"), ("up", "up"), ("restart", "up")):
        nodes = (await remote.ask("POST", f"/nodes/imp2/{state}"))["nodes"]
        assert [one["state"] for one in nodes] == ["up", expected]
    back = asyncio.Event()
    inner = remote.simulator.on_state

    def told(name: str, state: NodeCondition) -> None:
        assert inner is not None
        inner(name, state)
        if state is NodeCondition.UP:
            back.set()

    remote.simulator.on_state = told
    await remote.ask("POST", "/nodes/imp2/hang", {"for": 0.01})
    async with asyncio.timeout(30):
        await back.wait()


async def test_the_clock_is_moved(remote: Remote) -> None:
    """And tells by how much."""
    began = time.monotonic()
    before = await remote.ask("GET", "/clock")
    assert before["moved"] == 0
    after = await remote.ask("POST", "/clock", {"move": 3600})
    assert after["moved"] == 3600
    assert -1 <= after["now"] - before["now"] - 3600 <= time.monotonic() - began + 1


async def test_a_scenario_is_played_and_stopped(remote: Remote) -> None:
    """A second one replaces the first; a node that is none is refused before anything happens."""
    assert await remote.ask("GET", "/scenario") == {"playing": False}
    text = b"[[step]]\nat = 0\nfault = 'lose-reply'\n[[step]]\nat = 100\nfault = 'clear'\n"
    assert await remote.ask("POST", "/scenario", raw=text) == {"steps": 2, "seconds": 100.0}
    assert await remote.ask("GET", "/scenario") == {"playing": True}
    assert len(remote.simulator.faults.active()) == 1
    await remote.ask("POST", "/scenario", raw=text)
    assert len(remote.simulator.faults.active()) == 2
    assert await remote.ask("DELETE", "/scenario") == {"playing": False}
    assert await remote.ask("GET", "/scenario") == {"playing": False}
    wrong = b"[[step]]\nat = 0\nfault = 'restart'\nnode = 'imp9'\n"
    assert "node: expected one of" in await remote.error(422, "POST", "/scenario", raw=wrong)
    await remote.ask("POST", "/scenario", raw=text)  # closing ends it


async def test_an_office_day_is_played_and_stopped(remote: Remote) -> None:
    """A second one replaces the first."""
    remote.simulator.populate(10)
    assert await remote.ask("GET", "/office") == {"running": False}
    assert await remote.ask("DELETE", "/office") == {"running": False}
    began = await remote.ask("POST", "/office", {"speed": 1, "seed": 3, "start": 10.5})
    assert (began["running"], began["time"], began["speed"], began["seed"]) == (True, "10:30", 1.0, 3)
    await remote.ask("POST", "/office")
    office = await remote.ask("GET", "/office")
    assert (office["running"], office["seed"], office["speed"]) == (True, 1, 60.0)
    assert office["changes"] > 0
    assert await remote.ask("DELETE", "/office") == {"running": False}
    assert not (await remote.ask("GET", "/office"))["running"]
    await remote.ask("POST", "/office")  # closing ends it


@pytest.mark.parametrize("name", ["a/b@example.com", "a%2Fb@example.com", "a/b/c@example.com"])
async def test_a_contact_with_a_slash_is_changed_shown_and_taken_out(remote: Remote, name: str) -> None:
    """Plain or escaped; RFC 3261 allows it in the user's part."""
    contact = name.replace("%2F", "/")
    path = URL(f"{remote.server.control_url}/control/contacts/{name}", encoded=True)
    async with aiohttp.ClientSession() as http:
        async with http.put(path, json={"state": "BUSY"}) as answer:
            assert (await answer.json())["contact"] == contact
        async with http.get(path) as answer:
            assert (await answer.json())["state"] == "BUSY"
        async with http.delete(path) as answer:
            assert await answer.json() == {"removed": contact}
    assert contact not in remote.simulator.world


@pytest.mark.parametrize(
    ("fault", "key"),
    [
        ({"fault": "refuse", "code": 999}, "code"),
        ({"fault": "lose-reply", "operation": "getPresence"}, "operation"),
        ({"fault": "lose-reply", "seconds": 3}, "seconds"),
        ({"fault": "drop-notification", "operation": "login"}, "operation"),
        ({"fault": "clear", "kind": "nope"}, "kind"),
        ({"fault": "rate-limit", "per_second": 0}, "per_second"),
    ],
)
async def test_a_fault_that_could_never_hit_is_refused(remote: Remote, fault: dict[str, Any], key: str) -> None:
    """It names the key, and nothing is switched on or off."""
    await remote.ask("POST", "/faults", {"fault": "lose-reply"})
    assert (await remote.error(422, "POST", "/faults", fault)).startswith(f"{key}: ")
    assert len((await remote.ask("GET", "/faults"))["faults"]) == 1
