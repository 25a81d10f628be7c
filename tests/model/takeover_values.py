"""The states of the model of take-overs: two replicas, one lease, one session at the server.

As in `values`, a presence state is a version number, and `as_of` the version at that moment. A session key is a number;
0 is none. One contact is watched, by whatever subscription.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Final, NamedTuple

NEVER: Final = -1
"""Never read; as the holder of the lease: nobody."""
NOBODY: Final = -1


class TakeOverRule(Enum):
    """What a new owner does at the server after an involuntary take-over."""

    RESET = "log out, log in and subscribe"
    ADOPT = "go on with the remembered subscription"
    CLEAN_UP = "remove the remembered subscription under the same key and subscribe"
    BESIDE = "subscribe beside what is there under the same key, and remove nothing"


class HandOverRule(Enum):
    """Who may go on with what the owner left when it released the lease."""

    NOBODY = "nobody: there is no hand-over"
    ANYBODY = "anybody who takes the lease next"
    NAMED = "the one that was named"
    NAMED_ONCE = "the one that was named, once"
    SAME_KEY = "the one that was named, once, and if the server gives the same key"


@dataclass(frozen=True)
class TakeOverRules:
    """The rules, and the bounds of an exploration."""

    after: TakeOverRule = TakeOverRule.RESET
    hand_over: HandOverRule = HandOverRule.NOBODY
    changes: int = 2
    tenures: int = 2
    losses: int = 1
    rewinds: int = 0
    oblivions: int = 0
    """How often the engine forgets a lease whose owner has not reached its deadline: then there are two owners."""


class Call(IntEnum):
    """What a request asks for."""

    LOGIN = 0
    LOGOUT = 1
    REMOVE = 2
    SUBSCRIBE = 3
    FETCH = 4
    POLL = 5


class Said(IntEnum):
    """What the server answers."""

    DONE = 0
    NO_SESSION = 1
    NO_SUBSCRIPTION = 2


class Outcome(NamedTuple):
    """A reply. `key` answers LOGIN, `id` SUBSCRIBE, `state` FETCH and POLL (NEVER: nothing new)."""

    said: Said = Said.DONE
    key: int = 0
    id: int = 0
    state: int = NEVER


class Asked(NamedTuple):
    """A request under way. `began` is the version when it was sent."""

    call: Call
    key: int = 0
    id: int = 0
    began: int = 0
    outcome: Outcome | None = None


class Replica(NamedTuple):
    """A process. `plan` is what it still has to do before it fetches; `used` is the number of the last hand-over that
    it has gone on with.

    `expects` is the key that it was handed over, where another one means that somebody has reset the session. `owns`:
    it may make, as far as it knows.
    """

    key: int = 0
    sub: int = 0
    plan: tuple[Call, ...] = ()
    control: Asked | None = None
    reading: Asked | None = None
    fetched: bool = False
    shown: int = NEVER
    as_of: int = NEVER
    used: int = 0
    expects: int = 0
    owns: bool = False


class HandedOver(NamedTuple):
    """What an owner left: for whom, and which subscription under which key. Hand-overs are numbered as tenures are.

    What the owner showed is committed, so that the next one shows it from the beginning.
    """

    to: int
    sub: int
    key: int
    number: int
    shown: int
    as_of: int


class Cluster(NamedTuple):
    """Everything. `remembered` is the subscription that the engine knows of; `released`, what a rewind goes back to."""

    truth: int
    key: int
    keys: int
    subs: tuple[tuple[int, bool], ...]
    lease: int
    remembered: int
    handed: HandedOver | None
    released: HandedOver | None
    late: tuple[tuple[int, Asked], ...]
    replicas: tuple[Replica, Replica]
    changes: int
    tenures: int
    losses: int
    rewinds: int
    oblivions: int
