"""The canary: what it measures, and what it must never do."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from pws_soap.models import PresenceState
from pws_soap.simulator import Fault, NodeCondition, Options
from pws_soap.simulator.options import User
from service.core.meter import CanaryOutcome, NoMeter
from service.core.wiring import Core
from service.sync.canary import FIRST, Canary, CanarySettings, quiet_states
from service.sync.engine import SyncEngine
from tests.support.virtual_office import BOUND, VirtualOffice, names
from tests.support.virtual_time import run

CANARY = "pws-canary"
CONTACT = f"{CANARY}@example.com"
INTERVAL = 300.0


@dataclass
class Rounds(NoMeter):
    """A meter that remembers the canary's rounds."""

    ended: list[CanaryOutcome] = field(default_factory=list)
    seconds: list[float | None] = field(default_factory=list)

    def canary_ended(self, outcome: CanaryOutcome, seconds: float | None) -> None:
        self.ended.append(outcome)
        self.seconds.append(seconds)


@dataclass
class Aviary:
    """An office with a canary, whose service is live."""

    office: VirtualOffice = field(default_factory=lambda: VirtualOffice((*names(2), CONTACT)))
    rounds: Rounds = field(default_factory=Rounds)

    async def start(self) -> SyncEngine:
        engine = self.office.start()
        core = Core.of(self.office.store, self.office.clock, BOUND, {})
        settings = CanarySettings(CANARY, CONTACT, INTERVAL)
        engine.canary = Canary(settings, engine.driver, core.log, self.office.clock, self.rounds)
        engine.canary.start()
        await self.office.heal()
        return engine

    def presence(self) -> PresenceState:
        """What the server says of the canary."""
        return PresenceState(self.office.simulator.world.get(CONTACT).state)

    def requests(self, operation: str) -> int:
        return self.office.simulator.counters.requests[operation]


def test_each_round_is_seen_and_measured() -> None:
    async def story() -> None:
        aviary = Aviary()
        engine = await aviary.start()
        await asyncio.sleep(FIRST + 3 * INTERVAL)
        assert aviary.rounds.ended == [CanaryOutcome.SEEN] * 4
        assert all(seconds is not None and 0 <= seconds < 5 for seconds in aviary.rounds.seconds)
        assert aviary.requests("setPresence") == 4
        canary = engine.status().canary
        assert canary is not None
        assert (canary.outcome, canary.last_error) == (CanaryOutcome.SEEN, None)
        assert canary.at is not None
        assert canary.last_seen_at == canary.at
        assert canary.seconds == aviary.rounds.seconds[-1]

    run(story())


def test_it_changes_its_own_presence_alone() -> None:
    """And those who are watched stay as they are, whatever it does."""

    async def story() -> None:
        aviary = Aviary()
        await aviary.start()
        world = aviary.office.simulator.world
        before = {contact: world.get(contact) for contact in names(2)}
        await asyncio.sleep(FIRST + 2 * INTERVAL)
        assert len(aviary.rounds.ended) == 3
        assert {contact: world.get(contact) for contact in names(2)} == before

    run(story())


def test_it_takes_its_presence_back_and_logs_out_at_the_end() -> None:
    async def story() -> None:
        aviary = Aviary()
        await aviary.start()
        unset = aviary.presence()
        await asyncio.sleep(FIRST + 10)
        assert aviary.presence() is not unset
        await aviary.office.stop()
        assert aviary.presence() is unset
        assert aviary.office.left() == []

    run(story())


def test_nothing_is_sent_at_the_end_where_nothing_was_set() -> None:
    async def story() -> None:
        aviary = Aviary()
        await aviary.start()
        await aviary.office.stop()
        assert aviary.requests("setPresence") == 0

    run(story())


def test_the_end_does_not_wait_for_a_server_that_is_silent() -> None:
    async def story() -> None:
        aviary = Aviary()
        await aviary.start()
        await asyncio.sleep(FIRST + 10)
        aviary.office.simulator.faults.add(Fault("delay-reply", operation="setPresence", seconds=3600))
        began = aviary.office.clock.monotonic()
        await aviary.office.stop(limit=5)
        assert aviary.office.clock.monotonic() - began < 8

    run(story())


def test_a_change_that_no_notification_announces_is_late() -> None:
    """That is what it is for: nothing else is wrong."""

    async def story() -> None:
        aviary = Aviary()
        engine = await aviary.start()
        aviary.office.simulator.faults.add(Fault("drop-notification"))
        engine.subscriptions.wake()
        for tracked in engine.subscriptions:
            tracked.fetch_due += INTERVAL  # no safety fetch comes to its help
        await asyncio.sleep(FIRST + 70)
        assert aviary.rounds.ended == [CanaryOutcome.LATE]
        canary = engine.status().canary
        assert canary is not None
        assert canary.last_error is not None
        assert "no answer said" in canary.last_error
        aviary.office.simulator.faults.clear()
        await asyncio.sleep(INTERVAL)
        assert aviary.rounds.ended[-1] is CanaryOutcome.SEEN
        after = engine.status().canary
        assert after is not None
        assert after.last_error is None

    run(story())


def test_a_session_that_is_gone_is_made_anew_in_the_same_round() -> None:
    async def story() -> None:
        aviary = Aviary()
        await aviary.start()
        await asyncio.sleep(FIRST + 10)
        aviary.office.simulator.kill_sessions()
        await asyncio.sleep(INTERVAL)
        assert aviary.rounds.ended == [CanaryOutcome.SEEN] * 2

    run(story())


def test_its_failures_lead_to_no_reset_and_are_not_repeated() -> None:
    """The server refuses to set its presence: one request in each round, and everybody stays live."""

    async def story() -> None:
        aviary = Aviary()
        engine = await aviary.start()
        logins = aviary.requests("login")
        aviary.office.simulator.faults.add(Fault("refuse", operation="setPresence", code=200))
        await asyncio.sleep(FIRST + 2 * INTERVAL)
        assert aviary.rounds.ended == [CanaryOutcome.FAILED] * 3
        assert aviary.requests("setPresence") == 3
        assert aviary.requests("login") == logins + 1
        assert engine.ready() == (True, "live")

    run(story())


def test_without_a_session_of_the_service_it_sends_nothing() -> None:
    async def story() -> None:
        aviary = Aviary()
        await aviary.start()
        aviary.office.simulator.set_state("imp1", NodeCondition.DOWN)
        await asyncio.sleep(FIRST + INTERVAL)
        assert aviary.rounds.ended == [CanaryOutcome.FAILED] * 2
        assert aviary.requests("setPresence") == 0

    run(story())


def test_it_goes_home_where_the_service_has_a_session_too() -> None:
    """And fails where it has none, with the reason: it makes no session of the application's."""

    async def story(users: tuple[str, ...]) -> tuple[list[CanaryOutcome], str | None]:
        homes = {"dispatcher": "imp1", "supervisor": "imp2", CANARY: "imp2"}
        accounts = (User(name, home=home) for name, home in homes.items())
        options = Options(users=(User("pwsapp", "secret", application=True), *accounts))
        office = VirtualOffice((*names(3), CONTACT), ("imp1", "imp2"), options=options, users=users)
        aviary = Aviary(office)
        engine = await aviary.start()
        await asyncio.sleep(FIRST + 10)
        canary = engine.status().canary
        assert canary is not None
        return aviary.rounds.ended, canary.last_error

    assert run(story(("dispatcher", "supervisor"))) == ([CanaryOutcome.SEEN], None)
    ended, error = run(story(("dispatcher",)))
    assert ended == [CanaryOutcome.FAILED]
    assert error == "pws-canary is at home on imp2, where nobody is watched"


@pytest.mark.parametrize(
    ("free", "states"),
    [
        ({"AVAILABLE"}, ("BUSY", "AWAY")),
        ({"AVAILABLE", "AWAY"}, ("BUSY", "VACATION")),
        ({"AVAILABLE", "AWAY", "BUSY", "VACATION"}, ("UNAVAILABLE", "BUSY")),
    ],
)
def test_it_is_set_to_states_that_are_not_free(free: set[str], states: tuple[str, str]) -> None:
    """As far as there are two."""
    assert quiet_states(frozenset(map(PresenceState, free))) == states
