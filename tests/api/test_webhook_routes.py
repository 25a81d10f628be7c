"""The targets of webhooks over HTTP: who sees them, what a replay answers, what the status says of a parked one."""

from __future__ import annotations

from typing import Final

import pytest

from service.core.engine import EngineState, HealthProblem, Status
from service.core.events.event import WEBHOOK_PARKED, WEBHOOK_RECOVERED, WebhookChange
from service.core.meter import WebhookOutcome
from service.core.webhooks import TargetState
from tests.support.asgi import Answer, call
from tests.support.bare_service import BareService
from tests.support.fake_webhooks import DELIVERING, PARKED, FakeWebhooks
from tests.support.figures import Figures
from tests.support.people import ANN, JOE, bearer, filled, guarded
from tests.support.sse import Listener

SHOWN: Final = "2027-01-15T08:00:00.000Z"


def office(**parts: object) -> BareService:
    return filled(BareService(targets=FakeWebhooks(), **parts))  # type: ignore[arg-type]  # a service's


async def replay(made: BareService, name: str, json_body: object, **headers: str) -> Answer:
    return await call(made.app, "POST", f"/v1/webhooks/{name}/replay", json_body=json_body, headers=headers)


async def test_the_list_shows_each_target_with_its_last_attempts() -> None:
    made = office()
    body = (await made.get("/v1/webhooks")).json()
    assert body["revision"] == made.core.log.last
    crm, esb = body["webhooks"]
    assert crm == {
        "name": "crm",
        "address": "https://crm.example.com/presence",
        "state": "delivering",
        "since": SHOWN,
        "events": ["change", "removed"],
        "queued": 0,
        "oldest_queued_at": None,
        "delivered": 7,
        "failed": 0,
        "coalesced": 2,
        "dropped": 0,
        "last_success_at": SHOWN,
        "next_attempt_at": None,
        "last_error": None,
        "attempts": [
            {
                "at": SHOWN,
                "message": "crm-41",
                "event": "change",
                "contact": ANN,
                "number": 1,
                "seconds": 0.05,
                "succeeded": True,
                "status": 204,
                "error": None,
            }
        ],
    }
    assert (esb["state"], esb["queued"], esb["dropped"]) == ("parked", 3, 1)
    assert [(attempt["number"], attempt["status"], attempt["seconds"]) for attempt in esb["attempts"]] == [
        (12, None, 0.002),
        (11, 500, 1.5),
    ]


async def test_without_targets_the_list_is_empty() -> None:
    made = BareService()
    assert (await made.get("/v1/webhooks")).json() == {"webhooks": [], "revision": 0}
    answer = await replay(made, "crm", {"after": 0})
    assert (answer.status, answer.json()["detail"]) == (404, "No webhook 'crm'; the configuration has none")


async def test_only_an_admin_sees_them() -> None:
    """The attempts name contacts; a key that is limited is never an admin's."""
    made = guarded()
    for name, status in (("admin", 200), ("root", 200), ("reader", 403), ("sales", 403), ("board", 403)):
        assert (await call(made.app, "GET", "/v1/webhooks", headers=bearer(name))).status == status
    assert (await replay(made, "crm", {"after": 1}, **bearer("claimer"))).status == 403
    assert (await call(made.app, "GET", "/v1/webhooks")).status == 401


async def test_a_replay_says_how_much_it_has_queued() -> None:
    webhooks = FakeWebhooks()
    made = BareService(targets=webhooks)
    answer = await replay(made, "esb", {"after": 44})
    assert (answer.status, answer.json()) == (202, {"webhook": "esb", "after": 44, "queued": 6})
    assert webhooks.replays == [("esb", 44)]


async def test_a_replay_of_what_is_not_kept_says_which_ids_are_possible() -> None:
    made = office()
    for after in (39, 51):
        answer = await replay(made, "esb", {"after": after})
        assert (answer.status, answer.headers["content-type"]) == (410, "application/problem+json")
        problem = answer.json()
        assert (problem["type"], problem["after"], problem["floor"], problem["last"]) == (
            "/problems/events-not-kept",
            after,
            40,
            50,
        )
        assert problem["detail"] == f"Events after {after} are not all kept: a replay can begin at 40 to 50"


@pytest.mark.parametrize(
    ("body", "parameter"),
    [({}, "after"), ({"after": "44"}, "after"), ({"after": -1}, "after"), ({"after": True}, "after"),
     ({"after": 44, "to": 45}, "to"), ([], "body")],
)  # fmt: skip
async def test_a_replay_of_nonsense_is_refused(body: object, parameter: str) -> None:
    answer = await replay(office(), "esb", body)
    assert answer.status == 422
    assert [error["parameter"] for error in answer.json()["errors"]] == [parameter]


async def test_a_webhook_that_does_not_exist_is_told_with_those_that_do() -> None:
    answer = await replay(office(), "crn", {"after": 44})
    assert (answer.status, answer.json()["type"]) == (404, "/problems/no-such-webhook")
    assert answer.json()["detail"] == "No webhook 'crn'; there are: crm, esb"
    assert (await replay(office(), "x" * 65, {"after": 44})).status == 422


async def test_the_status_shows_targets_in_short_and_a_parked_one_as_a_problem() -> None:
    """Behind what is wrong with presence itself, which stays live."""
    made = office()
    made.engine.shown = Status(EngineState.LIVE, (HealthProblem(1_800_000_000.0, "imp2 does not answer"),))
    body = (await made.get("/v1/status")).json()
    assert body["state"] == "live"
    assert body["problems"] == [
        {"since": SHOWN, "what": "imp2 does not answer"},
        {
            "since": SHOWN,
            "what": "webhook esb is parked: nothing is sent to it any more (connection refused); a replay or a restart "
            "tries again",
        },
    ]
    assert body["webhooks"] == [
        {
            "name": "crm",
            "state": "delivering",
            "since": SHOWN,
            "queued": 0,
            "last_attempt_at": SHOWN,
            "last_status": 204,
            "last_error": None,
        },
        {
            "name": "esb",
            "state": "parked",
            "since": SHOWN,
            "queued": 3,
            "last_attempt_at": SHOWN,
            "last_status": None,
            "last_error": "connection refused",
        },
    ]


async def test_a_limited_key_sees_nothing_of_them() -> None:
    made = office(groups={"sales": (JOE,)}, authenticator=guarded().authenticator)
    for name in ("sales", "board"):
        body = (await call(made.app, "GET", "/v1/status", headers=bearer(name))).json()
        assert (body["webhooks"], body["problems"]) == ([], [])
    body = (await call(made.app, "GET", "/v1/status", headers=bearer("reader"))).json()
    assert [target["name"] for target in body["webhooks"]] == ["crm", "esb"]


async def test_a_stream_tells_that_a_target_is_parked_and_a_limited_one_does_not() -> None:
    made = guarded()
    async with (
        Listener(made.app, **bearer("reader")) as reader,
        Listener(made.app, **bearer("sales")) as sales,
        Listener(made.app, "/v1/events?group=support", **bearer("reader")) as support,
    ):
        for client in (reader, sales, support):
            await client.take(1)
        made.core.log.tell(WEBHOOK_PARKED, WebhookChange("esb", "connection refused"), frozenset())
        made.core.log.tell(WEBHOOK_RECOVERED, WebhookChange("esb"), frozenset())
        parked, recovered = await reader.take(2)
        assert (parked.name, parked.data["target"], parked.data["reason"]) == (
            "webhook.parked",
            "esb",
            "connection refused",
        )
        assert (recovered.name, recovered.data["reason"]) == ("webhook.recovered", None)
        assert set(parked.data) == {"at", "revision", "target", "reason"}
        await sales.silence()
        await support.silence()


async def test_figures_say_how_targets_do() -> None:
    made = office()
    made.metrics.meter.webhook_attempted("crm", WebhookOutcome.DELIVERED, 0.05)
    made.metrics.meter.webhook_attempted("esb", WebhookOutcome.UNANSWERED, 15.0)
    figures = Figures((await made.get("/metrics")).body.decode())
    for target in (DELIVERING, PARKED):
        for state in TargetState:
            shown = figures.value("pws_webhook_state", target=target.name, state=state.value)
            assert shown == (target.state is state)
    assert figures.values("pws_webhook_queued") == {("crm",): 0, ("esb",): 3}
    age = made.clock.now() - (PARKED.since - 90)
    assert figures.values("pws_webhook_oldest_queued_age_seconds") == {("crm",): 0, ("esb",): age}
    assert figures.values("pws_webhook_last_success_timestamp_seconds") == {("crm",): PARKED.since}
    assert figures.values("pws_webhook_coalesced_total") == {("crm",): 2, ("esb",): 0}
    assert figures.values("pws_webhook_dropped_total") == {("crm",): 0, ("esb",): 1}
    for name, counted in (("crm", WebhookOutcome.DELIVERED), ("esb", WebhookOutcome.UNANSWERED)):
        for outcome in WebhookOutcome:
            number = figures.value("pws_webhook_attempts_total", target=name, outcome=outcome.value)
            assert number == (outcome is counted)
    assert figures.value("pws_webhook_attempt_seconds_count", target="esb") == 1
