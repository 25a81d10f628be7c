"""How the service is doing, and the order to read now."""

from __future__ import annotations

import pytest

from pws_soap.models import SessionKind
from service.core.engine import (
    CanaryStatus,
    EndpointStatus,
    EngineState,
    HealthProblem,
    NodeState,
    NodeStatus,
    NotAvailable,
    NotificationCounters,
    PartialFailure,
    RefreshReport,
    SessionStatus,
    Status,
    SubscriptionStatus,
)
from tests.support.asgi import Answer, call
from tests.support.bare_service import BUSY, BareService, presence
from tests.support.people import bearer, guarded

ANN = "ann@example.com"
T = 1_800_000_000.0
SHOWN = "2027-01-15T08:00:00.000Z"


async def refresh(office: BareService, json_body: object = None) -> Answer:
    """POST /v1/refresh."""
    return await call(office.app, "POST", "/v1/refresh", json_body=json_body)


async def test_status_shows_everything_that_lives() -> None:
    """Words and numbers, times as in every answer."""
    office = BareService()
    office.watch(ANN)
    office.engine.shown = Status(
        EngineState.DEGRADED,
        (HealthProblem(T, "imp1 does not answer"),),
        (NodeStatus("imp1", NodeState.DOWN, 3, "connection refused", T),),
        (SessionStatus("imp1", "pwsapp", SessionKind.APPLICATION, "live", T),),
        (EndpointStatus("imp1", 1, "live", T),),
        (SubscriptionStatus("imp1", "dispatcher", 2, "live", 1, T, T, T, None, 7, 8),),
        NotificationCounters(7, 1, 2),
        canary=CanaryStatus("pws-canary", "pws-canary@example.com", 300, "late", T, 1.5, T, "no answer said BUSY"),
    )
    body = (await office.get("/v1/status")).json()
    assert body == {
        "state": "degraded",
        "problems": [{"since": SHOWN, "what": "imp1 does not answer"}],
        "nodes": [{"node": "imp1", "state": "down", "failures": 3, "last_error": "connection refused", "since": SHOWN}],
        "sessions": [
            {
                "node": "imp1",
                "user": "pwsapp",
                "kind": "application",
                "state": "live",
                "since": SHOWN,
                "last_error": None,
            }
        ],
        "endpoints": [{"node": "imp1", "id": 1, "state": "live", "expires_at": SHOWN, "last_error": None}],
        "subscriptions": [
            {
                "node": "imp1",
                "end_user": "dispatcher",
                "id": 2,
                "state": "live",
                "contacts": 1,
                "expires_at": SHOWN,
                "last_notification_at": SHOWN,
                "last_fetch_at": SHOWN,
                "last_error": None,
                "notifications": 7,
                "fetches": 8,
            }
        ],
        "notifications": {"received": 7, "unknown_id": 1, "rejected": 2},
        "reading": {
            "fetches": 0,
            "polls": 0,
            "failures": 0,
            "unknown_outcomes": 0,
            "missed_notifications": 0,
            "drift": 0,
            "unattributed": 0,
        },
        "store": {"contacts": 1, "read": 0, "revision": 1, "strangers": 0, "contested": 0, "unreadable": 0},
        "canary": {
            "end_user": "pws-canary",
            "contact": "pws-canary@example.com",
            "interval": 300.0,
            "outcome": "late",
            "at": SHOWN,
            "seconds": 1.5,
            "last_seen_at": SHOWN,
            "last_error": "no answer said BUSY",
        },
        "webhooks": [],
        "version": "1.2.3",
        "now": SHOWN,
    }


async def test_a_limited_key_learns_that_something_is_wrong_and_no_more() -> None:
    """Neither what, nor how large the office is."""
    office = guarded()
    office.engine.shown = Status(
        EngineState.DEGRADED,
        (HealthProblem(T + 5, "imp1 does not answer"), HealthProblem(T, "dispatcher's subscription is lost")),
        (NodeStatus("imp1", NodeState.DOWN, 3, "connection refused", T),),
    )
    for name in ("sales", "board"):
        body = (await call(office.app, "GET", "/v1/status", headers=bearer(name))).json()
        assert body.pop("state") == "degraded"
        assert body.pop("problems") == [
            {"since": SHOWN, "what": "Presence may be missing or stale; a key without limits sees why"}
        ]
        assert body.pop("version") == "1.2.3"
        assert body.pop("now")
        assert not any(body.values())
    office.engine.shown = Status(EngineState.LIVE)
    assert (await call(office.app, "GET", "/v1/status", headers=bearer("sales"))).json()["problems"] == []


async def test_what_is_not_known_yet_is_null() -> None:
    """An endpoint that is being made has no id."""
    office = BareService()
    office.engine.shown = Status(EngineState.STARTING, endpoints=(EndpointStatus("imp1", None, "registering"),))
    body = (await office.get("/v1/status")).json()
    assert body["endpoints"] == [
        {"node": "imp1", "id": None, "state": "registering", "expires_at": None, "last_error": None}
    ]


@pytest.mark.parametrize("body", [None, {}, {"contacts": None}])
async def test_refresh_of_everything(body: object) -> None:
    """With or without a body."""
    office = BareService()
    office.engine.outcomes = [RefreshReport(3, 1, (PartialFailure("dispatcher", "time-out"),))]
    answer = await refresh(office, body)
    assert office.engine.refreshed == [None]
    assert answer.status == 200
    assert answer.json() == {
        "contacts": 3,
        "changed": 1,
        "failures": [{"what": "dispatcher", "reason": "time-out"}],
        "revision": 0,
    }


async def test_refresh_of_some_contacts() -> None:
    """In any spelling, each once."""
    office = BareService()
    office.watch(ANN, "bob@example.com")
    office.read([presence(ANN, BUSY)])
    answer = await refresh(office, {"contacts": ["sip:Ann@example.com", "bob@example.com", ANN]})
    assert (answer.status, answer.json()["revision"]) == (200, 3)
    assert office.engine.refreshed == [[ANN, "bob@example.com"]]


async def test_refresh_of_a_contact_that_is_not_watched() -> None:
    """The server is not asked."""
    office = BareService()
    office.watch(ANN)
    answer = await refresh(office, {"contacts": [ANN, "zoe@example.com"]})
    assert (answer.status, answer.json()["type"]) == (404, "/problems/contact-not-watched")
    assert "zoe@example.com" in answer.json()["detail"]
    assert office.engine.refreshed == []


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ({"contacts": []}, "contacts"),
        ({"contacts": ["ann"]}, "contacts[0]"),
        ({"contacts": [ANN, 7]}, "contacts[1]"),
        ({"contacts": ANN}, "contacts"),
        ({"contacts": ["\ud800@x"]}, "contacts[0]"),
        ({"contacts": [ANN] * 5001}, "contacts"),
        ({"contact": [ANN]}, "contact"),
        ([ANN], "body"),
        ("all", "body"),
    ],
)
async def test_a_body_that_is_not_as_expected(body: object, parameter: str) -> None:
    """What is wrong is named, nothing is asked."""
    office = BareService()
    answer = await refresh(office, body)
    assert (answer.status, answer.json()["type"]) == (422, "/problems/invalid-parameters")
    assert [error["parameter"] for error in answer.json()["errors"]] == [parameter]
    assert office.engine.refreshed == []


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"[" * 100_000])
async def test_a_body_that_is_no_json(body: bytes) -> None:
    """Told as such, however odd it is."""
    answer = await call(
        BareService().app, "POST", "/v1/refresh", headers={"content-type": "application/json"}, body=body
    )
    assert answer.status in {400, 422}
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("body", [b"x" * 1_100_000, [b"x" * 600_000] * 2], ids=["told", "chunked"])
async def test_a_body_over_the_cap(body: bytes | list[bytes]) -> None:
    """413, with or without a length that says so."""
    answer = await call(
        BareService().app, "POST", "/v1/refresh", headers={"content-type": "application/json"}, body=body
    )
    assert (answer.status, answer.json()["type"]) == (413, "/problems/body-too-large")


async def test_a_server_that_cannot_be_asked() -> None:
    """503, with the reason and when to come back."""
    office = BareService()
    office.engine.outcomes = [NotAvailable("no node answers", 30)]
    answer = await refresh(office)
    assert (answer.status, answer.headers["retry-after"]) == (503, "30")
    assert answer.json()["detail"] == "no node answers"


async def test_a_mistake_of_ours_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """500 without the cause, which is in the log."""
    office = BareService()
    office.engine.outcomes = [RuntimeError("inner workings")]
    answer = await refresh(office)
    assert (answer.status, answer.json()["type"]) == (500, "/problems/internal-error")
    assert b"inner workings" not in answer.body
    assert "inner workings" in caplog.text
