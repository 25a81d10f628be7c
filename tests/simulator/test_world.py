"""The truth about contacts."""

from __future__ import annotations

from pws_soap.server.presence import ManualPresence
from pws_soap.simulator import Presence, State, World
from pws_soap.simulator.office.people import people


def test_a_change_is_one_only_when_something_differs() -> None:
    """The time alone is no change."""
    world = World([Presence("ann@example.com", State.AVAILABLE)])
    assert not world.change("Ann@Example.com", 5.0, {"state": State.AVAILABLE})
    assert world.change("ann@example.com", 6.0, {"note": "x"})
    assert world.get("ANN@example.com").note == "x"
    assert world.changes == 2


def test_who_is_occupied_is_busy() -> None:
    """As on the real server; a stronger state stays."""
    world = World()
    world.change("a@b", 1.0, {"state": State.AVAILABLE, "activities": ("on-the-phone",)})
    assert world.get("a@b").state is State.BUSY
    world.change("a@b", 2.0, {"state": State.DND})
    assert world.get("a@b").state is State.DND
    world.change("a@b", 3.0, {"state": State.AVAILABLE, "activities": ("alerting",)})
    assert world.get("a@b").state is State.AVAILABLE


def test_removing_a_contact_makes_it_unknown() -> None:
    """Whatever was set by hand goes too."""
    world = World([Presence("a@b", State.BUSY)])
    world.set_manual("a@b", ManualPresence(State.DND, True, 100.0))
    assert "A@B" in world
    assert world.remove("A@B")
    assert not world.remove("A@B")
    assert world.get("a@b") == Presence("a@b", State.UNKNOWN)
    assert (len(world), list(world), world.next_due) == (0, [], None)


def test_expiry_that_changes_nothing_is_no_news() -> None:
    """A state set by hand that the person has by now."""
    world = World([Presence("a@b", State.BUSY)])
    world.set_manual("a@b", ManualPresence(State.BUSY, True, 10.0))
    world.put(Presence("a@b", State.BUSY, manual=True))
    assert world.expire(10.0) == []


def test_people_are_the_same_for_the_same_seed_and_never_twice() -> None:
    """Simple names first."""
    first = people(300, "example.com", seed=4)
    assert [person.contact for person in first[:4]] == [
        f"{name}@example.com" for name in ("ann", "joe", "rita", "carlotta")
    ]
    assert first == people(300, "example.com", seed=4)
    assert first[:40] != people(40, "example.com", seed=5)
    assert len({person.contact for person in first}) == 300
    assert all(person.contact.isascii() for person in first)
    assert first[100:] == people(300, "example.com", seed=4, start=0)[100:]
