"""Numbers that no clock or counter can hold: the control interface refuses them with 422 and changes nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from pws_soap.simulator import Options, Simulator, SimulatorServer
from pws_soap.simulator.bounds import bounded
from pws_soap.simulator.scripts.actions import inject
from pws_soap.simulator.scripts.scenario import parse

ABSURD = ("NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1e300", "1" + "0" * 400, "1" + "0" * 5000, "1e18")
BODIES = [
    ("POST", "/clock", '{{"move": {}}}'),
    ("POST", "/office", '{{"speed": {}}}'),
    ("POST", "/office", '{{"start": {}}}'),
    ("POST", "/office", '{{"seed": {}}}'),
    ("POST", "/contacts", '{{"count": {}}}'),
    ("POST", "/contacts", '{{"count": 1, "seed": {}}}'),
    ("POST", "/nodes/imp1/down", '{{"for": {}}}'),
    ("POST", "/faults", '{{"fault": "cpu", "percent": {}}}'),
    ("POST", "/faults", '{{"fault": "cpu", "percent": 5, "for": {}}}'),
    ("POST", "/faults", '{{"fault": "move-clock", "seconds": {}}}'),
    ("POST", "/faults", '{{"fault": "rate-limit", "per_second": {}}}'),
    ("POST", "/faults", '{{"fault": "delay-reply", "seconds": {}}}'),
    ("POST", "/faults", '{{"fault": "double-reply", "seconds": {}}}'),
    ("POST", "/faults", '{{"fault": "lose-reply", "count": {}}}'),
    ("POST", "/faults", '{{"fault": "lose-reply", "probability": {}}}'),
    ("POST", "/faults", '{{"fault": "lose-reply", "for": {}}}'),
    ("POST", "/faults", '{{"fault": "refuse", "code": {}}}'),
    ("POST", "/faults", '{{"fault": "truncate-reply", "fraction": {}}}'),
]


@pytest.fixture
async def server() -> AsyncIterator[SimulatorServer]:
    """A simulator with a control interface."""
    async with SimulatorServer(nodes=("imp1",), seed=1) as server:
        yield server


async def state(server: SimulatorServer, http: aiohttp.ClientSession) -> list[Any]:
    """All that a number could have changed."""
    found = []
    for path in ("nodes", "contacts", "faults", "office"):
        async with http.get(f"{server.control_url}/control/{path}") as answer:
            assert answer.status == 200
            found.append(await answer.json())
    return [*found, server.simulator.moved]


async def test_absurd_numbers_are_422_and_change_nothing(server: SimulatorServer) -> None:
    """Each number at each place; the message names the key."""
    async with aiohttp.ClientSession() as http:
        before = await state(server, http)
        for method, path, body in BODIES:
            for number in ABSURD:
                data = body.format(number)
                async with http.request(method, f"{server.control_url}/control{path}", data=data) as answer:
                    assert answer.status == 422, (path, data[:60])
                    message = (await answer.json())["error"]["message"]
                key = data.rpartition('": ')[0].rpartition('"')[2]
                assert message.startswith(key + ": expected"), (data[:60], message)
        assert await state(server, http) == before


async def test_what_moves_the_clock_out_of_the_calendar_is_422(server: SimulatorServer) -> None:
    """Also by several steps, of which each would do."""
    url = f"{server.control_url}/control/clock"
    async with aiohttp.ClientSession() as http:
        statuses = []
        for _ in range(40):
            async with http.post(url, json={"move": 1_000_000_000}) as answer:
                statuses.append(answer.status)
        async with http.post(url, json={"move": -1_000_000_000}) as answer:
            statuses.append(answer.status)
    assert statuses == [*sorted(statuses[:-1]), 200]
    assert {200, 422} == set(statuses)
    assert 0 < server.simulator.now() < 32_503_680_000


async def test_pages_and_brackets(server: SimulatorServer) -> None:
    """Numbers of a query are bounded; JSON and TOML that are too deep are unreadable, not an error of the server."""
    deep = "[" * 100_000
    async with aiohttp.ClientSession() as http:
        for query in ("offset=-1", "limit=1e3", "limit=²", "offset=" + "9" * 5000, "limit=99999999999"):
            async with http.get(f"{server.control_url}/control/contacts?{query}") as answer:
                assert answer.status == 422
        async with http.post(f"{server.control_url}/control/faults", data=deep) as answer:
            assert answer.status == 400
        for text in (f"step = {deep}", f"[[step]]\nat = {'9' * 5000}\nfault = 'clear'"):
            async with http.post(f"{server.control_url}/control/scenario", data=text) as answer:
                assert answer.status == 422


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "1e300", "9" * 100])
@pytest.mark.parametrize(
    "step",
    [
        "at = {}\nfault = 'clear'",
        "at = 1\nfault = 'node-down'\nnode = 'imp1'\nfor = {}",
        "at = 1\nfault = 'cpu'\npercent = {}",
        "at = 1\nfault = 'delay-reply'\nseconds = {}",
        "at = 1\nfault = 'move-clock'\nseconds = {}",
    ],
)
def test_a_scenario_with_such_a_number_is_refused_before_it_begins(step: str, number: str) -> None:
    """TOML has names for them."""
    with pytest.raises(ValueError, match="step 1: "):
        parse("[[step]]\n" + step.format(number))


def test_a_load_is_a_percentage() -> None:
    """From 0 to 100."""
    simulator = Simulator()
    for percent in (-1, 100.5):
        with pytest.raises(ValueError, match="percent: expected a number from 0 to 100"):
            inject(simulator, {"fault": "cpu", "percent": percent})
    inject(simulator, {"fault": "cpu", "percent": 100})
    assert simulator.place("imp1").node.cpu == 100


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
def test_options_are_numbers_that_mean_something(value: float) -> None:
    """Named with what was expected."""
    with pytest.raises(ValueError, match="session_idle_timeout: expected a number of 0 or more"):
        Options(session_idle_timeout=value)


def test_a_number_within_its_limits_is_given_back() -> None:
    """The limits belong to it; a value too long to be written is described."""
    assert bounded("x", 5, 5, 5) == 5
    with pytest.raises(ValueError, match="x: expected a number from 0 to 5, got a number of more than 60 digits"):
        bounded("x", 10**5000, 0, 5)
