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

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import NamedTuple

from service.core.claims.model import Pick


class _FreeMembers:
    """The members of a group whom its rule calls free, by rank and then by key: sorted as they come and go."""

    def __init__(self) -> None:
        self._ranks: dict[str, float] = {}
        self._sorted: list[tuple[float, str]] = []

    def __contains__(self, key: str) -> bool:
        return key in self._ranks

    def put(self, key: str, rank: float) -> None:
        """Have the member at this rank; the lowest comes first."""
        self.discard(key)
        self._ranks[key] = rank
        insort(self._sorted, (rank, key))

    def discard(self, key: str) -> None:
        """It is not free any more."""
        rank = self._ranks.pop(key, None)
        if rank is not None:
            del self._sorted[bisect_left(self._sorted, (rank, key))]

    def in_order(self, after: tuple[float, str] | None = None) -> Iterator[str]:
        """All of them, beginning behind a place, where one is given. Valid until one is put or discarded."""
        begin = 0 if after is None else bisect_right(self._sorted, after)
        places = chain(range(begin, len(self._sorted)), range(begin))
        return (self._sorted[place][1] for place in places)


class Picking(NamedTuple):
    """One picking, and what was remembered before it, so that it can be undone where its client has gone."""

    group: str
    number: int
    picked: tuple[str, ...]
    last: str | None
    claimed: Mapping[str, int]


class PickedBefore(NamedTuple):
    """Who was picked last, by group, and the number of each contact's last claim: later ones have higher numbers."""

    last: Mapping[str, str]
    claimed: Mapping[str, int]


class PickOrder:
    """In which order the free members of a group are picked. `picks` says which order each group has."""

    def __init__(self, picks: Mapping[str, Pick]) -> None:
        self._picks = dict(picks)
        self._free = {group: _FreeMembers() for group in picks}
        self._last: dict[str, str] = {}  # by group
        self._turns: dict[str, int] = {}  # by group: which picking that was
        self._claimed: dict[str, int] = {}  # by person: one claimed for another group has worked, too
        self._claims = 0

    def free(self, group: str) -> Iterator[str]:
        """Whom the group's rule called free when it was last heard of, in the group's order. Claims are left aside."""
        last = self._last.get(group) if self._picks[group] is Pick.ROUND_ROBIN else None
        return self._free[group].in_order(None if last is None else (0.0, last))

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
        free = self._free.get(group)
        if free is None:
            return
        if not is_free:
            free.discard(key)
        elif key not in free:
            free.put(key, self._rank(group, key, at))

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
        self._ranked_anew(Pick.LEAST_RECENTLY_CLAIMED, found)
        return picking

    def undo(self, picking: Picking) -> None:
        """They were given no task: they come where they came before, unless they were picked again since."""
        for key in picking.picked:
            if self._claimed.get(key) == picking.number:
                del self._claimed[key]
                if key in picking.claimed:
                    self._claimed[key] = picking.claimed[key]
        self._ranked_anew(Pick.LEAST_RECENTLY_CLAIMED, picking.picked)
        if self._turns.get(picking.group) == picking.number:
            if picking.last is None:
                del self._last[picking.group]
            else:
                self._last[picking.group] = picking.last

    @property
    def picked_before(self) -> PickedBefore:
        """What another process needs to go on in the same order."""
        return PickedBefore(self._last, self._claimed)

    def restore(self, before: PickedBefore) -> None:
        """Go on with the order of another process."""
        self._last = {group: key for group, key in before.last.items() if group in self._picks}
        known = self._claimed
        self._claimed = dict(before.claimed)
        self._turns = {}
        self._claims = max(self._claimed.values(), default=0)
        self._ranked_anew(Pick.LEAST_RECENTLY_CLAIMED, known.keys() | self._claimed.keys())

    def returned(self, keys: Iterable[str], at: float) -> None:
        """The claim on these has ended."""
        self._ranked_anew(Pick.LONGEST_AVAILABLE, keys, at)

    def forget(self, key: str) -> None:
        """This contact is no longer watched."""
        self._claimed.pop(key, None)
        for free in self._free.values():
            free.discard(key)

    # --- inside

    def _rank(self, group: str, key: str, at: float) -> float:
        """The place of a member who is free since `at`, among those of its group."""
        match self._picks[group]:
            case Pick.LONGEST_AVAILABLE:
                return at
            case Pick.LEAST_RECENTLY_CLAIMED:
                return self._claimed.get(key, 0)
            case Pick.ROUND_ROBIN:
                return 0.0

    def _ranked_anew(self, pick: Pick, keys: Iterable[str], at: float = 0.0) -> None:
        """Something that decides in groups of this order has changed about these."""
        for group, free in self._free.items():
            if self._picks[group] is pick:
                for key in keys:
                    if key in free:
                        free.put(key, self._rank(group, key, at))
