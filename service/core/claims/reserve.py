"""How long free people are kept for a request that waits for more than are free.

A waiting request keeps the people of its group who are free now, so that one who wants three is not starved by those
who want one. Two clocks of `seconds` each bound that. Both start when keeping costs somebody: when another request that
these people would satisfy is not served.

- The group's: after it, nothing is kept for the group's waiting requests. It begins anew when the first of them is
  granted, or after nobody has waited for the group for that long. A client who asks again and again does not renew it.
- The person's: after it, this person is kept for nobody, so that groups which share people do not add up their times.
  It begins anew when the person is given out, or after nobody has waited for any of the person's groups for that long.

So a free person whom somebody's request would satisfy is withheld for at most `seconds`, whatever others do.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable


class Clocks:
    """Clocks that start once, run out after `seconds`, and are forgotten when nobody has waited for that long."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._begun: dict[str, float] = {}
        self._idle: dict[str, float] = {}

    def has_room(self, key: str, now: float) -> bool:
        """Whether the clock has not run out, or not started."""
        begun = self._begun.get(key)
        return self._seconds > 0 and (begun is None or now < begun + self._seconds)

    def start(self, keys: Iterable[str], now: float) -> None:
        """Start those that do not run yet."""
        for key in keys:
            self._begun.setdefault(key, now)

    def reset(self, keys: Iterable[str]) -> None:
        """Begin anew."""
        for key in keys:
            self._begun.pop(key, None)
            self._idle.pop(key, None)

    def attend(self, is_wanted: Callable[[str], bool], now: float) -> None:
        """Look who is waited for at this moment, and forget the clocks of those who were not for long enough."""
        for key in list(self._begun):
            if now >= self._idle.get(key, now) + self._seconds:
                self.reset((key,))
            elif is_wanted(key):
                self._idle.pop(key, None)
            else:
                self._idle.setdefault(key, now)

    def next_end(self, now: float) -> float | None:
        """The moment after `now` at which the next one runs out."""
        return min((end for begun in self._begun.values() if (end := begun + self._seconds) > now), default=None)


class Reserve:
    """Both clocks. `members` says who belongs to a group."""

    def __init__(self, seconds: float, members: Callable[[str], frozenset[str]]) -> None:
        self._members = members
        self._groups = Clocks(seconds)
        self._people = Clocks(seconds)
        self._looked = float("-inf")

    def attend(self, groups: Collection[str], now: float) -> None:
        """These are the groups for which a request waits at this moment. Call it before the other methods."""
        self._looked = now
        self._groups.attend(groups.__contains__, now)
        self._people.attend(lambda key: any(key in self._members(group) for group in groups), now)

    def keeps(self, group: str, free: Iterable[str]) -> set[str]:
        """Those of the free people who are kept for the group's waiting requests."""
        if not self._groups.has_room(group, self._looked):
            return set()
        return {key for key in free if self._people.has_room(key, self._looked)}

    def withheld(self, groups: Iterable[str], people: Iterable[str]) -> None:
        """These people were not given to a request that they would have satisfied, since they are kept for `groups`."""
        self._groups.start(groups, self._looked)
        self._people.start(people, self._looked)

    def granted(self, group: str, people: Iterable[str], *, is_first: bool) -> None:
        """These people were given out; `is_first`: to the group's first request, none of it waits before."""
        if is_first:
            self._groups.reset((group,))
        self._people.reset(people)

    @property
    def next_end(self) -> float | None:
        """The monotonic moment at which the next person is no longer withheld."""
        ends = (self._groups.next_end(self._looked), self._people.next_end(self._looked))
        return min((end for end in ends if end is not None), default=None)
