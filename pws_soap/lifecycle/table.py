"""Every state that something on the server can be in, and every transition: this table is the whole lifecycle.

Four kinds of things live on the server: the application user's session, its endpoint, an end user's session, and its
subscriptions. All four share one life, so there is one table. What stands in neither `TRANSITIONS` nor `IGNORED` does
not exist; a test holds the two complete.

::

                  READY             OK               DUE / ALTERED
    ABSENT ─────────────> MAKING ────────> LIVE <──────────────────> RENEWING, ALTERING
      ^  ^                  │ FAILED        │ │
      │  │       READY      v               │ │ TAINTED        READY
      │  └────── MAKING <─ WAITING          │ └─────> SUSPECT ──────> RESETTING ──> ABSENT
      │               LOST, EXPIRED         │ UNWANTED
      └─────────────────────────────────────┘ └─────> REMOVING ──> GONE   (LEAVING, LINGERING: on the way there)
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """What it is."""

    APPLICATION = "application"
    ENDPOINT = "endpoint"
    END_USER = "end-user"
    SUBSCRIPTION = "subscription"


SESSIONS: Final = frozenset({Kind.APPLICATION, Kind.END_USER})


class Phase(StrEnum):
    """Where it is in its life."""

    ABSENT = "absent"
    """Not there, and made as soon as what it needs is there."""
    WAITING = "backing-off"
    """Not there: making it failed, and it is tried again when its time has come."""
    MAKING = "making"
    """The request that makes it is under way."""
    LIVE = "live"
    RENEWING = "renewing"
    """Live; the request that gives it a new life is under way."""
    ALTERING = "altering"
    """Live; a request that adds or removes contacts is under way."""
    SUSPECT = "suspect"
    """A session that may hold something nobody knows the id of, since the reply to its making was lost."""
    RESETTING = "resetting"
    """Such a session is being logged out, which destroys all it holds, so that it can begin anew."""
    LEAVING = "leaving"
    """No longer wanted while still being made: removed as soon as it is there."""
    REMOVING = "stopping"
    """The request that removes it is under way."""
    LINGERING = "lingering"
    """Removing it failed, and it is tried again when its time has come."""
    GONE = "gone"
    """The end: forgotten."""


USABLE: Final = frozenset({Phase.LIVE, Phase.RENEWING, Phase.ALTERING})
"""Phases in which it is there and may be used."""
UNDER_WAY: Final = frozenset(
    {Phase.MAKING, Phase.RENEWING, Phase.ALTERING, Phase.RESETTING, Phase.LEAVING, Phase.REMOVING}
)
"""Phases in which a request is under way."""
PAUSED: Final = frozenset({Phase.ABSENT, Phase.WAITING, Phase.SUSPECT, Phase.LINGERING})
"""Phases that end with READY."""


class ResourceEvent(StrEnum):
    """What can happen to it."""

    READY = "ready"
    """What it needs is there, and a pause, if any, is over."""
    DUE = "due"
    """It is time to renew it."""
    ALTERED = "altered"
    """Its contacts are not those that are wanted."""
    OK = "ok"
    """The request under way succeeded."""
    FAILED = "failed"
    """The request under way failed, and may be tried again later."""
    LOST = "lost"
    """The server does not know it (any more), or what it hangs on is gone."""
    TAINTED = "tainted"
    """The reply to the making of something in this session was lost."""
    EXPIRED = "expired"
    """Its life is over by our own clock."""
    UNWANTED = "unwanted"
    """Nobody needs it: its user moved to another node, or everything stops."""


class Act(StrEnum):
    """The request that a transition sends."""

    NOTHING = "nothing"
    MAKE = "make"
    RENEW = "renew"
    ALTER = "alter"
    RESET = "reset"
    REMOVE = "remove"


_P, _E, _A = Phase, ResourceEvent, Act

TRANSITIONS: Final[dict[tuple[Phase, ResourceEvent], tuple[Phase, Act]]] = {
    (_P.ABSENT, _E.READY): (_P.MAKING, _A.MAKE),
    (_P.ABSENT, _E.UNWANTED): (_P.GONE, _A.NOTHING),
    #
    (_P.WAITING, _E.READY): (_P.MAKING, _A.MAKE),
    (_P.WAITING, _E.UNWANTED): (_P.GONE, _A.NOTHING),
    #
    (_P.MAKING, _E.OK): (_P.LIVE, _A.NOTHING),
    (_P.MAKING, _E.FAILED): (_P.WAITING, _A.NOTHING),
    (_P.MAKING, _E.LOST): (_P.ABSENT, _A.NOTHING),
    (_P.MAKING, _E.UNWANTED): (_P.LEAVING, _A.NOTHING),
    #
    (_P.LIVE, _E.DUE): (_P.RENEWING, _A.RENEW),
    (_P.LIVE, _E.ALTERED): (_P.ALTERING, _A.ALTER),
    (_P.LIVE, _E.LOST): (_P.ABSENT, _A.NOTHING),
    (_P.LIVE, _E.TAINTED): (_P.SUSPECT, _A.NOTHING),
    (_P.LIVE, _E.EXPIRED): (_P.ABSENT, _A.NOTHING),
    (_P.LIVE, _E.UNWANTED): (_P.REMOVING, _A.REMOVE),
    #
    (_P.RENEWING, _E.OK): (_P.LIVE, _A.NOTHING),
    (_P.RENEWING, _E.FAILED): (_P.LIVE, _A.NOTHING),
    (_P.RENEWING, _E.LOST): (_P.ABSENT, _A.NOTHING),
    (_P.RENEWING, _E.EXPIRED): (_P.ABSENT, _A.NOTHING),
    #
    (_P.ALTERING, _E.OK): (_P.LIVE, _A.NOTHING),
    (_P.ALTERING, _E.FAILED): (_P.LIVE, _A.NOTHING),
    (_P.ALTERING, _E.LOST): (_P.ABSENT, _A.NOTHING),
    (_P.ALTERING, _E.EXPIRED): (_P.ABSENT, _A.NOTHING),
    #
    (_P.SUSPECT, _E.READY): (_P.RESETTING, _A.RESET),
    (_P.SUSPECT, _E.LOST): (_P.ABSENT, _A.NOTHING),
    (_P.SUSPECT, _E.UNWANTED): (_P.REMOVING, _A.REMOVE),
    #
    (_P.RESETTING, _E.OK): (_P.ABSENT, _A.NOTHING),
    (_P.RESETTING, _E.FAILED): (_P.SUSPECT, _A.NOTHING),
    (_P.RESETTING, _E.LOST): (_P.ABSENT, _A.NOTHING),
    #
    (_P.LEAVING, _E.OK): (_P.REMOVING, _A.REMOVE),
    (_P.LEAVING, _E.FAILED): (_P.GONE, _A.NOTHING),
    (_P.LEAVING, _E.LOST): (_P.GONE, _A.NOTHING),
    #
    (_P.REMOVING, _E.OK): (_P.GONE, _A.NOTHING),
    (_P.REMOVING, _E.FAILED): (_P.LINGERING, _A.NOTHING),
    (_P.REMOVING, _E.LOST): (_P.GONE, _A.NOTHING),
    (_P.REMOVING, _E.EXPIRED): (_P.GONE, _A.NOTHING),
    #
    (_P.LINGERING, _E.READY): (_P.REMOVING, _A.REMOVE),
    (_P.LINGERING, _E.LOST): (_P.GONE, _A.NOTHING),
    (_P.LINGERING, _E.EXPIRED): (_P.GONE, _A.NOTHING),
}

NEVER: Final = "cannot happen: "
"""How the reasons of those cells begin that `step` never asks for."""
_NO_REQUEST: Final = NEVER + "no request is under way; the reply to an older one is recognised by its number"
_NOT_THERE: Final = NEVER + "what is not there does not come due, run out or change"
_SESSION: Final = NEVER + "only endpoints and subscriptions renew, alter and run out, only sessions are tainted"
_REPLY_FIRST: Final = NEVER + "what is due waits for the reply"
_PAST_RENEWAL: Final = NEVER + "what is on its way out is neither renewed nor altered"
_NOTHING_THERE: Final = "there is nothing to lose"
_BUSY: Final = "a request is under way: its reply comes first"
_ENDING: Final = "it is on its way out already"
_REPLACED: Final = "the reset takes care of it"


def _ignored() -> dict[tuple[Phase, ResourceEvent], str]:
    cells: dict[tuple[Phase, ResourceEvent], str] = {}

    def add(why: str, phases: str, events: str) -> None:
        for phase in phases.split():
            for event in events.split():
                cells[Phase[phase], ResourceEvent[event]] = why

    add(_NO_REQUEST, "ABSENT WAITING LIVE SUSPECT LINGERING", "OK FAILED")
    add(_NOT_THERE, "ABSENT WAITING MAKING LEAVING", "DUE ALTERED EXPIRED")
    add(_NOTHING_THERE, "ABSENT WAITING", "LOST")
    add("what is not there holds nothing", "ABSENT WAITING MAKING LEAVING", "TAINTED")
    add(_REPLY_FIRST, "MAKING RENEWING ALTERING RESETTING REMOVING LEAVING", "READY")
    add(_REPLY_FIRST, "RENEWING ALTERING", "DUE ALTERED")
    add(_BUSY, "RENEWING ALTERING RESETTING", "UNWANTED")
    add(NEVER + "it needs nothing", "LIVE", "READY")
    add(_SESSION, "RENEWING ALTERING", "TAINTED")
    add(_SESSION, "SUSPECT RESETTING", "DUE ALTERED EXPIRED")
    add(_REPLACED, "SUSPECT RESETTING", "TAINTED")
    add(_PAST_RENEWAL, "REMOVING LINGERING", "DUE ALTERED")
    add(_ENDING, "REMOVING LINGERING", "TAINTED UNWANTED")
    add(_ENDING, "LEAVING", "UNWANTED")
    add(NEVER + "it is forgotten", "GONE", " ".join(event.name for event in ResourceEvent))
    return cells


IGNORED: Final = _ignored()
"""The other cells, with the reason why nothing happens there."""


def follow(phase: Phase, event: ResourceEvent) -> tuple[Phase, Act]:
    """Where `event` leads from `phase`, and what is sent; the same phase and nothing where it is ignored."""
    return TRANSITIONS.get((phase, event), (phase, Act.NOTHING))
