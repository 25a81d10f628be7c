"""What a key sees that may not see everything."""

from __future__ import annotations

import pytest

from service.access.authentication import AccessRules, Authenticator
from service.access.principal import Principal, Scope
from service.api.models import BriefContactView
from service.core.engine import NotAvailable
from tests.support.bare_service import AVAILABLE, AWAY, BUSY, BareService, presence
from tests.support.plain_contacts import brief_view

ANN, BOB, CID, DAN = "ann@example.com", "bob@example.com", "cid@example.com", "dan@example.com"
READ = frozenset({Scope.READ})
DESK = Principal("desk", READ, frozenset({"support"}))
BOARD = Principal("board", READ, details=False)


def office(who: Principal) -> BareService:
    """Ann and Bob are of support, Bob and Cid of sales, Dan of no group."""
    made = BareService(
        {"support": (ANN, BOB), "sales": (BOB, CID)}, authenticator=Authenticator(rules=AccessRules(anonymous=who))
    )
    made.watch(ANN, BOB, CID, DAN)
    made.read(
        [
            presence(ANN, BUSY, display_name="Ann", note="secret"),
            presence(BOB, AVAILABLE),
            presence(CID, AWAY),
            presence(DAN, AVAILABLE),
        ]
    )
    return made


# --- some groups


@pytest.mark.parametrize(
    "query", ["", "?group=support", "?sort=state", "?sort=-contact", "?available=true&available=false"]
)
async def test_a_key_of_a_group_sees_its_contacts(query: str) -> None:
    """Of both its groups, in whatever order, and nobody else."""
    answer = await office(DESK).get(f"/v1/presence{query}")
    if "available" in query:
        assert answer.status == 422
        return
    assert {each["contact"] for each in answer.json()["contacts"]} == {ANN, BOB}


async def test_other_groups_do_not_exist() -> None:
    """Neither as a filter, nor in a reason, nor in the summary."""
    made = office(DESK)
    answer = await made.get("/v1/presence?group=sales")
    assert answer.status == 422
    assert answer.json()["errors"][0]["expected"] == "one of support"
    summary = (await made.get("/v1/summary")).json()
    assert (list(summary["groups"]), summary["total"]) == (["support"], 2)
    assert b"sales" not in (await made.get(f"/v1/presence/{BOB}?explain=true")).body


@pytest.mark.parametrize("contact", [CID, DAN, "zoe@example.com"])
async def test_contacts_of_no_group_of_ones_own_are_not_watched(contact: str) -> None:
    """The same answer as for one that nobody watches."""
    made = office(DESK)
    for query in ("", "?explain=true", "?max_age=0", "?fields=state"):
        answer = await made.get(f"/v1/presence/{contact}{query}")
        assert (answer.status, answer.json()["type"]) == (404, "/problems/contact-not-watched")
    assert made.engine.refreshed == []


async def test_reading_through_reads_ones_own() -> None:
    """And does not tell which node failed."""
    made = office(DESK)
    made.clock.advance(100)
    made.engine.outcomes = [NotAvailable("imp1.example.com: connection refused")]
    answer = await made.get("/v1/presence?max_age=5")
    assert made.engine.refreshed == [[ANN, BOB]]
    assert answer.headers["cache-status"] == 'pws-presence; hit; detail="could not be read"'


async def test_a_cursor_of_another_key_is_refused() -> None:
    """Even where both see the same."""
    made = office(DESK)
    cursor = (await made.get("/v1/presence?limit=1")).json()["next_cursor"]
    assert made.authenticator is not None
    made.authenticator.rules = AccessRules(anonymous=Principal("other", READ, DESK.groups))
    assert (await made.get(f"/v1/presence?limit=1&cursor={cursor}")).status == 422


# --- no details


async def test_without_details_one_sees_who_is_available() -> None:
    """In this order, and nothing else."""
    made = office(BOARD)
    body = (await made.get("/v1/presence")).json()
    ann = body["contacts"][0]
    assert list(ann) == ["contact", "display_name", "available", "freshness", "as_of", "revision"]
    assert list(ann) == list(BriefContactView.model_fields)
    known = made.core.reader.one(ANN)
    assert known is not None
    assert ann == brief_view(known).model_dump(mode="json") == (await made.get(f"/v1/presence/{ANN}")).json()
    for suffix in ("", f"/{ANN}"):
        text = (await made.get(f"/v1/presence{suffix}")).body
        assert not any(word in text for word in (b"BUSY", b"secret", b"reason", b"devices"))


async def test_without_details_the_summary_counts_who_is_available() -> None:
    """Not who is in a call or away."""
    body = (await office(BOARD).get("/v1/summary")).json()
    counts = {"total": 2, "by_freshness": {"live": 2, "stale": 0, "unknown": 0}, "available": 1}
    assert body == {
        "total": 4,
        "by_freshness": {"live": 4, "stale": 0, "unknown": 0},
        "available": 2,
        "groups": {"support": counts, "sales": counts},
    }


@pytest.mark.parametrize(
    "target",
    [
        "/v1/presence?state=BUSY",
        "/v1/presence?activity=meeting",
        "/v1/presence?sort=state",
        "/v1/presence?sort=-changed_at",
        "/v1/presence?fields=available,note",
        f"/v1/presence/{ANN}?explain=true",
        f"/v1/presence/{ANN}?fields=reason",
        f"/v1/presence/{ANN}/history",
        "/v1/presence/zoe@example.com/history",
    ],
)
async def test_what_would_tell_more_is_refused(target: str) -> None:
    """403, whatever the answer would have been."""
    answer = await office(BOARD).get(target)
    assert (answer.status, answer.json()["type"]) == (403, "/problems/not-allowed")


@pytest.mark.parametrize(
    "target",
    [
        "/v1/presence?available=true&freshness=live&group=support&q=ob",
        "/v1/presence?sort=available",
        "/v1/presence?sort=-display_name&limit=1",
        "/v1/presence?fields=available",
        "/v1/presence?max_age=60",
        f"/v1/presence/{ANN}?max_age=60&fields=freshness",
        f"/v1/presence/{ANN}?explain=false",
    ],
)
async def test_what_tells_no_more_is_allowed(target: str) -> None:
    """Anybody who sees the result may ask for it."""
    answer = await office(BOARD).get(target)
    assert answer.status == 200
    assert b"BUSY" not in answer.body


async def test_fields_without_details() -> None:
    """In the order of the short form."""
    body = (await office(BOARD).get("/v1/presence?fields=freshness,available&limit=1")).json()
    assert list(body["contacts"][0]) == ["contact", "available", "freshness"]
