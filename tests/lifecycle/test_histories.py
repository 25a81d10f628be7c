"""Any history of faults, against an honest model of the server: what must hold after every step, and after healing.

After every step (see `driver` and `service`): at most one request under way in a life of a thing; no command without
its session; ids are those the server gave; the next tick lies ahead; and whatever is on the server is written down, so
that a crash at that moment would orphan nothing. After healing: all that is wanted is live within the bound, the server
holds exactly what the lifecycle believes, nothing is left behind, and it took no storm.
"""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from pws_soap.lifecycle import Act, FailureKind, Kind, Phase, ResourceEvent, Settings, work
from pws_soap.lifecycle.table import IGNORED, NEVER, follow
from tests.lifecycle.driver import A, B
from tests.lifecycle.one_process import HEALED_IN
from tests.lifecycle.server import Mode
from tests.lifecycle.world import World
from tests.support.examples import examples

NOTICED_IN: Final = 0.8 * 3600.0
"""Seconds until an endpoint that the server has forgotten is found out: by its renewal, nobody reports silence here."""

USERS: Final = ("ann", "bob")
PLAIN: Final = [
    FailureKind.UNREACHABLE,
    FailureKind.THROTTLED,
    FailureKind.EXHAUSTED,
    FailureKind.HELD,
    FailureKind.REFUSED,
    FailureKind.SERVER,
]
"""Failures that need no truth behind them. The model says itself what is lost, and outcomes are lost by `lose`."""

contacts = st.dictionaries(st.sampled_from(USERS), st.frozensets(st.sampled_from("abcdefgh")), max_size=2)
numbers = st.integers(0, 7)
nodes = st.integers(0, 1)
users = st.sampled_from(USERS)
yes_or_no = st.booleans()


class Histories(RuleBasedStateMachine):
    """What may happen, as rules. The model is in `world`."""

    world: World

    @initialize(wanted=contacts, take_over=yes_or_no, backups=yes_or_no)
    def begin(self, wanted: dict[str, frozenset[str]], take_over: bool, backups: bool) -> None:
        self.world = World(Settings((A, B), contacts_per_subscription=3, take_over=take_over))
        if backups:
            self.world.cluster.backups = {A: "b.example", B: "a.example"}
        self.world.want(wanted)

    @rule(wanted=contacts)
    def other_contacts_are_wanted(self, wanted: dict[str, frozenset[str]]) -> None:
        self.world.want(wanted)

    @precondition(lambda self: self.world.requests)
    @rule(number=numbers)
    def a_request_is_answered(self, number: int) -> None:
        self.world.answer(number)

    @precondition(lambda self: self.world.requests)
    @rule()
    def all_requests_are_answered(self) -> None:
        self.world.answer_all()

    @precondition(lambda self: self.world.requests)
    @rule(number=numbers)
    def a_request_is_carried_out_and_its_answer_takes_its_time(self, number: int) -> None:
        self.world.look(number)

    @precondition(lambda self: self.world.requests)
    @rule(number=numbers, acted=yes_or_no)
    def an_answer_is_lost(self, number: int, acted: bool) -> None:
        self.world.lose(number, acted)

    @precondition(lambda self: self.world.requests)
    @rule(number=numbers, failure_kind=st.sampled_from(PLAIN))
    def a_request_fails(self, number: int, failure_kind: FailureKind) -> None:
        self.world.refuse(number, failure_kind)

    @precondition(lambda self: any(each.command.act in {Act.MAKE, Act.ALTER} for each in self.world.requests))
    @rule(number=numbers, failure_kind=st.sampled_from([*PLAIN, FailureKind.UNKNOWN_OUTCOME]), acted=yes_or_no)
    def a_list_of_contacts_fails(self, number: int, failure_kind: FailureKind, acted: bool) -> None:
        self.world.half(number, failure_kind, acted)

    @rule(seconds=st.sampled_from([1, 60, 3000]))
    def all_goes_well_for_a_while(self, seconds: float) -> None:
        self.world.go_well(seconds)

    @rule(seconds=st.sampled_from([0.5, 2, 10, 30, 100, 1000, 3000]))
    def time_passes(self, seconds: float) -> None:
        self.world.elapse(seconds)

    @rule(seconds=st.sampled_from([10, 600, 3000, 8000]), acted=yes_or_no)
    def the_machine_sleeps(self, seconds: float, acted: bool) -> None:
        self.world.jump(seconds, acted)

    @rule(node=nodes, mode=st.sampled_from(Mode))
    def a_node_goes_or_comes(self, node: int, mode: Mode) -> None:
        self.world.set_mode(node, mode)

    @rule(node=nodes, user=st.sampled_from(["", *USERS]))
    def the_server_ends_a_session(self, node: int, user: str) -> None:
        self.world.kill(node, user)

    @rule(node=nodes, kind=st.sampled_from([Kind.ENDPOINT, Kind.SUBSCRIPTION]), number=numbers)
    def the_server_forgets_an_id(self, node: int, kind: Kind, number: int) -> None:
        self.world.forget(node, kind, number)

    @rule(user=users, node=st.sampled_from([0, 1, None]))
    def a_user_gets_another_home(self, user: str, node: int | None) -> None:
        self.world.rehome(user, node)

    @rule(user=users)
    def somebody_else_takes_a_user(self, user: str) -> None:
        self.world.hold(user)

    @rule(number=numbers, failure_kind=st.none() | st.sampled_from([*PLAIN, FailureKind.UNKNOWN_OUTCOME]))
    def a_subscription_is_fetched(self, number: int, failure_kind: FailureKind | None) -> None:
        self.world.fetch(number, failure_kind)

    @rule(node=nodes, user=st.none() | users)
    def the_operator_moves_somebody(self, node: int, user: str | None) -> None:
        self.world.move(node, user)

    @rule(acted=yes_or_no)
    def the_service_is_killed_and_starts_again(self, acted: bool) -> None:
        self.world.crash_and_restart(acted)

    @precondition(lambda self: not self.world.state.stopping)
    @rule()
    def the_service_stops(self) -> None:
        self.world.stop()

    @rule()
    def it_heals(self) -> None:
        limit = HEALED_IN + (NOTICED_IN if self.world.endpoint_forgotten else 0.0)
        self.world.heal(limit)

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.it_heals()


@pytest.fixture
def impossible(monkeypatch: pytest.MonkeyPatch) -> set[tuple[Phase, ResourceEvent]]:
    """The cells that cannot happen, and did."""
    found: set[tuple[Phase, ResourceEvent]] = set()

    def checked(phase: Phase, event: ResourceEvent) -> tuple[Phase, Act]:
        if IGNORED.get((phase, event), "").startswith(NEVER):
            found.add((phase, event))
        return follow(phase, event)

    monkeypatch.setattr(work, "follow", checked)
    return found


SHORT: Final = settings(
    max_examples=examples(150),
    stateful_step_count=40,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)


def test_any_history_heals(impossible: set[tuple[Phase, ResourceEvent]]) -> None:
    """A few hundred faults."""
    run_state_machine_as_test(Histories, settings=SHORT)
    assert not impossible


def test_an_endpoint_is_lost_while_one_subscription_is_altered_and_another_is_no_longer_wanted() -> None:
    """The loss of the first resets the session, and with it the second goes at once."""
    history = Histories()
    history.begin(backups=True, take_over=True, wanted={"ann": frozenset("abcdefgh"), "bob": frozenset("abcdgh")})
    history.all_requests_are_answered()
    history.the_machine_sleeps(acted=False, seconds=3000)
    history.a_request_is_answered(number=4)
    history.a_request_is_carried_out_and_its_answer_takes_its_time(number=7)
    history.other_contacts_are_wanted(wanted={"ann": frozenset("c"), "bob": frozenset()})
    history.the_machine_sleeps(acted=True, seconds=10)
    history.a_request_is_carried_out_and_its_answer_takes_its_time(number=5)
    history.the_machine_sleeps(acted=False, seconds=10)
    history.other_contacts_are_wanted(wanted={"ann": frozenset("abfg"), "bob": frozenset()})
    history.a_request_is_carried_out_and_its_answer_takes_its_time(number=1)
    history.a_request_is_answered(number=7)
    history.time_passes(seconds=10)
    history.the_machine_sleeps(acted=False, seconds=600)
    history.teardown()


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_any_of_many_long_histories_heals(impossible: set[tuple[Phase, ResourceEvent]]) -> None:
    """A hundred thousand faults."""
    many = settings(SHORT, max_examples=1500, stateful_step_count=100)
    run_state_machine_as_test(Histories, settings=many)
    assert not impossible
