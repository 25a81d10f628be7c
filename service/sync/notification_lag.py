"""How long notifications of one feed wait until the store has what they announced. Pure.

A fetch serves those that came before it began; one that fails serves none. A subscription that is lost on the way
leaves them to the next one of its feed.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class NotificationLag:
    """When the notifications came that no fetch has served yet. Times are those of the monotonic clock."""

    since: float | None = None
    """When the oldest of them came; None: there is none."""
    _later: float | None = None
    """When the first of those came that the fetch under way does not serve."""
    _fetching: bool = False

    def came(self, now: float) -> None:
        """A notification came."""
        if self._fetching:
            self._later = now if self._later is None else self._later
        elif self.since is None:
            self.since = now

    def fetch_begins(self) -> None:
        """A fetch is about to be sent."""
        self._fetching = True

    def fetch_succeeded(self, now: float) -> float | None:
        """The store has what the fetch found; how long the oldest notification had waited, None where there was none.

        One that came on the way waits for the next fetch.
        """
        served = None if self.since is None else now - self.since
        self.since, self._later, self._fetching = self._later, None, False
        return served

    def fetch_failed(self) -> None:
        """All that waited still waits. Also where the subscription is lost meanwhile."""
        self.since = self._later if self.since is None else self.since
        self._later, self._fetching = None, False

    @property
    def oldest(self) -> float | None:
        """When the oldest one came that waits, served by a fetch under way or not."""
        return self._later if self.since is None else self.since
