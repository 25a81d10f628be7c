"""Which claims the hot lane answers itself, and which it leaves to the framework."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.access.authentication import AccessRules, Authenticator
from service.access.rate_limit import RateLimiter
from service.api.claim_lane import MAX_BODY
from service.core.clock import ManualClock
from tests.support.asgi import Answer, call
from tests.support.bare_service import AVAILABLE, BareService, presence
from tests.support.people import ANN, JOE, bearer, guarded

CLAIM = b'{"group":"support","lease_seconds":60}'
JSON = {"Content-Type": "application/json"}


class Office:
    """A service with two who are free, and a count of the requests that reach its framework."""

    def __init__(self, root_path: str = "", authenticator: Authenticator | None = None) -> None:
        groups = {"support": (ANN, JOE)}
        self.service = BareService(groups=groups, authenticator=authenticator, root_path=root_path)
        self.service.watch(ANN, JOE)
        self.service.read([presence(ANN, AVAILABLE), presence(JOE, AVAILABLE)])
        self.reached = 0
        self._framework: ASGIApp = self.service.app._framework
        self.service.app._framework = self  # type: ignore[assignment]  # an ASGI program like the one it stands for

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.reached += 1
        await self._framework(scope, receive, send)

    async def claim(
        self, body: bytes | tuple[bytes, ...] = CLAIM, headers: Mapping[str, str] = JSON, target: str = "/v1/claims"
    ) -> Answer:
        return await call(self.service.app, "POST", target, headers=headers, body=body)

    async def release(self, target: str, headers: Mapping[str, str] | None = None) -> Answer:
        return await call(self.service.app, "DELETE", target, headers=headers)

    @property
    def held(self) -> int:
        return len(self.service.core.leases.leases())


async def test_a_plain_claim_and_its_release_never_reach_the_framework() -> None:
    office = Office()
    made = await office.claim()
    assert (made.status, made.json()["contacts"][0]["contact"], office.held) == (201, ANN, 1)
    assert (await office.release(made.headers["location"])).status == 204
    assert (office.reached, office.held) == (0, 0)


async def test_a_claim_that_too_few_are_free_for_is_refused_without_the_framework() -> None:
    office = Office()
    refused = await office.claim(b'{"group":"support","count":3}')
    assert (refused.status, refused.json()["free"], refused.json()["instance"]) == (409, 2, "/v1/claims")
    assert office.reached == 0


async def test_a_claim_below_a_proxys_path_says_where_it_is() -> None:
    office = Office("/presence")
    for target in ("/v1/claims", "/presence/v1/claims"):
        made = await office.claim(target=target)
        assert made.headers["location"].startswith("/presence/v1/claims/")
        assert (await office.release(made.headers["location"])).status == 204
    refused = await office.claim(b'{"group":"support","count":3}')
    assert (office.reached, refused.json()["instance"]) == (0, "/presence/v1/claims")


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (CLAIM, {**JSON, "Prefer": "wait=1"}, 201),
        (CLAIM, {**JSON, "Idempotency-Key": "a"}, 201),
        (CLAIM, {**JSON, "X-Unknown": "1"}, 201),
        (CLAIM, {**JSON, "Origin": "http://127.0.0.1:8080"}, 201),
        (CLAIM, {"Content-Type": "application/json; charset=utf-8"}, 201),
        ((CLAIM,), JSON, 201),
        ((CLAIM[:9], CLAIM[9:]), {**JSON, "Content-Length": str(len(CLAIM))}, 201),
        (CLAIM + b" " * MAX_BODY, JSON, 201),
        (CLAIM, {**JSON, "Origin": "https://evil.example"}, 403),
        (CLAIM, {**JSON, "Sec-Fetch-Site": "cross-site"}, 403),
        (CLAIM, {**JSON, "Host": "evil.example"}, 421),
        (CLAIM, {}, 422),
        (CLAIM, {**JSON, "Content-Length": "x"}, 201),
        (b"", JSON, 422),
        (b"{", JSON, 422),
        (b'{"group":"\xff"}', JSON, 422),
        (b'{"group":"sales"}', JSON, 422),
        (b'{"group":"support","lease_seconds":86400}', JSON, 422),
    ],
)
async def test_the_framework_answers_all_others_and_gets_the_whole_body(
    body: bytes | tuple[bytes, ...], headers: Mapping[str, str], status: int
) -> None:
    office = Office()
    assert (await office.claim(body, headers)).status == status
    assert (office.reached, office.held) == (1, int(status == 201))


@pytest.mark.parametrize(
    ("target", "headers", "status"),
    [
        ("/v1/claims/nobody", {}, 404),
        ("/v1/claims/", {}, 404),
        ("/v1/claims/{}?x=1", {}, 422),
        ("/v1/claims/{}", {"X-Unknown": "1"}, 204),
        ("/v1/claims/{}", {"Content-Length": "5"}, 204),
        ("/v1/claims/{}/renew", {}, 405),
    ],
)
async def test_the_framework_answers_all_other_releases(target: str, headers: Mapping[str, str], status: int) -> None:
    office = Office()
    name = (await office.claim()).headers["location"].rpartition("/")[2]
    assert (await office.release(target.format(name), headers)).status == status
    assert (office.reached, office.held) == (1, int(status != 204))


async def test_a_key_without_the_scope_is_refused_as_ever() -> None:
    office = guarded()
    for name, status in (("reader", 403), ("claimer", 409), ("sales", 422)):
        answer = await call(office.app, "POST", "/v1/claims", headers={**JSON, **bearer(name)}, body=CLAIM)
        assert answer.status == status


async def test_another_keys_claim_is_released_by_an_admin_only() -> None:
    office = guarded()
    office.read([presence(ANN, AVAILABLE)])
    made = await call(office.app, "POST", "/v1/claims", headers={**JSON, **bearer("claimer")}, body=CLAIM)
    assert made.status == 201
    for name, status in (("sales", 404), ("board", 404), ("root", 204)):
        answer = await call(office.app, "DELETE", made.headers["location"], headers=bearer(name))
        assert answer.status == status


async def test_a_request_counts_once_no_matter_who_answers_it() -> None:
    clock = ManualClock()
    office = Office(authenticator=Authenticator(rate_limiter=RateLimiter(clock, 1.0, 3), clock=clock))
    bodies = (CLAIM, b"{", CLAIM, CLAIM)
    assert [(await office.claim(body)).status for body in bodies] == [201, 422, 201, 429]


async def test_a_key_that_is_revoked_while_the_body_comes_claims_nobody() -> None:
    office = guarded()
    office.read([presence(ANN, AVAILABLE)])
    authenticator = office.authenticator
    assert authenticator is not None

    async def reloaded(scope: Scope, receive: Receive, send: Send) -> None:
        async def received() -> Message:
            authenticator.rules = AccessRules(anonymous=None)
            return await receive()

        await office.app(scope, received, send)

    answer = await call(reloaded, "POST", "/v1/claims", headers={**JSON, **bearer("claimer")}, body=CLAIM)
    assert (answer.status, len(office.core.leases.leases())) == (401, 0)


async def test_a_client_that_goes_before_its_body_came_claims_nobody() -> None:
    office = Office()

    async def gone(scope: Scope, _receive: Receive, send: Send) -> None:
        async def received() -> Message:
            return {"type": "http.disconnect"}

        await office.service.app(scope, received, send)

    await call(gone, "POST", "/v1/claims", headers=JSON, body=CLAIM)
    assert (office.reached, office.held) == (1, 0)


async def test_a_failure_is_answered_by_the_framework_and_nobody_is_held(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = Office()

    def fails(*_: object) -> bytes:
        raise ZeroDivisionError

    monkeypatch.setattr("service.api.writers.claim.ClaimJson.made", fails)
    assert ((await office.claim()).status, office.reached, office.held) == (500, 1, 0)
    assert "the hot lane failed" in caplog.text
