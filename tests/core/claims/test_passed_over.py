"""What is kept of why members are passed over: the same as found anew, whatever happened in between."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from service.core.claims.leases import LeaseTable
from service.core.claims.members import MemberOpinion, ReaderMembers
from service.core.claims.passed_over import PassedOverReasons
from service.core.presence.availability import Availability, Rule
from tests.support.branch import AVAILABLE, BUSY, FEED, Branch, uri
from tests.support.examples import examples

GROUPS = {"support": ("ann", "bob", "cid"), "sales": ("bob", "cid", "dan")}
PEOPLE = ("ann", "bob", "cid", "dan")
BEHIND = "free, and not picked"
person = st.sampled_from(PEOPLE)
group = st.sampled_from(sorted(GROUPS))


class Histories(RuleBasedStateMachine):
    """Whatever may happen to a group."""

    def __init__(self) -> None:
        super().__init__()
        groups = {name: [uri(each) for each in people] for name, people in GROUPS.items()}
        rules = {"support": Rule(dwell=20.0, wrap_up=30.0), "sales": Rule(dwell=5.0)}
        self.branch = Branch(GROUPS, availability=Availability(groups, rules))
        core = self.branch.core
        self.members = ReaderMembers(core.store, core.reader, core.log)

    @initialize()
    def opens(self) -> None:
        self.branch.opens()

    @rule(name=person, state=st.sampled_from([AVAILABLE, BUSY]), on_the_phone=st.booleans())
    def reads(self, name: str, state: object, on_the_phone: bool) -> None:
        self.branch.put(name, state, on_the_phone=on_the_phone)  # type: ignore[arg-type]

    @rule()
    def confirms(self) -> None:
        self.branch.store.confirm(FEED, self.branch.store.begin())

    @rule(doubted=st.booleans())
    def doubts_or_trusts(self, doubted: bool) -> None:
        if doubted:
            self.branch.store.doubt(FEED, "it does not answer")
        else:
            self.branch.store.trust(FEED)

    @rule(name=person)
    def loses(self, name: str) -> None:
        self.branch.store.doubt_contacts([uri(name)], "its reply was lost")

    @rule(name=person, watched=st.booleans())
    def watches(self, name: str, watched: bool) -> None:
        if watched:
            self.branch.store.watch([uri(name)], FEED)
        else:
            self.branch.store.unwatch([uri(name)])

    @rule(seconds=st.sampled_from([0.0005, 4.9995, 5.0, 19.9995, 20.0, 30.0, 1000.0]))
    def waits(self, seconds: float) -> None:
        """The log has not looked yet."""
        self.branch.clock.advance(seconds)

    @rule()
    def ticks(self) -> None:
        self.branch.attend()

    @rule(name=group, seconds=st.sampled_from([4.0, 60.0]))
    def claims(self, name: str, seconds: float) -> None:
        self.branch.ask(name, seconds=seconds)

    @rule(place=st.integers(0, 3), renewed=st.booleans())
    def releases_or_renews(self, place: int, renewed: bool) -> None:
        leases = self.branch.claim_service.leases()
        if place < len(leases):
            if renewed:
                self.branch.claim_service.renew(leases[place].id, 60.0)
            else:
                self.branch.claim_service.release(leases[place].id)

    @invariant()
    def the_same_is_said(self) -> None:
        kept = self.branch.claim_service._allocator._passed_over
        for name, people in GROUPS.items():
            for behind in (BEHIND, "another reason"):
                anew = PassedOverReasons(self.members, self.branch.core.leases)
                for picked, kept_people in ((), ()), ((uri(people[0]),), (uri(people[0]), uri(people[1]))):
                    asked = (name, picked, kept_people, behind)
                    assert kept.of(*asked) == anew.of(*asked)


Histories.TestCase.settings = settings(max_examples=examples(100), stateful_step_count=30, deadline=None)
test_what_is_kept_is_what_would_be_found = Histories.TestCase


def test_what_passed_before_the_log_looked_is_not_kept() -> None:
    """A doubt that was gone at the next look: no event tells of it."""
    branch = Branch({"support": ("ann",)})
    branch.opens()
    reasons = branch.claim_service._allocator._passed_over
    assert [each.free for each in reasons.of("support", (), (), BEHIND)] == [True]
    branch.store.doubt(FEED, "it does not answer")
    assert [each.free for each in reasons.of("support", (), (), BEHIND)] == [False]
    branch.store.trust(FEED)
    told = len(branch.events)
    branch.core.log.touch()
    assert len(branch.events) == told
    assert [each.free for each in reasons.of("support", (), (), BEHIND)] == [True]


class Counted(ReaderMembers):
    """Counts the members who were looked at."""

    looks = 0

    def at(self, group: str, key: str) -> MemberOpinion | None:
        self.looks += 1
        return super().at(group, key)


def test_nobody_is_looked_at_of_whom_nothing_has_changed() -> None:
    """A group of a hundred: one look for each that was claimed, let go, or read."""
    branch = Branch({"support": tuple(f"p{number:03d}" for number in range(100))})
    branch.opens()
    core = branch.core
    members = Counted(core.store, core.reader, core.log)
    branch.claim_service._allocator._passed_over = reasons = PassedOverReasons(members, core.leases)
    reasons.of("support", (), (), BEHIND)
    assert members.looks == 100
    lease = branch.claim()
    members.looks = 0
    reasons.of("support", (), (), BEHIND)
    assert members.looks == 1
    branch.claim_service.release(lease.id)
    branch.put("p050", BUSY)
    assert len(reasons.of("support", (), (), BEHIND)) == 100
    assert members.looks == 3


def test_reasons_are_kept_in_step_with_leases_alone() -> None:
    """The table tells of who is held, no matter who changed it."""
    branch = Branch({"support": ("ann",)})
    branch.opens()
    members = ReaderMembers(branch.core.store, branch.core.reader, branch.core.log)
    table = LeaseTable(branch.clock)
    reasons = PassedOverReasons(members, table)
    assert [each.reason for each in reasons.of("support", (), (), BEHIND)] == [BEHIND]
    lease = branch.claim()
    table.make("mine", branch.ask().request, lease.people)
    assert [each.reason for each in reasons.of("support", (), (), BEHIND)] == ["claimed"]
