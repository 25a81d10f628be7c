"""What the hot lane answers itself, and what it leaves to the framework."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from service.access.authentication import AccessRules, Authenticator
from service.access.principal import ANYBODY
from service.access.rate_limit import RateLimiter
from service.api.app import Program
from service.api.etags import Representation
from service.api.hot_lane import HotLane
from service.api.kept_answers import LARGE, KeptAnswers
from service.core.claims.model import ClaimRequest, Person
from service.core.clock import ManualClock
from service.core.presence.cursors import MAX_AGE
from service.core.presence.records import Source
from tests.support.asgi import Answer, call
from tests.support.bare_service import AVAILABLE, BOUND, BUSY, FEED, BareService, presence
from tests.support.people import ANN, JOE, bearer, filled, guarded

LIST, ONE, SUMMARY = "/v1/presence?limit=1", f"/v1/presence/{ANN}", "/v1/summary"


class Counted:
    """A program that counts what reaches the framework."""

    def __init__(self, program: Program) -> None:
        self.reached = 0
        self._framework: ASGIApp = program._framework
        program._framework = self  # type: ignore[assignment]  # an ASGI program like the one it stands for

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.reached += 1
        await self._framework(scope, receive, send)

    async def during(self, office: BareService, target: str, method: str = "GET", **headers: str) -> tuple[int, Answer]:
        """How many requests reached it while one was answered, and the answer."""
        before = self.reached
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = await call(office.app, method, target, headers=sent)
        return self.reached - before, answer


def counted(office: BareService) -> Counted:
    return Counted(office.app)


@pytest.mark.parametrize("target", [LIST, ONE, SUMMARY, f"{ONE}?fields=state"])
async def test_what_was_answered_is_kept_until_it_changes(target: str) -> None:
    office = filled(BareService())
    framework = counted(office)
    first = await call(office.app, "GET", target)
    assert await framework.during(office, target) == (0, first)
    assert (await framework.during(office, target, "HEAD"))[0] == 0
    office.read([presence(ANN, AVAILABLE)])
    changed = await call(office.app, "GET", target)
    assert changed.body != first.body
    assert await framework.during(office, target) == (0, changed)


async def test_a_contact_is_made_without_the_framework() -> None:
    office = filled(BareService())
    framework = counted(office)
    reached, answer = await framework.during(office, ONE)
    assert (reached, answer.status, answer.json()["state"]) == (0, 200, "BUSY")


async def test_a_summary_after_a_change_is_made_without_the_framework() -> None:
    office = filled(BareService())
    framework = counted(office)
    assert (await framework.during(office, SUMMARY))[0] == 1, "all are counted once"
    office.read([presence(ANN, AVAILABLE)])
    reached, answer = await framework.during(office, SUMMARY)
    assert (reached, answer.json()["by_state"]["AVAILABLE"]) == (0, 2)


async def test_the_same_tag_is_known_again_and_no_other_is() -> None:
    """What is remembered of a question that came before is of that very tag, and of the answer that it names."""
    office = filled(BareService())
    first = (await office.get(LIST)).headers["etag"]
    for tag, status in ((first, 304), (first, 304), ('"1-x"', 200), (f'"1-x", {first}', 304), (first, 304), ("*", 304)):
        answer = await office.get(LIST, if_none_match=tag)
        assert (answer.status, answer.headers["etag"]) == (status, first)
    office.read([presence(ANN, AVAILABLE)])
    assert (await office.get(LIST, if_none_match=first)).status == 200
    assert (await office.get(LIST, if_none_match=first)).status == 200


@pytest.mark.parametrize("target", [LIST, ONE, SUMMARY])
async def test_an_empty_header_names_no_answer(target: str) -> None:
    """Nothing is remembered of an answer that was just made, and so not that it was asked for by an empty tag."""
    office = filled(BareService())
    first = await office.get(target)
    for tag in ("", ",", "", " "):
        assert await office.get(target, if_none_match=tag) == first


async def test_a_contact_outlives_the_changes_of_others() -> None:
    office = filled(BareService())
    framework, target = counted(office), f"{ONE}?fields=state"
    first = await office.get(target)
    office.store.put([presence(JOE, BUSY)], office.store.begin(), source=Source.POLLED)
    reached, again = await framework.during(office, target)
    assert (reached, again.body) == (0, first.body)
    office.store.put([presence(ANN, AVAILABLE)], office.store.begin(), source=Source.POLLED)
    reached, changed = await framework.during(office, target)
    assert (reached, changed.json()["state"]) == (1, "AVAILABLE")


def shown_freshness(answer: Answer) -> set[str]:
    """How sure the answer is of whatever it shows."""
    found = answer.json()
    if "by_freshness" in found:
        return {level for level, count in found["by_freshness"].items() if count}
    return {contact["freshness"] for contact in found.get("contacts", [found])}


@pytest.mark.parametrize("target", [LIST, ONE, SUMMARY])
async def test_nothing_kept_outlives_its_time(target: str) -> None:
    office = filled(BareService())
    assert shown_freshness(await office.get(target)) == {"live"}
    office.clock.advance(BOUND + 1)
    assert shown_freshness(await office.get(target)) == {"stale"}


@pytest.mark.parametrize("target", [LIST, ONE, SUMMARY])
async def test_nothing_kept_outlives_a_claim(target: str) -> None:
    office = BareService()
    office.watch(ANN)
    office.read([presence(ANN, AVAILABLE)])
    free = (await office.get(target)).body
    office.core.leases.make("c1", ClaimRequest("support", 1, 30.0, "", "root"), [Person(ANN, ANN)])
    held = (await office.get(target)).body
    assert (await office.get(target)).body == held != free
    office.clock.advance(30.0)
    assert (await office.get(target)).body == free


async def test_a_reading_that_moves_on_is_shown() -> None:
    office = filled(BareService())
    before = (await office.get(ONE)).json()
    office.clock.advance(5.0)
    again = [record.presence for record in office.store.records() if record.presence is not None]
    office.store.put(again, office.store.begin(), source=Source.SUBSCRIBED)
    assert (await office.get(ONE)).json()["as_of"] > before["as_of"]


async def test_a_kept_page_keeps_the_order_that_it_leads_into() -> None:
    office = filled(BareService())
    framework, target = counted(office), "/v1/presence?sort=state&limit=1"
    cursor = (await office.get(target)).json()["next_cursor"]
    for _ in range(2):
        office.clock.advance(MAX_AGE - 10)
        assert (await framework.during(office, target))[0] == 0
    assert (await office.get(f"{target}&cursor={cursor}")).status == 200
    office.clock.advance(MAX_AGE + 1)
    reached, _ = await framework.during(office, target)
    assert reached == 1, "anybody who asks for the page again gets one whose cursor is good"


@pytest.mark.parametrize("target", [LIST, ONE, SUMMARY])
async def test_nothing_kept_outlives_a_doubt(target: str) -> None:
    office = filled(BareService())
    assert shown_freshness(await office.get(target)) == {"live"}
    office.store.doubt(FEED, "it does not answer")
    assert shown_freshness(await office.get(target)) == {"stale"}


@pytest.mark.parametrize("target", [LIST, ONE, SUMMARY])
async def test_what_the_client_has_is_not_sent_again(target: str) -> None:
    office = filled(BareService())
    framework = counted(office)
    tag = (await office.get(target)).headers["etag"]
    reached, answer = await framework.during(office, target, if_none_match=tag)
    assert (reached, answer.status, answer.body, answer.headers["etag"]) == (0, 304, b"", tag)


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        (LIST, {"Accept": "text/csv"}),
        (LIST, {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}),
        (ONE, {"Prefer": "wait=1"}),
        (ONE, {"Origin": "https://board.example"}),
        (ONE, {"Content-Length": "0"}),
        (ONE, {"Host": "evil.example"}),
        ("/v1/presence/nobody@example.com", {}),
        ("/v1/presence/ann", {}),
        ("/v1/presence/", {}),
        (f"{ONE}?explain=true", {}),
        (f"{ONE}?max_age=10", {}),
        (f"{ONE}?x=1", {}),
        ("/v1/presence?limit=0", {}),
        ("/v1/status", {}),
        ("/livez", {}),
        (f"{ONE}/history", {}),
    ],
)
async def test_the_framework_answers_the_rest(target: str, headers: Mapping[str, str]) -> None:
    office = filled(BareService())
    framework = counted(office)
    await office.get(LIST)
    for _ in range(2):
        before = framework.reached
        await call(office.app, "GET", target, headers=headers)
        assert framework.reached == before + 1


async def test_headers_that_come_twice_are_the_frameworks() -> None:
    office = filled(BareService())
    framework = counted(office)
    await office.get(ONE)

    async def doubled(scope: Scope, receive: Receive, send: Send) -> None:
        await office.app({**scope, "headers": [*scope["headers"], (b"if-none-match", b"*")]}, receive, send)

    answer = await call(doubled, "GET", ONE, headers={"If-None-Match": '"1-x"'})
    assert (framework.reached, answer.status) == (1, 304)


async def test_a_request_counts_once_no_matter_who_answers_it() -> None:
    clock = ManualClock()
    limiter = RateLimiter(clock, 1.0, 4)
    office = filled(BareService(clock=clock, authenticator=Authenticator(rate_limiter=limiter, clock=clock)))
    targets = [ONE, ONE, f"{ONE}?explain=true", "/v1/summary", ONE]
    assert [(await office.get(target)).status for target in targets] == [200, 200, 200, 200, 429]


async def test_each_key_sees_its_own() -> None:
    office = guarded()
    answers = [(await call(office.app, "GET", ONE, headers=bearer(name))) for name in ("reader", "sales", "board") * 2]
    assert [answer.status for answer in answers] == [200, 404, 200] * 2
    assert "note" in answers[3].json()
    assert "note" not in answers[5].json()


async def test_a_revoked_key_gets_nothing_kept() -> None:
    office = guarded()
    assert (await call(office.app, "GET", ONE, headers=bearer("reader"))).status == 200
    assert office.authenticator is not None
    office.authenticator.rules = AccessRules(anonymous=None)
    assert (await call(office.app, "GET", ONE, headers=bearer("reader"))).status == 401


async def test_a_failure_of_the_lane_is_answered_by_the_framework(caplog: pytest.LogCaptureFixture) -> None:
    office = filled(BareService())

    def fails(_scope: Scope, _receive: Receive, _send: Send) -> Any:
        raise ZeroDivisionError

    office.app._hot_lane = HotLane({("GET", "/v1/summary"): fails})
    assert (await office.get("/v1/summary")).status == 200
    assert "the hot lane failed" in caplog.text


def keep(kept: KeptAnswers, path: str, size: int = 100) -> None:
    """Keep an answer of so many bytes."""
    kept.keep(path, b"", ANYBODY, Representation(b" " * size), inf, kept.stamp)


def test_what_was_used_last_stays_longest() -> None:
    kept = KeptAnswers(filled(BareService()).core, most=2)
    keep(kept, "/a")
    keep(kept, "/b")
    assert kept.find("/a", b"", ANYBODY) is not None
    keep(kept, "/c")
    assert [path for path in ("/a", "/b", "/c") if kept.find(path, b"", ANYBODY)] == ["/a", "/c"]


def test_the_bytes_of_what_is_kept_are_bounded() -> None:
    kept = KeptAnswers(filled(BareService()).core, most_bytes=10_000)
    for number in range(100):
        keep(kept, f"/{number}")
        assert kept.bytes <= 10_000
    assert len(kept) > 1
    keep(kept, "/whole", 20_000)
    keep(kept, "/whole", 20_000)
    assert (len(kept), kept.bytes) == (0, 0), "what alone is too large is not kept"


def test_a_large_answer_is_kept_once_it_is_asked_for_again() -> None:
    """Also when others were asked for in between; a walk through all pages keeps none of them."""
    kept = KeptAnswers(filled(BareService()).core, most=2)
    for path in ("/a", "/b"):
        keep(kept, path, LARGE)
    assert len(kept) == 0
    keep(kept, "/a", LARGE)
    assert [path for path in ("/a", "/b") if kept.find(path, b"", ANYBODY)] == ["/a"]


def test_what_was_asked_for_once_is_remembered_within_bounds() -> None:
    kept = KeptAnswers(filled(BareService()).core, most=2)
    for path in ("/a", "/b", "/c", "/a"):
        keep(kept, path, LARGE)
    assert len(kept) == 0, "forgotten meanwhile"


def test_an_answer_that_took_too_long_is_not_kept() -> None:
    office = filled(BareService())
    kept = KeptAnswers(office.core)
    stamp = kept.stamp
    office.read([presence(ANN, AVAILABLE)])
    assert kept.keep("/a", b"", ANYBODY, Representation(b"{}"), inf, stamp) is None
    assert len(kept) == 0
