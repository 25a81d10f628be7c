"""Every route with everything that may be wrong about a request: who asks, how much, in which form, for whom.

The routes are those of the description, so that a new one is in the matrix at once; the callback is added.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.routing import BaseRoute, Mount

from service.access.keys import hash_of, new_key
from service.api.middleware.limits import MAX_BODY
from tests.support.asgi import Answer, call
from tests.support.bare_service import SECRET, BareService
from tests.support.people import ANN, JOE, KEYS, PEOPLE, bearer, guarded

OPEN: Final = {"/", "/v1", "/livez", "/readyz", "/openapi.json", "/docs", "/docs/oauth2-redirect", "/docs/files"}
OPEN_BESIDE: Final = {"/dashboard/{name}", "/pws/{secret}", "/pws/{secret}/{node}"}
"""All that needs no key."""
STREAMS: Final = {"/v1/events"}
"""What does not end when all is well; the tests of streams look into it."""
PAGE: Final = ("/v1", "/livez", "/readyz", "/metrics")
"""What overlooks query parameters."""


@dataclass(frozen=True)
class Operation:
    """One method of one path."""

    method: str
    path: str
    scope: str
    has_body: bool

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def target(self, contact: str = ANN) -> str:
        """With its parameters filled in."""
        return self.path.replace("{contact}", contact).replace("{claim}", "none").replace("{id}", "none")

    @property
    def is_guarded(self) -> bool:
        return self.path.startswith("/v1/") or self.path == "/metrics"


def description() -> dict[str, Any]:  # plain JSON
    document: dict[str, Any] = asyncio.run(guarded().get("/openapi.json")).json()
    return document


DOCUMENT: Final = description()


def operations() -> Iterator[Operation]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            scopes = {scope for way in operation.get("security", ()) for each in way.values() for scope in each}
            assert len(scopes) <= 1
            yield Operation(method.upper(), path, "".join(scopes), "requestBody" in operation)


ALL: Final = tuple(operations())
GUARDED: Final = tuple(each for each in ALL if each.is_guarded)
every = pytest.mark.parametrize("operation", ALL, ids=str)
every_guarded = pytest.mark.parametrize("operation", GUARDED, ids=str)


@pytest.fixture(autouse=True)
def nothing_leaks(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever was asked, no log line holds a key or the callback's secret."""
    caplog.set_level(logging.DEBUG)
    yield
    assert not [secret for secret in (SECRET, *KEYS.values()) if secret in caplog.text]


@pytest.fixture(scope="module")
def office() -> BareService:
    """One for all that leaves no trace in it."""
    return guarded()


async def ask(office: BareService, operation: Operation, target: str | None = None, **rest: Any) -> Answer:
    """Send it; whatever comes back holds no secret, and an error is a problem document."""
    async with asyncio.timeout(30):
        answer = await call(office.app, operation.method, target or operation.target(), **rest)
    text = f"{answer.headers}{answer.body!r}"
    for key in KEYS.values():
        assert key not in text
        assert hash_of(key) not in text
    assert SECRET not in text
    if answer.status >= 400:
        problem(answer)
    return answer


def problem(answer: Answer) -> dict[str, Any]:
    """A whole problem document."""
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    body: dict[str, Any] = answer.json()
    assert body["type"].startswith("/problems/")
    assert body["status"] == answer.status
    assert body["title"]
    assert body["detail"]
    assert body["instance"].startswith("/")
    return body


def test_each_route_of_the_api_dependencies_a_scope_and_the_open_ones_are_known() -> None:
    """One that forgot to say what it needs would be open to every key."""
    office = guarded()
    assert office.authenticator is not None
    checks = set(office.authenticator._dependencies.values())
    open_routes: set[str] = set()
    for context in iter_route_contexts(office.app.routes):
        route: BaseRoute = context.original_route
        path = str(context.path if not isinstance(route, Mount) else route.path)
        if isinstance(route, APIRoute) and (path.startswith("/v1/") or path == "/metrics"):
            dependant = getattr(context, "dependant", None) or route.dependant
            assert checks & {each.call for each in dependant.dependencies}, f"{context.methods} {path} needs no scope"
        else:
            open_routes.add(path)
    assert open_routes == OPEN | OPEN_BESIDE


def test_the_description_says_who_may() -> None:
    """Each guarded operation names its scope and its refusals; no other does."""
    for operation in ALL:
        described = description_of(operation)
        assert (operation.scope in {"read", "claim", "admin", "metrics"}) == operation.is_guarded, str(operation)
        assert ("security" in described) == operation.is_guarded
        refusals = {"401", "403", "429"} & set(described["responses"])
        assert refusals == ({"401", "403", "429"} if operation.is_guarded else set())


def description_of(operation: Operation) -> dict[str, Any]:
    found: dict[str, Any] = DOCUMENT["paths"][operation.path][operation.method.lower()]
    return found


async def test_where_no_key_is_needed_the_description_says_so() -> None:
    document = (await BareService().get("/openapi.json")).json()
    assert {"bearer", "header"} == set(document["components"]["securitySchemes"])
    for path, methods in document["paths"].items():
        for operation in methods.values():
            assert ({} in operation.get("security", [])) == (path.startswith("/v1/") or path == "/metrics")


async def test_the_description_follows_the_rules() -> None:
    """They may be read again while the service runs."""
    office = guarded()
    assert office.authenticator is not None
    assert {} not in (await office.get("/openapi.json")).json()["paths"]["/v1/status"]["get"]["security"]
    office.authenticator.rules = type(office.authenticator.rules)()
    assert {} in (await office.get("/openapi.json")).json()["paths"]["/v1/status"]["get"]["security"]


# --- who asks


@every
async def test_without_a_key(office: BareService, operation: Operation) -> None:
    answer = await ask(office, operation)
    if operation.is_guarded:
        assert answer.status == 401
        assert answer.json()["type"] == "/problems/key-required"
        assert answer.headers["www-authenticate"] == 'Bearer realm="presence"'
    else:
        assert answer.status == 200


@every_guarded
@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {new_key().reveal()}"},
        {"X-API-Key": new_key().reveal()},
        {"Authorization": "Bearer pws_short"},
        {"Authorization": f"Basic {KEYS['root']}"},
        {"Authorization": f"Bearer {KEYS['root']}", "X-API-Key": KEYS["reader"]},
        {"Authorization": f"Bearer {hash_of(KEYS['root'])}"},
    ],
    ids=["unknown", "unknown in the other header", "malformed", "another scheme", "two that differ", "a hash"],
)
async def test_with_a_wrong_key(operation: Operation, headers: dict[str, str]) -> None:
    answer = await ask(guarded(), operation, headers=headers)
    assert (answer.status, answer.json()["type"]) == (401, "/problems/key-required")


@every_guarded
async def test_with_a_key_that_lacks_the_scope(office: BareService, operation: Operation) -> None:
    for name in {"reader": "read", "claimer": "claim", "admin": "admin", "scraper": "metrics"}:
        if operation.scope not in PEOPLE[name].scopes:
            answer = await ask(office, operation, headers=bearer(name))
            assert (answer.status, answer.json()["type"]) == (403, "/problems/not-allowed")
            assert f"scope {operation.scope}" in answer.json()["detail"]


@pytest.mark.parametrize("operation", [each for each in GUARDED if each.path not in STREAMS], ids=str)
async def test_with_a_key_limited_to_another_group(office: BareService, operation: Operation) -> None:
    """Ann is of support, the key sees sales: it is as if there were no ann, and nothing of the office is told."""
    if operation.scope in {"admin", "metrics"}:
        assert (await ask(office, operation, headers=bearer("sales"))).status == 403
        return
    answer = await ask(office, operation, headers=bearer("sales"))
    if "{contact}" in operation.path:
        stranger = await ask(office, operation, operation.target("zoe@example.com"), headers=bearer("sales"))
        assert answer.status == stranger.status == 404
        assert answer.body.replace(b"ann@", b"zoe@") == stranger.body
    else:
        assert b"ann@" not in answer.body
        assert b"support" not in answer.body
        assert b"dispatcher" not in answer.body


async def test_a_limited_key_sees_its_own_contacts_without_the_end_user() -> None:
    office = guarded()
    answer = await call(office.app, "GET", "/v1/contacts", headers=bearer("sales"))
    assert answer.json() == {"contacts": [{"contact": JOE, "end_user": None, "configured": False}], "total": 1}
    whole = (await call(office.app, "GET", "/v1/contacts", headers=bearer("reader"))).json()
    assert [each["contact"] for each in whole["contacts"]] == [ANN, JOE]


# --- how much, in which form


@every
async def test_with_a_body_that_is_too_large(office: BareService, operation: Operation) -> None:
    answer = await ask(office, operation, headers=bearer("root"), body=b"x" * (MAX_BODY + 1))
    assert (answer.status, answer.json()["type"]) == (413, "/problems/body-too-large")


@pytest.mark.parametrize("operation", [each for each in GUARDED if each.has_body], ids=str)
async def test_with_a_body_in_pieces_that_is_too_large(office: BareService, operation: Operation) -> None:
    """It says no length beforehand."""
    pieces = [b"x" * 65536] * (MAX_BODY // 65536 + 1)
    headers = bearer("root") | {"content-type": "application/json"}
    answer = await ask(office, operation, headers=headers, body=pieces)
    assert (answer.status, answer.json()["type"]) == (413, "/problems/body-too-large")


@every
async def test_with_unknown_query_fields(office: BareService, operation: Operation) -> None:
    answer = await ask(office, operation, f"{operation.target()}?colour=red&%C3%A9=1", headers=bearer("root"))
    if operation.path in PAGE:
        assert answer.status == 200
    else:
        assert answer.status == 422
        assert {"in": "query", "parameter": "colour", "expected": "no parameter of this name"} in answer.json()[
            "errors"
        ]


WITH_BODY: Final = [each for each in GUARDED if each.has_body]


@pytest.mark.parametrize("operation", WITH_BODY, ids=str)
async def test_with_unknown_body_fields(office: BareService, operation: Operation) -> None:
    answer = await ask(office, operation, headers=bearer("root"), json_body={"surprise": 1, "überraschung": 2})
    assert answer.status == 422
    assert {"surprise", "überraschung"} <= {each["parameter"] for each in answer.json()["errors"]}


@pytest.mark.parametrize("operation", WITH_BODY, ids=str)
@pytest.mark.parametrize("body", [[], "text", 5, True, [{}]], ids=repr)
async def test_with_a_body_of_another_type(office: BareService, operation: Operation, body: object) -> None:
    answer = await ask(office, operation, headers=bearer("root"), json_body=body)
    assert answer.status == 422
    assert answer.json()["errors"] == [{"in": "body", "parameter": "body", "expected": "a JSON object"}]


@pytest.mark.parametrize("operation", WITH_BODY, ids=str)
@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"{'a': 1}", b"nonsense", b'{"a": NaN'], ids=repr)
async def test_with_a_body_that_is_no_json(office: BareService, operation: Operation, body: bytes) -> None:
    headers = bearer("root") | {"content-type": "application/json"}
    answer = await ask(office, operation, headers=headers, body=body)
    assert answer.status == 422
    assert answer.json()["errors"] == [{"in": "body", "parameter": "body", "expected": "a JSON document"}]


@pytest.mark.parametrize("operation", WITH_BODY, ids=str)
@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded"])
async def test_with_json_that_is_not_called_json(office: BareService, operation: Operation, kind: str | None) -> None:
    """The header that is missing is named: it is what curl -d leaves out."""
    headers = bearer("root") | ({"content-type": kind} if kind else {})
    answer = await ask(office, operation, headers=headers, body=b'{"contacts": ["ann@example.com"]}')
    assert answer.status == 422
    (error,) = answer.json()["errors"]
    assert (error["in"], error["parameter"]) == ("header", "Content-Type")
    assert error["expected"].startswith("application/json, ")


# --- for whom

ODD: Final = (
    "zoe@example.com",
    "z%C3%B6e@example.com",
    "%E4%BA%BA@example.com",
    "%F0%9F%92%A9",
    "a%2Fb@example.com",
    "%2e%2e%2fstatus",
    "a%00b@example.com",
    "%FF%FE@example.com",
    "sip:zoe@example.com",
    "@",
    "a@b@c",
    "%20",
    "x" * 5000 + "@example.com",
)


@pytest.mark.parametrize("operation", [each for each in GUARDED if "{" in each.path], ids=str)
@pytest.mark.parametrize("odd", ODD, ids=lambda text: text[:30])
async def test_for_somebody_unknown_or_unspeakable(office: BareService, operation: Operation, odd: str) -> None:
    """404 for who is not there, 422 for what is no contact; never anybody else, never 500."""
    target = operation.path.replace("{contact}", odd).replace("{claim}", odd).replace("{id}", odd)
    headers = bearer("root")
    answer = await ask(office, operation, target, headers=headers, json_body={} if operation.has_body else None)
    assert answer.status in {404, 405, 422}, answer.body
    assert len(answer.body) < 2000


@every_guarded
async def test_with_slashes_and_escapes_around_it(office: BareService, operation: Operation) -> None:
    """No other spelling of a path gets past the authentication: it needs a key, or there is nothing."""
    plain = operation.target()
    for target in (plain.replace("/v1/", "/v1%2F"), plain.replace("/v1", "/%761", 1), f"{plain}?", f"{plain}/"):
        assert (await ask(office, operation, target)).status == 401
    for target in (
        f"/{plain}",
        f"//{plain}",
        plain.replace("/v1", "/V1").replace("/metrics", "/Metrics"),
        f"/.{plain}",
        f"/x/..{plain}",
        f"/%2e{plain}",
    ):
        assert (await ask(office, operation, target)).status in {404, 405}


async def test_an_unknown_path_below_the_api_takes_a_key_as_well() -> None:
    """Anybody who has none does not learn what there is."""
    office = guarded()
    assert (await office.get("/v1/nothing")).status == 401
    assert (await call(office.app, "GET", "/v1/nothing", headers=bearer("claimer"))).status == 404
    assert (await call(office.app, "PATCH", "/v1/status")).status == 401
    assert (await call(office.app, "PATCH", "/v1/status", headers=bearer("claimer"))).status == 405


# --- the callback


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize(
    "path",
    [
        "/pws",
        "/pws/",
        "/pws/wrong",
        "/pws/%C3%A9",
        "/pws/a%2Fb",
        f"//pws/{SECRET}",
        f"/pws//{SECRET}",
        f"/PWS/{SECRET}",
    ],
)
async def test_the_callback_asks_for_no_key_and_tells_nothing(office: BareService, method: str, path: str) -> None:
    """With a key or without, in every spelling: there is nothing, and the secret is in no answer."""
    for headers in ({}, bearer("root"), {"X-API-Key": "nonsense"}):
        answer = await call(office.app, method, path, headers=headers)
        assert answer.status == 404
        assert SECRET not in f"{answer.headers}{answer.body!r}"
        if method != "HEAD":
            assert (answer.json()["type"], answer.json()["instance"]) == ("/problems/not-found", "/pws")
    assert office.engine.notifications == []


async def test_a_notification_dependencies_no_key() -> None:
    office = guarded()
    answer = await office.get(f"/pws/{SECRET}?id=5&eventType=PRESENCE_NOTIFICATION")
    assert (answer.status, answer.body) == (200, b"")


async def test_a_notification_with_a_body_that_is_too_large() -> None:
    office = guarded()
    answer = await call(office.app, "GET", f"/pws/{SECRET}?id=5", body=b"x" * (MAX_BODY + 1))
    assert answer.status == 413
    assert SECRET not in json.dumps(answer.json())


# --- what the readiness tells


@pytest.mark.parametrize(
    ("name", "told"), [(None, False), ("reader", True), ("sales", False), ("board", False), ("claimer", False)]
)
async def test_the_reason_for_not_being_ready_is_for_who_reads_the_status(name: str | None, told: bool) -> None:
    """In the moment of grace as well, in which it stays ready although something is wrong."""
    office = guarded()
    for ready, status, otherwise in ((False, 503, "not ready; see /v1/status"), (True, 200, "ready; see /v1/status")):
        office.engine.readiness = (ready, "imp1 does not answer")
        answer = await call(office.app, "GET", "/readyz", headers=bearer(name) if name else {})
        assert answer.status == status
        assert answer.json()["reason"] == ("imp1 does not answer" if told else otherwise)


async def test_that_all_is_well_is_for_everybody() -> None:
    answer = await call(guarded().app, "GET", "/readyz")
    assert (answer.status, answer.json()) == (200, {"ready": True, "reason": "live"})
