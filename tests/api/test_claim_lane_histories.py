"""Claims by the hot lane beside the plain routes: byte for byte the same, whatever happens in between."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from pws_soap.models import PresenceState
from service.access.authentication import AccessRules
from service.access.keys import KeyRing, hash_of
from service.access.principal import ANYBODY, Principal
from service.core.claims.model import ClaimEvent
from service.core.presence.records import Source
from tests.support.asgi import Answer
from tests.support.bare_service import FEED, BareService, presence
from tests.support.examples import examples
from tests.support.people import KEYS, PEOPLE, bearer
from tests.support.twins import CONTACTS, Twins

BODIES = (
    b'{"group":"support"}',
    b'{"group":"sales"}',
    b'{"group":"support","count":2,"lease_seconds":30,"for":"ticket 1"}',
    b'{"group":"sales","count":1,"lease_seconds":1.5,"for":"T\xc3\xbcr"}',
    b' {"group":"support", "count":1, "group":"sales"}\n',
    '{"group":"sales"}'.encode("utf-16"),
    b'{"group":"support","count":3}',
    b'{"group":"nobody"}',
    b'{"group":"support","count":0}',
    b'{"group":"support","count":"1"}',
    b'{"group":"support","count":1.0}',
    b'{"group":"support","count":true}',
    b'{"group":"support","lease_seconds":NaN}',
    b'{"group":"support","lease_seconds":86400}',
    b'{"group":"support","for":"a\\nb"}',
    b'{"group":"support","for":"\\ud800"}',
    b'{"group":"support","purpose":"x"}',
    b'{"group":"support","x":1}',
    b'{"group":"support"',
    b'{"group":"\xff"}',
    b"[" * 5000,
    b"[]",
    b"null",
    b"",
)
WHO = st.sampled_from([None, None, "unknown", "reader", "claimer", "claimer", "root", "root", "sales", "board"])
MORE = st.sampled_from(
    [
        {},
        {},
        {},
        {"Accept": "text/html"},
        {"Content-Type": "application/json; charset=utf-8"},
        {"Content-Type": "text/plain"},
        {"Origin": "http://localhost"},
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Prefer": "x"},
        {"Idempotency-Key": "first"},
        {"Idempotency-Key": "second"},
        {"Host": "evil.example"},
        {"X-Forwarded-For": "10.0.0.1"},
    ]
)
SECONDS = st.sampled_from([0.0005, 0.5, 5.0, 19.9995, 20.0, 30.0, 60.0, 120.0])


class Histories(RuleBasedStateMachine):
    """Whatever may happen to a service, claims and releases between."""

    def __init__(self) -> None:
        super().__init__()
        self.twins = Twins()
        for twin in (self.twins.fast, self.twins.plain):
            numbers = itertools.count(1)
            twin.core.claim_service._allocator._new_id = lambda numbers=numbers: f"claim-{next(numbers)}"  # type: ignore[misc]
        self.made = 0

    @initialize(states=st.lists(st.sampled_from(PresenceState), min_size=4, max_size=4), keyless=st.booleans())
    def opens(self, states: list[PresenceState], keyless: bool) -> None:
        """All are read."""
        self.reloads("", False, keyless)
        self.both(lambda each: each.store.watch(CONTACTS, FEED))
        self.both(lambda each: each.store.trust(FEED))
        for contact, state in zip(CONTACTS, states, strict=True):
            self.reads(contact, state, on_the_phone=None)

    def both(self, change: Callable[[BareService], object]) -> None:
        """Let the same happen to each."""
        self.twins.both(change)

    # --- what happens

    @rule(
        contact=st.sampled_from(CONTACTS),
        state=st.sampled_from([PresenceState.AVAILABLE, PresenceState.AVAILABLE, PresenceState.BUSY]),
        on_the_phone=st.sampled_from([None, True, False]),
    )
    def reads(self, contact: str, state: PresenceState, on_the_phone: bool | None) -> None:
        found = presence(contact, state, on_the_phone=on_the_phone)
        self.both(lambda each: each.store.put([found], each.store.begin(), source=Source.SUBSCRIBED))

    @rule()
    def confirms(self) -> None:
        self.both(lambda each: each.store.confirm(FEED, each.store.begin()))

    @rule(doubted=st.booleans())
    def doubts_or_trusts(self, doubted: bool) -> None:
        if doubted:
            self.both(lambda each: each.store.doubt(FEED, "it does not answer"))
        else:
            self.both(lambda each: each.store.trust(FEED))

    @rule(contact=st.sampled_from(CONTACTS), watched=st.booleans())
    def watches(self, contact: str, watched: bool) -> None:
        if watched:
            self.both(lambda each: each.store.watch([contact], FEED))
        else:
            self.both(lambda each: each.store.unwatch([contact]))

    @rule(seconds=SECONDS, attended=st.booleans())
    def waits(self, seconds: float, attended: bool) -> None:
        self.twins.clock.advance(seconds)
        if attended:
            self.both(lambda each: each.core.log.touch())
            self.both(lambda each: each.core.claim_service._attend())

    @rule(gone=st.sampled_from(["", "root", "board"]), limited=st.booleans(), keyless=st.booleans())
    def reloads(self, gone: str, limited: bool, keyless: bool) -> None:
        people = {name: who for name, who in PEOPLE.items() if name != gone}
        if limited and "root" in people:
            people["root"] = replace(people["root"], groups=frozenset({"support"}))
        keys = [(hash_of(KEYS[name]), who) for name, who in people.items()]
        anonymous: Principal | None = ANYBODY if keyless else None

        def change(each: BareService) -> None:
            assert each.authenticator is not None
            each.authenticator.rules = AccessRules(KeyRing(keys), anonymous)

        self.both(change)

    @rule()
    def stops(self) -> None:
        """The claim service alone: what it says then is 503."""
        if self.made > 3:
            self.both(lambda each: each.core.claim_service.close())

    # --- what is asked

    @rule(
        body=st.one_of(st.sampled_from(BODIES[:3]), st.sampled_from(BODIES)),
        who=WHO,
        more=MORE,
        query=st.sampled_from(["", "", "", "?x=1"]),
        in_pieces=st.sampled_from([False, False, True]),
    )
    def claims(self, body: bytes, who: str | None, more: Mapping[str, str], query: str, in_pieces: bool) -> None:
        headers = {"Host": "localhost", "Content-Type": "application/json", **_key(who), **more}
        length = {"Content-Length": str(len(body))} if in_pieces else {}
        answer = self.same("POST", f"/v1/claims{query}", headers | length, (body[:5], body[5:]) if in_pieces else body)
        self.made += answer.status == 201

    @rule(back=st.integers(0, 3), who=WHO, more=MORE, name=st.sampled_from(["claim-{}", "claim-{}", "{}", ""]))
    def releases(self, back: int, who: str | None, more: Mapping[str, str], name: str) -> None:
        path = f"/v1/claims/{name.format(max(1, self.made - back))}"
        self.same("DELETE", path, {"Host": "localhost", **_key(who), **more}, b"")

    @rule(who=WHO, seconds=st.sampled_from([b"", b'{"lease_seconds":60}']))
    def renews(self, who: str | None, seconds: bytes) -> None:
        headers = {"Host": "localhost", "Content-Type": "application/json", **_key(who)}
        self.same("POST", f"/v1/claims/claim-{self.made}/renew", headers, seconds)

    @rule(who=WHO)
    def lists(self, who: str | None) -> None:
        self.same("GET", "/v1/claims", {"Host": "localhost", **_key(who)}, b"")

    def same(self, method: str, target: str, headers: Mapping[str, str], body: bytes | Sequence[bytes]) -> Answer:
        """Ask both, and compare what they say, and what happened."""
        usual, plain = asyncio.run(self.twins.send(method, target, headers, body))
        assert _shown(usual) == _shown(plain)
        assert _events(self.twins.fast) == _events(self.twins.plain)
        return usual


def _key(who: str | None) -> dict[str, str]:
    if who == "unknown":
        return {"X-API-Key": "pws_" + "x" * 43}
    return {} if who is None else bearer(who)


def _events(service: BareService) -> list[tuple[object, ...]]:
    """What happened, as far as values tell it."""
    events = service.core.log.since(service.core.log.floor) or []
    leases = [event.data.lease if isinstance(event.data, ClaimEvent) else None for event in events]
    return [(event.id, event.name, event.at, event.key, lease) for event, lease in zip(events, leases, strict=True)]


def _shown(answer: Answer) -> tuple[int, list[tuple[str, str]], bytes]:
    return answer.status, list(answer.headers.items()), answer.body


def test_the_lane_claims_as_the_routes_do() -> None:
    """After any of some histories."""
    run_state_machine_as_test(
        Histories, settings=settings(max_examples=examples(20), stateful_step_count=25, deadline=None)
    )


@pytest.mark.long
def test_the_lane_claims_as_the_routes_do_after_more_histories() -> None:
    """Others, and more of them."""
    run_state_machine_as_test(Histories, settings=settings(max_examples=60, stateful_step_count=25, deadline=None))
