"""`/demo`: what may be done to the simulator behind a demonstration, and that there is nothing of it elsewhere."""

from __future__ import annotations

from typing import Any

import pytest

from pws_soap.models import PresenceState, Secret
from pws_soap.simulator import NodeCondition, Options, Simulator, State
from service.access.authentication import AccessRules, Authenticator
from service.access.keys import KeyRing, hash_of, new_key
from service.access.principal import READER
from service.api.app import create_app
from service.cli.demo.playground import SimulatorPlayground
from service.core.clock import ManualClock
from service.core.presence.memory_store import MemoryStore
from service.core.wiring import Core
from tests.support.asgi import Answer, call
from tests.support.bare_service import BareService
from tests.support.fake_engine import FakeEngine

ANN = "ann@example.com"


class Playing:
    """A simulator without sockets, and the routes over it."""

    def __init__(self, authenticator: Authenticator | None = None) -> None:
        self.simulator = Simulator(Options())
        self.simulator.populate(2)
        clock = ManualClock()
        core = Core.of(MemoryStore(clock), clock, 60.0, {})
        self.app = create_app(
            FakeEngine(),
            core,
            callback_secret=Secret("a-secret-of-some-length"),
            version="1",
            authenticator=authenticator,
            simulator=SimulatorPlayground(self.simulator),
        )

    @property
    def state(self) -> NodeCondition:
        return self.simulator.places["imp1"].state

    async def send(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        return await call(self.app, method, path, json_body=body, headers=headers)


@pytest.fixture(scope="module")
def untouched() -> Playing:
    """For requests that change nothing."""
    return Playing()


async def test_without_a_simulator_there_is_nothing() -> None:
    office = BareService()
    assert (await office.get("/demo")).status == 404
    assert (await call(office.app, "POST", "/demo/faults", json_body={"fault": "cpu"})).status == 404
    assert (await office.get("/v1")).json()["demo"] is False


async def test_the_index_says_that_there_is_one_and_demo_what_it_can_do() -> None:
    playing = Playing()
    assert (await playing.send("GET", "/v1")).json()["demo"] is True
    can = (await playing.send("GET", "/demo")).json()
    assert can["states"] == [each.value for each in PresenceState]
    assert len(can["tricks"]) == 5
    assert all(each["name"] and each["title"] and each["expect"] for each in can["tricks"])
    assert "/demo" not in "".join((await playing.send("GET", "/openapi.json")).json()["paths"])


async def test_a_presence_is_changed_in_the_simulator() -> None:
    playing = Playing()
    body = {"state": "BUSY", "on_the_phone": True, "note": "  With a customer "}
    assert (await playing.send("POST", f"/demo/contacts/{ANN}", body)).status == 204
    ann = playing.simulator.world.get(ANN)
    assert (ann.state, ann.activities, ann.note) == (State.BUSY, ("on-the-phone",), "With a customer")
    await playing.send("POST", f"/demo/contacts/{ANN}", {"state": "AVAILABLE", "note": " "})
    ann = playing.simulator.world.get(ANN)
    assert (ann.state, ann.activities, ann.note) == (State.AVAILABLE, (), None)


async def test_every_fault_can_be_injected_and_mended() -> None:
    playing = Playing()
    for trick in (await playing.send("GET", "/demo")).json()["tricks"]:
        assert (await playing.send("POST", "/demo/faults", {"fault": trick["name"]})).status == 204
    assert playing.simulator.faults.active()
    assert playing.state is NodeCondition.DOWN
    assert (await playing.send("DELETE", "/demo/faults")).status == 204
    assert not playing.simulator.faults.active()
    assert playing.state.value == NodeCondition.UP.value
    await playing.simulator.aclose()


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        (f"/demo/contacts/{ANN}", {"state": "SLEEPY"}, "state: expected 'AVAILABLE'"),
        (f"/demo/contacts/{ANN}", {"state": "BUSY", "mood": 1}, "mood: expected no parameter of this name"),
        (f"/demo/contacts/{ANN}", {"state": "BUSY", "note": "x" * 201}, "note: expected"),
        (f"/demo/contacts/{ANN}", [], "expected a JSON object"),
        ("/demo/contacts/ann", {"state": "BUSY"}, "contact: expected a contact URI"),
        ("/demo/faults", {"fault": "earthquake"}, "fault: expected one of node-down, "),
        ("/demo/faults", {}, "fault: expected a value"),
        ("/demo/faults?now=1", {"fault": "cpu"}, "now: expected no parameter of this name"),
    ],
)
async def test_what_is_wrong_is_said(untouched: Playing, path: str, body: object, said: str) -> None:
    answer = await untouched.send("POST", path, body)
    assert (answer.status, answer.json()["type"]) == (422, "/problems/invalid-parameters")
    assert said in answer.json()["detail"]


async def test_somebody_who_is_not_there_is_404(untouched: Playing) -> None:
    answer = await untouched.send("POST", "/demo/contacts/zoe@example.com", {"state": "BUSY"})
    assert (answer.status, answer.json()["type"]) == (404, "/problems/contact-not-watched")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded"])
async def test_only_json_is_taken_so_that_no_form_can_send_it(untouched: Playing, kind: str) -> None:
    answer = await call(untouched.app, "POST", "/demo/faults", body=b'{"fault": "cpu"}', headers={"Content-Type": kind})
    assert answer.status == 422


async def test_where_keys_are_needed_reading_is_not_enough() -> None:
    key = new_key().reveal()
    authenticator = Authenticator(rules=AccessRules(KeyRing([(hash_of(key), READER)]), None))
    playing = Playing(authenticator)
    sent: dict[str, Any] = {"authorization": f"Bearer {key}"}
    assert (await playing.send("GET", "/demo")).status == 401
    assert (await playing.send("GET", "/demo", **sent)).status == 200
    assert (await playing.send("DELETE", "/demo/faults", **sent)).status == 403
