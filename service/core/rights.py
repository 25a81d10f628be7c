"""What this process may do at the presence server, asked at the moment of use.

Where several replicas share one application user, one of them owns its sessions. Ownership may end while a request
waits for its turn, or while the process stands still; so nobody keeps an answer of these.
"""

from __future__ import annotations

from typing import Final, Protocol


class Rights(Protocol):
    """May be asked at any time; an answer counts for the request that is sent right after it."""

    def may_make(self) -> bool:
        """Whether something may be made, changed or removed: logins, endpoints, subscriptions."""
        ...

    def may_read(self) -> bool:
        """Whether the sessions in hand may be used to fetch, to poll and to renew."""
        ...


class AllRights:
    """Those of a process that shares its application user with nobody."""

    def may_make(self) -> bool:
        """Yes."""
        return True

    def may_read(self) -> bool:
        """Yes."""
        return True


ALL_RIGHTS: Final = AllRights()
