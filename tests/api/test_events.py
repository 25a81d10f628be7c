"""`GET /v1/events`: what a stream begins with, what it tells, how it is resumed, and what a slow client costs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from pws_soap.models import PresenceState
from service.access.authentication import AccessRules, Authenticator
from service.access.principal import READER, Principal, Scope
from service.access.stream_slots import ConnectionSlots
from service.api.sse.response import STALLED, NotRead
from service.api.sse.resume import MOST_NOTICES
from service.api.sse.subscriber import LAG, PIECE
from service.api.writers.event import event_json
from service.core.claims.coverage import CoverageChange
from service.core.claims.model import ClaimEvent, ClaimEventKind, Lease, Person
from service.core.clock import Moment
from service.core.events.event import Event, EventData, SubscriptionChange, WebhookChange
from service.core.presence.availability import Availability, Rule
from service.core.presence.query import Filter
from service.core.presence.snapshot import ContactSnapshot, GroupedSnapshot
from tests.support.asgi import call
from tests.support.bare_service import AVAILABLE, AWAY, BUSY, FEED, BareService, presence
from tests.support.sse import Board, Listener, Sse

ANN, BOB, CID = "ann@example.com", "bob@example.com", "cid@example.com"
GROUPS = {"support": (ANN, BOB), "sales": (BOB, CID)}


def office(*, who: Principal | None = None, slots: ConnectionSlots | None = None, buffer: int = 10_000) -> BareService:
    """Ann, Bob and Cid are available."""
    authenticator = Authenticator(slots) if who is None else Authenticator(slots, AccessRules(anonymous=who))
    made = BareService(
        GROUPS, authenticator=authenticator, availability=Availability(GROUPS, {"sales": Rule(never=frozenset())})
    )
    made.core.log._size = buffer
    made.watch(ANN, BOB, CID)
    made.read([presence(each, display_name=each[:3].title()) for each in (ANN, BOB, CID)])
    return made


def reader(groups: Iterable[str] | None = None, *, details: bool = True) -> Principal:
    """Somebody who sees only some of it."""
    seen = None if groups is None else frozenset(groups)
    return Principal("board", frozenset({Scope.READ}), seen, details)


def numbered(number: int) -> SubscriptionChange:
    """An event that a test knows again by its reason."""
    return SubscriptionChange("dispatcher", "imp1", str(number))


def claim_made(made: BareService, group: str, contact: str) -> ClaimEvent:
    """A claim of one contact for a group, as core tells of it."""
    record = made.store.get(contact)
    assert record is not None
    now = Moment.of(made.clock)
    lease = Lease("c1", group, "", "joe", now, now, (Person(record.key, contact),))
    return ClaimEvent(ClaimEventKind.MADE, lease, contacts=(made.core.reader.snapshot(record),))


def brief(events: Iterable[Sse]) -> list[str]:
    """Events in a word or two: `change ann BUSY`."""
    return [
        " ".join([each.name, each.data["contact"][:3], *([each.data["state"]] if "state" in each.data else [])])
        if "contact" in each.data
        else each.name
        for each in events
    ]


def state_of(board: Board) -> dict[str, Any]:
    """What the client knows, `as_of` aside: it moves on without an event."""
    return {uri: {**each, "as_of": None} for uri, each in board.contacts.items()}


async def queried(made: BareService, target: str = "/v1/presence?limit=1000") -> dict[str, Any]:
    """What a query says now, in the same form."""
    contacts = (await made.get(target)).json()["contacts"]
    return {each["contact"]: {**each, "as_of": None} for each in contacts}


# --- how it begins


async def test_a_stream_begins_with_everybody() -> None:
    """As the list shows them, in order, as of the newest revision."""
    made = office()
    async with Listener(made.app) as client:
        (snapshot,) = await client.take(1)
        assert client.status == 200
        assert client.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert client.headers["cache-control"] == "no-store"
        assert client.headers["x-accel-buffering"] == "no"
        assert client.retry == 1000
        assert snapshot.name == "snapshot"
        assert snapshot.id == str(made.store.revision)
        listed = (await made.get("/v1/presence")).json()
        expected = {"contacts": listed["contacts"], "revision": made.store.revision, "reason": "start"}
        assert snapshot.data == expected
        await client.silence()


async def test_a_stream_of_nobody_begins_too() -> None:
    """With an empty snapshot."""
    async with Listener(BareService().app) as client:
        (snapshot,) = await client.take(1)
        assert snapshot.data == {"contacts": [], "revision": 0, "reason": "start"}


async def test_the_head_of_a_stream_holds_none() -> None:
    """The same headers, no body; and the same complaints."""
    slots = ConnectionSlots()
    made = office(slots=slots)
    answer = await call(made.app, "HEAD", "/v1/events")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert slots.taken == 0
    assert (await call(made.app, "HEAD", "/v1/events?group=zoo")).status == 422


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("state=HAPPY", "state[0]: expected"),
        ("group=zoo", "group: expected one of sales, support"),
        ("limit=10", "limit: expected no parameter of this name"),
        (f"last_event_id={'1' * 65}", "last_event_id: expected"),
    ],
)
async def test_what_makes_no_sense_is_told_before_the_stream_begins(query: str, expected: str) -> None:
    """A problem document, as from every route."""
    made = office()
    async with Listener(made.app, f"/v1/events?{query}") as client:
        await client.finished()
        assert client.status == 422
        assert client.headers["content-type"] == "application/problem+json"
        assert expected in client.body.decode()


def test_the_description_tells_of_events() -> None:
    """OpenAPI: the form, an example, the names."""
    answers = office().app.openapi()["paths"]["/v1/events"]["get"]["responses"]
    assert list(answers["200"]["content"]) == ["text/event-stream"]
    assert answers["200"]["content"]["text/event-stream"]["schema"] == {"$ref": "#/components/schemas/StreamEvent"}
    assert "event: snapshot" in answers["200"]["description"]
    assert "subscription.failed-over" in answers["200"]["description"]
    assert {"422", "429"} <= set(answers)


# --- what is told


async def test_a_change_comes_as_the_contact_is_in_every_answer() -> None:
    """With its revision as the id."""
    made = office()
    async with Listener(made.app) as client:
        await client.take(1)
        made.read([presence(ANN, BUSY, display_name="Ann", activities=("busy",))])
        (change,) = await client.take(1)
        assert change.name == "change"
        assert change.id == str(made.store.revision)
        assert change.data == (await made.get(f"/v1/presence/{ANN}")).json()


async def test_what_is_no_longer_watched_is_removed() -> None:
    """And who is new, comes."""
    made = office()
    async with Listener(made.app) as client:
        await client.take(1)
        made.store.unwatch([ANN])
        made.watch("dan@example.com")
        removed, added = await client.take(2)
        assert removed.data == {"contact": ANN, "revision": int(removed.id), "watched": False}
        assert (added.name, added.data["contact"], added.data["freshness"]) == ("change", "dan@example.com", "unknown")


async def test_a_contact_enters_and_leaves_a_filter() -> None:
    """It comes with a change, and goes with a removal that says it is still watched."""
    made = office()
    async with Listener(made.app, "/v1/events?state=BUSY&state=AWAY") as client:
        (snapshot,) = await client.take(1)
        assert snapshot.data["contacts"] == []
        for state in (BUSY, AWAY, AVAILABLE, PresenceState.DND):
            made.read([presence(ANN, state, display_name="Ann")])
        events = await client.take(3)
        assert brief(events) == ["change ann BUSY", "change ann AWAY", "removed ann"]
        assert events[2].data["watched"] is True
        await client.silence()
        made.store.unwatch([ANN])
        await client.silence()


async def test_freshness_is_a_change_too() -> None:
    """The id is newer than the revision of the presence, which has not changed."""
    made = office()
    async with Listener(made.app, f"/v1/events?q={ANN}") as client:
        await client.take(1)
        made.store.doubt(FEED, "lost")
        made.core.log.touch()
        (change,) = await client.take(1)
        assert change.data["freshness"] == "stale"
        assert change.data["revision"] < int(change.id)


async def test_one_group_decides_about_available() -> None:
    """As in the list: the rule of sales lets people on the phone take a task, the other one does not."""
    made = office()
    async with Listener(made.app, "/v1/events?group=sales&available=true") as client:
        (snapshot,) = await client.take(1)
        assert len(snapshot.data["contacts"]) == 2
        made.read([presence(BOB, display_name="Bob", on_the_phone=True)])
        (change,) = await client.take(1)
        assert (change.data["available"], change.data["on_the_phone"]) == (True, True)


async def test_the_service_tells_why_with_names_and_times() -> None:
    """To those whose contacts it is about."""
    made = office()
    lost = SubscriptionChange("dispatcher", "imp1", "gone")
    data = {"end_user": "dispatcher", "node": "imp1", "reason": "gone"}
    async with Listener(made.app) as every, Listener(made.app, "/v1/events?group=support") as some:
        await every.take(1)
        await some.take(1)
        made.core.log.tell("subscription.lost", lost, [ANN, CID])
        made.core.log.tell("subscription.lost", lost, [CID])
        first, second = await every.take(2)
        assert first.name == "subscription.lost"
        assert first.data == {"at": "2027-01-15T08:00:00.000Z", "revision": int(first.id), **data}
        assert [event.id for event in await some.take(1)] == [first.id]
        await some.silence()
        assert second.id != first.id


# --- how it is resumed


async def test_who_comes_back_gets_exactly_what_it_missed() -> None:
    """No snapshot, nothing twice; the header goes before the parameter, which an EventSource keeps in its URL."""
    made = office()
    async with Listener(made.app) as client:
        await client.take(1)
        made.read([presence(ANN, BUSY)])
        (seen,) = await client.take(1)
    made.read([presence(ANN, AWAY)])
    made.core.log.tell("subscription.missed")
    made.store.unwatch([BOB])
    expected = ["change ann AWAY", "subscription.missed", "removed bob"]
    for target, headers in (
        ("/v1/events", {"last_event_id": seen.id}),
        (f"/v1/events?last_event_id={seen.id}", {}),
        ("/v1/events?last_event_id=1", {"last_event_id": seen.id}),
        (f"/v1/events?last_event_id={seen.id}", {"last_event_id": ""}),
    ):
        async with Listener(made.app, target, **headers) as client:
            assert brief(await client.take(3)) == expected
            await client.silence()


async def test_who_comes_back_with_a_filter_is_told_who_left_it_meanwhile() -> None:
    """And not of those who were in it neither then nor now."""
    made = office()
    async with Listener(made.app, "/v1/events?state=AVAILABLE") as client:
        (snapshot,) = await client.take(1)
    made.read([presence(ANN, BUSY), presence(BOB, BUSY)])
    made.read([presence(ANN, AWAY), presence(BOB, AVAILABLE)])
    async with Listener(made.app, "/v1/events?state=AVAILABLE", last_event_id=snapshot.id) as client:
        assert brief(await client.take(3)) == ["removed ann", "removed bob", "change bob AVAILABLE"]
        await client.silence()


@pytest.mark.parametrize(
    "given_id",
    [
        *("1", "999999999999", "x", "-1", "٣", "5-4-3", "9" * 60),
        *(
            "6.1.7",
            "6.5.999999999999",
            "6.7.8",
            "9.5.8",
            "6.5",
            "6.5.7.8",
            "6.-5.7",
            "6..7",
            "6.5.x",
            f"6.5.{'7' * 30}",
        ),
    ],
)
async def test_an_id_that_cannot_be_resumed_from_leads_to_a_snapshot_that_says_so(given_id: str) -> None:
    """Of an earlier run, of the future, of a range that is not kept, or nothing of ours."""
    made = office()
    made.core.log._floor = 5
    async with Listener(made.app, last_event_id=given_id.encode().decode("latin-1")) as client:
        (snapshot,) = await client.take(1)
        assert snapshot.name == "snapshot"
        assert snapshot.data["reason"] == "not-kept"


async def test_an_id_that_is_kept_no_longer_leads_to_a_snapshot() -> None:
    """The buffer is bounded."""
    made = office(buffer=5)
    first = made.core.log.last
    for number in range(20):
        made.core.log.tell("noted", numbered(number))
    async with Listener(made.app, last_event_id=str(first)) as client:
        (snapshot,) = await client.take(1)
        assert snapshot.data["reason"] == "not-kept"


# --- silence, and the end


async def test_a_quiet_stream_shows_that_it_lives() -> None:
    """After 15 seconds of the clock without an event, and again; not while there are events."""
    made = office()
    async with Listener(made.app) as client:
        await client.take(1)
        await made.clock.run(14.9)
        await client.silence()
        await made.clock.run(0.2)
        assert [event.name for event in await client.take(1)] == [":"]
        await made.clock.run(10)
        made.read([presence(ANN, BUSY)])
        await client.take(1)
        await made.clock.run(10)
        await client.silence()
        await made.clock.run(5.1)
        assert [event.name for event in await client.take(1)] == [":"]


async def test_a_stream_ends_when_the_service_stops() -> None:
    """At once and whole, also one whose client does not read."""
    made = office()
    async with Listener(made.app) as client, Listener(made.app) as stuck:
        await client.take(1)
        await stuck.take(1)
        stuck.reading.clear()
        made.read([presence(ANN, BUSY)])
        await client.take(1)
        made.core.log.close()
        assert (await client.finished()).ended
        stuck.reading.set()
        assert (await stuck.finished()).ended
    async with Listener(made.app) as late:
        assert (await late.finished()).ended, "nor does one begin"


# --- slots


async def test_a_stream_holds_a_slot_until_its_client_goes() -> None:
    """One too many is a problem document, not a stream."""
    slots = ConnectionSlots(limit=10, per_client=2)
    made = office(slots=slots)
    async with Listener(made.app) as first, Listener(made.app) as second:
        await first.take(1)
        await second.take(1)
        async with Listener(made.app) as third:
            await third.finished()
            assert third.status == 429
            assert third.headers["retry-after"]
            assert b"/problems/too-many-streams" in third.body
        await second.leave()
        assert slots.taken == 1
        async with Listener(made.app) as fourth:
            await fourth.take(1)
    assert slots.taken == 0


async def test_a_client_that_takes_nothing_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    """After a minute; its slot is free then, and the log says why."""
    slots = ConnectionSlots()
    made = office(slots=slots)
    async with Listener(made.app) as client:
        await client.take(1)
        client.reading.clear()
        made.read([presence(ANN, BUSY)])
        await made.clock.run(STALLED - 1)
        assert slots.taken == 1
        await made.clock.run(2)
        with pytest.raises(NotRead):
            await client.finished()
        assert slots.taken == 0
        client.forget()
    assert "has read nothing for 60 seconds" in caplog.text
    assert made.counted("pws_slow_clients_total", effect="ended") == 1


async def test_a_client_that_reads_now_and_then_is_not_given_up() -> None:
    """What counts is whether anything goes out."""
    made = office()
    async with Listener(made.app) as client:
        await client.take(1)
        for state in (BUSY, AWAY, AVAILABLE):
            client.reading.clear()
            made.read([presence(ANN, state)])
            await made.clock.run(STALLED - 5)
            client.reading.set()
            await client.until(lambda events: any(event.name == "change" for event in events))
            client.events.clear()


# --- slow clients


def shake(made: BareService, rounds: int) -> None:
    """Everybody changes so often, and news is told between."""
    states = (BUSY, AWAY, AVAILABLE)
    bob = made.store.get(BOB)
    assert bob is not None
    now = states.index(bob.state)  # as ann is next: everybody changes with every round
    for number in range(rounds):
        made.read([presence(each, states[(now + number + at) % 3]) for at, each in enumerate((ANN, BOB, CID))])
        made.core.log.tell("noted", numbered(number))


async def held_up(made: BareService, client: Listener, rounds: int = LAG) -> None:
    """The client takes nothing while all that happens."""
    client.reading.clear()
    made.read([presence(ANN, PresenceState.DND)])  # the piece that waits to go out
    for _ in range(20):
        await asyncio.sleep(0)
    shake(made, rounds)
    client.reading.set()


async def test_a_client_that_was_held_up_gets_the_last_event_of_each_contact() -> None:
    """And the newest of the others; then every event again."""
    made = office()
    async with Listener(made.app) as client, Listener(made.app) as quick:
        await client.take(1)
        await held_up(made, client)
        client.reading.clear()
        assert len(await quick.take(2 + 4 * LAG)) == 2 + 4 * LAG, "that one gets everything"
        client.reading.set()
        events = await client.take(1 + 3 + MOST_NOTICES)
        ids = [event.revision for event in events]
        assert ids == sorted(set(ids)), "they ascend, in a coalesced range too"
        assert [event.id for event in events if event.id != str(event.revision)] == [
            f"{event.revision}.{ids[0]}.{ids[-1]}" for event in events[1:-1]
        ], "an id names the range as long as not all of it is told"
        assert brief(events[:1]) == ["change ann DND"]
        assert sorted(event.data["contact"] for event in events[1:] if event.name == "change") == [ANN, BOB, CID]
        numbers = [int(event.data["reason"]) for event in events if event.name == "noted"]
        assert numbers == list(range(LAG - MOST_NOTICES, LAG))
        await client.silence()
        assert made.counted("pws_slow_clients_total", effect="coalesced") == 1
        shake(made, 2)
        assert len(await client.take(8)) == 8
        board = Board()
        for event in events:
            board.take(event)


async def test_one_that_catches_up_again_and_again_gets_every_event() -> None:
    """What it was held up before does not count against it."""
    made = office()
    async with Listener(made.app) as client:
        await client.take(1)
        for _ in range(4):
            await held_up(made, client, 60)
            assert len(await client.take(241)) == 241
            await client.silence()


async def test_a_quick_client_gets_every_event_however_many_there_are_at_once() -> None:
    """A burst is no slowness, and neither is a long absence."""
    made = office()
    before = str(made.core.log.last)
    async with Listener(made.app) as client:
        await client.take(1)
        shake(made, LAG)
        assert len(await client.take(4 * LAG)) == 4 * LAG
    async with Listener(made.app, last_event_id=before) as client:
        assert len(await client.take(4 * LAG)) == 4 * LAG


async def test_what_was_missed_is_told_exactly_however_slowly_it_is_read() -> None:
    """Only what happens while it is read may be gathered."""
    made = office()
    before = str(made.core.log.last)
    shake(made, LAG)
    async with Listener(made.app, last_event_id=before) as client:
        missed = await client.take(100)
        for _ in range(3):
            client.reading.clear()
            for _ in range(20):
                await asyncio.sleep(0)
            shake(made, LAG // 4 + 1)
            client.reading.set()
            missed += await client.take(100)
        missed += await client.take(4 * LAG - 400)
        assert [int(event.id) for event in missed] == list(range(int(before) + 1, int(before) + 4 * LAG + 1))


async def test_who_left_a_filter_in_a_coalesced_range_is_removed() -> None:
    """What counts is what the client knew before it, not the last step."""
    made = office()
    async with Listener(made.app, "/v1/events?state=AVAILABLE") as client:
        await client.take(1)
        client.reading.clear()
        made.read([presence(BOB, BUSY)])
        for _ in range(20):
            await asyncio.sleep(0)
        for number in range(LAG + 1):
            made.read([presence(ANN, (BUSY, AWAY)[number % 2])])
        client.reading.set()
        assert brief(await client.take(2)) == ["removed bob", "removed ann"]
        await client.silence()


@pytest.mark.parametrize("cut", [1, 2, 50, 99, 100, 101])
async def test_what_was_gathered_can_be_resumed_anywhere(cut: int) -> None:
    """Wherever the connection broke: nothing is told twice, nothing is missing, nobody goes back in time."""
    made = office()
    board, filtered = Board(), "/v1/events?state=BUSY&state=DND"
    async with Listener(made.app, filtered) as client:
        for event in await client.take(1):
            board.take(event)
        await held_up(made, client, LAG + 1)
        await client.until(lambda events: [event.name for event in events].count("noted") == MOST_NOTICES)
        for event in client.events[:cut]:
            board.take(event)
    made.read([presence(CID, BUSY, display_name="Cid")])
    async with Listener(made.app, filtered, last_event_id=board.last_id) as client:
        await client.until(lambda events: any(each.data.get("display_name") == "Cid" for each in events))
        for event in client.events:
            board.take(event)
        await client.silence()
    assert state_of(board) == await queried(made, "/v1/presence?state=BUSY&state=DND")


async def test_one_that_falls_out_of_the_buffer_starts_over() -> None:
    """With a snapshot that says so, and not before what was on its way."""
    made = office(buffer=20)
    async with Listener(made.app) as client:
        await client.take(1)
        await held_up(made, client, 100)
        change, snapshot = await client.take(2)
        assert change.name == "change"
        assert snapshot.data["reason"] == "behind"
        assert made.counted("pws_slow_clients_total", effect="restarted") == 1
        assert {each["contact"]: {**each, "as_of": None} for each in snapshot.data["contacts"]} == await queried(made)
        shake(made, 1)
        assert len(await client.take(4)) == 4


async def test_one_that_never_reads_costs_nobody_anything() -> None:
    """The other gets every event meanwhile, and nothing piles up for the first."""
    made = office(buffer=100)
    async with Listener(made.app) as client, Listener(made.app) as stuck:
        await client.take(1)
        await stuck.take(1)
        stuck.reading.clear()
        sent = len(stuck.pieces)
        for _ in range(200):
            shake(made, 10)
            assert len(await client.take(40)) == 40
        assert len(stuck.pieces) == sent
        stuck.reading.set()
        await stuck.until(lambda events: any(each.name == "snapshot" for each in events))
        assert max(stuck.pieces) < 2 * PIECE


# --- snapshots of many


async def test_a_large_snapshot_comes_in_pieces_and_is_of_one_moment() -> None:
    """Others have their turns in between; what changes meanwhile comes behind it."""
    made = BareService()
    names = [f"p{number:04d}@example.com" for number in range(2000)]
    made.watch(*names)
    made.read([presence(name) for name in names])
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with Listener(made.app) as client:
        for _ in range(4):
            await asyncio.sleep(0)
        counting = asyncio.create_task(others())
        made.read([presence(names[-1], BUSY)])
        snapshot, change = await client.take(2)
        counting.cancel()
        assert len(snapshot.data["contacts"]) == 2000
        states = {each["contact"]: each["state"] for each in snapshot.data["contacts"]}
        assert states[names[-1]] in {"AVAILABLE", "BUSY"}
        if states[names[-1]] == "AVAILABLE":
            assert brief([change]) == ["change p19 BUSY"]
        assert int(snapshot.id) == snapshot.data["revision"]
        assert turns >= 10
        assert max(client.pieces) < PIECE + 1024
        assert len(client.pieces) > 10


async def test_streams_that_see_the_same_share_the_work() -> None:
    """An event is written once for all of them."""
    made = office()
    looked = 0
    clients = [Listener(made.app) for _ in range(10)]
    for client in clients:
        await client.__aenter__()
        await client.take(1)
    view = made.core.reader.visible_to

    def counted(snapshot: GroupedSnapshot, wanted: Filter) -> ContactSnapshot | None:
        nonlocal looked
        looked += 1
        return view(snapshot, wanted)

    made.core.reader.visible_to = counted  # type: ignore[method-assign]
    made.read([presence(ANN, BUSY)])
    for client in clients:
        assert brief(await client.take(1)) == ["change ann BUSY"]
        await client.leave()
    assert looked == 2, "before and after, once"


# --- who may see what


async def test_a_key_of_one_group_is_told_of_its_contacts_alone() -> None:
    """Others are as if there were none, and so are their groups."""
    made = office(who=reader(["support"]))
    async with Listener(made.app) as client:
        (snapshot,) = await client.take(1)
        assert [each["contact"] for each in snapshot.data["contacts"]] == [ANN, BOB]
        made.read([presence(CID, BUSY)])
        made.store.unwatch([CID])
        await client.silence()
        made.read([presence(ANN, BUSY, display_name="Ann")])
        assert brief(await client.take(1)) == ["change ann BUSY"]
    async with Listener(made.app, "/v1/events?group=sales") as client:
        await client.finished()
        assert client.status == 422


async def test_a_limited_key_hears_that_something_happened_and_not_what() -> None:
    """No node, no end user, no reason; claims and coverage of its own groups."""
    made = office(who=reader(["support"]))
    log = made.core.log
    async with Listener(made.app) as client:
        await client.take(1)
        log.tell("subscription.lost", SubscriptionChange("dispatcher", "imp1", "x"), [ANN])
        log.tell("subscription.lost", SubscriptionChange("dispatcher", "imp1", "x"), [CID])
        log.tell("coverage.low", CoverageChange("sales", True, 0, 1), [BOB, CID])
        log.tell("coverage.low", CoverageChange("support", True, 0, 1), [ANN, BOB])
        log.tell("claim.made", claim_made(made, "sales", BOB), [BOB])
        log.tell("claim.made", claim_made(made, "support", BOB), [BOB])
        lost, low, made_claim = await client.take(3)
        assert set(lost.data) == {"at", "revision"}
        assert low.data["group"] == "support"
        (contact,) = made_claim.data["claim"]["contacts"]
        assert (contact["contact"], contact["reason"]) == (BOB, "is AVAILABLE"), "as this key sees it"
        await client.silence()


async def test_a_key_without_details_is_told_only_what_it_sees() -> None:
    """Whether somebody is available: nothing is sent when anything else changes."""
    made = office(who=reader(details=False))
    async with Listener(made.app) as client:
        (snapshot,) = await client.take(1)
        keys = {"contact", "display_name", "available", "freshness", "as_of", "revision"}
        assert all(set(each) == keys for each in snapshot.data["contacts"])
        made.read([presence(ANN, AVAILABLE, display_name="Ann", note="at the dentist until three")])
        made.core.log.tell("claim.made", claim_made(made, "support", ANN), [ANN])
        made.read([presence(ANN, BUSY, display_name="Ann")])
        made.read([presence(ANN, AWAY, display_name="Ann")])
        claim, change = await client.take(2)
        assert set(claim.data) == {"at", "revision"}
        assert set(change.data) == keys
        assert change.data["available"] is False
        await client.silence()
    async with Listener(made.app, "/v1/events?state=BUSY") as client:
        await client.finished()
        assert client.status == 403


async def test_without_a_key_there_is_no_stream() -> None:
    """Where one is needed."""
    made = BareService(authenticator=Authenticator(None, AccessRules(anonymous=None)))
    async with Listener(made.app) as client:
        await client.finished()
        assert client.status == 401


async def test_every_event_of_core_has_a_form_for_clients() -> None:
    """An event whose data nobody can write would end every stream."""
    made = office()
    samples: list[EventData] = [
        SubscriptionChange("dispatcher", "imp1"),
        CoverageChange("support", True, 0, 1),
        claim_made(made, "support", ANN),
        WebhookChange("crm", "410 Gone"),
    ]
    kinds = {kind.__qualname__ for kind in EventData.__subclasses__() if kind.__module__.startswith("service.")}
    assert kinds == {type(data).__qualname__ for data in samples}
    for data in samples:
        assert event_json(Event(1, "any", Moment.of(made.clock), data=data), READER, lambda _: b"") is not None
    with pytest.raises(TypeError, match="has no form"):
        event_json(Event(1, "any", Moment.of(made.clock), data=EventData()), READER, lambda _: b"")
