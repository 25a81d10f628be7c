"""The program as a whole: probes, description, start and stop."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.types import Message

from pws_soap.models import Secret
from service.api.app import create_app
from service.core.clock import ManualClock
from service.core.presence.memory_store import MemoryStore
from service.core.wiring import Core
from tests.support.asgi import call
from tests.support.bare_service import BUSY, SECRET, BareService, presence
from tests.support.fake_engine import FakeEngine


async def test_livez_asks_nobody() -> None:
    """Alive is alive, whatever the probe adds to the query."""
    office = BareService()
    office.engine.readiness = (False, "no node answers")
    answer = await office.get("/livez?probe=1")
    assert (answer.status, answer.json()) == (200, {"alive": True})


@pytest.mark.parametrize(("ready", "reason", "status"), [(True, "live", 200), (False, "no node answers", 503)])
async def test_readyz_gives_the_reason(ready: bool, reason: str, status: int) -> None:
    """Why not is as important as whether."""
    office = BareService()
    office.engine.readiness = (ready, reason)
    answer = await office.get("/readyz")
    assert (answer.status, answer.json()) == (status, {"ready": ready, "reason": reason})


async def test_the_index_leads_on() -> None:
    """Every place that it names is there."""
    office = BareService()
    body = (await office.get("/v1")).json()
    assert (body.pop("service"), body.pop("version"), body.pop("demo")) == ("pws-presence", "1.2.3", False)
    assert body.pop("needs_key") is False
    assert body.pop("events") in office.app.openapi()["paths"]  # it would not end
    for path in body.values():
        assert (await office.get(path)).status == 200


async def test_every_answer_is_careful_about_caches_and_types() -> None:
    """Errors too."""
    office = BareService()
    for path in ("/v1", "/livez", "/v1/status", "/v1/presence", "/nothing", "/v1/presence/x", f"/pws/{SECRET}"):
        answer = await office.get(path)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] in {"no-store", "private, no-cache"}


async def test_the_secret_is_nowhere() -> None:
    """Not in the program's repr, nor in its description."""
    office = BareService()
    assert SECRET not in repr(vars(office.app)) + repr(office.app.routes)
    assert SECRET.encode() not in (await office.get("/openapi.json")).body


async def test_lifespan_is_the_callers() -> None:
    """It is entered before the first request and left after the last."""
    steps: list[str] = []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        steps.append("start")
        yield
        steps.append("stop")

    clock = ManualClock()
    app = create_app(
        FakeEngine(),
        Core.of(MemoryStore(clock), clock, 1.0, {}),
        callback_secret=Secret(SECRET),
        version="1",
        lifespan=lifespan,
    )
    sent: list[str] = []
    incoming: asyncio.Queue[Message] = asyncio.Queue()
    for kind in ("lifespan.startup", "lifespan.shutdown"):
        incoming.put_nowait({"type": kind})

    async def send(message: Message) -> None:
        sent.append(message["type"])
        steps.append(message["type"])

    await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, incoming.get, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert steps == ["start", "lifespan.startup.complete", "stop", "lifespan.shutdown.complete"]


async def test_what_is_no_longer_watched_is_forgotten_by_the_answers_too() -> None:
    """A contact that comes back looks new."""
    office = BareService()
    office.watch("ann@example.com")
    office.read([presence("ann@example.com", BUSY)])
    assert (await office.get("/v1/presence/ann@example.com")).json()["state"] == "BUSY"
    office.store.unwatch(["ann@example.com"])
    assert (await office.get("/v1/presence/ann@example.com")).status == 404
    office.watch("Ann@example.com")
    body = (await office.get("/v1/presence/ann@example.com")).json()
    assert (body["contact"], body["state"], body["freshness"]) == ("Ann@example.com", "UNKNOWN", "unknown")


# --- the description


async def description() -> dict[str, Any]:  # plain JSON
    """The OpenAPI document."""
    office = BareService()
    first, second = [(await office.get("/openapi.json")).json() for _ in range(2)]
    assert first == second
    document: dict[str, Any] = second
    return document


async def test_the_description_is_openapi_30_and_complete() -> None:
    """Every route has words for people."""
    document = await description()
    assert document["openapi"] == "3.0.3"
    assert set(document["paths"]) == {
        "/v1",
        "/livez",
        "/readyz",
        "/metrics",
        "/v1/presence",
        "/v1/presence/{contact}",
        "/v1/presence/{contact}/history",
        "/v1/events",
        "/v1/claims",
        "/v1/claims/{id}",
        "/v1/claims/{id}/renew",
        "/v1/summary",
        "/v1/trends",
        "/v1/status",
        "/v1/refresh",
        "/v1/contacts",
        "/v1/failover",
        "/v1/webhooks",
        "/v1/webhooks/{name}/replay",
        "/v1/contacts/{contact}",
    }
    for operation in (operation for path in document["paths"].values() for operation in path.values()):
        assert operation["summary"]
        assert operation["description"]


async def test_the_description_says_problem_json_for_errors() -> None:
    """And nothing of the framework's own error form."""
    document = await description()
    assert "HTTPValidationError" not in document["components"]["schemas"]
    answers = [
        (status, answer)
        for path in document["paths"].values()
        for operation in path.values()
        for status, answer in operation["responses"].items()
        if status.startswith(("4", "5"))
    ]
    kinds = {tuple(answer["content"]) for status, answer in answers if status != "503"}
    assert kinds == {("application/problem+json",)}
    assert len(answers) > 5


async def test_the_description_shows_a_contact_as_it_is() -> None:
    """The example and the schema have the keys of a real answer."""
    schema = (await description())["components"]["schemas"]["Contact"]
    office = BareService()
    office.watch("ann@example.com")
    contact = (await office.get("/v1/presence/ann@example.com")).json()
    assert list(schema["properties"]) == list(schema["example"]) == list(contact)
    assert schema["properties"]["as_of"]["format"] == "date-time"
    assert schema["properties"]["as_of"]["nullable"] is True


async def test_a_page_of_a_thousand_of_five_thousand_holds_what_the_encoder_would_write() -> None:
    """The page is put together from pieces; it is the same document as one that is written whole."""
    office = BareService()
    names = [f"user{number:04}@example.com" for number in range(5000)]
    office.watch(*names)
    office.read([presence(name, BUSY, activities=("busy",), display_name=name) for name in names])
    answer = await call(office.app, "GET", "/v1/presence?limit=1000")
    page = answer.json()
    assert [each["contact"] for each in page["contacts"]] == names[:1000]
    assert json.dumps(page, separators=(",", ":"), ensure_ascii=False).encode() == answer.body
