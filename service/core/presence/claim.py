"""What presence has to know of claims: who is held, and by which claim."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from service.core.clock import Moment


@dataclass(frozen=True, slots=True)
class Claim:
    """One person held for one purpose.

    `key` is the contact's key in the store, `contact` its spelling; `group` is the one whose rule picked it; `purpose`
    what the client said it is for; `holder` the name of the key that asked. It ends at `expires` unless it is renewed.
    """

    id: str
    key: str
    contact: str
    group: str
    purpose: str
    holder: str
    made: Moment
    expires: Moment

    def limited_to(self, within: frozenset[str] | None) -> Claim:
        """As a client sees it that may see the groups `within` only: of another group, that it holds the contact."""
        if within is None or self.group in within:
            return self
        return replace(self, group="", purpose="", holder="")


def is_told_alike(one: Claim | None, other: Claim | None) -> bool:
    """Whether clients are told the same of both. They are told wall times, to the millisecond: where a claim came from
    another process, its monotonic ones differ by what rounding leaves."""
    if one is None or other is None or one is other:
        return one is other
    return _told_of(one) == _told_of(other)


def _told_of(claim: Claim) -> tuple[str | float, ...]:
    words = claim.id, claim.key, claim.contact, claim.group, claim.purpose, claim.holder
    return (*words, round(claim.made.wall, 3), round(claim.expires.wall, 3))


class Claims(Protocol):
    """Who is held now. What makes or ends a claim has the event log look at its contact; an expiry does not."""

    def held(self, key: str) -> Claim | None:
        """The claim on a contact, None when nobody holds it. Expired claims hold nobody."""
        ...

    def taken(self) -> Mapping[str, Claim]:
        """The claims by contact as they are now, which later ones do not change; some may have expired."""
        ...


class NoClaims:
    """The twin without any claims."""

    def held(self, key: str) -> Claim | None:
        """See Claims."""
        return None

    def taken(self) -> Mapping[str, Claim]:
        """See Claims."""
        return {}
