"""`/v1/contacts`: what is watched, and changing it; and `max_age`, the answer that asks the server first."""

from __future__ import annotations

import pytest

from service.core.engine import NotAvailable, PartialFailure, RefreshReport
from service.core.presence.records import Source
from tests.support.asgi import call
from tests.support.bare_service import BUSY, BareService, presence


async def test_contacts_are_added_listed_and_removed() -> None:
    office = BareService()
    answer = await call(
        office.app, "POST", "/v1/contacts", json_body={"contacts": ["ann@x.y", "sip:joe@x.y", "ann@x.y"]}
    )
    assert (answer.status, answer.json()) == (200, {"added": ["ann@x.y", "joe@x.y"], "known": []})
    answer = await call(
        office.app, "POST", "/v1/contacts", json_body={"contacts": ["ann@x.y"], "end_user": "supervisor"}
    )
    assert answer.json() == {"added": [], "known": ["ann@x.y"]}
    answer = await office.get("/v1/contacts")
    assert answer.json() == {
        "contacts": [
            {"contact": "ann@x.y", "end_user": "dispatcher", "configured": False},
            {"contact": "joe@x.y", "end_user": "dispatcher", "configured": False},
        ],
        "total": 2,
    }
    answer = await call(office.app, "DELETE", "/v1/contacts/ANN@x.y")
    assert (answer.status, answer.body) == (204, b"")
    answer = await call(office.app, "DELETE", "/v1/contacts/ann@x.y")
    assert (answer.status, answer.json()["type"]) == (404, "/problems/contact-not-watched")


@pytest.mark.parametrize("name", ["a/b@x.y", "/@x.y", "a//b@x.y", "desk/2@mail.x@x.y"])
async def test_a_contact_with_a_slash_is_named_in_a_path_escaped_or_not(name: str) -> None:
    """RFC 3261 allows slashes in the user part; servers decode `%2F` before anybody looks for the parts of a path."""
    office = BareService()
    added = await call(office.app, "POST", "/v1/contacts", json_body={"contacts": [name]})
    assert added.json()["added"] == [name]
    office.watch(name)
    office.read([presence(name, BUSY)])
    for path in (name, name.replace("/", "%2F")):
        answer = await office.get(f"/v1/presence/{path}")
        assert (answer.status, answer.json()["contact"], answer.json()["state"]) == (200, name, "BUSY")
        history = await office.get(f"/v1/presence/{path}/history")
        assert history.json()["type"] == "/problems/history-off"
        stranger = await office.get(f"/v1/presence/x/{path}")
        assert (stranger.status, stranger.json()["type"]) == (404, "/problems/contact-not-watched")
        nothing = await office.get(f"/v1/presence/{path}/more")
        assert (nothing.status, nothing.json()["type"]) == (404, "/problems/not-found")
    removed = await call(office.app, "DELETE", f"/v1/contacts/{name}")
    assert removed.status == 204


async def test_several_are_removed_or_none() -> None:
    office = BareService()
    office.watch("ann@x.y", "joe@x.y")
    office.engine.watching.add(["ann@x.y", "joe@x.y"])
    answer = await call(office.app, "DELETE", "/v1/contacts?contact=ann@x.y&contact=zoe@x.y")
    assert answer.status == 404
    assert len(office.engine.watched()) == 2
    answer = await call(office.app, "DELETE", "/v1/contacts?contact=ann@x.y&contact=joe@x.y")
    assert answer.status == 204
    assert office.engine.watched() == []


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ({"contacts": ["no contact"]}, "contacts[0]"),
        ({"contacts": []}, "contacts"),
        ({}, "contacts"),
        ({"contacts": ["ann@x.y"], "end_user": "nobody"}, "end_user"),
        ({"contacts": ["ann@x.y"], "colour": "red"}, "colour"),
    ],
)
async def test_what_cannot_be_watched_is_refused_by_name(body: object, parameter: str) -> None:
    office = BareService()
    answer = await call(office.app, "POST", "/v1/contacts", json_body=body)
    assert answer.status == 422
    assert [each["parameter"] for each in answer.json()["errors"]] == [parameter]
    assert office.engine.watched() == []


@pytest.mark.parametrize("path", ["/v1/contacts/nonsense", "/v1/contacts?contact=nonsense", "/v1/contacts"])
async def test_a_removal_that_names_no_contact_is_refused(path: str) -> None:
    assert (await call(BareService().app, "DELETE", path)).status == 422


async def test_a_young_answer_asks_nobody() -> None:
    office = BareService()
    office.watch("ann@x.y")
    office.read([presence("ann@x.y")])
    office.clock.advance(5)
    answer = await office.get("/v1/presence/ann@x.y?max_age=5")
    assert answer.headers["cache-status"] == "pws-presence; hit"
    assert office.engine.refreshed == []


@pytest.mark.parametrize("path", ["/v1/presence/ann@x.y?max_age=5", "/v1/presence?max_age=5&q=ann"])
async def test_an_old_answer_is_read_first(path: str) -> None:
    """Only what is too old is read, and the answer shows what was read."""
    office = BareService()
    office.watch("ann@x.y", "joe@x.y")
    office.read([presence("ann@x.y"), presence("joe@x.y")])
    office.clock.advance(6)

    async def read(contacts: list[str]) -> RefreshReport:
        assert contacts == ["ann@x.y"]
        office.read([presence("ann@x.y", BUSY)], Source.POLLED)
        return RefreshReport(1, 1)

    office.engine.read = read  # type: ignore[method-assign,assignment]
    answer = await office.get(path)
    shown = answer.json() if "contacts" not in answer.json() else answer.json()["contacts"][0]
    assert (shown["state"], shown["freshness"], shown["source"]) == ("BUSY", "live", "polled")
    assert answer.headers["cache-status"] == "pws-presence; fwd=stale"


@pytest.mark.parametrize(
    "outcome",
    [NotAvailable('no "subscription" is live'), RefreshReport(0, 0, (PartialFailure("ann", 'no "x" is live'),))],
)
async def test_an_old_answer_that_cannot_be_read_is_stale_and_says_why(outcome: RefreshReport | Exception) -> None:
    office = BareService()
    office.watch("ann@x.y")
    office.read([presence("ann@x.y")])
    office.clock.advance(6)
    office.engine.outcomes.append(outcome)
    answer = await office.get("/v1/presence/ann@x.y?max_age=5")
    assert (answer.status, answer.json()["freshness"]) == (200, "stale")
    assert answer.headers["cache-status"].startswith('pws-presence; hit; detail="could not be read: no ?')
    assert (await office.get("/v1/presence/ann@x.y")).json()["freshness"] == "live"


async def test_a_filter_by_state_reads_what_may_have_come_into_it() -> None:
    """`state=AVAILABLE` must not miss somebody who was busy when last read."""
    office = BareService()
    office.watch("ann@x.y")
    office.read([presence("ann@x.y", BUSY)])
    office.clock.advance(6)
    await office.get("/v1/presence?state=AVAILABLE&max_age=5")
    assert office.engine.refreshed == [["ann@x.y"]]


@pytest.mark.parametrize("value", ["-1", "soon", "nan", "inf", "86401", ""])
async def test_a_max_age_that_is_none_is_refused(value: str) -> None:
    office = BareService()
    office.watch("ann@x.y")
    for path in ("/v1/presence", "/v1/presence/ann@x.y"):
        answer = await office.get(f"{path}?max_age={value}")
        assert (answer.status, answer.json()["errors"][0]["parameter"]) == (422, "max_age")


async def test_an_operator_takes_end_users_to_a_node() -> None:
    office = BareService()
    answer = await call(office.app, "POST", "/v1/failover", json_body={"node": "imp2"})
    assert (answer.status, answer.json()) == (202, {"node": "imp2", "end_user": None})
    await call(office.app, "POST", "/v1/failover", json_body={"node": "imp1", "end_user": "dispatcher"})
    assert office.engine.moves == [("imp2", None), ("imp1", "dispatcher")]


@pytest.mark.parametrize(
    ("body", "parameter"),
    [({"node": "imp9"}, "node"), ({"node": "imp1", "end_user": "nobody"}, "end_user"), ({"node": ""}, "node")],
)
async def test_nobody_is_taken_to_a_node_that_is_none(body: object, parameter: str) -> None:
    office = BareService()
    answer = await call(office.app, "POST", "/v1/failover", json_body=body)
    assert (answer.status, answer.json()["errors"][0]["parameter"]) == (422, parameter)
    assert office.engine.moves == []
