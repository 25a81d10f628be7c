"""Who of several that are free comes first: the three orders, and what each has to remember.

| order | first comes | remembered |
|---|---|---|
| longest-available | who has been free for the longest time | since when the group's rule calls each one free |
| round-robin | the next one by name after the person picked last for this group | whom that was |
| least-recently-claimed | who was never claimed, then whose last claim is longest ago | the last claim of each |

Ties go by the contact's key, so that the same situation has the same answer.

Being held is not being free: the time of `longest-available` begins anew when a claim ends. Otherwise somebody whose
work does not show in presence would stay the first and get every task. Any moment of not being free begins it anew too,
a presence that went stale for a while included: nobody knows what happened meanwhile.

Round robin remembers a name and not a place, so that it goes on rightly when people come and go.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from service.core.claims.model import Pick


class Picking(NamedTuple):
    """One picking, and what was remembered before it, so that it can be undone where its client has gone."""

    group: str
    number: int
    picked: tuple[str, ...]
    last: str | None
    claimed: Mapping[str, int]


class PickOrder:
    """In which order the free members of a group are picked. `picks` says which order each group has."""

    def __init__(self, picks: Mapping[str, Pick]) -> None:
        self._picks = dict(picks)
        self._since: dict[str, dict[str, float]] = {group: {} for group in picks}
        self._last: dict[str, str] = {}  # by group
        self._turns: dict[str, int] = {}  # by group: which picking that was
        self._claimed: dict[str, int] = {}  # by person: one claimed for another group has worked, too
        self._claims = 0

    def free(self, group: str) -> Mapping[str, float]:
        """Whom the group's rule called free when it was last heard of, and since when. Claims are left aside."""
        return self._since[group]

    def ordered(self, group: str, keys: Iterable[str]) -> list[str]:
        """These people as the group's order has them."""
        match self._picks[group]:
            case Pick.LONGEST_AVAILABLE:
                since = self._since[group]
                return sorted(keys, key=lambda key: (since.get(key, float("inf")), key))
            case Pick.LEAST_RECENTLY_CLAIMED:
                return sorted(keys, key=lambda key: (self._claimed.get(key, 0), key))
            case Pick.ROUND_ROBIN:
                found = sorted(keys)
                begin = bisect_right(found, self._last.get(group, ""))
                return found[begin:] + found[:begin]

    def behind(self, group: str) -> str:
        """Why a free member comes after those who were picked."""
        match self._picks[group]:
            case Pick.LONGEST_AVAILABLE:
                return "free, but not for longer than those picked"
            case Pick.LEAST_RECENTLY_CLAIMED:
                return "free, but its last claim is not longer ago than that of those picked"
            case Pick.ROUND_ROBIN:
                return "free, but those picked were next in turn"

    # --- what happens

    def observe(self, group: str, key: str, is_free: bool, at: float) -> None:
        """What the group's rule says of a member now."""
        since = self._since.get(group)
        if since is None:
            return
        if is_free:
            since.setdefault(key, at)
        else:
            since.pop(key, None)

    def picked(self, group: str, keys: Iterable[str]) -> Picking:
        """These were picked for the group, in this order."""
        self._claims += 1
        found = tuple(keys)
        before = {key: self._claimed[key] for key in found if key in self._claimed}
        picking = Picking(group, self._claims, found, self._last.get(group), before)
        self._turns[group] = self._claims
        for key in found:
            self._last[group] = key
            self._claimed[key] = self._claims
        return picking

    def undo(self, picking: Picking) -> None:
        """They were given no task: they come where they came before, unless they were picked again since."""
        for key in picking.picked:
            if self._claimed.get(key) == picking.number:
                del self._claimed[key]
                if key in picking.claimed:
                    self._claimed[key] = picking.claimed[key]
        if self._turns.get(picking.group) == picking.number:
            if picking.last is None:
                del self._last[picking.group]
            else:
                self._last[picking.group] = picking.last

    def returned(self, keys: Iterable[str], at: float) -> None:
        """The claim on these has ended."""
        for key in keys:
            for since in self._since.values():
                if key in since:
                    since[key] = at

    def forget(self, key: str) -> None:
        """This contact is no longer watched."""
        self._claimed.pop(key, None)
        for since in self._since.values():
            since.pop(key, None)
