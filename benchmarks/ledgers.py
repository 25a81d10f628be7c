"""What clients were told, held against what may not be: somebody claimed twice, an event missing, repeated or changed.

Nothing here asks anybody. A ledger is told what came when, and says what is wrong with it; so a test can plant what
must be found.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

ROUNDING: Final = 0.002
"""Seconds by which a time in JSON and one of ours may differ."""
_TOLD: Final = ("contact", "state", "available", "freshness", "watched", "end_user", "reason", "group", "free")
"""Fields of an event that are the same at every replica. When it was read is told by each replica's own clock."""


@dataclass(slots=True)
class Hold:
    """A claim, as its client knows it: these contacts are its own from `since` until `until`, for certain."""

    claim: str
    contacts: tuple[str, ...]
    since: float
    until: float
    expires: float


class ClaimLedger:
    """Every claim that was granted. All times are seconds of this machine's wall clock.

    A client holds somebody for certain from the arrival of its answer until it asks to let go, or until `expires_at`.
    Two claims that hold one contact for certain at one moment are one too many.
    """

    def __init__(self) -> None:
        self._holds: dict[str, Hold] = {}
        self._by_key: dict[str, str] = {}
        self._uncertain: set[str] = set()
        self.granted = 0
        self.replayed = 0
        """Answers that came again under their key."""
        self.differing: list[str] = []
        """Keys under which two claims were granted."""
        self.lost: list[str] = []
        """Claims that were not there any more although nobody let go and their time was not over."""

    def made(self, key: str, claim: str, contacts: Sequence[str], arrived: float, expires: float) -> None:
        """An answer with a claim has come for the request with that key."""
        if key in self._by_key:
            self.replayed += 1
            if self._by_key[key] != claim:
                self.differing.append(f"{key}: {self._by_key[key]}, then {claim}")
        self._by_key[key] = claim
        if claim not in self._holds:
            self.granted += 1
            end = expires - ROUNDING
            self._holds[claim] = Hold(claim, tuple(contacts), arrived, end, end)

    def letting_go(self, claim: str, now: float) -> None:
        """The client is about to ask for its end."""
        hold = self._holds[claim]
        hold.until = min(hold.until, now)

    def let_go(self, claim: str, status: int, arrived: float) -> None:
        """What was answered to that; 404 is right only where it had ended, or where an earlier request may have."""
        hold = self._holds[claim]
        if status == 404 and claim not in self._uncertain and arrived < hold.expires:
            self.lost.append(
                f"{claim} of {', '.join(hold.contacts)}, {hold.until - hold.since:.3f} s after it was made"
            )

    def unanswered(self, claim: str) -> None:
        """A request to let go may have been carried out, or not."""
        self._uncertain.add(claim)

    def doubled(self) -> list[str]:
        """Contacts that two claims held for certain at one moment."""
        by_contact: dict[str, list[Hold]] = defaultdict(list)
        for hold in self._holds.values():
            if hold.until > hold.since:
                for contact in hold.contacts:
                    by_contact[contact].append(hold)
        found = []
        for contact, holds in by_contact.items():
            holds.sort(key=lambda hold: hold.since)
            longest = holds[0]
            for hold in holds[1:]:
                if hold.since < longest.until:
                    both = min(longest.until, hold.until) - hold.since
                    found.append(f"{contact} by {longest.claim} and {hold.claim} for {both:.3f} s")
                longest = max(longest, hold, key=lambda each: each.until)
        return found


@dataclass(slots=True)
class Told:
    """What one client was told, from a snapshot on: ids in the order in which they came."""

    base: int
    ids: list[int] = field(default_factory=list)
    contacts: dict[str, str] = field(default_factory=dict)
    """The state of each contact as it was told last."""

    @property
    def last(self) -> int:
        """Up to which id the client knows everything."""
        return self.ids[-1] if self.ids else self.base


class EventLedger:
    """What every client of the stream was told, at whichever replica, and whether that is one and the same story."""

    def __init__(self) -> None:
        self._events: dict[int, tuple[object, ...]] = {}
        self._told: list[Told] = []
        self.events = 0
        self.resumed = 0
        """Connections that went on where the one before had ended."""
        self.snapshots: dict[str, int] = {}
        """By their reason: `start`, or `not-kept`, which tells a client that it has missed something."""
        self.repeated: list[str] = []
        self.differing: list[str] = []
        self.coalesced = 0
        """Events of a range that was told in short: such a client is not held against the others there."""

    def snapshot(self, base: int, reason: str, contacts: Iterable[Mapping[str, Any]]) -> Told:  # Any: JSON
        """A client was told everything; what it is told from now on is the returned story."""
        self.snapshots[reason] = self.snapshots.get(reason, 0) + 1
        told = Told(base, contacts={each["contact"]: each["state"] for each in contacts})
        self._told.append(told)
        return told

    def event(self, told: Told, name: str, number: str, data: Mapping[str, Any]) -> None:  # Any: JSON
        """A client was told an event."""
        self.events += 1
        first, _, rest = number.partition(".")
        id_ = int(first)
        if rest:
            self.coalesced += 1
            return
        if id_ <= told.last:
            self.repeated.append(f"{name} {id_} after {told.last}")
            return
        if name == "change":
            told.contacts[data["contact"]] = data["state"]
        told.ids.append(id_)
        said = (name, *(data.get(key) for key in _TOLD))
        known = self._events.setdefault(id_, said)
        if known != said:
            self.differing.append(f"{id_} is {known} and {said}")

    def gaps(self) -> list[str]:
        """Events that one client was told, and another one was not, although it was told earlier and later ones."""
        every = sorted(self._events)
        found = []
        for told in self._told:
            for before, after in itertools.pairwise([told.base, *told.ids]):
                between = every[bisect_right(every, before) : bisect_left(every, after)]
                found += [f"{number} ({self._events[number][:3]}) between {before} and {after}" for number in between]
        return found


def percentile(values: Sequence[float], share: float) -> float:
    """The least of the values that so great a share of all does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan
