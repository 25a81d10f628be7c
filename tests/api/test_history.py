"""The last transitions of each contact, and who may see them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from pws_soap.models import Secret
from service.access.authentication import AccessRules, Authenticator
from service.access.principal import ANYBODY, Principal, Scope
from service.api.app import create_app
from service.core.claims.model import ClaimRequest
from service.core.events.history import History
from service.core.presence.availability import Availability, Rule
from service.core.presence.memory_store import MemoryStore
from service.core.wiring import Core
from tests.support.asgi import Answer
from tests.support.bare_service import AVAILABLE, AWAY, BOUND, BUSY, SECRET, BareService, presence

ANN, BOB = "ann@example.com", "bob@example.com"


def office(
    per_contact: int = 5,
    max_age: float = 3600.0,
    who: Principal = ANYBODY,
    groups: Mapping[str, Iterable[str]] | None = None,
    rules: Mapping[str, Rule] | None = None,
) -> BareService:
    """Ann and Bob are watched and were read once, a second ago."""
    made = BareService()
    groups = groups or {}
    made.store = MemoryStore(made.clock)
    made.core = Core.of(
        made.store,
        made.clock,
        BOUND,
        groups,
        Availability(groups, rules),
        history=History(made.clock, per_contact, max_age),
    )
    authenticator = Authenticator(rules=AccessRules(anonymous=who))
    made.app = create_app(
        made.engine, made.core, callback_secret=Secret(SECRET), version="1", authenticator=authenticator
    )
    made.watch(ANN, BOB)
    made.read([presence(ANN, AVAILABLE), presence(BOB, AVAILABLE)])
    made.clock.advance(1)
    return made


async def past(made: BareService, query: str = "") -> Any:  # the JSON of an answer
    """Ann's."""
    answer = await made.get(f"/v1/presence/{ANN}/history{query}")
    assert answer.status == 200, answer.body
    return answer.json()


def states(body: Any) -> list[str]:
    return [each["state"] for each in body["transitions"]]


async def test_transitions_are_told_newest_first() -> None:
    """With all that makes one."""
    made = office()
    made.read([presence(ANN, BUSY, activities=("on-the-phone",), on_the_phone=True)])
    body = await past(made)
    assert list(body) == ["contact", "transitions", "complete"]
    assert (body["contact"], body["complete"]) == (ANN, True)
    newest, first = body["transitions"]
    assert newest == {
        "at": "2027-01-15T08:00:01.000Z",
        "state": "BUSY",
        "activities": ["on-the-phone"],
        "on_the_phone": True,
        "freshness": "live",
        "available": False,
        "revision": made.core.log.last,
    }
    assert (first["state"], first["on_the_phone"], first["available"]) == ("AVAILABLE", None, True)


async def test_a_note_or_a_device_is_no_transition() -> None:
    """What does not bear on who is free is not kept."""
    made = office()
    made.read([presence(ANN, AVAILABLE, note="back at ten", display_name="Ann", idle=False)])
    assert states(await past(made)) == ["AVAILABLE"]


async def test_time_alone_makes_transitions_too() -> None:
    """Live becomes stale without any reading."""
    made = office()
    made.clock.advance(BOUND + 1)
    made.core.log.touch()
    newest = (await past(made))["transitions"][0]
    assert (newest["state"], newest["freshness"], newest["available"]) == ("AVAILABLE", "stale", False)


async def test_the_number_is_bounded() -> None:
    """The newest stay, and the answer says that there were others."""
    made = office(per_contact=3)
    for state in (BUSY, AWAY, BUSY, AVAILABLE):
        made.read([presence(ANN, state)])
    body = await past(made)
    assert (states(body), body["complete"]) == (["AVAILABLE", "BUSY", "AWAY"], False)
    assert made.core.history.kept == 4


async def test_the_age_is_bounded_also_where_nothing_happens() -> None:
    """Dropped when written, and never shown when read."""
    made = office(max_age=60)
    made.read([presence(ANN, BUSY)])
    made.clock.advance(59.5)
    assert (states(await past(made)), (await past(made))["complete"]) == (["BUSY"], False)
    made.clock.advance(2)
    assert (await past(made)) == {"contact": ANN, "transitions": [], "complete": False}
    made.read([presence(BOB, BUSY)])
    assert made.core.history.kept == 1


async def test_limit() -> None:
    """The newest ones; whether there are more is told."""
    made = office()
    made.read([presence(ANN, BUSY)])
    body = await past(made, "?limit=1")
    assert (states(body), body["complete"]) == (["BUSY"], False)
    assert (await past(made, "?limit=2"))["complete"] is True


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "limit=", "limit=1&limit=2", "since=1"])
async def test_wrong_parameters(query: str) -> None:
    """Are told by their names."""
    answer = await office().get(f"/v1/presence/{ANN}/history?{query}")
    assert answer.status == 422
    assert answer.json()["errors"][0]["parameter"] == query.partition("=")[0]


async def test_the_past_ends_with_the_watch() -> None:
    """Somebody who is watched again begins anew."""
    made = office()
    made.store.unwatch([ANN])
    assert (await made.get(f"/v1/presence/{ANN}/history")).status == 404
    made.watch(ANN)
    assert (await past(made))["transitions"] == []


async def test_nothing_is_kept_unless_it_is_turned_on() -> None:
    """For privacy; and the answer says so, of whomever one asks."""
    made = office(per_contact=0)
    made.read([presence(ANN, BUSY)])
    assert made.core.history.kept == 0
    for contact in (ANN, "nobody@example.com"):
        answer = await made.get(f"/v1/presence/{contact}/history")
        assert (answer.status, answer.json()["type"]) == (404, "/problems/history-off")


def problem_of(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.json()["type"]


async def test_who_may_see_it() -> None:
    """Nobody who may not see details, and no contact of another group."""
    groups = {"support": (ANN,), "sales": (BOB,)}
    brief = office(who=Principal("board", frozenset({Scope.READ}), details=False))
    assert problem_of(await brief.get(f"/v1/presence/{ANN}/history")) == (403, "/problems/not-allowed")
    limited = office(who=Principal("desk", frozenset({Scope.READ}), frozenset({"support"})), groups=groups)
    assert states(await past(limited)) == ["AVAILABLE"]
    assert problem_of(await limited.get(f"/v1/presence/{BOB}/history")) == (404, "/problems/contact-not-watched")


async def test_availability_is_that_of_the_groups_one_sees() -> None:
    """What only another group's rule makes a transition is none."""
    groups = {"support": (ANN,), "sales": (ANN,)}
    rules = {"support": Rule(), "sales": Rule(dwell=30)}
    limited = office(who=Principal("desk", frozenset({Scope.READ}), frozenset({"support"})), groups=groups, rules=rules)
    everything = office(groups=groups, rules=rules)
    for made in (limited, everything):
        made.clock.advance(60)
        made.core.log.touch()
    assert [each["available"] for each in (await past(limited))["transitions"]] == [True]
    assert [each["available"] for each in (await past(everything))["transitions"]] == [True, False]


async def test_an_unchanged_past_is_not_sent_again() -> None:
    """It has an entity tag like every answer of presence."""
    made = office()
    first = await made.get(f"/v1/presence/{ANN}/history")
    made.read([presence(BOB, BUSY)])
    again = await made.get(f"/v1/presence/{ANN}/history", if_none_match=first.headers["etag"])
    assert (again.status, again.body) == (304, b"")


async def test_a_limited_key_sees_a_claim_that_changes_its_own_group_alone() -> None:
    """By the rule of all groups Ann is not available anyway; by the group that the key sees she was, and is held."""
    groups = {"support": (ANN,), "sales": (ANN,)}
    rules = {"sales": Rule(states=frozenset({BUSY}))}
    made = office(who=Principal("board", frozenset({Scope.READ}), frozenset({"support"})), groups=groups, rules=rules)
    made.core.claim_service.ask(ClaimRequest("support", 1, 60.0, "", "joe"))
    assert [each["available"] for each in (await past(made))["transitions"]] == [False, True]
