"""Why the members of a group who were not picked were not."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from typing import Final

from service.core.claims.leases import LeaseTable
from service.core.claims.members import MemberLookup
from service.core.claims.model import PassedOver
from service.core.presence.snapshot import CLAIMED

NOT_WATCHED: Final = "not watched"
KEPT: Final = "free, but kept for somebody who asked before"
TOO_FEW: Final = "free, but too few are"


def passed_over(
    group: str,
    members: MemberLookup,
    leases: LeaseTable,
    picked: Collection[str],
    kept: Collection[str],
    behind: str,
) -> tuple[PassedOver, ...]:
    """The reason of each member who is not among `picked`, in the order of their keys.

    `kept` are kept for requests that came before; `behind` is the reason of those who could have been picked.
    """
    found: list[PassedOver] = []
    for key in _in_order(members.members(group)):
        if key in picked:
            continue
        opinion = members.at(group, key)
        if opinion is None:
            found.append(PassedOver(key, NOT_WATCHED))
        elif key in leases:
            found.append(PassedOver(opinion.person.contact, CLAIMED.reason))
        elif not opinion.verdict.available:
            found.append(PassedOver(opinion.person.contact, opinion.verdict.reason))
        else:
            found.append(PassedOver(opinion.person.contact, KEPT if key in kept else behind, free=True))
    return tuple(found)


@lru_cache(maxsize=64)
def _in_order(keys: frozenset[str]) -> list[str]:
    return sorted(keys)
