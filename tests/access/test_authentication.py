"""Who is let in: keys, scopes, limits of rate, browsers."""

from __future__ import annotations

import pytest
from fastapi import Depends, FastAPI
from starlette.requests import HTTPConnection
from starlette.types import Receive, Scope, Send

from service.access.authentication import AccessRules, Authenticator
from service.access.keys import KeyRing, hash_of, new_key
from service.access.principal import ANYBODY, READER, Principal
from service.access.rate_limit import RateLimiter
from service.api import error_handlers
from service.api.middleware.authentication import AuthenticationMiddleware
from service.core.clock import ManualClock
from tests.support.asgi import call
from tests.support.bare_service import BareService
from tests.support.people import ADMIN, ANN, KEYS, PEOPLE, READ, bearer, coming_from, filled, guarded, rules

CHALLENGE = 'Bearer realm="presence"'


async def test_without_keys_everybody_may_everything() -> None:
    office = BareService()
    assert (await office.get("/v1/status")).status == 200
    assert (await call(office.app, "POST", "/v1/contacts", json_body={"contacts": [ANN]})).status == 200


async def test_without_keys_what_is_sent_as_one_is_a_proxys_business() -> None:
    """A proxy that asks for passwords itself passes them on."""
    for header in ("Basic dXNlcjpwYXNz", f"Bearer {new_key().reveal()}", "nonsense"):
        assert (await call(BareService().app, "GET", "/v1/status", headers={"Authorization": header})).status == 200


async def test_with_keys_one_is_needed_and_said_how() -> None:
    answer = await guarded().get("/v1/status")
    assert (answer.status, answer.json()["type"]) == (401, "/problems/key-required")
    assert answer.headers["www-authenticate"] == CHALLENGE
    assert "Authorization: Bearer pws_" in answer.json()["detail"]


@pytest.mark.parametrize("header", ["Authorization", "X-API-Key"])
async def test_a_key_opens_in_both_headers(header: str) -> None:
    value = f"Bearer {KEYS['reader']}" if header == "Authorization" else KEYS["reader"]
    assert (await call(guarded().app, "GET", "/v1/status", headers={header: value})).status == 200


async def test_a_key_in_the_url_opens_nothing_and_is_not_repeated() -> None:
    office = guarded()
    key = KEYS["reader"]
    for target in (f"/v1/status?api_key={key}", f"/v1/status?{key}=1", f"/v1/presence/{key}", f"/v1/{key}"):
        for headers in ({}, bearer("root")):
            answer = await call(office.app, "GET", target, headers=headers)
            assert answer.status in {401, 404, 422}
            assert key[8:] not in answer.body.decode()


async def test_a_key_without_the_scope_is_told_what_it_lacks() -> None:
    answer = await call(guarded().app, "GET", "/v1/status", headers=bearer("claimer"))
    assert (answer.status, answer.json()["type"]) == (403, "/problems/not-allowed")
    assert answer.json()["detail"] == "This needs a key with the scope read; the scopes of this one: claim"


async def test_no_scope_implies_another() -> None:
    office = guarded()
    assert (await call(office.app, "POST", "/v1/refresh", headers=bearer("reader"))).status == 403
    assert (await call(office.app, "POST", "/v1/refresh", headers=bearer("claimer"))).status == 403
    assert (await call(office.app, "POST", "/v1/refresh", headers=bearer("admin"))).status == 200
    assert (await call(office.app, "GET", "/v1/status", headers=bearer("admin"))).status == 403


async def test_where_everybody_may_read_the_rest_takes_a_key() -> None:
    """And anybody who sends a wrong key is told so: it is a mistake, not a wish to be nobody."""
    office = guarded(READER)
    assert (await office.get("/v1/status")).status == 200
    answer = await call(office.app, "POST", "/v1/refresh")
    assert (answer.status, answer.headers["www-authenticate"]) == (401, CHALLENGE)
    assert "scope admin" in answer.json()["detail"]
    wrong = await call(office.app, "GET", "/v1/status", headers={"X-API-Key": new_key().reveal()})
    assert wrong.status == 401


# --- how fast


async def test_who_asks_too_fast_is_told_when_to_go_on() -> None:
    office = guarded(per_second=0.5, burst=2)
    for _ in range(2):
        assert (await call(office.app, "GET", "/v1/status", headers=bearer("reader"))).status == 200
    answer = await call(office.app, "GET", "/v1/status", headers=bearer("reader"))
    assert (answer.status, answer.json()["type"]) == (429, "/problems/too-many-requests")
    assert answer.headers["retry-after"] == "2"
    assert (await call(office.app, "GET", "/v1/status", headers=bearer("root"))).status == 200
    office.clock.advance(2)
    assert (await call(office.app, "GET", "/v1/status", headers=bearer("reader"))).status == 200


async def test_a_wait_of_less_than_a_second_is_one_second() -> None:
    office = guarded(per_second=100, burst=1)
    await call(office.app, "GET", "/v1/status", headers=bearer("reader"))
    answer = await call(office.app, "GET", "/v1/status", headers=bearer("reader"))
    assert (answer.status, answer.headers["retry-after"]) == (429, "1")


async def test_without_a_key_the_address_counts() -> None:
    """Of IPv6 its network: one client has as many addresses in it as they like."""
    clock = ManualClock()
    office = filled(
        BareService(clock=clock, authenticator=Authenticator(rate_limiter=RateLimiter(clock, 1, 1), clock=clock))
    )

    async def ask(address: str) -> int:
        return (await call(coming_from(address, office.app), "GET", "/v1/status")).status

    assert [await ask("10.0.0.1"), await ask("10.0.0.1"), await ask("10.0.0.2")] == [200, 429, 200]
    assert [await ask("2001:db8::1"), await ask("2001:db8::2"), await ask("2001:db8:0:1::1")] == [200, 429, 200]
    assert await ask("::ffff:10.0.0.1") == 429


async def test_notifications_probes_and_pages_are_not_counted() -> None:
    office = guarded(per_second=1, burst=1)
    for target in ("/livez", "/readyz", "/", "/docs", "/docs/files/swagger-ui.css", "/v1", "/openapi.json"):
        for _ in range(3):
            assert (await office.get(target)).status == 200
    for _ in range(3):
        assert (await office.get("/pws/wrong")).status == 404


async def test_wrong_keys_have_a_limit_of_their_own_and_right_ones_go_on(caplog: pytest.LogCaptureFixture) -> None:
    """Anybody who sends wrong keys from behind a proxy does not lock out who is there as well."""
    office = guarded(per_second=1000)
    wrong = [new_key().reveal() for _ in range(40)]
    statuses = [(await call(office.app, "GET", "/v1/status", headers={"X-API-Key": key})).status for key in wrong]
    assert statuses == [401] * 20 + [429] * 20
    assert (await call(office.app, "GET", "/v1/status", headers=bearer("reader"))).status == 200
    elsewhere = coming_from("10.0.0.9", office.app)
    assert (await call(elsewhere, "GET", "/v1/status", headers={"X-API-Key": wrong[0]})).status == 401
    office.clock.advance(3)
    assert (await call(office.app, "GET", "/v1/status", headers={"X-API-Key": wrong[0]})).status == 401
    lines = [record.getMessage() for record in caplog.records]
    assert [line.split(":")[0] for line in lines] == [
        "refused a request from 127.0.0.1",
        "refused a request from 10.0.0.9",
    ]
    assert not [key for key in wrong if key in caplog.text]


async def test_without_a_limit_there_is_none_for_wrong_keys_either() -> None:
    office = guarded(per_second=0)
    headers = {"X-API-Key": new_key().reveal()}
    assert {(await call(office.app, "GET", "/v1/status", headers=headers)).status for _ in range(50)} == {401}


async def test_who_forgets_the_key_is_not_a_guesser() -> None:
    """No key at all is no failure to count: a page that asks for the key begins so."""
    office = guarded()
    assert {(await office.get("/v1/status")).status for _ in range(50)} == {401}


# --- browsers


async def test_where_no_key_is_needed_a_page_cannot_pass_for_us() -> None:
    office = BareService()
    answer = await office.get("/v1/presence", host="evil.example")
    assert (answer.status, answer.json()["type"]) == (421, "/problems/host-not-allowed")
    assert "http.allowed_hosts" in answer.json()["detail"]
    for target in ("/", "/docs", "/openapi.json", "/v1"):
        assert (await office.get(target, host="evil.example")).status == 421
    for target in ("/livez", "/readyz"):
        assert (await office.get(target, host="evil.example")).status == 200


async def test_a_notification_comes_under_any_name() -> None:
    office = BareService()
    answer = await office.get("/pws/kR3-very_secret-path?id=1&eventType=PRESENCE_NOTIFICATION", host="any.example")
    assert answer.status == 200


async def test_where_no_key_is_needed_a_page_changes_nothing() -> None:
    office = BareService()
    headers = {"host": "127.0.0.1:8080", "origin": "https://evil.example"}
    answer = await call(office.app, "POST", "/v1/refresh", headers=headers)
    assert (answer.status, answer.json()["type"]) == (403, "/problems/origin-not-allowed")
    assert office.engine.refreshed == []


async def test_with_a_key_any_name_and_any_page_will_do() -> None:
    """A browser does not send a key by itself."""
    headers = {"host": "evil.example", "origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    office = guarded()
    assert (await call(office.app, "POST", "/v1/refresh", headers=headers | bearer("admin"))).status == 200
    assert (await call(office.app, "GET", "/", headers=headers)).status == 200


async def test_readers_without_a_key_are_protected_too() -> None:
    assert (await guarded(READER).get("/v1/presence", host="evil.example")).status == 421


# --- rules that change


async def test_a_key_that_is_revoked_opens_no_longer() -> None:
    office = guarded()
    assert office.authenticator is not None
    assert (await call(office.app, "GET", "/v1/status", headers=bearer("reader"))).status == 200
    office.authenticator.rules = AccessRules(KeyRing([(hash_of(KEYS["root"]), PEOPLE["root"])]), None)
    assert (await call(office.app, "GET", "/v1/status", headers=bearer("reader"))).status == 401
    assert (await call(office.app, "GET", "/v1/status", headers=bearer("root"))).status == 200


@pytest.mark.parametrize("change", ["revoked", "fewer scopes", "replaced", "no longer anonymous"])
async def test_a_stream_ends_with_its_key(change: str) -> None:
    """With the next piece that it would send; it ends cleanly, and nothing of that piece is sent."""
    authenticator = Authenticator(rules=rules(READER if change == "no longer anonymous" else None))

    async def stream(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        if change == "revoked":
            authenticator.rules = AccessRules(KeyRing([(hash_of(KEYS["root"]), PEOPLE["root"])]), None)
        elif change == "fewer scopes":
            authenticator.rules = AccessRules(
                KeyRing([(hash_of(KEYS["reader"]), Principal("reader", frozenset()))]), None
            )
        elif change == "replaced":
            authenticator.rules = AccessRules(KeyRing([(hash_of(new_key().reveal()), PEOPLE["reader"])]), None)
        else:
            authenticator.rules = rules()
        await send({"type": "http.response.body", "body": b"two", "more_body": True})
        raise AssertionError

    headers = {} if change == "no longer anonymous" else bearer("reader")
    answer = await call(AuthenticationMiddleware(stream, authenticator), "GET", "/v1/events", headers=headers)
    assert (answer.status, answer.body) == (200, b"one")


async def test_who_waited_with_a_key_that_was_revoked_meanwhile_gets_no_answer() -> None:
    """Else a long poll would tell one thing more."""
    authenticator = Authenticator(rules=rules())

    async def waits(scope: Scope, receive: Receive, send: Send) -> None:
        authenticator.rules = AccessRules(KeyRing([(hash_of(KEYS["root"]), PEOPLE["root"])]), None)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise AssertionError

    answer = await call(AuthenticationMiddleware(waits, authenticator), "GET", "/v1/status", headers=bearer("reader"))
    assert (answer.status, answer.json()["type"]) == (401, "/problems/key-required")


async def test_a_stream_whose_key_is_still_good_goes_on() -> None:
    authenticator = Authenticator(rules=rules())

    async def stream(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        authenticator.rules = rules()
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        await send({"type": "http.response.body", "body": b"two", "more_body": False})

    assert (
        await call(AuthenticationMiddleware(stream, authenticator), "GET", "/v1/x", headers=bearer("reader"))
    ).body == b"onetwo"


async def test_slots_are_a_keys_own() -> None:
    """Two keys behind one address do not share, nor does a key that is called like an address."""
    office = guarded()
    assert office.authenticator is not None
    seen = set()
    authenticator = office.authenticator

    async def tell(scope: Scope, receive: Receive, send: Send) -> None:
        connection = HTTPConnection(scope)
        who = authenticator.principal(connection)
        assert who is not None
        seen.add(authenticator.client(connection, who))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    for name in ("reader", "root"):
        await call(AuthenticationMiddleware(tell, authenticator), "GET", "/v1/x", headers=bearer(name))
    authenticator.rules = AccessRules(anonymous=ANYBODY)
    await call(AuthenticationMiddleware(tell, authenticator), "GET", "/v1/x")
    assert seen == {"key reader", "key root", "127.0.0.1"}


def test_nothing_of_a_key_shows() -> None:
    authenticator = Authenticator(rules=rules())
    shown = f"{authenticator!r} {authenticator.rules!r} {vars(authenticator)!r}"
    assert not [key for key in KEYS.values() if key in shown or hash_of(key) in shown]
    assert {READ, ADMIN} <= set(PEOPLE["root"].scopes)


async def test_a_route_outside_of_the_api_may_need_a_scope_too() -> None:
    """The dependency finds out itself who asks."""
    app, authenticator = FastAPI(), Authenticator(rules=rules())
    error_handlers.install(app)

    @app.get("/demo", dependencies=[Depends(authenticator.require(READ))])
    async def demo() -> str:
        return "in"

    statuses = [(await call(app, "GET", "/demo", headers=bearer(name))).status for name in ("reader", "claimer")]
    assert [*statuses, (await call(app, "GET", "/demo")).status] == [200, 403, 401]
