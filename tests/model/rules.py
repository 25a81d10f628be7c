"""What can be chosen: the client's rules, the assumptions about the server, and the bounds of an exploration.

The defaults are the mended client, a server as the protocol notes describe it, and a small world.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final


class AtStart(Enum):
    """What a process does after an earlier one was killed."""

    RESET = "log out and in again"
    CLEAN_UP = "remove the remembered ids under the same key"
    ADOPT = "use the remembered subscription"
    FORGET = "start as if nothing were left"
    """The state file is missing, and that is taken for a proof."""


class OlderFetch(Enum):
    """What the client does while a fetch of a lost subscription is pending, whose id may be given again."""

    WAIT_TO_FETCH = "subscribe, but do not fetch under the same key and id"
    WAIT_TO_SUBSCRIBE = "do not subscribe"
    CONFIRM_NOTHING = "fetch, but confirm nothing, and poll in the end"
    IGNORE = "fetch and confirm, and poll in the end"


class OlderAlteration(Enum):
    """What the client does if a subscription is lost while its contacts are being altered."""

    RESET = "reset the session"
    WAIT = "do not subscribe before the reply"
    FORGET = "subscribe"


class AfterUnknown(Enum):
    """What the client does after a fetch whose outcome is unknown."""

    RESET = "log the end user out and in again, then subscribe"
    RESUBSCRIBE = "unsubscribe and subscribe under the same session key"
    WINDOW = "poll; for some time fetches confirm nothing"


@dataclass(frozen=True)
class Rules:
    """How the client works. Each default is the mended rule; the alternative was found to call wrong states live."""

    at_start: AtStart = AtStart.RESET
    after_unknown_fetch: AfterUnknown = AfterUnknown.RESET
    reset_after_unknown_change: bool = True
    """Reset the session after an unsubscribe or an alteration of unknown outcome. False: send the request again."""
    altered_are_not_carried: bool = True
    """Contacts that a pending request adds or drops stay in doubt. False: a contact counts as subscribed until the
    reply to its removal."""
    fault_is_unknown: bool = True
    """A page or fault without a PWS code leaves the outcome unknown. False: it means that nothing was consumed."""
    attributed_wholly: bool = True
    """A reply with an entry for an unknown contact confirms nobody. False: the entry is skipped."""
    named_once: bool = True
    """A contact with contradictory entries, or with an empty state, is in doubt. False: its last entry counts."""
    each_operation_once: bool = True
    """A connection carries each operation once, so the copy of a reply can only meet a request of another name. False:
    the copy may be read as the reply to the next request, however long the connection rests in between."""
    older_fetch: OlderFetch = OlderFetch.WAIT_TO_FETCH
    older_alteration: OlderAlteration = OlderAlteration.RESET
    tell_keys_apart: bool = True
    """Fault 101 for an older session key says nothing about the present one. False: it ends the present session, and
    the pending reset is forgotten."""
    count_from_the_beginning: bool = True
    """`as_of` is when the reading began. False: when its reply came."""
    readings_may_disagree: bool = True
    """Overlapping readings that disagree put the contact in doubt. False: the last reply counts."""
    begin_anew: bool = True
    """After a subscribe only readings that began later count. False: earlier readings count on."""


@dataclass(frozen=True)
class Server:
    """Assumptions about the server and about gateways. All but `tells_new_contacts` are needed."""

    logout_ends_all: bool = True
    """After a logout the next login gives another key, and requests with the old key are refused."""
    carried_out_once: bool = True
    """A request is executed at most once."""
    nobody_else_fetches: bool = True
    """No other program fetches with our session key."""
    gateways_know_no_codes: bool = True
    """Only the server sends PWS codes, and those that refuse a request are given before it is executed."""
    tells_new_contacts: bool = True
    """The first fetch returns all contacts, and the fetch after an addition returns the added ones."""


class Fault(Enum):
    """What can go wrong, apart from a killed process."""

    LOST = "time-out: the reply is lost, or late, or the request was never executed"
    PAGE = "a gateway answers with a page or fault of its own"
    DOUBLED = "a reply is duplicated on the connection, and the copy arrives at any later time"
    STRANGER = "an entry cannot be attributed to a contact"
    TWICE = "a contact has a second entry with another state"
    EMPTY = "an entry has no state"
    REFUSED = "the server refuses with a code that is given before execution"
    FORGOTTEN = "the server forgets a subscription or the session"


EVERY_FAULT: Final = frozenset(Fault)


@dataclass(frozen=True)
class Bounds:
    """How much may happen in one history."""

    contacts: int = 1
    changes: int = 1
    """Of presence."""
    faults: int = 1
    crashes: int = 0
    alterations: int = 0
    """Of the watch list: the last contact is dropped, or added again."""
    sweeps: bool = True
    """Whether contacts that are not in doubt are polled too."""
    kinds: frozenset[Fault] = EVERY_FAULT
