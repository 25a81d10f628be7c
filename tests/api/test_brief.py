"""A key without details cannot tell whose presence changed where nothing that it sees changed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from pws_soap.models import PresenceState
from service.access.authentication import AccessRules, Authenticator
from service.access.principal import Principal, Scope
from service.api.sse import subscriber
from service.core.claims.model import ClaimRequest, Granted
from service.core.presence.availability import Availability, Rule
from tests.support.bare_service import AVAILABLE, AWAY, BUSY, FEED, BareService, presence
from tests.support.examples import examples
from tests.support.long_polls import Asking, turns
from tests.support.sse import Listener

ANN, BOB, CID = "ann@example.com", "bob@example.com", "cid@example.com"
PEOPLE = (ANN, BOB, CID)
GROUPS = {"support": (ANN, BOB), "sales": (BOB, CID)}
SCOPES = frozenset({Scope.READ, Scope.CLAIM})
BOARD = Principal("board", SCOPES, details=False)


def office(who: Principal = BOARD, **rules: Rule) -> BareService:
    """Everybody is read and available."""
    availability = Availability(GROUPS, {name: rules.get(name, Rule()) for name in GROUPS})
    made = BareService(GROUPS, availability=availability, authenticator=Authenticator(rules=AccessRules(anonymous=who)))
    made.watch(*PEOPLE)
    made.read([presence(name, AVAILABLE) for name in PEOPLE])
    return made


async def one(made: BareService, contact: str = ANN) -> dict[str, Any]:  # JSON is of any type
    found: dict[str, Any] = (await made.get(f"/v1/presence/{contact}")).json()
    return found


async def everywhere(made: BareService, contact: str = ANN) -> set[int]:
    """The contact's revision in each answer that shows it."""
    listed = (await made.get("/v1/presence")).json()["contacts"]
    chosen = (await made.get("/v1/presence?fields=revision")).json()["contacts"]
    table = (await made.get("/v1/presence?fields=revision", accept="text/csv")).body.decode("utf-8-sig").splitlines()
    found = {each["revision"] for each in (*listed, *chosen) if each["contact"] == contact}
    found |= {int(line.split(",")[1]) for line in table[1:] if line.startswith(contact)}
    async with Listener(made.app) as client:
        (snapshot,) = await client.take(1)
        found |= {each["revision"] for each in snapshot.data["contacts"] if each["contact"] == contact}
    return found | {(await one(made, contact))["revision"]}


HIDDEN: list[dict[str, Any]] = [
    {"state": BUSY, "note": "at the dentist"},
    {"state": AWAY, "activities": ("away",)},
    {"state": BUSY, "activities": ("busy", "on-the-phone"), "on_the_phone": True},
    {"state": PresenceState.DND, "idle": True},
]


@pytest.mark.parametrize("change", HIDDEN)
async def test_its_revision_does_not_move_with_what_it_does_not_see(change: dict[str, Any]) -> None:
    """In no answer, while the list's own does."""
    made = office()
    made.read([presence(ANN, BUSY)])
    before, revision = await everywhere(made), made.store.revision
    made.read([presence(ANN, **change)])
    assert made.store.revision > revision
    assert await everywhere(made) == before
    assert len(before) == 1


async def test_it_moves_with_what_it_sees() -> None:
    """Availability, the name, the freshness, a claim; each time to the id of the event."""
    made = office()
    found = [(await one(made))["revision"]]

    async def has_moved() -> None:
        made.core.log.touch()
        seen = await everywhere(made)
        assert seen == {made.core.log.last}
        found.extend(seen)

    made.read([presence(ANN, BUSY)])
    await has_moved()
    made.read([presence(ANN, BUSY, display_name="Ann")])
    await has_moved()
    made.store.doubt_contacts([ANN], "lost")
    await has_moved()
    made.read([presence(ANN, AVAILABLE, display_name="Ann")])
    await has_moved()
    ticket = made.core.claim_service.ask(ClaimRequest("support", 2, 60.0, "", "joe"))
    assert isinstance(ticket.outcome, Granted)
    assert (await one(made))["available"] is False
    assert (await one(made))["revision"] > found[-1]
    assert found == sorted(set(found))


async def test_a_claim_on_one_who_is_not_available_moves_nothing() -> None:
    """What a held person does meanwhile is not seen, and what ends the claim is where they are free again."""
    made = office()
    assert isinstance(made.core.claim_service.ask(ClaimRequest("sales", 2, 60.0, "", "joe")).outcome, Granted)
    before = await one(made, CID)
    async with Listener(made.app) as client:
        await client.take(1)
        made.read([presence(CID, BUSY)])
        await client.silence()
    made.clock.advance(60)
    made.core.log.touch()
    assert await one(made, CID) == before | {"as_of": (await one(made, CID))["as_of"]}


async def test_another_groups_rule_moves_nothing() -> None:
    """For a key that must not see the group."""
    who = Principal("board", SCOPES, frozenset({"support"}), details=False)
    made = office(who, sales=Rule(dwell=30))
    before = await everywhere(made, BOB)
    made.clock.advance(60)
    last = made.core.log.last
    made.core.log.touch()
    assert made.core.log.last > last
    assert await everywhere(made, BOB) == before


async def test_an_answer_that_it_has_stays_the_same() -> None:
    """304 after a change that it must not see."""
    made = office()
    made.read([presence(ANN, BUSY)])
    for target in (f"/v1/presence/{ANN}", f"/v1/presence/{ANN}?fields=revision"):
        tag = (await made.get(target)).headers["etag"]
        made.read([presence(ANN, AWAY, note=target)])
        assert (await made.get(target, if_none_match=tag)).status == 304


async def test_a_claims_contacts_have_it_too() -> None:
    made = office()
    ticket = made.core.claim_service.ask(ClaimRequest("sales", 2, 60.0, "", "board"))
    assert isinstance(ticket.outcome, Granted)
    before = (await made.get("/v1/claims")).json()["claims"][0]["contacts"]
    made.read([presence(CID, BUSY, note="x")])
    after = (await made.get("/v1/claims")).json()["claims"][0]["contacts"]
    assert [each["revision"] for each in after] == [each["revision"] for each in before]


@dataclass
class History:
    """What a key without details gets to see of an office, all of it."""

    made: BareService
    seen: list[object] = field(default_factory=list)

    async def look(self) -> None:
        targets = ["/v1/presence", "/v1/presence?group=support&available=true", "/v1/presence?sort=available&limit=2"]
        targets += ["/v1/summary", "/v1/claims", *(f"/v1/presence/{name}" for name in PEOPLE)]
        for target in targets:
            answer = await self.made.get(target)
            self.seen.append((target, answer.status, answer.headers, answer.body))
            self.seen.append((await self.made.get(target, if_none_match=answer.headers.get("etag", ""))).status)
        self.seen.append((await self.made.get("/v1/presence", accept="text/csv")).body)


STEPS = st.lists(
    st.tuples(st.just("hidden"), st.permutations(PEOPLE), st.sampled_from(["note", "state", "activity"]))
    | st.tuples(st.just("seen"), st.sampled_from(PEOPLE), st.booleans())
    | st.tuples(st.just("time"), st.sampled_from([0.5, 5.0]), st.none())
    | st.tuples(st.just("feed"), st.booleans(), st.none())
    | st.tuples(st.just("claim"), st.sampled_from(sorted(GROUPS)), st.none()),
    min_size=1,
    max_size=10,
)
OTHERS = {BUSY: AWAY, AWAY: BUSY, AVAILABLE: AVAILABLE}


async def history(steps: list[tuple[Any, Any, Any]], victim: int) -> list[object]:
    """All that is seen, where each hidden change is one of another contact's presence."""
    made = office()
    told = History(made)
    state: dict[str, PresenceState] = dict.fromkeys(PEOPLE, AVAILABLE)
    names: dict[str, str] = {}
    targets = ("/v1/presence", *(f"/v1/presence/{name}" for name in PEOPLE))
    async with Listener(made.app) as quick, Listener(made.app, "/v1/events?available=true") as some:
        async with Listener(made.app) as slow:
            for client in (quick, some, slow):
                await client.take(1)
            slow.reading.clear()
            for number, (kind, what, how) in enumerate(steps):
                asking = [Asking(made, target, headers={"prefer": "wait=300"}) for target in targets]
                await turns()
                match kind:
                    case "hidden":
                        name = what[victim]
                        if how == "state":
                            state[name] = OTHERS[state[name]]
                        activities = (f"lunch-{number}",) if how == "activity" else ()
                        rest = {"activities": activities, "note": f"n{number}", "display_name": names.get(name)}
                        made.read([presence(name, state[name], **rest)])
                    case "seen":
                        state[what] = AVAILABLE if how else BUSY
                        names[what] = f"d{number}"
                        made.read([presence(what, state[what], display_name=names[what])])
                    case "time":
                        made.clock.advance(what)
                        made.core.log.touch()
                    case "feed":
                        made.store.trust(FEED) if what else made.store.doubt(FEED, "lost")
                        made.core.log.touch()
                    case _:
                        made.core.claim_service.ask(ClaimRequest(what, 1, 3.0, "", "joe"))
                if kind in {"hidden", "seen"}:  # a fetch that succeeds, as the fetcher applies it
                    made.store.trust(FEED)
                    made.core.log.touch()
                await turns()
                told.seen.append([each.task.done() for each in asking])
                for request in asking:
                    request.hang_up()
                await asyncio.gather(*(each.task for each in asking))
                await told.look()
            slow.reading.set()
            await turns()
            told.seen += [quick.events, some.events, slow.events]
        resumed = Listener(made.app, last_event_id=str(slow.events[0].id) if slow.events else "0")
        async with resumed:
            await turns()
            told.seen.append(resumed.events)
    return told.seen


# Without shrinking: an example takes a quarter of a second.
UNSHRUNK: Final = [phase for phase in Phase if phase is not Phase.shrink]


@settings(max_examples=examples(5), phases=UNSHRUNK)
@given(steps=STEPS)
async def test_it_cannot_tell_whose_presence_changed(steps: list[tuple[Any, Any, Any]]) -> None:
    """Two histories that differ only in who had each hidden change: not a byte of any answer differs."""
    await cannot_tell(steps)


@pytest.mark.long(ci=True)
@settings(max_examples=30, phases=UNSHRUNK)
@given(steps=STEPS)
async def test_it_cannot_tell_in_more_histories(steps: list[tuple[Any, Any, Any]]) -> None:
    """The same, for longer."""
    await cannot_tell(steps)


async def cannot_tell(steps: list[tuple[Any, Any, Any]]) -> None:
    """Play the steps twice, with another victim."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subscriber, "LAG", 3)
        patch.setattr(subscriber, "PIECE", 1)
        first = await history(steps, 0)
        second = await history(steps, 1)
    assert first == second
