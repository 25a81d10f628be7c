"""Who is free: what callers get, and what they get told."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote, urlencode

import pytest

from pws_soap.models import Device
from pws_soap.pidf import read_list, to_presence
from tests.support.asgi import call
from tests.support.bare_service import AVAILABLE, AWAY, BOUND, BUSY, BareService, presence

ANN, BOB, CID = "ann@example.com", "bob@example.com", "cid@example.com"


def office() -> BareService:
    """Three contacts that were read."""
    made = BareService({"support": (ANN, BOB)})
    made.watch(ANN, BOB, CID)
    made.read(
        [
            presence(ANN, BUSY, activities=("busy", "on-the-phone"), on_the_phone=True, devices=(Device("d", True),)),
            presence(BOB, AWAY, display_name="Bôb"),
            presence(CID, AVAILABLE),
        ]
    )
    return made


# --- the list


async def test_the_list_holds_all_contacts() -> None:
    """In order, with the newest revision."""
    answer = await office().get("/v1/presence")
    body = answer.json()
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert list(body) == ["contacts", "next_cursor", "revision"]
    assert [each["contact"] for each in body["contacts"]] == [ANN, BOB, CID]
    assert (body["next_cursor"], body["revision"]) == (None, 6)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("state=BUSY", [ANN]),
        ("state=BUSY&state=AWAY", [ANN, BOB]),
        ("activity=On-The-Phone", [ANN]),
        ("group=support", [ANN, BOB]),
        ("group=support&state=AWAY", [BOB]),
        ("freshness=live", [ANN, BOB, CID]),
        ("freshness=stale&freshness=unknown", []),
        ("q=ANN", [ANN]),
        ("q=b%C3%B4b", [BOB]),
    ],
)
async def test_filters(query: str, expected: list[str]) -> None:
    """As the query says."""
    body = (await office().get(f"/v1/presence?{query}")).json()
    assert [each["contact"] for each in body["contacts"]] == expected


async def test_pages_follow_one_another() -> None:
    """The cursor is passed back as it came."""
    made = office()
    first = (await made.get("/v1/presence?limit=2")).json()
    second = (await made.get(f"/v1/presence?limit=2&cursor={first['next_cursor']}")).json()
    assert [each["contact"] for each in first["contacts"] + second["contacts"]] == [ANN, BOB, CID]
    assert second["next_cursor"] is None


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=ten", "limit"),
        ("state=", "state[0]"),
        ("state=FREE", "state[0]"),
        ("freshness=", "freshness[0]"),
        ("available=", "available"),
        ("limit=", "limit"),
        ("sort=", "sort"),
        ("sort=--state", "sort"),
        ("fields=", "fields[0]"),
        ("fields=state,,note", "fields[1]"),
        ("cursor=", "cursor"),
        ("limit=1&limit=2", "limit"),
        ("q=a&q=b", "q"),
        ("q=%ff", "query"),
        ("q=%ED%A0%80", "query"),
        ("freshness=old", "freshness[0]"),
        ("group=nobody", "group"),
        ("cursor=nonsense", "cursor"),
        (f"cursor={'a' * 3000}", "cursor"),
        ("q=", "q"),
        (f"q={'a' * 201}", "q"),
        ("activity=", "activity[0]"),
        ("stat=BUSY", "stat"),
        ("%00=1", "\0"),
    ],
)
async def test_a_wrong_query_is_told_by_name(query: str, parameter: str) -> None:
    """A misspelt filter must not be taken for one that lets everybody pass."""
    answer = await office().get(f"/v1/presence?{query}")
    assert (answer.status, answer.headers["content-type"]) == (422, "application/problem+json")
    (error,) = answer.json()["errors"]
    assert (error["in"], error["parameter"]) == ("query", parameter)
    assert error["expected"]


# --- one contact


@pytest.mark.parametrize(
    "spelling",
    [ANN, "ANN@Example.com", "sip:ann@example.com", "ann%40example.com", "pres:%2561nn@example.com:5060;x=y"],
)
async def test_a_contact_in_any_spelling(spelling: str) -> None:
    """Case, scheme, port, parameters and escapes do not count."""
    body = (await office().get(f"/v1/presence/{spelling}")).json()
    assert (body["contact"], body["state"], body["freshness"]) == (ANN, "BUSY", "live")
    assert body["devices"] == [{"id": "d", "open": True, "audio": None, "video": None, "text": None}]


@pytest.mark.parametrize("contact", ["zoe@example.com", "\N{SNOWMAN}@example.com", "a%b@example.com"])
async def test_a_contact_that_is_not_watched(contact: str) -> None:
    """404, and the detail says why."""
    answer = await office().get(f"/v1/presence/{quote(contact)}")
    assert (answer.status, answer.json()["type"]) == (404, "/problems/contact-not-watched")
    assert contact in answer.json()["detail"]


@pytest.mark.parametrize("contact", ["ann", "ann@", "@example.com", "a b@example.com", "a@@c", "a@b,c", "\0@x"])
async def test_what_is_no_contact(contact: str) -> None:
    """422: no such contact can ever be watched."""
    answer = await office().get(f"/v1/presence/{quote(contact)}")
    assert answer.status == 422
    (error,) = answer.json()["errors"]
    assert error == {"in": "path", "parameter": "contact", "expected": "a contact URI, user@domain"}


async def test_a_contact_that_is_too_long_is_told_so() -> None:
    """And not that it has the wrong form."""
    answer = await office().get(f"/v1/presence/{'x' * 400}@example.com")
    (error,) = answer.json()["errors"]
    assert (answer.status, error["expected"]) == (422, "a contact URI of at most 320 characters")


@pytest.mark.parametrize("path", ["/v1/presence/a%2Fb@c/d", "/v1/presence/", "/v1/presence/a@b/c", "/v2"])
async def test_paths_that_do_not_exist(path: str) -> None:
    """404 of its own type."""
    answer = await office().get(path)
    assert (answer.status, answer.json()["type"]) == (404, "/problems/not-found")


@pytest.mark.parametrize("path", [f"/v1/presence/{ANN}", "/v1/summary", "/v1/status"])
async def test_routes_without_parameters_take_none(path: str) -> None:
    """Each is named."""
    answer = await office().get(f"{path}?state=BUSY&x=1&x=2")
    assert answer.status == 422
    assert [error["parameter"] for error in answer.json()["errors"]] == ["state", "x"]


async def test_stale_is_shown_beside_its_age() -> None:
    """The last known state stays visible, and nothing calls it live."""
    made = office()
    before = (await made.get(f"/v1/presence/{ANN}")).json()
    made.clock.advance(BOUND + 1)
    made.clock.jump(-86400)
    after = (await made.get(f"/v1/presence/{ANN}")).json()
    reason = "stale: its last known state may no longer be true"
    assert after == before | {"freshness": "stale", "available": False, "reason": reason}


# --- the summary


async def test_summary() -> None:
    """All states are there, also those that nobody is in."""
    body = (await office().get("/v1/summary")).json()
    assert list(body) == ["total", "by_state", "by_freshness", "on_the_phone", "available", "groups", "revision"]
    states = {"AVAILABLE": 1, "BUSY": 1, "DND": 0, "AWAY": 1, "UNAVAILABLE": 0, "UNKNOWN": 0, "VACATION": 0}
    assert body["by_state"] == states
    assert list(body["by_state"]) == list(states)
    assert body["by_freshness"] == {"live": 3, "stale": 0, "unknown": 0}
    assert (body["total"], body["on_the_phone"], body["available"], body["revision"]) == (3, 1, 1, 6)
    assert body["groups"]["support"]["total"] == 2
    counts = {"total", "by_state", "by_freshness", "on_the_phone", "available"}
    assert set(body["groups"]["support"]) == counts | {"min_free"}


# --- entity tags


@pytest.mark.parametrize("path", ["/v1/presence", f"/v1/presence/{ANN}", "/v1/summary"])
async def test_nothing_new_is_not_sent_again(path: str) -> None:
    """304 without a body, however the tag is passed back."""
    made = office()
    first = await made.get(path)
    tag = first.headers["etag"]
    assert tag.startswith('"')
    assert first.headers["cache-control"] == "private, no-cache"
    for passed in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = await made.get(path, if_none_match=passed)
        assert (again.status, again.body, again.headers["etag"]) == (304, b"", tag)
    assert (await made.get(path, if_none_match='"other"')).status == 200


@pytest.mark.parametrize("path", ["/v1/presence", f"/v1/presence/{ANN}", "/v1/summary"])
async def test_the_tag_changes_with_state_and_with_freshness(path: str) -> None:
    """Time alone may change an answer, when it passes the bound; nothing else does."""
    made = office()
    tags = {(await made.get(path)).headers["etag"]}
    made.clock.advance(1)
    tags.add((await made.get(path)).headers["etag"])
    assert len(tags) == 1
    made.read([presence(ANN, AVAILABLE)])
    tags.add((await made.get(path)).headers["etag"])
    made.clock.advance(BOUND + 1)
    tags.add((await made.get(path)).headers["etag"])
    assert len(tags) == 3


async def test_every_filter_has_its_own_tag() -> None:
    """Where the answers differ."""
    made = office()
    queries = [urlencode(query) for query in ({}, {"limit": 1}, {"state": "BUSY"}, {"state": "AWAY"})]
    assert len({(await made.get(f"/v1/presence?{query}")).headers["etag"] for query in queries}) == 4


# --- methods


@pytest.mark.parametrize("path", ["/v1/presence", f"/v1/presence/{ANN}", "/v1/summary", "/v1/status"])
async def test_reading_is_all_one_can_do(path: str) -> None:
    """405 names what is possible."""
    answer = await call(office().app, "DELETE", path)
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")
    assert answer.json()["type"] == "/problems/method-not-allowed"


# --- the explanation

DOCUMENT = b"""<presence entity="sip:ann@example.com"><person><activities><user-input since="2026-01-25T10:00:00Z">idle
</user-input><busy/><meeting/><phone-status>available</phone-status><im-status>busy</im-status></activities>
<class>manual</class><note xml:lang="en">In room 4</note></person><tuple id="cmp-1"><status><basic>open</basic>
<activities><alerting/></activities></status><contact priority="0.8">sip:1@198.51.100.7</contact>
<source>phone</source><timestamp>2026-01-25T10:56:16Z</timestamp></tuple></presence>"""


async def test_explain_adds_everything_to_the_same_answer() -> None:
    """The contact itself stays as it is, key by key; the rest of the document stands in `explain`."""
    made = office()
    made.read(map(to_presence, read_list(DOCUMENT)))
    plain = (await made.get(f"/v1/presence/{ANN}")).json()
    answer = await made.get(f"/v1/presence/{ANN}?explain=true")
    body = answer.json()
    why = body.pop("explain")
    assert body == plain
    assert list(body) == list(plain)
    assert why["state"][0] == "BUSY: decided by person/activities/busy (the person says so)"
    assert "tuple[cmp-1]/status/activities/alerting says BUSY: agrees" in why["state"]
    assert why["freshness"] == f"its subscription works, and it was confirmed within {BOUND:g} s"
    told = {key: why[key] for key in ("problem", "in_meeting", "idle_since", "phone_status", "im_status", "manual")}
    assert told == {
        "problem": None,
        "in_meeting": True,
        "idle_since": "2026-01-25T10:00:00Z",
        "phone_status": "available",
        "im_status": "busy",
        "manual": True,
    }
    assert why["note_language"] == "en"
    assert why["devices"] == [
        {
            "id": "cmp-1",
            "open": True,
            "audio": None,
            "video": None,
            "text": None,
            "kind": "desk-phone",
            "priority": 0.8,
            "activities": ["alerting"],
            "timestamp": "2026-01-25T10:56:16Z",
            "source": "phone",
        }
    ]
    again = await made.get(f"/v1/presence/{ANN}?explain=true", if_none_match=answer.headers["etag"])
    assert again.status == 304


async def test_explain_says_until_when_the_document_means_the_same() -> None:
    """One line more where its own times will change what it says."""
    made = office()
    now = datetime(2026, 1, 25, 11, tzinfo=UTC)
    timed = DOCUMENT.replace(b"<busy/>", b'<busy until="2026-01-25T12:30:00+01:00"/>')
    assert timed != DOCUMENT
    made.read(map(to_presence, read_list(timed, now)))
    lines = (await made.get(f"/v1/presence/{ANN}?explain=true")).json()["explain"]["state"]
    assert lines[-1].startswith("valid until 2026-01-25T11:30:00Z: ")


async def test_explain_says_why_a_contact_is_not_live() -> None:
    """A document that could not be read, beside the one that still counts; basic presence; and nothing at all."""
    made = office()
    made.read(map(to_presence, read_list(DOCUMENT)))
    made.read([presence(ANN, problem="cut short")])
    body = (await made.get(f"/v1/presence/{ANN}?explain=true")).json()
    assert (body["state"], body["freshness"], body["explain"]["problem"]) == ("BUSY", "stale", "cut short")
    assert body["explain"]["freshness"] == "its document could not be read: cut short"
    assert body["explain"]["state"][0].startswith("BUSY: decided by person/activities/busy")
    why = (await made.get(f"/v1/presence/{BOB}?explain=true")).json()["explain"]
    assert why["state"] == ["AWAY: the server's own word (basic presence says no more)"]
    made.watch("new@example.com")
    why = (await made.get("/v1/presence/new@example.com?explain=true")).json()["explain"]
    assert (why["state"], why["freshness"]) == (["UNKNOWN: it was never read"], "not read yet")


async def test_what_only_explain_tells_is_as_new_as_the_last_reading() -> None:
    """It makes no change of its own: the contact's answer is the same."""
    made = office()
    made.read(map(to_presence, read_list(DOCUMENT)))
    before = (await made.get(f"/v1/presence/{ANN}")).json()
    report = made.read(map(to_presence, read_list(DOCUMENT.replace(b"10:56:16", b"11:00:00"))))
    assert report.changes == ()
    after = (await made.get(f"/v1/presence/{ANN}?explain=true")).json()
    assert after["explain"]["devices"][0]["timestamp"] == "2026-01-25T11:00:00Z"
    assert {key: after[key] for key in before} == before
