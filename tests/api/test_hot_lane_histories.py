"""The hot lane and kept answers beside the plain routes: byte for byte the same, whatever happens in between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from pws_soap.models import PresenceState
from service.access.authentication import AccessRules
from service.access.keys import KeyRing, hash_of
from service.access.principal import READER, Principal, Scope
from service.core.claims.model import ClaimRequest, Person
from service.core.presence.records import Source
from tests.support.asgi import Answer
from tests.support.bare_service import BareService, presence
from tests.support.examples import examples
from tests.support.people import KEYS, PEOPLE, bearer
from tests.support.twins import CONTACTS, Twins

TARGETS = (
    "/v1/presence",
    "/v1/presence?limit=2",
    "/v1/presence?limit=2&cursor={cursor}",
    "/v1/presence?sort=state&limit=2",
    "/v1/presence?sort=state&limit=2&cursor={cursor}",
    "/v1/presence?sort=-available&limit=1",
    "/v1/presence?sort=-changed_at",
    "/v1/presence?sort=-contact&limit=3",
    "/v1/presence?available=true",
    "/v1/presence?state=busy&state=AWAY",
    "/v1/presence?freshness=live",
    "/v1/presence?group=support&available=true",
    "/v1/presence?q=o",
    "/v1/presence?fields=display_name,available",
    "/v1/presence?max_age=30",
    "/v1/presence?limit=0",
    "/v1/presence?x=1",
    "/v1/presence/ann@example.com",
    "/v1/presence/bob@example.com",
    "/v1/presence/zoe@example.com",
    "/v1/presence/ANN%40example.com",
    "/v1/presence/sip:joe@example.com",
    "/v1/presence/bob@example.com?fields=available",
    "/v1/presence/bob@example.com?fields=state",
    "/v1/presence/ann@example.com?explain=true",
    "/v1/presence/ann@example.com?max_age=10",
    "/v1/presence/ann",
    "/v1/presence/",
    "/v1/presence/ann@example.com/history",
    "/v1/summary",
    "/v1/summary?x=1",
)
KEPT = (
    "/v1/presence?limit=3",
    "/v1/presence?sort=-available&limit=2",
    "/v1/presence?available=true",
    "/v1/presence/ann@example.com",
    "/v1/presence/bob@example.com",
    "/v1/presence/joe@example.com?fields=available",
    "/v1/presence/zoe@example.com",
    "/v1/summary",
)
"""Questions that are asked again and again from the beginning of a history."""
WHO = st.sampled_from([None, "unknown", "reader", "claimer", "root", "sales", "board"])
CONTACT = st.sampled_from(CONTACTS)
SECONDS = st.sampled_from([0.0005, 0.5, 1.0, 4.0, 5.0, 10.0, 19.9995, 20.0, 30.0, 60.0, 601.0, 1260.0])
ASKED_AGAIN = 4
"""Questions that are asked again after everything that happens: what was kept for them is what may be wrong now."""
FEEDS = ("dispatcher", "supervisor")
FEED = st.sampled_from(FEEDS)


class Histories(RuleBasedStateMachine):
    """Whatever may happen to a service, and questions between."""

    def __init__(self) -> None:
        super().__init__()
        self.twins = Twins()
        self.tags: dict[tuple[str, str | None], str] = {}
        self.cursors: dict[str, str] = {}
        self.leases = 0
        self.asked: dict[str, tuple[str, dict[str, str]]] = {}

    def both(self, change: Callable[[BareService], object]) -> None:
        """Let the same happen to each, and ask once more what was asked last."""
        self.twins.both(change)
        self.ask_again()

    def ask_again(self) -> None:
        for target, headers in list(self.asked.values())[-ASKED_AGAIN:]:
            usual, plain = asyncio.run(self.twins.ask(target, headers))
            assert _shown(usual) == _shown(plain)

    @initialize(
        states=st.lists(st.sampled_from(PresenceState), min_size=len(CONTACTS), max_size=len(CONTACTS)),
        questions=st.lists(st.tuples(st.sampled_from(KEPT), st.sampled_from(["reader", "root", "sales", "board"]))),
    )
    def opens(self, states: list[PresenceState], questions: list[tuple[str, str]]) -> None:
        """All are read, and something was asked already."""
        self.both(lambda each: each.store.watch(CONTACTS, "dispatcher"))
        self.both(lambda each: each.store.trust("dispatcher"))
        found = [presence(contact, state) for contact, state in zip(CONTACTS, states, strict=True)]
        self.both(lambda each: each.store.put(found, each.store.begin(), source=Source.SUBSCRIBED))
        for target, who in questions[-ASKED_AGAIN:]:
            self.asked[target + who] = target, {"Host": "localhost", **bearer(who)}
        self.ask_again()

    # --- what happens

    @rule(
        contact=CONTACT,
        state=st.sampled_from(PresenceState),
        on_the_phone=st.sampled_from([None, True, False]),
        idle=st.booleans(),
        name=st.sampled_from([None, "Zoë", "adam"]),
        holds_for=st.sampled_from([None, None, 3.0, 40.0]),
        source=st.sampled_from(Source),
    )
    def reads(
        self,
        contact: str,
        state: PresenceState,
        on_the_phone: bool | None,
        idle: bool,
        name: str | None,
        holds_for: float | None,
        source: Source,
    ) -> None:
        until = None
        if holds_for is not None:
            until = datetime.fromtimestamp(self.twins.clock.now(), UTC) + timedelta(seconds=holds_for)
        found = presence(contact, state, on_the_phone=on_the_phone, idle=idle, display_name=name, valid_until=until)
        self.both(lambda each: each.store.put([found], each.store.begin(), source=source))

    @rule(feed=FEED)
    def confirms(self, feed: str) -> None:
        self.both(lambda each: each.store.confirm(feed, each.store.begin()))

    @rule(feed=FEED)
    def doubts(self, feed: str) -> None:
        self.both(lambda each: each.store.doubt(feed, "it does not answer"))

    @rule(feed=FEED, anew=st.booleans())
    def trusts(self, feed: str, anew: bool) -> None:
        self.both(lambda each: each.store.trust(feed, anew=each.store.begin() if anew else None))

    @rule(feed=FEED, bound=st.sampled_from([None, 15.0, 90.0]))
    def limits(self, feed: str, bound: float | None) -> None:
        self.both(lambda each: each.store.limit(feed, bound))

    @rule(contact=CONTACT)
    def loses(self, contact: str) -> None:
        self.both(lambda each: each.store.doubt_contacts([contact], "its reply was lost"))

    @rule(contact=CONTACT)
    def unwatches(self, contact: str) -> None:
        self.both(lambda each: each.store.unwatch([contact]))

    @rule(contact=CONTACT, feed=FEED)
    def watches(self, contact: str, feed: str) -> None:
        self.both(lambda each: each.store.watch([contact], feed))

    @rule(contact=CONTACT, group=st.sampled_from(["support", "sales"]), seconds=SECONDS)
    def claims(self, contact: str, group: str, seconds: float) -> None:
        self.leases += 1
        name, request = f"lease-{self.leases}", ClaimRequest(group, 1, seconds, "ticket", "root")

        def claim(each: BareService) -> None:
            each.core.leases.sweep()
            if contact not in each.core.leases:
                each.core.leases.make(name, request, [Person(contact, contact)])

        self.both(claim)

    @rule(renewed=st.booleans(), seconds=SECONDS)
    def renews_or_releases(self, renewed: bool, seconds: float) -> None:
        name = f"lease-{self.leases}"

        def change(each: BareService) -> None:
            if renewed:
                each.core.leases.renew(name, seconds)
            else:
                each.core.leases.end(name)

        self.both(change)

    @rule(seconds=st.sampled_from([4.5, 5.0, 20.0, 60.0]))
    def waits_for_a_boundary(self, seconds: float) -> None:
        self.twins.clock.advance(seconds)
        self.ask_again()

    @rule(seconds=st.sampled_from([4.5, 5.0, 20.0]))
    def waits_for_a_tick(self, seconds: float) -> None:
        """What changed with time is said at once, and told by the log only then."""
        self.twins.clock.advance(seconds)
        self.ask_again()
        self.both(lambda each: each.core.log.touch())

    @rule()
    def reads_the_same_again(self) -> None:
        """Of everybody in one reply, whose reading then moves on while the records stay."""
        found = [
            record.presence for record in self.twins.plain.store.records() if record.presence and not record.problem
        ]
        self.both(lambda each: each.store.put(found, each.store.begin(), source=Source.SUBSCRIBED))

    @rule(seconds=SECONDS)
    def waits(self, seconds: float) -> None:
        self.twins.clock.advance(seconds)
        self.ask_again()

    @rule()
    def ticks(self) -> None:
        self.both(lambda each: each.store.lapse())
        self.both(lambda each: each.core.log.touch())

    @rule(seconds=st.sampled_from([-3600.0, 5.0]))
    def wall_clock_is_set(self, seconds: float) -> None:
        self.twins.clock.jump(seconds)

    @rule(
        gone=st.sampled_from(["", "reader", "board"]),
        limited=st.booleans(),
        anonymous=st.sampled_from([None, READER]),
    )
    def reloads(self, gone: str, limited: bool, anonymous: Principal | None) -> None:
        people = {name: who for name, who in PEOPLE.items() if name != gone}
        if limited:
            people["root"] = replace(people["root"], groups=frozenset({"support"}))
            people["sales"] = Principal("sales", frozenset({Scope.READ}), details=False)
        keys = [(hash_of(KEYS[name]), who) for name, who in people.items()]

        def change(each: BareService) -> None:
            assert each.authenticator is not None
            each.authenticator.rules = AccessRules(KeyRing(keys), anonymous)

        self.both(change)

    # --- what is asked

    @rule(
        question=st.sampled_from(TARGETS),
        who=WHO,
        tag=st.sampled_from(["", "", "last", "*", '"1-x"']),
        method=st.sampled_from(["GET", "GET", "HEAD", "POST"]),
        more=st.sampled_from([{}, {}, {}, {"Accept": "application/json"}, {"Accept": "text/csv"}, {"Prefer": "x"}]),
        host=st.sampled_from(["localhost", "localhost", "evil.example"]),
        times=st.integers(1, 3),
    )
    def asks(
        self, question: str, who: str | None, tag: str, method: str, more: dict[str, str], host: str, times: int
    ) -> None:
        target = question.replace("{cursor}", self.cursors.get(question.partition("&cursor")[0], "none"))
        headers = {"Host": host, **more}
        if who == "unknown":
            headers["X-API-Key"] = "pws_" + "x" * 43
        elif who is not None:
            headers |= bearer(who)
        if tag == "last":
            tag = self.tags.get((target, who), "")
        if tag:
            headers["If-None-Match"] = tag
        for _ in range(times):
            usual, plain = asyncio.run(self.twins.ask(target, headers, method))
            assert _shown(usual) == _shown(plain)
            self._remember(target, who, usual)
        if usual.status in {200, 304}:
            self.asked.pop(target + str(who), None)
            self.asked[target + str(who)] = target, headers

    def _remember(self, target: str, who: str | None, answer: Answer) -> None:
        if "etag" in answer.headers:
            self.tags[target, who] = answer.headers["etag"]
        if answer.status == 200 and answer.body.startswith(b'{"contacts"'):
            cursor = answer.json()["next_cursor"]
            if cursor is not None:
                self.cursors[target.partition("&cursor")[0]] = cursor


def _shown(answer: Answer) -> tuple[int, list[tuple[str, str]], bytes]:
    return answer.status, list(answer.headers.items()), answer.body


def test_the_lane_says_what_the_routes_say() -> None:
    """After any of some histories."""
    run_state_machine_as_test(
        Histories, settings=settings(max_examples=examples(25), stateful_step_count=25, deadline=None)
    )


@pytest.mark.long
def test_the_lane_says_what_the_routes_say_after_more_histories() -> None:
    """Others, and more of them."""
    run_state_machine_as_test(Histories, settings=settings(max_examples=100, stateful_step_count=25, deadline=None))
