"""The rule that makes one state of everything that a document says. One table, one scale, three steps.

**Why a rule.** A person's `activities` hold several words side by side, the phone and the IM client have a status of
their own, and every device speaks for itself. BASIC presence is the server's own answer to the same question, so the
words that BASIC uses mean the same here: a document that only says `busy` is BUSY, and so on for all seven.

**The scale**, from the least available to the most: UNAVAILABLE, VACATION, DND, BUSY, AWAY, AVAILABLE. Where two
statements about the same thing differ, the less available one wins: a call that is not offered can be offered later, a
call that rings somebody who must not be disturbed cannot be taken back.

- UNAVAILABLE is below all: nothing reaches the person. DND beside it is a wish of somebody who cannot be reached
  anyway.
- VACATION is below DND: both must be left alone, but who is on vacation is not there for days.
- DND is below BUSY: it is a wish, made by hand; busy is a circumstance. Somebody on the phone in DND stays DND.
- BUSY is below AWAY. Busy is known: a call, a meeting, or the person's own word. Away is mostly guessed, from a
  keyboard that is silent, as it is while one telephones. An application may try somebody who is away; it must not try
  somebody who is away from the keyboard because of a call.

**Engagement is of the person, absence is of the place.** BUSY, DND and VACATION say something about the person
wherever they are said: nobody can be on the phone at one device and free at another. AWAY, UNAVAILABLE and a closed
device say something about that device only: who left the desk may be reached on the mobile phone. AVAILABLE at one
device does not undo what another says. Hence the steps:

1. The person's own words decide, together with every engagement that the channels (`phone-status`, `im-status`) or an
   open device add. The least available wins. The person is what the server has composed of all devices, so a device
   that is away or closed changes nothing here.
2. If the person says nothing, or is missing, the words of channels and open devices decide, by the same scale.
   `unavailable` counts as closed: it takes away its own place, not the others.
3. If nobody says a word, the person's own basic status decides (phones give one), else one open device makes
   AVAILABLE; if all are closed, UNAVAILABLE; if there is nothing, UNKNOWN.

A closed device is one that nobody sits at: its words are old and do not count. Calls are the exception: the phone
itself knows them, and some servers call a phone closed because it is in use.

Idle (`user-input`) never decides: it is given beside the state, since its meaning depends on the task. Words that are
not in the table are kept as activities and decide nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple, Protocol

from pws_soap.models import Presence, PresenceState
from pws_soap.pidf.model import Reading

SCALE: Final = (
    PresenceState.UNAVAILABLE,
    PresenceState.VACATION,
    PresenceState.DND,
    PresenceState.BUSY,
    PresenceState.AWAY,
    PresenceState.AVAILABLE,
)
"""From the least available to the most. UNKNOWN is not on it: it is what remains when nothing is said."""
RANK: Final = {state: rank for rank, state in enumerate(SCALE)}
ENGAGED: Final = frozenset({PresenceState.BUSY, PresenceState.DND, PresenceState.VACATION})
"""What is true of the person, wherever it is said."""


class Word(NamedTuple):
    """A row of the table: what one activity means for the state, and why."""

    state: PresenceState
    reason: str


def _table() -> dict[str, Word]:
    available, away, busy = PresenceState.AVAILABLE, PresenceState.AWAY, PresenceState.BUSY
    dnd, vacation, unavailable = PresenceState.DND, PresenceState.VACATION, PresenceState.UNAVAILABLE
    rows: list[tuple[str, PresenceState, str]] = [
        # The server's own words (protocol section 4). The first six are also the states of BASIC presence.
        ("available", available, "BASIC AVAILABLE"),
        ("away", away, "BASIC AWAY"),
        ("busy", busy, "BASIC BUSY"),
        ("dnd", dnd, "BASIC DND"),
        ("unavailable", unavailable, "BASIC UNAVAILABLE"),
        ("vacation", vacation, "BASIC VACATION"),
        ("meeting", busy, "in a meeting by the calendar"),
        ("on-the-phone", busy, "in a call"),
        ("alerting", busy, "a phone is ringing: the next call would be the second"),
        # Other spellings of the same.
        ("do-not-disturb", dnd, "BASIC DND, written out"),
        ("donotdisturb", dnd, "BASIC DND, written out"),
        ("offline", unavailable, "signed out"),
        ("online", available, "signed in"),
        ("idle", away, "said as an activity, it is the client's word for away"),
        ("out-of-office", vacation, "absent for days, by the calendar"),
        ("in-meeting", busy, "in a meeting"),
        ("in-a-meeting", busy, "in a meeting"),
        ("in-a-call", busy, "in a call"),
        ("on-phone", busy, "in a call"),
        ("onthephone", busy, "in a call"),
        ("ringing", busy, "a phone is ringing"),
        # XMPP's `show`, as gateways carry it over to federated contacts (RFC 7248 section 4.2).
        ("chat", available, "XMPP: wants to talk"),
        ("xa", away, "XMPP: away for long"),
        # RFC 4480 section 3.2.
        ("appointment", busy, "has an appointment"),
        ("presentation", busy, "gives or attends a presentation"),
        ("performance", busy, "on the stage or in front of it: cannot be disturbed"),
        ("spectator", busy, "watches an event"),
        ("worship", busy, "in a religious service"),
        ("steering", busy, "controls a vehicle"),
        ("breakfast", away, "at a meal"),
        ("lunch", away, "at a meal"),
        ("dinner", away, "at a meal"),
        ("meal", away, "at a meal"),
        ("in-transit", away, "on the way"),
        ("travel", away, "on a journey"),
        ("shopping", away, "out of the office"),
        ("playing", away, "off work"),
        ("tv", away, "off work"),
        ("holiday", vacation, "a public holiday"),
        ("sleeping", unavailable, "nothing reaches somebody asleep"),
        ("permanent-absence", unavailable, "will not come back"),
        # Of RFC 4480 too, and without a row on purpose: looking-for-work, other, unknown, working. They say nothing
        # about whether somebody can be reached.
    ]
    return {word: Word(state, reason) for word, state, reason in rows}


WORDS: Final = _table()
"""The table."""
IN_CALL: Final = frozenset({"on-the-phone", "on-phone", "onthephone", "in-a-call"})
"""Words that mean a call is going on. `phone-status` = busy is not among them: it is a state, which may have causes."""
RINGING: Final = frozenset({"alerting", "ringing"})
"""Words that mean a call is about to begin."""
CALLS: Final = IN_CALL | RINGING
"""Words of the phone itself, which count for a closed device too."""
MEETINGS: Final = frozenset({"meeting", "in-meeting", "in-a-meeting", "presentation"})


class Device(Protocol):
    """What the rule asks of a device, in a `Reading` or in a `Presence`."""

    @property
    def id(self) -> str: ...

    @property
    def basic(self) -> bool | None: ...

    @property
    def activities(self) -> tuple[str, ...]: ...


class Weight(StrEnum):
    """What became of a statement."""

    PERSON = "the person says so"
    ENGAGED = "an engagement counts wherever it is said"
    PLACE = "counts when the person says nothing"
    BASIC = "the person's own basic status, which counts when nobody says a word"
    OPEN = "counts when nobody says a word"
    CLOSED = "tells about this place only"
    OLD = "a closed device's word is old"


class Statement(NamedTuple):
    """One element that says something about the state: where it stands, what it says, what that means."""

    where: str
    state: PresenceState
    weight: Weight


class Verdict(NamedTuple):
    """The state, and the statement that decided (None when there was none)."""

    state: PresenceState
    by: Statement | None


def statements(
    said: Iterable[str],
    phone_status: str | None,
    im_status: str | None,
    devices: Sequence[Device],
    basic: bool | None = None,
) -> list[Statement]:
    """Everything that bears on the state, in the order person, channels, devices."""
    found: list[Statement] = []
    for word in said:
        row = WORDS.get(word)
        if row is not None:
            found.append(Statement("person/activities/" + word, row.state, Weight.PERSON))
    if phone_status is not None:
        _channel(found, "phone-status", phone_status)
    if im_status is not None:
        _channel(found, "im-status", im_status)
    if basic is not None:
        where, state = "person/status/basic=", PresenceState.AVAILABLE if basic else PresenceState.UNAVAILABLE
        found.append(Statement(where + ("open" if basic else "closed"), state, Weight.BASIC))
    for device in devices:
        _device(found, device)
    return found


def _channel(found: list[Statement], name: str, status: str) -> None:
    row = WORDS.get(status)
    if row is not None:
        found.append(Statement(f"person/activities/{name}={status}", row.state, _weight_of(row.state)))


def _weight_of(state: PresenceState) -> Weight:
    if state in ENGAGED:
        return Weight.ENGAGED
    return Weight.CLOSED if state is PresenceState.UNAVAILABLE else Weight.PLACE


def _device(found: list[Statement], device: Device) -> None:
    left = False
    for word in device.activities:
        row = WORDS.get(word)
        if row is None:
            continue
        if device.basic is False and word not in CALLS:
            weight = Weight.OLD
        else:
            weight = _weight_of(row.state)
            left = left or weight is Weight.CLOSED
        found.append(Statement(f"tuple[{device.id}]/status/activities/{word}", row.state, weight))
    if device.basic is False:
        found.append(Statement(f"tuple[{device.id}]/status/basic=closed", PresenceState.UNAVAILABLE, Weight.CLOSED))
    elif device.basic and not left:  # open, and then `unavailable`: the device contradicts itself, so it is closed
        found.append(Statement(f"tuple[{device.id}]/status/basic=open", PresenceState.AVAILABLE, Weight.OPEN))


_STEPS: Final = (
    (Weight.PERSON, True),
    (Weight.PLACE, True),
    (Weight.ENGAGED, False),
    (Weight.BASIC, False),
    (Weight.OPEN, False),
    (Weight.CLOSED, False),
)
"""The first weight that anything has decides: by the least available of its statements, or by an engagement that is
less available still where the second value says so."""


def decide(found: Sequence[Statement]) -> Verdict:
    """The state that follows from the statements: the three steps of this module's docstring."""
    least: dict[Weight, Statement] = {}  # of each weight, the first of equals
    for one in found:
        held = least.get(one.weight)
        if held is None or RANK[one.state] < RANK[held.state]:
            least[one.weight] = one
    engaged = least.get(Weight.ENGAGED)
    for weight, may_be_engaged in _STEPS:
        by = least.get(weight)
        if by is not None:
            if may_be_engaged and engaged is not None and RANK[engaged.state] < RANK[by.state]:
                by = engaged
            return Verdict(by.state, by)
    return Verdict(PresenceState.UNKNOWN, None)


def counted(said: tuple[str, ...], devices: Sequence[Device]) -> tuple[str, ...]:
    """The activities that stand for the contact: the person's, then of the devices' words those that count."""
    words = dict.fromkeys(said)
    alone = WORDS.keys().isdisjoint(said)
    for device in devices:
        for word in device.activities:
            row = WORDS.get(word)
            engaged = row is not None and row.state in ENGAGED
            if word in CALLS or (device.basic is not False and (alone or engaged)):
                words[word] = None
    return tuple(words)


def is_on_the_phone(activities: Iterable[str], phone_status: str | None, im_status: str | None) -> bool:
    """Whether a call is going on: said by the person, a channel or a device."""
    return phone_status in IN_CALL or im_status in IN_CALL or not IN_CALL.isdisjoint(activities)


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


def explain(reading: Reading) -> tuple[str, ...]:
    """Why the reading has its state, one line per element that bears on it; the first names the one that decided.

    The last lines name what does not count because of its times.
    """
    if reading.problem is not None:
        return (f"{reading.state}: the document could not be read: {reading.problem}",)
    return _lines(reading, reading.said)


def explanation(presence: Presence) -> tuple[str, ...]:
    """The same for a presence that was made of a reading; empty for any other, and for one with a problem."""
    return () if presence.said is None else _lines(presence, presence.said)


def _lines(read: Reading | Presence, said: tuple[str, ...]) -> tuple[str, ...]:
    found = statements(said, read.phone_status, read.im_status, read.devices, read.basic)
    state, by = decide(found)
    if by is None:
        return (f"{state}: neither the person nor a device says anything about the state", *read.times)
    lines = [f"{state}: decided by {by.where} ({by.weight.value})"]
    lines += [f"{one.where} says {one.state}: {_against(one, by)}" for one in found if one is not by]
    return (*lines, *read.times)


def _against(one: Statement, by: Statement) -> str:
    """Why `one` did not decide."""
    if one.state is by.state:
        return "agrees"
    if one.weight in (Weight.CLOSED, Weight.OLD):
        return one.weight.value
    if RANK[one.state] > RANK[by.state]:
        return "more available, so it does not count"
    return one.weight.value
