"""Who can be given a task now: the rule of a group, decided when it is asked."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pws_soap.models import Presence, PresenceState
from service.core.presence.availability import DEFAULT, Availability, AvailabilityVerdict, Rule, decide
from service.core.presence.freshness import Freshness, Level
from service.core.presence.records import Record, Spans
from tests.support.bare_service import AVAILABLE, AWAY, BOUND, BUSY, FEED, BareService, presence

ANN, BOB, CID = "ann@example.com", "bob@example.com", "cid@example.com"
LIVE = Freshness(Level.LIVE)


def office(*, common: Rule = DEFAULT, **rules: Rule) -> BareService:
    """Ann is in both groups, Bob in support, Cid in none."""
    groups = {"support": (ANN, "BOB@example.com"), "sales": (ANN,)}
    made = BareService(groups, availability=Availability(groups, rules, common))
    made.watch(ANN, BOB, CID)
    return made


async def verdict(made: BareService, contact: str) -> tuple[bool, str]:
    body = (await made.get(f"/v1/presence/{contact}")).json()
    return body["available"], body["reason"]


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        (presence(CID), (True, "is AVAILABLE")),
        (presence(CID, BUSY), (False, "is BUSY")),
        (presence(CID, PresenceState.UNKNOWN), (False, "is UNKNOWN")),
        (presence(CID, BUSY, on_the_phone=True, activities=("busy", "in-a-call")), (False, "on the phone")),
        (presence(CID, on_the_phone=True), (False, "on the phone")),
        (presence(CID, in_meeting=True), (False, "in a meeting")),
        (presence(CID, activities=("available", "meeting")), (False, "activity meeting")),
        (presence(CID, activities=("available", "ringing")), (False, "activity ringing")),
        (presence(CID, activities=("available", "lunch")), (True, "is AVAILABLE")),
        (presence(CID, idle=True), (True, "is AVAILABLE")),
    ],
)
async def test_the_common_rule(read: Presence, expected: tuple[bool, str]) -> None:
    """AVAILABLE, no call, nothing ringing, no meeting; one who has just become idle is still there."""
    made = office()
    made.read([read])
    assert await verdict(made, CID) == expected


async def test_only_live_presence_is_ever_available() -> None:
    """Never read, and no longer confirmed."""
    made = office()
    assert await verdict(made, CID) == (False, "it was never read")
    made.read([presence(CID)])
    assert await verdict(made, CID) == (True, "is AVAILABLE")
    made.clock.advance(BOUND + 1)
    assert await verdict(made, CID) == (False, "stale: its last known state may no longer be true")


async def test_idle_counts_from_when_we_first_saw_it_unless_the_document_tells() -> None:
    """Confirmations in between do not begin it anew; activity does."""
    made = office(common=Rule(max_idle=600))
    made.read([presence(CID, idle=True)])
    made.clock.advance(500)
    made.read([presence(CID, idle=True)])
    assert await verdict(made, CID) == (True, "is AVAILABLE")
    made.clock.advance(101)
    assert await verdict(made, CID) == (False, "idle for more than 600 s")
    made.read([presence(CID, idle=False)])
    assert (await verdict(made, CID))[0]
    since = datetime.fromtimestamp(made.clock.now() - 590, UTC)
    made.read([presence(CID, idle=True, idle_since=since)])
    assert (await verdict(made, CID))[0]
    made.clock.advance(11)
    made.clock.jump(-86400)  # the wall clock is no measure
    made.read([presence(CID, idle=True, idle_since=since)])
    assert await verdict(made, CID) == (False, "idle for more than 600 s")


async def test_idle_begins_anew_where_the_document_says_so_and_never_in_the_future() -> None:
    made = office(common=Rule(max_idle=600))
    now = made.clock.now()
    made.read([presence(CID, idle=True, idle_since=datetime.fromtimestamp(now - 700, UTC))])
    assert not (await verdict(made, CID))[0]
    made.read([presence(CID, idle=True, idle_since=datetime.fromtimestamp(now + 9999, UTC))])
    assert (await verdict(made, CID))[0]
    made.clock.advance(601)
    made.read([presence(CID, idle=True, idle_since=datetime.fromtimestamp(now + 9999, UTC))])
    assert not (await verdict(made, CID))[0]


async def test_wrap_up_begins_with_the_end_of_a_call() -> None:
    """Also when something else happens meanwhile, and not without a call."""
    made = office(common=Rule(wrap_up=30))
    made.read([presence(CID, BUSY, on_the_phone=False)])
    made.read([presence(CID)])
    assert (await verdict(made, CID))[0]
    made.read([presence(CID, BUSY, on_the_phone=True)])
    made.clock.advance(300)
    made.read([presence(CID, AWAY, on_the_phone=False)])
    made.clock.advance(10)
    made.read([presence(CID)])
    assert await verdict(made, CID) == (False, "wrap-up: a call ended within the last 30 s")
    made.clock.advance(20)
    assert await verdict(made, CID) == (True, "is AVAILABLE")


async def test_dwell_keeps_flapping_away() -> None:
    """Each change begins it anew, a confirmation or a note does not."""
    made = office(common=Rule(dwell=5))
    made.read([presence(CID)])
    for state, after in ((BUSY, AVAILABLE), (AWAY, AVAILABLE)):
        made.clock.advance(4)
        made.read([presence(CID, state)])
        made.read([presence(CID, after)])
        assert await verdict(made, CID) == (False, "dwell: so for less than 5 s")
    made.clock.advance(4)
    made.read([presence(CID, note="back")])
    made.clock.advance(1)
    assert await verdict(made, CID) == (True, "is AVAILABLE")


async def test_each_group_has_a_say_in_general_and_its_own_when_asked_alone() -> None:
    """The reason names the group that is against it."""
    made = office(support=Rule(states=frozenset({AVAILABLE, AWAY})))
    made.read([presence(ANN, AWAY), presence(BOB, AWAY), presence(CID, AWAY)])
    assert await verdict(made, ANN) == (False, "sales: is AWAY")
    assert await verdict(made, BOB) == (True, "is AWAY")
    assert await verdict(made, CID) == (False, "is AWAY")

    async def free(query: str) -> list[str]:
        return [each["contact"] for each in (await made.get(f"/v1/presence?{query}")).json()["contacts"]]

    assert await free("available=true") == [BOB]
    assert await free("available=false") == [ANN, CID]
    assert await free("available=true&group=support") == [ANN, BOB]
    assert await free("available=true&group=sales") == []
    assert await free("available=true&group=sales&group=support") == [BOB]
    assert (await made.get("/v1/presence?available=perhaps")).status == 422
    (ann,) = (await made.get("/v1/presence?group=sales")).json()["contacts"]
    assert (ann["available"], ann["reason"]) == (False, "is AWAY")
    body = (await made.get("/v1/summary")).json()
    assert (body["available"], body["groups"]["support"]["available"], body["groups"]["sales"]["available"]) == (
        1,
        2,
        0,
    )


async def test_pages_of_the_available_are_whole() -> None:
    """The filter comes before the limit."""
    made = office()
    made.watch(*(f"p{n}@example.com" for n in range(9)))
    made.read([presence(f"p{n}@example.com", BUSY if n % 2 else AVAILABLE) for n in range(9)])
    page = (await made.get("/v1/presence?available=true&limit=3")).json()
    assert [each["contact"][1] for each in page["contacts"]] == ["0", "2", "4"]
    page = (await made.get(f"/v1/presence?available=true&limit=3&cursor={page['next_cursor']}")).json()
    assert [each["contact"][1] for each in page["contacts"]] == ["6", "8"]
    assert page["next_cursor"] is None


async def test_the_entity_tag_changes_when_time_makes_somebody_free() -> None:
    """And is the same as long as nothing changes: a reason holds no number that runs."""
    made = office(common=Rule(dwell=10))
    made.read([presence(CID)])
    path = "/v1/presence?available=false"
    tags = []
    for _ in range(4):
        tags.append((await made.get(path)).headers["etag"])
        made.clock.advance(4)
    assert [one == other for one, other in pairwise(tags)] == [True, True, False]


async def test_explain_tells_what_each_group_says() -> None:
    made = office(sales=Rule(states=frozenset({AVAILABLE, AWAY})))
    made.read([presence(ANN, AWAY), presence(CID)])
    explained = (await made.get(f"/v1/presence/{ANN}?explain=true")).json()["explain"]
    assert explained["available"] == [
        {"group": "support", "available": False, "reason": "is AWAY"},
        {"group": "sales", "available": True, "reason": "is AWAY"},
    ]
    explained = (await made.get(f"/v1/presence/{CID}?explain=true")).json()["explain"]
    assert explained["available"] == [{"group": None, "available": True, "reason": "is AVAILABLE"}]


def test_one_word_for_a_call_stands_for_all_of_them() -> None:
    """Anybody who forbids `on-the-phone` means `in-a-call` too; what is not forbidden is allowed."""
    assert "in-a-call" in Rule(never=frozenset({"On-The-Phone"})).never
    free = Rule(never=frozenset({"lunch"}), states=frozenset({BUSY}))
    record = Record(CID, CID, FEED, 1, presence(CID, BUSY, on_the_phone=True, in_meeting=True), spans=Spans(0.0))
    assert decide(record, LIVE, free, 1.0) == AvailabilityVerdict(True, "is BUSY")


@given(
    st.sampled_from(PresenceState),
    st.lists(st.sampled_from(["available", "meeting", "lunch", "in-a-call"]), max_size=2),
    st.sampled_from(Level),
    st.floats(0, 1e4),
    st.tuples(st.floats(0, 1e4), st.none() | st.floats(0, 1e4), st.none() | st.floats(0, 1e4)),
    st.builds(
        Rule,
        st.frozensets(st.sampled_from(PresenceState)),
        st.frozensets(st.sampled_from(["meeting", "lunch"])),
        st.none() | st.floats(0, 1e4),
        st.floats(0, 1e4),
        st.floats(0, 1e4),
    ),
)
def test_who_is_free_fulfils_every_condition(
    state: PresenceState,
    activities: list[str],
    level: Level,
    now: float,
    spans: tuple[float, float | None, float | None],
    rule: Rule,
) -> None:
    """The other way round than the rule decides it; and a reason is always given."""
    same, idle, ended = spans
    record = Record(CID, CID, FEED, 1, presence(CID, state, activities=tuple(activities)), spans=Spans(*spans))
    found = decide(record, Freshness(level), rule, now)
    assert found.reason
    assert found.available == (
        level is Level.LIVE
        and state in rule.states
        and rule.never.isdisjoint(activities)
        and (idle is None or rule.max_idle is None or now - idle <= rule.max_idle)
        and (ended is None or now - ended >= rule.wrap_up or rule.wrap_up == 0)
        and (now - same >= rule.dwell or rule.dwell == 0)
    )
