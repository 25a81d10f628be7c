"""The scripted office day."""

from __future__ import annotations

import pytest

from pws_soap.simulator import Simulator, State
from pws_soap.simulator.office.people import people
from pws_soap.simulator.scripts.office_day import DAY_ENDS, DAY_STARTS, HOUR, OfficeDay, clock_face, schedule

from .talk import StillClock, settle

CONTACTS = [person.contact for person in people(200, "example.com")]


def test_the_same_seed_makes_the_same_day() -> None:
    """And another seed another one."""
    assert schedule(CONTACTS, 1) == schedule(CONTACTS, 1) != schedule(CONTACTS, 2)


def test_a_day_has_everything_in_it() -> None:
    """In the order of time, from before anybody comes until everybody has left."""
    events = schedule(CONTACTS, 1)
    assert [event.at for event in events] == sorted(event.at for event in events)
    assert events[0].at == DAY_STARTS
    assert events[-1].at <= DAY_ENDS
    assert {event.fields["state"] for event in events} == set(State) - {State.UNKNOWN}
    activities = {activity for event in events for activity in event.fields["activities"]}
    assert activities == {"alerting", "on-the-phone", "meeting"}
    last = {event.contact: event.fields["state"] for event in events}
    assert set(last) == set(CONTACTS)
    assert set(last.values()) == {State.UNAVAILABLE, State.VACATION}
    assert any(event.fields["note"] == "Lunch" for event in events)


def test_one_persons_day_does_not_depend_on_the_others() -> None:
    """Each has dice of his or her own."""
    alone = schedule(CONTACTS[5:6], 1)
    assert alone == [event for event in schedule(CONTACTS, 1) if event.contact == CONTACTS[5]]


def truth_at(contacts: list[str], seed: int, time: float) -> dict[str, State]:
    """The states at a time of the day."""
    found = {}
    for event in schedule(contacts, seed):
        if event.at <= time:
            found[event.contact] = event.fields["state"]
    return found


async def test_the_day_is_played_at_any_speed() -> None:
    """Beginning in the middle of it, with everybody as they are by then; over and over."""
    clock = StillClock()
    simulator = Simulator(clock=clock, sleep=clock.sleep)
    contacts = simulator.populate(50)
    assert not OfficeDay(simulator).running
    day = OfficeDay(simulator, speed=3600.0, start=9 * HOUR, seed=6)
    day.begin()
    await settle()

    def composed(states: dict[str, State]) -> dict[str, bool]:
        return {contact: state is State.UNAVAILABLE for contact, state in states.items()}

    def shown() -> dict[str, bool]:
        return {presence.contact: presence.state is State.UNAVAILABLE for presence in simulator.world}

    for hours in (0, 2, 3):
        await clock.advance(hours)
        time = (9 + {0: 0, 2: 2, 3: 5}[hours]) * HOUR
        assert shown() == composed(truth_at(contacts, 6, time))
    assert day.running
    assert "13:30" <= day.time <= "14:01"
    await clock.advance(5.001)  # 19:00, and 07:00 of the next day
    assert day.running
    await clock.advance(5)
    assert shown() == composed(truth_at(contacts, 7, 12 * HOUR + 3.6))
    assert day.changes > 500
    await day.stop()
    assert not day.running


async def test_a_day_may_end() -> None:
    """With repeat=False; a day that was never begun can be stopped."""
    clock = StillClock()
    simulator = Simulator(clock=clock, sleep=clock.sleep)
    simulator.populate(3)
    day = OfficeDay(simulator, contacts=["ann@example.com"], speed=1e6, repeat=False)
    await day.stop()
    day.begin()
    await clock.advance(1)
    assert not day.running
    assert day.time == "19:00"
    assert simulator.world.get("joe@example.com").since == 0.0


@pytest.mark.parametrize(("speed", "start"), [(0.0, 9 * HOUR), (1.0, 6 * HOUR), (1.0, 19 * HOUR)])
def test_a_day_that_cannot_be(speed: float, start: float) -> None:
    """Speed above 0, start within the day."""
    with pytest.raises(ValueError, match="expected"):
        OfficeDay(Simulator(), speed=speed, start=start)


def test_a_clock_face() -> None:
    """Hours and minutes."""
    assert clock_face(9 * HOUR + 125) == "09:02"
