"""Why the members of a group who were not picked were not.

Of most members the same is said from one claim to the next. So what is said is kept for each group, and found anew for
those of whom something has changed: the log told of them, somebody was claimed or let go, or the log is not certain.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from service.core.claims.leases import LeaseTable
from service.core.claims.members import MemberLookup
from service.core.claims.model import PassedOver
from service.core.presence.snapshot import CLAIMED

NOT_WATCHED: Final = "not watched"
KEPT: Final = "free, but kept for somebody who asked before"
TOO_FEW: Final = "free, but too few are"


@dataclass(slots=True)
class _Reasons:
    """What is said of each member of a group, in the order of their keys, and of whom it is to be found anew."""

    by_key: dict[str, PassedOver]
    outdated: set[str]


class PassedOverReasons:
    """Says why members of groups were not picked, from what `members` and `leases` know."""

    def __init__(self, members: MemberLookup, leases: LeaseTable) -> None:
        self._members = members
        self._leases = leases
        self._kept: dict[tuple[str, str], _Reasons] = {}  # by group, and by the reason of those who are free
        self._about: dict[str, list[_Reasons]] = {}  # by member's key
        leases.listen(self.changed)

    def changed(self, keys: Iterable[str]) -> None:
        """Something else may be said of these from now on."""
        for key in keys:
            for reasons in self._about.get(key, ()):
                reasons.outdated.add(key)

    def of(self, group: str, picked: Collection[str], kept: Collection[str], behind: str) -> tuple[PassedOver, ...]:
        """The reason of each member who is not among `picked`, in the order of their keys.

        `kept` are kept for requests that came before; `behind` is the reason of those who could have been picked.
        """
        found = dict(self._all(group, behind))
        for key in picked:
            found.pop(key, None)
        for key in kept:
            if (reason := found.get(key)) is not None and reason.free:
                found[key] = PassedOver(reason.contact, KEPT, free=True)
        return tuple(found.values())

    def _all(self, group: str, behind: str) -> dict[str, PassedOver]:
        uncertain = self._members.uncertain(group)
        reasons = self._kept.get((group, behind)) or self._begun(group, behind)
        for key in reasons.outdated.union(uncertain):
            reasons.by_key[key] = self._reason(group, key, behind)
        reasons.outdated = set(uncertain)  # what is said of them now was not told by the log
        return reasons.by_key

    def _begun(self, group: str, behind: str) -> _Reasons:
        keys = sorted(self._members.members(group))
        reasons = self._kept[group, behind] = _Reasons(dict.fromkeys(keys, PassedOver("", "")), set(keys))
        for key in keys:
            self._about.setdefault(key, []).append(reasons)
        return reasons

    def _reason(self, group: str, key: str, behind: str) -> PassedOver:
        opinion = self._members.at(group, key)
        if opinion is None:
            return PassedOver(key, NOT_WATCHED)
        if key in self._leases:
            return PassedOver(opinion.person.contact, CLAIMED.reason)
        if not opinion.verdict.available:
            return PassedOver(opinion.person.contact, opinion.verdict.reason)
        return PassedOver(opinion.person.contact, behind, free=True)
