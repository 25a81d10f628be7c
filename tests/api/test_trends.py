"""The picture of the last hours over HTTP, and who may see what of it."""

from __future__ import annotations

from typing import Any

import pytest

from service.access.authentication import AccessRules, Authenticator
from service.access.principal import Principal, Scope
from service.core.events.event import SubscriptionChange
from tests.support.bare_service import AVAILABLE, AWAY, BUSY, BareService, presence

ANN, BOB, CID, DAN = "ann@example.com", "bob@example.com", "cid@example.com", "dan@example.com"
READ = frozenset({Scope.READ})


def office(who: Principal | None = None) -> BareService:
    """Four contacts, two samples, and a subscription that was lost between them."""
    authenticator = Authenticator(rules=AccessRules(anonymous=who)) if who else None
    made = BareService({"support": (ANN, BOB, CID), "small": (ANN, BOB)}, authenticator=authenticator)
    made.watch(ANN, BOB, CID, DAN)
    made.read([presence(ANN), presence(BOB, BUSY), presence(CID, AWAY), presence(DAN, BUSY, on_the_phone=True)])
    made.core.trends.lagged(0.125)
    made.core.trends.sample()
    made.clock.advance(60)
    made.core.log.tell("subscription.lost", SubscriptionChange("dispatcher", "imp1", "gone"), frozenset({ANN}))
    made.read([presence(BOB, AVAILABLE)])
    made.core.trends.sample()
    return made


async def trends(made: BareService, query: str = "") -> Any:  # the JSON of an answer
    answer = await made.get(f"/v1/trends{query}")
    assert answer.status == 200, answer.body
    return answer.json()


async def test_samples_of_all_are_told_oldest_first() -> None:
    """With the marks, and nobody's name in it."""
    body = await trends(office())
    assert (body["group"], body["interval"]) == (None, 60.0)
    assert body["samples"] == [
        {"at": "2027-01-15T08:00:00.000Z", "total": 4, "free": 1, "unsure": 0}
        | {"on_the_phone": 1, "claimed": 0, "busy": 1, "away": 1, "lag": 0.125},
        {"at": "2027-01-15T08:01:00.000Z", "total": 4, "free": 2, "unsure": 0}
        | {"on_the_phone": 1, "claimed": 0, "busy": 0, "away": 1, "lag": None},
    ]
    assert body["marks"] == [{"at": "2027-01-15T08:01:00.000Z", "event": "subscription.lost"}]


async def test_a_group_has_its_own_and_a_small_one_none() -> None:
    """Numbers of two people would be about them."""
    made = office()
    assert [sample["free"] for sample in (await trends(made, "?group=support"))["samples"]] == [1, 2]
    assert (await trends(made, "?group=small"))["samples"] == []


async def test_a_key_without_details_sees_who_is_available_and_no_more() -> None:
    """As everywhere."""
    body = await trends(office(Principal("board", READ, details=False)))
    assert [list(sample) for sample in body["samples"]] == [["at", "total", "free", "unsure"]] * 2


async def test_a_key_that_is_limited_to_groups_names_one_of_them() -> None:
    """What all of them come to would count people twice, and what all contacts do would tell of others."""
    made = office(Principal("two", READ, groups=frozenset({"support", "small"})))
    assert len((await trends(made, "?group=support"))["samples"]) == 2
    body = await trends(made)
    assert (body["group"], body["samples"]) == (None, [])
    made = office(Principal("one", READ, groups=frozenset({"support"})))
    body = await trends(made)
    assert (body["group"], [sample["total"] for sample in body["samples"]]) == ("support", [3, 3])
    answer = await made.get("/v1/trends?group=small")
    assert answer.status == 422
    assert answer.json()["errors"] == [{"in": "query", "parameter": "group", "expected": "one of support"}]


async def test_a_key_that_is_limited_to_groups_learns_nothing_of_others_from_marks_and_lags() -> None:
    """As on the stream: what became of a subscription without any contact that it sees is not told."""
    rules = {name: Principal(name, READ, groups=frozenset({name})) for name in ("support", "small", "others", "none")}
    marks: dict[str, list[str]] = {}
    for name, who in rules.items():
        authenticator = Authenticator(rules=AccessRules(anonymous=who))
        groups = {"support": (ANN, BOB, CID), "small": (ANN, BOB), "others": (BOB, CID, DAN), "none": ()}
        made = BareService(groups, authenticator=authenticator)
        made.watch(ANN, BOB, CID, DAN)
        made.core.log.tell("subscription.lost", SubscriptionChange("dispatcher", "imp1", "gone"), frozenset({ANN}))
        made.core.log.tell("subscription.renewed", SubscriptionChange("dispatcher", "imp1", ""), frozenset({DAN}))
        made.core.log.tell("subscription.missed", SubscriptionChange("dispatcher", "imp1", ""))
        made.core.trends.lagged(0.125)
        made.core.trends.sample()
        body = await trends(made)
        assert [sample["lag"] for sample in body["samples"]] == [None] * len(body["samples"])
        marks[name] = [mark["event"].partition(".")[2] for mark in body["marks"]]
    lost, renewed, missed = "lost", "renewed", "missed"
    assert marks == {"support": [lost, missed], "small": [lost, missed], "others": [renewed, missed], "none": [missed]}


@pytest.mark.parametrize("query", ["?group=nobody's", "?group=", "?group=support&group=small", "?hours=3"])
async def test_what_is_not_expected_is_refused(query: str) -> None:
    """With what was."""
    answer = await office().get(f"/v1/trends{query}")
    assert answer.status == 422, answer.body


async def test_the_same_answer_is_not_sent_twice() -> None:
    """It has a tag."""
    made = office()
    first = await made.get("/v1/trends")
    assert (await made.get("/v1/trends", if_none_match=first.headers["etag"])).status == 304


async def test_it_takes_the_scope_read() -> None:
    """A key that may only claim sees none of it."""
    made = office(Principal("router", frozenset({Scope.CLAIM})))
    assert (await made.get("/v1/trends")).status in {401, 403}
