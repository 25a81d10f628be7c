"""Sorting, choosing fields, tags and methods, as callers meet them."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.responses import Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from pws_soap.models import Device
from service.api.middleware.head import HeadMiddleware
from service.api.models import BriefContactView, BriefListView, ChosenContactView, ContactView
from service.api.writers.fields import FIELDS
from tests.support.asgi import call
from tests.support.bare_service import AVAILABLE, AWAY, BUSY, SECRET, BareService, presence
from tests.support.examples import examples

ANN, BOB, CID = "ann@example.com", "bob@example.com", "cid@example.com"


def office() -> BareService:
    """Three contacts that were read."""
    made = BareService({"support": (ANN, BOB)})
    made.watch(ANN, BOB, CID)
    made.read(
        [
            presence(ANN, BUSY, activities=("busy", "on-the-phone"), on_the_phone=True, devices=(Device("d", True),)),
            presence(BOB, AWAY, display_name="Bôb"),
            presence(CID, AVAILABLE, display_name="Ada"),
        ]
    )
    return made


def names(body: Any) -> list[str]:
    return [each["contact"] for each in body["contacts"]]


# --- order


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("-contact", [CID, BOB, ANN]),
        ("state", [CID, ANN, BOB]),
        ("-state", [BOB, ANN, CID]),
        ("display_name", [CID, BOB, ANN]),
        ("available", [CID, ANN, BOB]),
    ],
)
async def test_sort(sort: str, expected: list[str]) -> None:
    """Over pages of any size."""
    made = office()
    assert names((await made.get(f"/v1/presence?sort={sort}")).json()) == expected
    met: list[str] = []
    target = f"/v1/presence?sort={sort}&limit=1"
    for _ in expected:
        body = (await made.get(target)).json()
        met += names(body)
        target = f"/v1/presence?sort={sort}&limit=1&cursor={body['next_cursor']}"
    assert (met, body["next_cursor"]) == (expected, None)


async def test_a_cursor_that_is_used_with_another_question() -> None:
    """422 says what it belongs to."""
    made = office()
    cursor = (await made.get("/v1/presence?sort=state&limit=1")).json()["next_cursor"]
    for query in ("limit=1", "sort=-state", "sort=state&state=BUSY"):
        answer = await made.get(f"/v1/presence?{query}&cursor={cursor}")
        assert answer.status == 422
        assert answer.json()["errors"][0]["expected"].startswith("a cursor of the same filters, sort and API key")


async def test_a_cursor_whose_order_is_gone() -> None:
    """410 says to start over; one by contact never goes."""
    made = office()
    cursors = {
        sort: (await made.get(f"/v1/presence?sort={sort}&limit=1")).json()["next_cursor"]
        for sort in ("state", "contact")
    }
    made.clock.advance(3600)
    answer = await made.get(f"/v1/presence?sort=state&limit=1&cursor={cursors['state']}")
    assert (answer.status, answer.json()["type"]) == (410, "/problems/cursor-expired")
    assert "without a cursor" in answer.json()["detail"]
    assert (await made.get(f"/v1/presence?limit=1&cursor={cursors['contact']}")).status == 200


async def test_the_next_page_is_linked() -> None:
    """By an absolute path, with all that was asked for; the last page leads nowhere."""
    made = office()
    first = await made.get("/v1/presence?limit=2&q=example&fields=state&fields=note")
    found = re.fullmatch(r'<(/v1/presence\?[!-~]+)>; rel="next"', first.headers["link"])
    assert found is not None
    assert f"cursor={first.json()['next_cursor']}" in found[1]
    second = await made.get(found[1])
    assert second.json()["contacts"] == [{"contact": CID, "state": "AVAILABLE", "note": None}]
    assert "link" not in second.headers


# --- fields


def test_the_fields_are_those_of_a_contact() -> None:
    """In its order, each as the whole contact has it; the shorter views are parts of it."""
    assert list(FIELDS) == list(ContactView.model_fields) == list(ChosenContactView.model_fields)
    assert set(BriefContactView.model_fields) < set(FIELDS)
    assert set(BriefListView.model_fields) == {"contacts", "next_cursor", "revision"}


async def test_all_fields_together_are_the_contact() -> None:
    """Written one by one they are the same."""
    made = office()
    for contact in (ANN, BOB):
        whole = (await made.get(f"/v1/presence/{contact}")).json()
        chosen = (await made.get(f"/v1/presence/{contact}?fields={','.join(FIELDS)}")).json()
        assert chosen == whole
        assert list(chosen) == list(whole)


@pytest.mark.parametrize(
    "query", ["fields=available,state", "fields=state&fields=available", "fields=state, available,contact"]
)
async def test_fields(query: str) -> None:
    """Only these, in the contact's own order, and who it is."""
    made = office()
    query = query.replace(" ", "%20")
    body = (await made.get(f"/v1/presence?{query}&limit=1")).json()
    one = (await made.get(f"/v1/presence/{ANN}?{query}")).json()
    assert body["contacts"] == [one]
    assert list(one.items()) == [("contact", ANN), ("state", "BUSY"), ("available", False)]
    assert set(body) == {"contacts", "next_cursor", "revision"}


@pytest.mark.parametrize("path", ["/v1/presence", f"/v1/presence/{ANN}"])
async def test_a_field_that_nobody_has(path: str) -> None:
    """The error lists those that there are."""
    answer = await office().get(f"{path}?fields=state,stat")
    (error,) = answer.json()["errors"]
    assert (answer.status, error["parameter"]) == (422, "fields[1]")
    assert error["expected"] == "one of " + ", ".join(FIELDS)


async def test_explain_goes_with_fields() -> None:
    """It is added to what was asked for."""
    body = (await office().get(f"/v1/presence/{ANN}?fields=state&explain=true")).json()
    assert list(body) == ["contact", "state", "explain"]


# --- words


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("state=available", [CID]),
        ("state=Busy&state=aWAY", [ANN, BOB]),
        ("freshness=LIVE&state=busy", [ANN]),
        ("available=TRUE", [CID]),
        ("available=0", [ANN, BOB]),
        ("q=B%C3%B4B", [BOB]),
    ],
)
async def test_values_in_any_case(query: str, expected: list[str]) -> None:
    """People type it."""
    made = office()
    target = f"/v1/presence?{query}"
    answer = await call(made.app, "GET", target)
    assert answer.status == 200, answer.body
    assert names(answer.json()) == expected


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("state=FREE", ["AVAILABLE", "BUSY", "DND", "AWAY", "UNAVAILABLE", "UNKNOWN", "VACATION"]),
        ("state=", ["AVAILABLE"]),
        ("freshness=old", ["live", "stale", "unknown"]),
        ("available=perhaps", ["true or false"]),
        ("available=", ["true or false"]),
        ("limit=many", ["a whole number"]),
        ("limit=", ["a whole number"]),
        ("max_age=long", ["a number"]),
        ("sort=name", ["contact", "display_name", "state", "changed_at", "available", "-"]),
        ("group=nobody", ["support"]),
        ("fields=x", ["contact", "devices", "claim"]),
    ],
)
async def test_a_wrong_value_is_answered_with_the_right_ones(query: str, words: list[str]) -> None:
    """In `expected`."""
    answer = await office().get(f"/v1/presence?{query}")
    assert answer.status == 422
    for word in words:
        assert word in answer.json()["errors"][0]["expected"]


@given(st.binary(max_size=60))
@settings(max_examples=examples(40), deadline=None)
def test_no_query_breaks_the_service(raw: bytes) -> None:
    """Whatever bytes it is made of."""
    query = "".join(chr(byte) if 0x20 < byte < 0x7F else f"%{byte:02x}" for byte in raw)
    for name in ("q", "state", "cursor", "group", "fields", ""):
        answer = asyncio.run(call(OFFICE.app, "GET", f"/v1/presence?{name}={query}"))
        assert answer.status in {200, 422}


OFFICE = office()


# --- tags


@pytest.mark.parametrize("path", ["/v1/presence", f"/v1/presence/{ANN}", "/v1/summary"])
async def test_a_tag_names_the_revision(path: str) -> None:
    """So that one can wait for what comes after it."""
    made = office()
    answer = await made.get(path)
    found = re.fullmatch(r'"(\d+)-([0-9a-f]{32})"', answer.headers["etag"])
    assert found is not None
    assert int(found[1]) == made.core.log.last
    assert answer.headers["vary"] == "Accept, Authorization, X-API-Key"


async def test_the_same_answer_keeps_the_tag_that_one_has() -> None:
    """Although somebody else's presence has changed meanwhile: a cache finds what it kept."""
    made = office()
    tag = (await made.get(f"/v1/presence/{ANN}")).headers["etag"]
    made.store.put([presence(BOB, BUSY)], made.store.begin(), source="polled")  # type: ignore[arg-type]
    again = await made.get(f"/v1/presence/{ANN}", if_none_match=f'W/"x", {tag}')
    assert (again.status, again.headers["etag"]) == (304, tag)
    assert (await made.get(f"/v1/presence/{ANN}")).headers["etag"] != tag


async def test_sorted_pages_have_tags_that_last() -> None:
    """The same page has the same cursor in it."""
    made = office()
    first = await made.get("/v1/presence?sort=-state&limit=1")
    again = await made.get("/v1/presence?sort=-state&limit=1", if_none_match=first.headers["etag"])
    assert again.status == 304


@pytest.mark.parametrize("tag", ['"', '"1', "1-2", '""', "W/", '"-"', '"9' * 5000, ", ,", '"99999999999999999999-x"'])
async def test_tags_that_are_none(tag: str) -> None:
    """Are no reason not to answer."""
    assert (await office().get("/v1/presence", if_none_match=tag)).status == 200


# --- HEAD


async def test_head_is_answered_as_get_is() -> None:
    """Every route with GET: the same status and headers, no body, and no second entry in the description."""
    made = office()
    described = made.app.openapi()["paths"].items()
    paths = [path.replace("{contact}", ANN) for path, operations in described if "get" in operations]
    paths.remove("/v1/events")
    assert not any("head" in operations for _, operations in described)
    for path in [*paths, "/nothing", "/v1/presence/x", "/v1/presence?limit=0"]:
        got, head = await made.get(path), await call(made.app, "HEAD", path)
        assert (head.status, head.body) == (got.status, b"")
        if path == "/metrics":  # the second answer has figures of its own, and may be longer
            assert set(head.headers) == set(got.headers)
            continue
        assert head.headers == got.headers
        assert int(head.headers["content-length"]) == len(got.body)


async def test_head_of_the_events() -> None:
    """Its headers, and no stream without end."""
    answer = await asyncio.wait_for(call(office().app, "HEAD", "/v1/events"), 30)
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["content-type"].startswith("text/event-stream")


async def test_head_with_a_tag() -> None:
    """304, as GET."""
    made = office()
    tag = (await made.get("/v1/presence")).headers["etag"]
    assert (await call(made.app, "HEAD", "/v1/presence", headers={"if-none-match": tag})).status == 304


async def test_head_means_nothing_to_the_callback() -> None:
    """Nor does it tell anybody that there is one."""
    made = office()
    answer = await call(made.app, "HEAD", f"/pws/{SECRET}?id=1&eventType=PRESENCE_NOTIFICATION")
    assert (answer.status, answer.headers["allow"], made.engine.received) == (405, "GET", [])


async def test_a_stream_ends_where_its_body_would_begin() -> None:
    """Who asks for the headers of what has no end gets them, and the stream is told that nobody listens."""
    ended: list[str] = []

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        async def pieces() -> Any:
            try:
                while True:
                    yield b"piece"
            finally:
                ended.append("pieces")

        await StreamingResponse(pieces(), headers={"X-Own": "1"})(scope, receive, send)

    answer = await call(HeadMiddleware(endless), "HEAD", "/")
    assert (answer.status, answer.body, answer.headers["x-own"]) == (200, b"", "1")


async def test_a_program_that_fails_at_head_fails() -> None:
    """Its error is not taken for the end of the answer."""

    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        await call(HeadMiddleware(failing), "HEAD", "/")


async def test_what_is_asked_with_head_can_be_read() -> None:
    """Programs see GET, and the request's body where there is one."""
    seen: list[Message] = []

    async def program(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(await receive())
        seen.append(await receive())
        await Response(scope["method"])(scope, receive, send)

    answer = await call(HeadMiddleware(program), "HEAD", "/")
    assert (answer.headers["content-length"], answer.body) == ("3", b"")
    assert [each["type"] for each in seen] == ["http.request", "http.disconnect"]
