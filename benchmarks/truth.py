"""The recorded truth: how each contact really was at which time, and whether an answer agrees with it.

A change is made by a request, so the moment at which it took effect lies between sending that and its reply. Where two
states are possible for that reason, either is right. All times are seconds of this machine's wall clock, which the
service shows in `as_of`, cut to milliseconds.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

ROUNDING: Final = 0.002
"""Seconds by which a time in JSON and one of ours may differ."""


@dataclass(slots=True)
class Change:
    """A contact took a state: not before `begun`, not after `done`."""

    state: str
    begun: float
    done: float = math.inf
    seen: bool = False
    """Whether an answer showed it."""


@dataclass(slots=True)
class Verdict:
    """What one answer was worth: how many contacts it called live, and what is wrong with them."""

    live: int = 0
    oldest: float = 0.0
    """The greatest age of a live contact, in seconds."""
    wrong: list[str] = field(default_factory=list)


class Truth:
    """All changes of all contacts. `bound` is how long the service may call a state live, in seconds."""

    def __init__(self, contacts: Iterable[str], state: str, now: float, bound: float) -> None:
        self._bound = bound
        self._changes = {contact: [Change(state, now, now, seen=True)] for contact in contacts}

    def begin(self, contact: str, state: str, now: float) -> Change:
        """A change is about to be made; its maker sets `done`."""
        change = Change(state, now)
        self._changes[contact].append(change)
        return change

    def now(self, contact: str) -> str:
        """The state that a contact was given last."""
        return self._changes[contact][-1].state

    def forget(self, before: float) -> None:
        """Forget what was over before that time: no answer may be about it any more."""
        for contact, changes in self._changes.items():
            first = sum(following.done < before for following in changes[1:])
            self._changes[contact] = changes[first:]

    @property
    def changes(self) -> list[Change]:
        """All that were made, without the states at the beginning."""
        return [change for each in self._changes.values() for change in each[1:]]

    def unseen(self) -> list[float]:
        """Of each change that no answer showed, the seconds until the contact's next one; infinite for the last."""
        found = []
        for each in self._changes.values():
            for change, following in itertools.pairwise([*each, Change("", math.inf)]):
                if not change.seen:
                    found.append(following.begun - change.begun)
        return found

    def held(self, contact: str, since: float, until: float) -> list[Change]:
        """The states that a contact may have had at some time from `since` to `until`."""
        all_of_it = self._changes[contact]
        ends = [following.done for following in all_of_it[1:]] + [math.inf]
        return [change for change, end in zip(all_of_it, ends, strict=True) if change.begun <= until and end >= since]

    def over_since(self, contact: str, state: str, now: float) -> float:
        """For how many seconds a contact has certainly not had a state that it had before; 0 where it may have it."""
        all_of_it = self._changes[contact]
        ends = [following.done for following in all_of_it[1:]] + [math.inf]
        last = max(
            (end for change, end in zip(all_of_it, ends, strict=True) if change.state == state), default=-math.inf
        )
        return max(0.0, now - last)

    def check(self, contacts: Iterable[Mapping[str, Any]], asked: float, arrived: float) -> Verdict:  # Any: JSON
        """Hold an answer against the truth: what was asked at `asked` and had come at `arrived`."""
        verdict = Verdict()
        for each in contacts:
            if each["freshness"] != "live":
                continue
            verdict.live += 1
            name, state = each["contact"], each["state"]
            as_of = seconds(each["as_of"])
            verdict.oldest = max(verdict.oldest, asked - as_of)
            if asked - as_of > self._bound + ROUNDING:
                verdict.wrong.append(f"{name} is live though last confirmed {asked - as_of:.3f} s ago")
            if as_of > arrived + ROUNDING:
                verdict.wrong.append(f"{name} is live as of a time to come, in {as_of - arrived:.3f} s")
            held = self.held(name, as_of - ROUNDING, arrived)
            found = next((change for change in held if change.state == state), None)
            if found is not None:
                found.seen = True
            else:
                was = ", ".join(f"{change.state} from {arrived - change.begun:.3f} s ago" for change in held)
                verdict.wrong.append(
                    f"{name} is shown {state}, live as of {arrived - as_of:.3f} s ago; since then it was {was} "
                    f"(source {each['source']}, revision {each['revision']}, answer at {arrived:.3f})"
                )
        return verdict

    def differences(self, contacts: Iterable[Mapping[str, Any]]) -> list[str]:  # Any: JSON
        """What is not live, or not the truth of this moment."""
        found = []
        for each in contacts:
            if each["freshness"] != "live":
                found.append(f"{each['contact']} is {each['freshness']}")
            elif each["state"] != self.now(each["contact"]):
                found.append(f"{each['contact']} is shown {each['state']} instead of {self.now(each['contact'])}")
        return found


def seconds(text: str) -> float:
    """A time of the API, in seconds since 1970."""
    return datetime.fromisoformat(text).timestamp()
