"""`Prefer: wait`: who is told when, what it costs, and how it ends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from service.access.authentication import AccessRules, Authenticator
from service.access.principal import Principal, Scope
from service.access.stream_slots import ConnectionSlots
from service.api.prefer import MAX_WAIT, seconds_to_wait
from service.core.presence.availability import Availability, Rule
from service.core.presence.records import Source
from tests.support.bare_service import AVAILABLE, AWAY, BUSY, BareService, presence
from tests.support.long_polls import Asking, turns

ANN, BOB, CID = "ann@example.com", "bob@example.com", "cid@example.com"


def office(**more: Any) -> BareService:
    """Three contacts that were read."""
    made = BareService({"support": (ANN, BOB)}, **more)
    made.watch(ANN, BOB, CID)
    made.read([presence(ANN, BUSY), presence(BOB, AWAY), presence(CID, AVAILABLE)])
    return made


async def waiting(made: BareService, target: str, tag: str | None = None, prefer: str = "wait=30") -> Asking:
    """A request that is found waiting."""
    headers = {"prefer": prefer} | ({"if-none-match": tag} if tag is not None else {})
    asking = Asking(made, target, headers=headers)
    await turns()
    assert not asking.task.done(), asking.sent
    assert made.clock.sleeping == 1
    return asking


async def answered(asking: Asking) -> Asking:
    """The same, once it is answered; nothing of it is left."""
    await asyncio.wait_for(asking.task, 30)
    assert asking.office.clock.sleeping == 0
    return asking


async def tag_of(made: BareService, target: str) -> str:
    return (await made.get(target)).headers["etag"]


# --- when


@pytest.mark.parametrize("path", ["/v1/presence", f"/v1/presence/{ANN}", "/v1/summary"])
@pytest.mark.parametrize("with_tag", [False, True])
async def test_the_next_change_is_told(path: str, with_tag: bool) -> None:
    """With the tag of what one has, or from now on."""
    made = office()
    tag = await tag_of(made, path) if with_tag else None
    asking = await waiting(made, path, tag)
    made.read([presence(ANN, AVAILABLE)])
    await answered(asking)
    assert (asking.status, asking.header("preference-applied")) == (200, "wait=30")
    assert asking.header("etag") == await tag_of(made, path) != tag
    assert asking.header("vary") == "Accept, Authorization, X-API-Key"
    assert b"AVAILABLE" in asking.body


@pytest.mark.parametrize("path", ["/v1/presence", f"/v1/presence/{ANN}", "/v1/summary"])
async def test_what_happened_since_the_tag_is_told_at_once(path: str) -> None:
    """No change is lost between two requests."""
    made = office()
    tag = await tag_of(made, path)
    made.read([presence(ANN, AVAILABLE)])
    asking = await answered(Asking(made, path, headers={"prefer": "wait=30", "if-none-match": tag}))
    assert (asking.status, asking.header("preference-applied")) == (200, "wait=30")


@pytest.mark.parametrize("path", ["/v1/presence", f"/v1/presence/{ANN}", "/v1/summary"])
async def test_when_nothing_happens(path: str) -> None:
    """304 without a body, after the time that was asked for; the tag is good for the next request."""
    made = office()
    tag = await tag_of(made, path)
    asking = await waiting(made, path, tag)
    made.clock.advance(29)
    await turns()
    assert not asking.task.done()
    made.clock.advance(1)
    await answered(asking)
    assert (asking.status, asking.body, asking.header("etag")) == (304, b"", tag)
    assert asking.header("preference-applied") == "wait=30"
    assert asking.header("cache-control") == "private, no-cache"
    assert asking.header("vary") == "Accept, Authorization, X-API-Key"


async def test_a_confirmation_is_no_change() -> None:
    """`as_of` moves on, and nobody is woken for that; when the time is over, the newer answer is sent."""
    made = office()
    tag = await tag_of(made, f"/v1/presence/{ANN}")
    made.clock.advance(1)
    made.read([])
    asking = await waiting(made, f"/v1/presence/{ANN}", tag)
    made.read([])
    await turns()
    assert not asking.task.done()
    made.clock.advance(30)
    await answered(asking)
    assert asking.status == 200
    assert asking.json()["as_of"] == "2027-01-15T08:00:01.000Z"


async def test_what_only_time_changes_is_told() -> None:
    """Live becomes stale without any reading."""
    made = office()
    asking = await waiting(made, "/v1/presence?freshness=live", prefer=f"wait={MAX_WAIT}")
    made.core.log.touch()
    await turns()
    assert not asking.task.done()
    made.store.doubt("dispatcher", "lost")
    made.core.log.touch()
    await answered(asking)
    assert asking.json()["contacts"] == []


@pytest.mark.parametrize(
    ("target", "quiet", "loud"),
    [
        ("/v1/presence?group=support", presence(CID, BUSY), presence(ANN, AWAY)),
        ("/v1/presence?state=BUSY", presence(CID, AWAY), presence(CID, BUSY)),  # enters
        ("/v1/presence?state=BUSY", presence(BOB, AVAILABLE), presence(ANN, AWAY)),  # leaves
        ("/v1/presence?fields=state", presence(ANN, BUSY, note="n"), presence(ANN, AWAY)),
        ("/v1/presence?fields=contact&sort=state", presence(ANN, BUSY, note="n"), presence(ANN, AWAY)),
        (f"/v1/presence/{ANN}", presence(BOB, BUSY), presence(ANN, BUSY, note="n")),
        (f"/v1/presence/{ANN}?fields=state", presence(ANN, BUSY, note="n"), presence(ANN, AWAY)),
        ("/v1/summary", presence(ANN, BUSY, note="n"), presence(ANN, BUSY, on_the_phone=True)),
    ],
)
@pytest.mark.parametrize("with_tag", [False, True])
async def test_only_what_one_sees_is_told(target: str, quiet: Any, loud: Any, with_tag: bool) -> None:
    """Not what the filter hides, nor a field that nobody asked for."""
    made = office()
    tag = await tag_of(made, target) if with_tag else None
    made.read([quiet])
    asking = await waiting(made, target, tag)
    made.read([])
    await turns()
    assert not asking.task.done()
    made.read([loud])
    await answered(asking)
    assert asking.status == 200


async def test_who_sees_availability_alone_is_not_told_of_more() -> None:
    """Waking it would give away that something happened; somebody else's group is not told of either."""
    who = Principal("board", frozenset({Scope.READ}), frozenset({"support"}), details=False)
    made = office(authenticator=Authenticator(rules=AccessRules(anonymous=who)))
    for target in ("/v1/presence", f"/v1/presence/{ANN}", "/v1/summary"):
        made.read([presence(ANN, BUSY), presence(BOB, AWAY), presence(CID, AVAILABLE)])
        asking = await waiting(made, target)
        made.read([presence(ANN, AWAY, note="n"), presence(CID, BUSY)])
        await turns()
        assert not asking.task.done()
        made.read([presence(ANN, AVAILABLE)])
        await answered(asking)
        assert asking.status == 200


async def test_a_summary_is_told_of_its_own_groups() -> None:
    """What another group's rule says of a contact of both is no news."""
    who = Principal("desk", frozenset({Scope.READ}), frozenset({"support"}))
    groups = {"support": (ANN,), "sales": (ANN,)}
    rules = {"support": Rule(), "sales": Rule(dwell=30)}
    made = BareService(
        groups, availability=Availability(groups, rules), authenticator=Authenticator(rules=AccessRules(anonymous=who))
    )
    made.watch(ANN)
    made.read([presence(ANN, AVAILABLE)])
    asking = await waiting(made, "/v1/summary", prefer="wait=100")
    made.clock.advance(60)
    last = made.core.log.last
    made.core.log.touch()
    assert made.core.log.last > last
    await turns()
    assert not asking.task.done()
    made.read([presence(ANN, AWAY)])
    await answered(asking)


async def test_a_key_that_was_revoked_gets_no_answer() -> None:
    """However long ago it was let in."""
    made = office(authenticator=Authenticator())
    asking = await waiting(made, "/v1/presence")
    assert made.authenticator is not None
    made.authenticator.rules = AccessRules(anonymous=None)
    made.read([presence(ANN, AWAY)])
    await answered(asking)
    assert (asking.status, asking.json()["type"]) == (401, "/problems/key-required")


async def test_a_contact_that_is_watched_no_longer() -> None:
    """Is told to who waits for it, as it is to who asks."""
    made = office()
    asking = await waiting(made, f"/v1/presence/{ANN}")
    made.store.unwatch([ANN])
    await answered(asking)
    assert (asking.status, asking.json()["type"]) == (404, "/problems/contact-not-watched")


async def test_a_tag_of_another_question_is_no_reason_to_wait() -> None:
    """Its owner has another answer."""
    made = office()
    for tag in (await tag_of(made, "/v1/presence?state=AWAY"), '"other"', '"1-0"', 'W/"x", y', ""):
        headers = {"prefer": "wait=30", "if-none-match": tag}
        asking = await answered(Asking(made, "/v1/presence?state=BUSY", headers=headers))
        assert (asking.status, asking.header("preference-applied")) == (200, "wait=30")


async def test_a_tag_of_long_ago_is_answered_at_once() -> None:
    """Of a time of which nobody knows any more what happened since."""
    made = office()
    tag = await tag_of(made, "/v1/presence")
    revision, _, rest = tag.strip('"').partition("-")
    for other in (int(revision) + 1, 0, 10**17):
        headers = {"prefer": "wait=30", "if-none-match": f'"{other}-{rest[:8]}{"0" * 24}"'}
        assert (await answered(Asking(made, "/v1/presence", headers=headers))).status == 200


async def test_an_answer_that_reads_through_does_not_wait() -> None:
    """It has asked the server already, and says that it did not wait."""
    asking = await answered(Asking(office(), "/v1/presence?max_age=60", headers={"prefer": "wait=30"}))
    assert (asking.status, asking.header("preference-applied")) == (200, "")


async def test_a_wrong_question_is_refused_at_once() -> None:
    """Before anybody waits for it."""
    for target, status in (("?group=nobody", 422), ("?cursor=x", 422), ("/zoe@example.com", 404)):
        asking = await answered(Asking(office(), f"/v1/presence{target}", headers={"prefer": "wait=30"}))
        assert asking.status == status


async def test_head_waits_too() -> None:
    """And gets the headers alone."""
    made = office()
    asking = Asking(made, "/v1/presence", "HEAD", {"prefer": "wait=30"})
    await turns()
    assert not asking.task.done()
    made.read([presence(ANN, AWAY)])
    await answered(asking)
    assert (asking.status, asking.body) == (200, b"")
    assert int(asking.header("content-length")) > 0


async def test_it_waits_in_tables_too() -> None:
    """A table has a tag of its own."""
    made = office()
    headers = {"prefer": "wait=30", "accept": "text/csv"}
    first = await answered(Asking(made, "/v1/presence", headers={"accept": "text/csv"}))
    asking = Asking(made, "/v1/presence", headers=headers | {"if-none-match": first.header("etag")})
    await turns()
    made.read([presence(ANN, AWAY)])
    await answered(asking)
    assert asking.header("content-type").startswith("text/csv")


# --- what it costs


async def test_who_goes_away_frees_the_slot_at_once() -> None:
    """And leaves nothing behind: no sleeper, no task."""
    made = office(authenticator=Authenticator(ConnectionSlots(limit=1)))
    tasks = asyncio.all_tasks()
    asking = await waiting(made, "/v1/presence")
    assert made.authenticator is not None
    assert made.authenticator.slots.taken == 1
    asking.hang_up()
    await answered(asking)
    assert made.authenticator.slots.taken == 0
    assert asyncio.all_tasks() == tasks
    (await waiting(made, "/v1/presence")).hang_up()
    await turns()


async def test_there_are_only_so_many_slots() -> None:
    """429 says so; who does not wait needs none."""
    made = office(authenticator=Authenticator(ConnectionSlots(limit=1)))
    first = await waiting(made, "/v1/presence")
    second = Asking(made, "/v1/summary", headers={"prefer": "wait=30"})
    await asyncio.wait_for(second.task, 30)
    assert (second.status, second.json()["type"]) == (429, "/problems/too-many-streams")
    assert int(second.header("retry-after")) > 0
    assert (await made.get("/v1/summary")).status == 200
    first.hang_up()
    await answered(first)


async def test_a_hundred_wait_for_one_change() -> None:
    """All are told of it."""
    made = office(authenticator=Authenticator(ConnectionSlots(limit=100, per_client=100)))
    everybody = [Asking(made, "/v1/presence", headers={"prefer": "wait=30"}) for _ in range(100)]
    await turns()
    made.read([presence(ANN, AWAY)])
    await asyncio.gather(*(each.task for each in everybody))
    assert {each.status for each in everybody} == {200}
    assert made.clock.sleeping == 0


async def test_a_stopping_service_lets_everybody_go() -> None:
    """With what it knows; and nobody begins to wait any more."""
    made = office()
    tag = await tag_of(made, "/v1/presence")
    with_tag = await waiting(made, "/v1/presence", tag)
    made.core.log.close()
    await answered(with_tag)
    assert with_tag.status == 304
    late = await answered(Asking(made, "/v1/presence", headers={"prefer": "wait=30"}))
    assert late.status == 200


async def test_a_page_in_the_middle_waits_too() -> None:
    """It is asked for like any other."""
    made = office()
    first = (await made.get("/v1/presence?limit=1&sort=state")).json()
    asking = await waiting(made, f"/v1/presence?limit=1&sort=state&cursor={first['next_cursor']}")
    made.store.put([presence(BOB, BUSY)], made.store.begin(), source=Source.POLLED)
    await answered(asking)
    assert asking.status == 200


# --- the header


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (["wait=30"], 30),
        (["WAIT=30"], 30),
        ([' wait = "30" '], 30),
        (["wait=30; foo=bar"], 30),
        (["respond-async, wait=100"], 100),
        (["respond-async", "wait=100"], 100),
        (['foo="a, wait=1", wait=2'], 2),
        (['foo; bar="x;y", wait=2'], 2),
        (["wait=5, wait=6"], 5),
        (["wait=301"], 300),
        (["wait=999999999"], 300),
        ([], None),
        ([""], None),
        (["wait"], None),
        (["wait="], None),
        (["wait=0"], None),
        (["wait=-1"], None),
        (["wait=1.5"], None),
        (["wait=ten"], None),
        (["wait=\N{SUPERSCRIPT TWO}"], None),
        (["wait=9999999999999"], None),
        (["wait 30"], None),
        (["waiting=30"], None),
        (["return=minimal"], None),
        (["=30"], None),
        ([",,;"], None),
        ([",,, wait=3"], 3),
        (['"unclosed, wait=3'], 3),
        ([" " * 60_000 + "wait=3"], None),
        (['"\\"' * 30_000], None),
    ],
)
def test_the_header_is_read_as_rfc_7240_says(headers: list[str], expected: int | None) -> None:
    """What cannot be read is ignored; of several the first counts; too long is shortened."""
    assert seconds_to_wait(headers) == expected


async def test_other_preferences_change_nothing() -> None:
    """Nor do they wait."""
    asking = await answered(Asking(office(), "/v1/presence", headers={"prefer": "return=minimal, wait=x"}))
    assert (asking.status, asking.header("preference-applied")) == (200, "")


async def test_too_long_a_wait_is_shortened_and_told() -> None:
    """An answer at once would make its sender ask in a circle."""
    made = office()
    asking = await waiting(made, "/v1/presence", prefer="wait=3600")
    made.clock.advance(300)
    await answered(asking)
    assert asking.header("preference-applied") == "wait=300"
