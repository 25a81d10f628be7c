"""Claims over HTTP: what is asked, what is answered, and to whom."""

from __future__ import annotations

import json
from typing import Any

import pytest

from service.access.authentication import AccessRules, Authenticator
from service.access.principal import Principal, Scope
from service.access.stream_slots import ConnectionSlots
from service.api.app import create_app
from service.api.models import rfc3339
from service.core.claims.model import ClaimEventKind
from service.core.claims.service import ClaimRules
from tests.support.branch import AVAILABLE, BUSY, Branch, running
from tests.support.fake_engine import FakeEngine
from tests.support.reception import KEYS, Reception, until
from tests.support.sse import Listener

GROUPS = {"support": ("ann", "bob"), "sales": ("bob", "cid")}
ONE = {"group": "support"}


def reception(**rest: Any) -> Reception:
    office = Reception(GROUPS, **rest)
    office.opens()
    return office


def follower(office: Reception, who: str = "joe", **headers: str) -> Listener:
    """A stream with the key of `who`."""
    return Listener(office.app, authorization=f"Bearer {KEYS[who]}", **headers)


# --- making


async def test_a_claim_says_who_until_when_and_why_not_the_others() -> None:
    """The contacts are those of every other answer, with the claim."""
    office = reception()
    answer = await office.post({"group": "support", "count": 1, "lease_seconds": 90, "for": "ticket 4711"})
    assert answer.status == 201, answer.body
    claim = answer.json()
    until = rfc3339(office.clock.now() + 90)
    held = {"id": claim["id"], "group": "support", "for": "ticket 4711", "holder": "joe", "expires_at": until}
    made = {"made_at": rfc3339(office.clock.now()), **held}
    assert answer.headers["location"] == f"/v1/claims/{claim['id']}"
    assert list(claim) == ["id", "group", "for", "holder", "made_at", "expires_at", "contacts", "passed_over"]
    assert {name: claim[name] for name in made} == made
    assert claim["passed_over"] == [
        {"contact": "bob@example.com", "reason": "free, but not for longer than those picked"}
    ]
    (contact,) = claim["contacts"]
    assert contact == (await office.send("GET", "/v1/presence/ann@example.com")).json()
    assert (contact["available"], contact["reason"], contact["claim"]) == (False, "claimed", held)


async def test_too_few_is_a_conflict_with_reasons() -> None:
    """A problem document with how many it could have been."""
    office = reception()
    office.put("ann", AVAILABLE, on_the_phone=True)
    answer = await office.post({"group": "support", "count": 2})
    assert (answer.status, answer.headers["content-type"]) == (409, "application/problem+json")
    problem = answer.json()
    assert (problem["type"], problem["free"]) == ("/problems/not-enough-free", 1)
    assert problem["detail"] == "2 of the group support are wanted, and 1 is free"
    assert problem["passed_over"] == [
        {"contact": "ann@example.com", "reason": "on the phone"},
        {"contact": "bob@example.com", "reason": "free, but too few are"},
    ]


@pytest.mark.parametrize(
    ("body", "parameter", "expected"),
    [
        ({}, "group", "a value"),
        ({"group": "nobody"}, "group", "one of sales, support"),
        ({"group": "support", "colour": "red"}, "colour", "no parameter of this name"),
        ({"group": "support", "count": 0}, "count", "greater than or equal to 1"),
        ({"group": "support", "count": 101}, "count", "less than or equal to 100"),
        ({"group": "support", "count": True}, "count", "a valid integer"),
        ({"group": "support", "count": "2"}, "count", "a valid integer"),
        ({"group": "support", "count": 1.5}, "count", "a valid integer"),
        ({"group": "support", "lease_seconds": 3601}, "lease_seconds", "at most 3600 seconds (claims.max_lease)"),
        ({"group": "support", "lease_seconds": 0.5}, "lease_seconds", "greater than or equal to 1"),
        ({"group": "support", "lease_seconds": "60"}, "lease_seconds", "a valid number"),
        ({"group": "support", "lease_seconds": True}, "lease_seconds", "a valid number"),
        ({"group": "support", "lease_seconds": float("nan")}, "lease_seconds", "a finite number"),
        ({"group": "support", "for": "x" * 201}, "for", "at most 200 characters"),
        ({"group": "support", "for": "a\nb"}, "for", "text of one line, without control characters"),
        ({"group": "support", "for": "a\ud800b"}, "for", "unicode"),
        ({"group": "support", "purpose": "a"}, "purpose", "no parameter of this name"),
        ([], "body", "a JSON object"),
    ],
)
async def test_what_is_wrong_with_a_claim_is_said(body: object, parameter: str, expected: str) -> None:
    """And nobody is held."""
    office = reception()
    answer = await office.post(body)
    assert answer.status == 422, answer.body
    (error,) = answer.json()["errors"]
    assert error["parameter"] == parameter
    assert expected in error["expected"], error
    assert not office.claim_service.leases()


@pytest.mark.parametrize("key", ["", "x" * 201, "a\tb", "\xe9"])
async def test_an_idempotency_key_is_printable(key: str) -> None:
    """1 to 200 characters."""
    answer = await reception().post(ONE, idempotency_key=key)
    assert answer.status == 422, answer.body
    assert answer.json()["errors"][0]["in"] == "header"


# --- keeping and letting go


async def test_a_claim_is_renewed_and_released() -> None:
    """Until it has ended; then there is none."""
    office = reception()
    claim = (await office.post(ONE)).json()
    path = f"/v1/claims/{claim['id']}"
    office.clock.advance(100)
    renewed = await office.send("POST", f"{path}/renew", {"lease_seconds": 60})
    assert renewed.status == 200
    assert renewed.json()["expires_at"] == rfc3339(office.clock.now() + 60)
    assert "passed_over" not in renewed.json()
    assert renewed.json() == (await office.send("GET", path)).json()
    assert (await office.send("GET", "/v1/claims")).json()["claims"] == [renewed.json()]
    assert (await office.send("DELETE", path)).status == 204
    for method, target, body in (("GET", path, None), ("DELETE", path, None), ("POST", f"{path}/renew", {})):
        answer = await office.send(method, target, body)
        assert (answer.status, answer.json()["type"]) == (404, "/problems/no-such-claim")
    assert (await office.send("GET", "/v1/presence/ann@example.com")).json()["claim"] is None


async def test_a_renewal_without_words_takes_the_usual_time() -> None:
    """No body at all will do."""
    office = reception(rules=ClaimRules(default_lease=50, max_lease=55))
    claim = (await office.post(ONE)).json()
    office.clock.advance(30)
    renewed = await office.send("POST", f"/v1/claims/{claim['id']}/renew")
    assert renewed.json()["expires_at"] == rfc3339(office.clock.now() + 50)
    longer = await office.send("POST", f"/v1/claims/{claim['id']}/renew", {"lease_seconds": 56})
    assert "at most 55 seconds" in longer.json()["detail"]


async def test_another_key_does_not_change_a_claim() -> None:
    """It sees it; only its holder and admins change it."""
    office = reception()
    path = f"/v1/claims/{(await office.post(ONE)).json()['id']}"
    assert (await office.send("GET", path, who="rita")).status == 200
    for method, target in (("DELETE", path), ("POST", f"{path}/renew")):
        answer = await office.send(method, target, who="rita")
        assert (answer.status, answer.json()["type"]) == (403, "/problems/not-allowed")
    assert (await office.send("POST", f"{path}/renew", who="boss")).status == 200
    assert (await office.send("DELETE", path, who="boss")).status == 204


# --- who sees what


async def test_scopes() -> None:
    """Reading shows claims and makes none."""
    office = reception()
    await office.post(ONE)
    assert len((await office.send("GET", "/v1/claims", who="board")).json()["claims"]) == 1
    assert (await office.post(ONE, who="board")).status == 403


async def test_a_key_of_one_group_knows_no_other() -> None:
    """It claims from its own, and of other claims it sees that they hold somebody it knows, and not for what."""
    office = reception()
    assert (await office.post(ONE, who="sales")).json()["errors"][0]["expected"] == "one of sales"
    both = (await office.post({"group": "support", "count": 2, "for": "secret"})).json()
    (seen,) = (await office.send("GET", "/v1/claims", who="sales")).json()["claims"]
    assert [each["contact"] for each in seen["contacts"]] == ["bob@example.com"]
    assert (seen["id"], seen["group"], seen["for"], seen["holder"]) == (both["id"], "", "", "")
    assert "secret" not in json.dumps(seen)
    own = (await office.post({"group": "sales", "for": "mine"}, who="sales")).json()
    assert (own["contacts"][0]["contact"], own["for"]) == ("cid@example.com", "mine")
    assert own["passed_over"] == [{"contact": "bob@example.com", "reason": "claimed"}]
    await office.send("DELETE", f"/v1/claims/{both['id']}")
    only_ann = (await office.post(ONE)).json()
    (seen,) = (await office.send("GET", "/v1/claims", who="sales")).json()["claims"]
    assert (seen["id"], only_ann["contacts"][0]["contact"]) == (own["id"], "ann@example.com")


async def test_a_claim_on_somebody_invisible_does_not_exist() -> None:
    """Neither to see nor to change."""
    office = reception()
    path = f"/v1/claims/{(await office.post(ONE)).json()['id']}"  # ann, of support alone
    assert (await office.send("GET", "/v1/claims", who="sales")).json()["claims"] == []
    for method, target in (("GET", path), ("DELETE", path), ("POST", f"{path}/renew")):
        assert (await office.send(method, target, who="sales")).status == 404


async def test_a_key_without_details_gets_short_contacts_and_no_reasons() -> None:
    """And sees no claims but its own."""
    office = reception()
    office.put("ann", AVAILABLE, on_the_phone=True)
    claim = (await office.post(ONE, who="shy")).json()
    (contact,) = claim["contacts"]
    assert sorted(contact) == ["as_of", "available", "contact", "display_name", "freshness", "revision"]
    assert claim["passed_over"] == [{"contact": "ann@example.com", "reason": "not available"}]
    refused = await office.post({"group": "sales", "count": 2}, who="shy")
    assert refused.json()["passed_over"] == [
        {"contact": "bob@example.com", "reason": "not available"},
        {"contact": "cid@example.com", "reason": "available, and not picked"},
    ]
    other = (await office.post({"group": "sales"})).json()
    mine = (await office.send("GET", "/v1/claims", who="shy")).json()["claims"]
    assert [each["id"] for each in mine] == [claim["id"]]
    assert (await office.send("GET", f"/v1/claims/{other['id']}", who="shy")).status == 404


# --- the same request twice


async def test_the_same_request_gets_the_same_answer() -> None:
    """To the byte, and nobody else is held; for a while even after its claim has ended."""
    office = reception()
    first = await office.post(ONE, idempotency_key="a")
    again = await office.post({"group": "support", "count": 1}, idempotency_key="a")
    assert (again.status, again.body) == (201, first.body)
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert len(office.claim_service.leases()) == 1
    office.attend(121)
    assert (await office.post(ONE, idempotency_key="a")).body == first.body
    office.attend(600)
    fresh = await office.post(ONE, idempotency_key="a")
    assert "idempotency-replayed" not in fresh.headers


async def test_another_request_under_the_same_key_is_refused() -> None:
    """It is a mistake of the one who makes keys."""
    office = reception()
    await office.post(ONE, idempotency_key="a")
    answer = await office.post({"group": "sales"}, idempotency_key="a")
    assert answer.status == 422
    assert answer.json()["errors"][0]["parameter"] == "Idempotency-Key"
    assert (await office.post({"group": "sales"}, who="rita", idempotency_key="a")).status == 201


async def test_a_request_that_failed_may_be_tried_again() -> None:
    """Under the same key: it has changed nothing."""
    office = reception()
    office.put("ann", BUSY)
    office.put("bob", BUSY)
    assert (await office.post(ONE, idempotency_key="a")).status == 409
    office.put("ann", AVAILABLE)
    assert (await office.post(ONE, idempotency_key="a")).status == 201


async def test_the_same_request_while_the_first_waits() -> None:
    """It does not wait a second time, and when the first has got somebody it gets that answer."""
    office = reception()
    office.put("ann", BUSY)
    office.put("bob", BUSY)
    async with running(office):
        headers = {"Idempotency-Key": "a", "Prefer": "wait=30"}
        first = office.call("POST", "/v1/claims", ONE, headers=headers)
        await until(lambda: office.slots.taken)
        second = await office.send("POST", "/v1/claims", ONE, headers=headers)
        assert (second.status, second.json()["type"]) == (409, "/problems/request-in-progress")
        office.put("ann", AVAILABLE)
        answer = await first.answer()
        assert answer.status == 201
        assert (await office.send("POST", "/v1/claims", ONE, headers=headers)).body == answer.body


# --- waiting


async def test_one_who_waits_gets_the_next_one() -> None:
    """And is told that waiting was understood."""
    office = reception()
    claim = (await office.post({"group": "support", "count": 2})).json()
    async with running(office):
        call = office.call("POST", "/v1/claims", ONE, "rita", {"Prefer": "wait=30"})
        await until(lambda: office.claim_service.waiting)
        await office.send("DELETE", f"/v1/claims/{claim['id']}")
        answer = await call.answer()
    assert (answer.status, answer.headers["preference-applied"]) == (201, "wait=30")
    assert answer.json()["contacts"][0]["claim"]["holder"] == "rita"


async def test_the_end_of_the_wait_is_a_conflict() -> None:
    """With the reasons of that moment."""
    office = reception(slots=ConnectionSlots(1, 1))
    office.put("ann", BUSY)
    office.put("bob", BUSY)
    async with running(office):
        call = office.call("POST", "/v1/claims", ONE, headers={"Prefer": "wait=30"})
        await until(lambda: office.slots.taken)
        office.put("bob", AVAILABLE, on_the_phone=True)
        assert (await office.post(ONE, prefer="wait=5")).json()["type"] == "/problems/too-many-streams"
        assert office.claim_service.waiting == 1
        await office.clock.run(30)
        answer = await call.answer()
    assert (answer.status, answer.headers["preference-applied"]) == (409, "wait=30")
    assert [each["reason"] for each in answer.json()["passed_over"]] == ["is BUSY", "on the phone"]
    assert office.slots.taken == 0


async def test_as_many_wait_as_may() -> None:
    """One more is told so, and when to come again."""
    office = reception(rules=ClaimRules(max_waiting=0))
    office.put("ann", BUSY)
    office.put("bob", BUSY)
    answer = await office.post(ONE, prefer="wait=5")
    assert (answer.status, answer.json()["type"]) == (429, "/problems/too-many-waiting")
    assert answer.headers["retry-after"] == "5"


async def test_one_who_goes_away_leaves_the_queue() -> None:
    """And holds nobody, no matter who becomes free."""
    office = reception()
    office.put("ann", BUSY)
    office.put("bob", BUSY)
    async with running(office):
        headers = {"Prefer": "wait=30", "Idempotency-Key": "a"}
        call = office.call("POST", "/v1/claims", ONE, headers=headers)
        await until(lambda: office.slots.taken)
        assert office.claim_service.waiting == 1
        call.leave()
        await until(lambda: not call.waits)
        assert (office.claim_service.waiting, office.slots.taken) == (0, 0)
        office.put("ann", AVAILABLE)
        await office.clock.run(0)
        assert not office.claim_service.leases()
        assert (await office.post(ONE, idempotency_key="a")).status == 201


async def test_one_who_goes_away_as_it_is_served_holds_nobody() -> None:
    """What it was given is taken back at once."""
    office = reception()
    office.put("ann", BUSY)
    office.put("bob", BUSY)
    async with running(office):
        call = office.call("POST", "/v1/claims", ONE, headers={"Prefer": "wait=30"})
        await until(lambda: office.slots.taken)
        call.leave()
        office.put("ann", AVAILABLE)
        office.claim_service._attend()
        assert len(office.claim_service.leases()) == 1
        await until(lambda: not call.waits)
        assert not office.claim_service.leases()
    assert office.told("claim.") == ["claim.made", "claim.released"]


async def test_one_whose_key_is_revoked_while_it_waits_holds_nobody() -> None:
    """It gets no answer, so it does not know whom it was given: nobody would give them back."""
    office = reception()
    office.put("ann", BUSY)
    office.put("bob", BUSY)
    async with running(office):
        call = office.call("POST", "/v1/claims", ONE, headers={"Prefer": "wait=30"})
        await until(lambda: office.slots.taken)
        office.authenticator.rules = AccessRules(anonymous=None)
        office.put("ann", AVAILABLE)
        assert (await call.answer()).status == 401
        assert not office.claim_service.leases()
    assert office.told("claim.") == ["claim.made", "claim.released"]


async def test_when_the_service_stops_who_waits_is_answered() -> None:
    """503, and when to come again."""
    office = reception()
    office.put("ann", BUSY)
    office.put("bob", BUSY)
    async with running(office):
        call = office.call("POST", "/v1/claims", ONE, headers={"Prefer": "wait=30"})
        await until(lambda: office.slots.taken)
        office.claim_service.close()
        answer = await call.answer()
    assert (answer.status, answer.json()["type"], answer.headers["retry-after"]) == (503, "/problems/stopping", "1")


# --- events


async def test_the_log_tells_of_claims() -> None:
    """Each with the claim as it was then, contacts included."""
    office = reception()
    async with follower(office) as client:
        await client.take(1)
        claim = (await office.post(ONE)).json()
        await office.send("POST", f"/v1/claims/{claim['id']}/renew")
        office.put("ann", BUSY)
        office.store.unwatch(["ann@example.com"])
        ended = await client.until(lambda events: any(event.name == "claim.released" for event in events))
    told = [event for event in ended if event.name.startswith("claim.")]
    assert [event.name for event in told] == [
        "claim.made",
        "claim.renewed",
        "claim.unavailable",
        "claim.unavailable",
        "claim.released",
    ]
    made, _, away, gone, over = (event.data for event in told)
    assert made["claim"] == {name: value for name, value in claim.items() if name != "passed_over"}
    assert (away["contact"], away["reason"]) == ("ann@example.com", "is BUSY")
    assert (gone["contact"], gone["reason"]) == ("ann@example.com", "no longer watched")
    assert over["reason"] == "nobody in it is watched any longer"
    logged = [event for event in office.events if event.name.startswith("claim.")]
    assert all(event.keys == frozenset({"ann@example.com"}) for event in logged[:4])


async def test_a_claim_is_told_once_however_many_programs_answer() -> None:
    """Two HTTP programs over one core: the log holds one event, and both show it."""
    office = reception()
    anybody = Authenticator(rules=AccessRules(anonymous=Principal("anonymous", frozenset(Scope))))
    other = create_app(FakeEngine(), office.core, callback_secret=None, version="1", authenticator=anybody)
    async with follower(office) as one, Listener(other) as two:
        await one.take(1)
        await two.take(1)
        claim = (await office.post(ONE)).json()
        told, same = await one.take(2), await two.take(2)
    assert [event.name for event in told] == ["claim.made", "change"]
    assert told == same
    assert told[0].data["claim"]["id"] == claim["id"]


async def test_a_claim_is_told_without_any_program() -> None:
    """Core tells of it: anybody who follows the log hears of it."""
    branch = Branch({"support": ("ann",)})
    branch.opens()
    lease = branch.claim()
    (event,) = branch.claim_events
    assert (event.kind, event.lease) == (ClaimEventKind.MADE, lease)
    (snapshot,) = event.contacts
    assert snapshot.contact.claim == lease.of(lease.people[0])


async def test_a_stream_shows_the_contacts_of_a_claim_as_they_were() -> None:
    """To a limited key too, and however late the event is read: the log holds what was so when it happened."""
    office = reception()
    begun = office.core.log.last
    await office.post({"group": "sales"}, who="sales")
    office.put("bob", BUSY)
    office.put("cid", BUSY)
    for who in ("joe", "sales"):
        async with follower(office, who, last_event_id=str(begun)) as client:
            events = await client.until(lambda events: any(event.name == "claim.made" for event in events))
        (made,) = [event for event in events if event.name == "claim.made"]
        assert [each["state"] for each in made.data["claim"]["contacts"]] == ["AVAILABLE"]


async def test_the_description_knows_every_answer() -> None:
    """With its problem documents."""
    document = (await reception().send("GET", "/openapi.json")).json()
    answers = document["paths"]["/v1/claims"]["post"]["responses"]
    assert sorted(answers) == ["201", "401", "403", "409", "413", "421", "422", "429", "503"]
    assert list(answers["409"]["content"]) == ["application/problem+json"]
    assert min(document["paths"]["/v1/claims/{id}"]["delete"]["responses"]) == "204"
