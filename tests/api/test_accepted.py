"""Where commits are not immediate: nothing is promised to a client before it is accepted."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.branch import BUSY, FEED
from tests.support.reception import KEYS, Call, Reception
from tests.support.slow_commits import SlowCommits
from tests.support.sse import Listener

ONE = {"group": "support"}


class SlowOffice(Reception):
    """A reception whose commits a test accepts."""

    def __init__(self) -> None:
        self.slow = SlowCommits()
        super().__init__({"support": ("ann", "bob")}, commits=self.slow)
        self.slow.log = self.core.log
        self.opens()
        self.slow.accept()

    async def asks(self, number: int = 1) -> None:
        """Until so many wait for something to be accepted."""
        for _ in range(200):
            if self.slow.asked == number:
                return
            await asyncio.sleep(0)
        raise AssertionError(f"{self.slow.asked} ask")

    def held(self) -> int:
        return len(self.claim_service.leases())


@pytest.fixture
def office() -> SlowOffice:
    return SlowOffice()


async def decided(office: SlowOffice, call: Call, number: int = 1) -> None:
    """The request is decided, and waits."""
    await office.asks(number)
    assert call.waits


@pytest.mark.parametrize("headers", [{}, {"prefer": "wait=5"}, {"idempotency-key": "k"}])
async def test_a_claim_is_answered_when_it_is_accepted(office: SlowOffice, headers: dict[str, str]) -> None:
    """Held at once, so that nobody else gets them; told later."""
    call = office.call("POST", "/v1/claims", ONE, headers=headers)
    await decided(office, call)
    assert office.held() == 1
    assert not office.told("claim")
    office.slow.accept()
    answer = await call.answer()
    assert answer.status == 201
    assert office.told("claim") == ["claim.made"]


@pytest.mark.parametrize("headers", [{}, {"prefer": "wait=5"}, {"idempotency-key": "k"}])
async def test_a_claim_that_is_not_accepted_is_taken_back(office: SlowOffice, headers: dict[str, str]) -> None:
    """The client learns that it has nobody, and may ask again with the same key."""
    call = office.call("POST", "/v1/claims", ONE, headers=headers)
    await decided(office, call)
    office.slow.refuse()
    answer = await call.answer()
    assert (answer.status, answer.headers["retry-after"]) == (503, "3")
    assert answer.json()["type"] == "/problems/no-owner"
    assert office.held() == 0
    again = office.call("POST", "/v1/claims", ONE, headers=headers)
    await decided(office, again)
    office.slow.accept()
    answer = await again.answer()
    assert (answer.status, "idempotency-replayed" in answer.headers) == (201, False)


async def test_a_repeated_claim_is_answered_after_the_first(office: SlowOffice) -> None:
    """Its answer is there already, and may still be taken back."""
    first = office.call("POST", "/v1/claims", ONE, headers={"idempotency-key": "k"})
    await decided(office, first)
    second = office.call("POST", "/v1/claims", ONE, headers={"idempotency-key": "k"})
    answer = await second.answer()
    assert (answer.status, answer.headers["retry-after"]) == (409, "1")
    assert answer.json()["type"] == "/problems/request-in-progress"
    office.slow.accept()
    second = office.call("POST", "/v1/claims", ONE, headers={"idempotency-key": "k"})
    answers = await first.answer(), await second.answer()
    assert [answer.status for answer in answers] == [201, 201]
    assert answers[0].body == answers[1].body
    assert answers[1].headers["idempotency-replayed"] == "true"


async def test_what_changes_nothing_is_refused_at_once(office: SlowOffice) -> None:
    """Nobody waits for a refusal."""
    assert (await office.post({"group": "support", "count": 3})).status == 409
    assert (await office.post({"group": "nobody"})).status == 422
    assert (await office.send("DELETE", "/v1/claims/none")).status == 404
    assert office.slow.asked == 0


@pytest.mark.parametrize(
    ("method", "path", "status"), [("DELETE", "/v1/claims/{}", 204), ("POST", "/v1/claims/{}/renew", 200)]
)
@pytest.mark.parametrize("accepted", [True, False])
async def test_renewals_and_releases_too(
    office: SlowOffice, method: str, path: str, status: int, accepted: bool
) -> None:
    """A longer time is a promise; and anybody who let go of somebody expects them to be free."""
    lease = office.claim()
    office.slow.accept()
    call = office.call(method, path.format(lease.id), {"lease_seconds": 90} if "renew" in path else None, "boss")
    await decided(office, call)
    if accepted:
        office.slow.accept()
    else:
        office.slow.refuse()
    assert (await call.answer()).status == (status if accepted else 503)


async def test_a_stream_begins_with_what_is_accepted(office: SlowOffice) -> None:
    """Its first id is one that may be resumed."""
    office.put("ann", BUSY)
    async with Listener(office.app, authorization=f"Bearer {KEYS['joe']}") as listener:
        await office.asks()
        assert not listener.events
        office.slow.accept()
        (snapshot,) = await listener.take(1)
        assert snapshot.id == str(office.core.log.last)
        office.put("ann", BUSY, note="x")
        await listener.silence()
        office.slow.accept()
        assert (await listener.take(1))[0].id == str(office.core.log.last)


async def test_a_stream_that_may_not_begin_ends(office: SlowOffice) -> None:
    """Without a word that could be believed."""
    office.put("ann", BUSY)
    async with Listener(office.app, authorization=f"Bearer {KEYS['joe']}") as listener:
        await office.asks()
        office.slow.refuse()
        await listener.finished()
        assert (listener.events, listener.ended) == ([], True)


# --- where nothing that was told counts any more


async def test_a_cut_ends_streams_and_long_polls(office: SlowOffice) -> None:
    """Those that are there; later ones begin anew."""
    url = "/v1/presence/ann@example.com"
    tag = (await office.send("GET", url)).headers["etag"]
    async with Listener(office.app, authorization=f"Bearer {KEYS['joe']}") as listener:
        await listener.take(1)
        poll = office.call("GET", url, headers={"prefer": "wait=60", "if-none-match": tag})
        await listener.silence()
        office.core.log.cut()
        await listener.finished()
        assert listener.ended
    assert poll.waits, "what it would be told is what it knows"
    office.store.doubt(FEED, "lost")
    office.core.log.cut()
    assert (await poll.answer()).json()["freshness"] == "stale"
    async with Listener(office.app, authorization=f"Bearer {KEYS['joe']}") as listener:
        await office.asks()
        office.slow.accept()
        assert (await listener.take(1))[0].name == "snapshot"


async def test_in_silence_no_stream_begins(office: SlowOffice) -> None:
    """And no long poll waits for what no event will tell."""
    url = "/v1/presence/ann@example.com"
    tag = (await office.send("GET", url)).headers["etag"]
    office.core.log.silence()
    refused = await office.send("GET", "/v1/events")
    assert (refused.status, refused.headers["retry-after"]) == (503, "3")
    assert refused.json()["type"] == "/problems/no-owner"
    office.store.doubt(FEED, "nobody is heard")
    answer = await office.send("GET", url, headers={"prefer": "wait=60", "if-none-match": tag})
    assert answer.json()["freshness"] == "stale"
    office.core.log.heard()
    office.core.log.touch()
    office.slow.accept()
    async with Listener(office.app, authorization=f"Bearer {KEYS['joe']}") as listener:
        assert (await listener.take(1))[0].name == "snapshot"


async def test_where_another_replica_decides_nobody_is_claimed(office: SlowOffice) -> None:
    """Requests that wait are refused, and new ones."""
    office.claim()
    office.claim()
    office.slow.accept()
    waiting = office.call("POST", "/v1/claims", ONE, headers={"prefer": "wait=60"})
    for _ in range(20):
        await asyncio.sleep(0)
    assert waiting.waits
    office.core.log.follow_owner(lambda _id: False)
    office.claim_service.follow_owner()
    for answer in (await waiting.answer(), await office.post(ONE)):
        assert (answer.status, answer.json()["type"]) == (503, "/problems/no-owner")
