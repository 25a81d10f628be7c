"""What the words of a document come to, by `rule`: most documents have the same few words, so it is remembered."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from pws_soap.models import PresenceState
from pws_soap.pidf.rule import MEETINGS, Device, counted, decide, is_on_the_phone, statements


class DeviceKey(NamedTuple):
    """A device as far as the rule knows it."""

    id: str
    basic: bool | None
    activities: tuple[str, ...]


class Sense(NamedTuple):
    """What follows from the words of a document: the state, the element that decided it (empty for none), and what
    stands for the contact."""

    state: PresenceState
    decided_by: str
    activities: tuple[str, ...]
    on_the_phone: bool
    in_meeting: bool


_MAX_REMEMBERED: Final = 16
"""Words and devices of a document whose sense is remembered: as many as real ones have at most, so that little memory
is taken."""


def sense_of(
    said: tuple[str, ...],
    phone_status: str | None,
    im_status: str | None,
    devices: Sequence[Device],
    basic: bool | None,
) -> Sense:
    """What the words of a document come to. Most documents have the same few, so it is remembered."""
    places = tuple([DeviceKey(one.id, one.basic, one.activities) for one in devices])
    words = len(said) + len(places) + sum([len(one.activities) for one in places])
    make = _remembered if words <= _MAX_REMEMBERED else _sense_of
    return make(said, phone_status, im_status, places, basic)


def _sense_of(
    said: tuple[str, ...],
    phone_status: str | None,
    im_status: str | None,
    places: tuple[DeviceKey, ...],
    basic: bool | None,
) -> Sense:
    state, by = decide(statements(said, phone_status, im_status, places, basic))
    activities = counted(said, places)
    on_the_phone = is_on_the_phone(activities, phone_status, im_status)
    return Sense(state, "" if by is None else by.where, activities, on_the_phone, not MEETINGS.isdisjoint(activities))


_remembered = lru_cache(maxsize=2048)(_sense_of)
