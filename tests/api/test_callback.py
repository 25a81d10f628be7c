"""Where notifications come in: anybody may knock, nobody learns anything."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import pytest

from pws_soap.models import Notification, Secret
from service.api.routes.callback import Callback
from service.core.clock import ManualClock
from tests.support.asgi import call
from tests.support.bare_service import SECRET, BareService
from tests.support.fake_engine import FakeEngine

GOOD = "id=5&eventType=PRESENCE_NOTIFICATION"


@pytest.mark.parametrize("query", [GOOD, "id=5&etype=PRESENCE_NOTIFICATION", f"x=1&{GOOD}"])
async def test_a_notification_is_taken(query: str) -> None:
    """200, empty, and the engine knows."""
    office = BareService()
    answer = await office.get(f"/pws/{SECRET}?{query}")
    assert (answer.status, answer.body) == (200, b"")
    assert office.engine.notifications == [(5, "")]


async def test_the_node_is_passed_on_and_the_time() -> None:
    """So that equal ids of two nodes are told apart."""
    office = BareService()
    assert (await office.get(f"/pws/{SECRET}/imp-1.example?{GOOD}")).status == 200
    assert office.engine.notifications == [(5, "imp-1.example")]
    (got,) = office.engine.received
    assert isinstance(got, Notification)
    assert got.received == datetime.fromtimestamp(office.clock.now(), UTC)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "eventType=PRESENCE_NOTIFICATION",
        "id=&eventType=PRESENCE_NOTIFICATION",
        "id=abc&eventType=PRESENCE_NOTIFICATION",
        "id=-1&eventType=PRESENCE_NOTIFICATION",
        "id=0&eventType=PRESENCE_NOTIFICATION",
        "id=99999999999&eventType=PRESENCE_NOTIFICATION",
        "id=1&id=2&eventType=PRESENCE_NOTIFICATION",
        "id=1;rm%20-rf%20/&eventType=PRESENCE_NOTIFICATION",
        "id=$(reboot)&eventType=PRESENCE_NOTIFICATION",
        "id=%D9%A1&eventType=PRESENCE_NOTIFICATION",
        "id=1&eventType=OTHER",
        "id=1",
        "%00%ff=%fe",
        f"{GOOD}&x={'a' * 10_000}",
    ],
)
async def test_what_is_no_notification_is_refused_without_a_word(query: str) -> None:
    """400, empty, counted, and the engine is not bothered."""
    office = BareService()
    answer = await office.get(f"/pws/{SECRET}?{query}")
    assert (answer.status, answer.body) == (400, b"")
    assert office.engine.notifications == []
    assert office.engine.rejections == 1


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
@pytest.mark.parametrize("path", ["wrong", f"{SECRET}x", SECRET[:-1], SECRET.upper(), "%C3%A9", "%ff", "%00"])
async def test_a_wrong_secret_looks_like_nothing(path: str, method: str) -> None:
    """The same answer as a path that does not exist, whatever the method and the query."""
    office = BareService()
    wrong = await call(office.app, method, f"/pws/{path}?{GOOD}")
    nothing = await call(office.app, method, "/pws")
    assert wrong.status == 404
    assert (wrong.status, wrong.headers, wrong.body) == (nothing.status, nothing.headers, nothing.body)
    assert office.engine.notifications == []
    assert office.engine.rejections == 0


@pytest.mark.parametrize("tail", ["/", "/a/b", "/a%20b", "/" + "a" * 65, "/%C3%A9"])
async def test_other_paths_under_the_secret_do_not_exist(tail: str) -> None:
    """And no answer repeats the secret, not even in a redirect."""
    answer = await BareService().get(f"/pws/{SECRET}{tail}?{GOOD}")
    assert answer.status == 404
    assert SECRET not in f"{answer.headers}{answer.body!r}"


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "OPTIONS"])
async def test_only_get_is_a_notification(method: str) -> None:
    """405 for anybody who knows the secret."""
    office = BareService()
    answer = await call(office.app, method, f"/pws/{SECRET}?{GOOD}")
    assert (answer.status, answer.headers["allow"]) == (405, "GET")
    assert SECRET not in f"{answer.headers}{answer.body!r}"
    assert office.engine.notifications == []


async def test_nothing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Neither of good notifications nor of bad ones."""
    caplog.set_level(logging.DEBUG)
    office = BareService()
    for target in (f"/pws/{SECRET}?{GOOD}", f"/pws/{SECRET}?x", "/pws/wrong"):
        await office.get(target)
    assert SECRET not in caplog.text


async def test_the_description_of_the_api_keeps_silent_about_it() -> None:
    """It is the server's, not the caller's."""
    assert not [path for path in (await BareService().get("/openapi.json")).json()["paths"] if "pws" in path]


def test_an_empty_secret_is_refused() -> None:
    """Else everybody would know it."""
    with pytest.raises(ValueError, match="must not be empty"):
        Callback(FakeEngine(), Secret(""), ManualClock())
