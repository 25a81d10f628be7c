"""Which replicas there are, what they run, and whether they agree: what each says of itself once a second.

A replica is there as long as what it says changes. That is seen on the reader's own clock, so that no clock of another
machine plays a part; the nonce changes each time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from msgspec import Struct

from service.cluster.upstream import Upstream, is_same

PRESENT: Final = 5.0
"""Seconds since its last word for which a replica counts as there."""
SAYS: Final = 1.5
"""Seconds within which each replica that is there says so again."""
FORGOTTEN: Final = 60.0
"""Seconds after which the owner removes what it said."""


class Member(Struct, frozen=True, array_like=True):
    """What a replica says of itself. `replica` is one process: after a restart it is another.

    `nonce` is its time, by its own clock. `epoch` and `seen` are the highest epoch and the highest id that it has seen,
    so that an owner learns of it where the engine has lost them. `configuration` is a hash, `upstream`
    what it reads as the owner.
    """

    replica: str
    address: str
    version: str
    configuration: str
    nonce: float
    epoch: int = 0
    seen: int = 0
    wire: int = 1
    """The newest format that it reads."""
    upstream: Upstream = frozenset()
    is_stuck: bool = False
    """Whether it cannot load what the engine has of the owner, so that the owner has to write that again."""


@dataclass(frozen=True, slots=True)
class _Noted:
    member: Member
    at: float
    since: float
    """When it was first seen."""
    has_changed: bool = False
    """Whether it has said anything since it was first seen: what a process left that was killed does not."""


class Members:
    """Follows what the replicas say. Times are of one clock, the caller's."""

    def __init__(self) -> None:
        self._noted: dict[str, _Noted] = {}

    def observe(self, said: Iterable[Member], now: float) -> None:
        """All that is said at this moment; who says nothing any more has gone."""
        noted: dict[str, _Noted] = {}
        for member in said:
            before = self._noted.get(member.replica)
            if before is None:
                noted[member.replica] = _Noted(member, now, now)
            elif before.member.nonce == member.nonce:
                noted[member.replica] = before
            else:
                noted[member.replica] = _Noted(member, now, before.since, has_changed=True)
        self._noted = noted

    def present(self, now: float) -> Sequence[Member]:
        """Those that are there, by name."""
        there = (each.member for each in self._noted.values() if now - each.at < PRESENT)
        return sorted(there, key=lambda member: member.replica)

    def reading(self, upstream: Upstream, now: float) -> Sequence[Member]:
        """Those that are there and read this upstream."""
        return [member for member in self.present(now) if is_same(member.upstream, upstream)]

    def are_stuck(self, upstream: Upstream, newest: int, now: float) -> bool:
        """Whether one that is there cannot load what an owner has written that reads this upstream, in the format
        `newest` at most."""
        return any(member.is_stuck and member.wire >= newest for member in self.reading(upstream, now))

    def heard(self, now: float) -> Sequence[tuple[Member, float]]:
        """All that are not forgotten, by address, each with the seconds since its last word."""
        found = [(each.member, max(0.0, now - each.at)) for each in self._noted.values()]
        return sorted(found, key=lambda pair: (pair[0].address, pair[1]))

    def forgotten(self, now: float) -> Sequence[str]:
        """Those that said nothing for so long that they are to be removed."""
        return sorted(name for name, each in self._noted.items() if now - each.at >= FORGOTTEN)

    def nonces(self) -> Mapping[str, float]:
        """What to name in the next beat. They were read before it is made, which is what the clocks go by."""
        return {name: each.member.nonce for name, each in self._noted.items()}

    @property
    def highest(self) -> tuple[int, int]:
        """The highest epoch and the highest id that any of them has seen; 0 where there is nobody."""
        return (
            max((each.member.epoch for each in self._noted.values()), default=0),
            max((each.member.seen for each in self._noted.values()), default=0),
        )

    def successor(self, own: str, now: float) -> Member | None:
        """To whom to hand over: of those that read what we do, the newest; None: nobody is there.

        Only who has said something within `SAYS`: what a process has said that was killed lasts longer than it.
        """
        mine = self._noted.get(own)
        fit = [
            member
            for member in self.present(now)
            if member.replica != own
            and self._noted[member.replica].has_changed
            and now - self._noted[member.replica].at < SAYS
            and (mine is None or is_same(member.upstream, mine.member.upstream))
        ]
        return max(fit, key=lambda member: (member.wire, version_key(member.version), member.replica), default=None)

    def shared_addresses(self, now: float) -> Sequence[str]:
        """Addresses at which more than one replica says that it is. A process that has just ended does not count: it
        has said nothing since the one in its place was first seen."""
        there = [noted for noted in self._noted.values() if now - noted.at < PRESENT]
        found = {
            one.member.address
            for one, other in combinations(there, 2)
            if one.member.address == other.member.address and one.at > other.since and other.at > one.since
        }
        return sorted(found)

    def disagreements(self, now: float) -> Sequence[str]:
        """What the replicas that are there do not agree about, in words."""
        there = self.present(now)
        found: list[str] = []
        read = [member.upstream for member in there]
        if not all(is_same(one, read[0]) for one in read[1:]):
            where = ", ".join(member.address for member in there)
            found.append(f"different presence servers or application users at {where}: each needs a unit of its own")
        for what, of in (("configurations", _configuration), ("versions", _version)):
            values: dict[str, list[str]] = {}
            for member in there:
                values.setdefault(of(member), []).append(member.address)
            if len(values) > 1:
                parts = "; ".join(f"{value} at {', '.join(at)}" for value, at in sorted(values.items()))
                found.append(f"{len(values)} {what}: {parts}")
        return found


def version_key(version: str) -> tuple[int, ...]:
    """To compare versions by their numbers."""
    return tuple(int(part) for part in version.split(".") if part.isdecimal())


def _configuration(member: Member) -> str:
    return member.configuration


def _version(member: Member) -> str:
    return member.version
