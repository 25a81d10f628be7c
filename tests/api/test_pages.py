"""What needs no key: the description and its viewer; and pages of other origins."""

from __future__ import annotations

import re

import pytest

from service.access.authentication import AccessRules, Authenticator
from tests.support.asgi import Answer, call
from tests.support.bare_service import BareService
from tests.support.people import KEYS, bearer, guarded, rules

BOARD = "https://board.example.com"


async def test_the_viewer_of_the_description_loads_nothing_from_elsewhere() -> None:
    """Its scripts, styles and icon are ours, and the browser is told to load nothing else."""
    office = guarded()
    answer = await office.get("/docs")
    page = answer.body.decode()
    assert not re.search(r"""(https?:)?//[\w.-]+\.[a-z]""", page)
    assert '"validatorUrl": null' in page
    loaded = re.findall(r"""(?:href|src)="([^"]+)\"""", page)
    assert len(loaded) == 3
    assert all(each.startswith("/docs/files/") for each in loaded)
    for path in (*loaded, "/openapi.json"):
        assert (await office.get(path)).status == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "http" not in policy


@pytest.mark.parametrize(
    "target", ["/docs/files/../../secret", "/docs/files/%2e%2e/core.py", "/docs/files/", "/docs/files/x"]
)
async def test_only_the_viewers_own_files_are_there(target: str) -> None:
    answer = await guarded().get(target)
    assert (answer.status, answer.json()["type"]) == (404, "/problems/not-found")


def with_origins() -> BareService:
    return BareService(authenticator=Authenticator(rules=AccessRules(rules().keys, None, (), (BOARD,))))


async def preflight(
    office: BareService, origin: str = BOARD, method: str = "POST", headers: str = "Authorization"
) -> Answer:
    sent = {"origin": origin, "access-control-request-method": method, "access-control-request-headers": headers}
    return await call(office.app, "OPTIONS", "/v1/claims", headers=sent)


async def test_other_origins_are_told_nothing_unless_the_operator_says_so() -> None:
    office = guarded()
    answer = await call(office.app, "GET", "/v1/status", headers={"origin": BOARD} | bearer("reader"))
    assert answer.status == 200
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert (await preflight(office)).status == 401


async def test_a_named_origin_may_ask_with_the_headers_that_the_api_knows() -> None:
    """The question whether it may needs no key."""
    wanted = "Authorization, X-API-Key, Content-Type, If-None-Match, Idempotency-Key, Prefer, Last-Event-ID"
    answer = await preflight(with_origins(), headers=wanted)
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == BOARD
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("change", [{"origin": "https://evil.example"}, {"method": "PATCH"}, {"headers": "X-Other"}])
async def test_nothing_else_may(change: dict[str, str]) -> None:
    answer = await preflight(with_origins(), **change)
    assert answer.status == 400
    assert change.get("origin") != answer.headers.get("access-control-allow-origin")


@pytest.mark.parametrize("key", ["reader", None, "claimer"])
async def test_a_page_of_a_named_origin_reads_answers_and_refusals(key: str | None) -> None:
    headers = {"origin": BOARD} | (bearer(key) if key else {})
    answer = await call(with_origins().app, "GET", "/v1/status", headers=headers)
    assert answer.status == {"reader": 200, None: 401, "claimer": 403}[key]
    assert answer.headers["access-control-allow-origin"] == BOARD
    for name in ("ETag", "Link", "Location", "Retry-After", "Preference-Applied", "Cache-Status"):
        assert name in answer.headers["access-control-expose-headers"]
    assert "Origin" in answer.headers["vary"]


async def test_another_origin_does_not() -> None:
    headers = {"origin": "https://evil.example"} | bearer("reader")
    answer = await call(with_origins().app, "GET", "/v1/status", headers=headers)
    assert "access-control-allow-origin" not in answer.headers
    assert KEYS["reader"] not in str(answer)


async def test_a_named_origin_may_change_things_where_no_key_is_needed() -> None:
    office = BareService(authenticator=Authenticator(rules=AccessRules(origins=(BOARD,))))
    headers = {"host": "127.0.0.1:8080", "origin": BOARD, "sec-fetch-site": "cross-site"}
    assert (await call(office.app, "POST", "/v1/refresh", headers=headers)).status == 200
