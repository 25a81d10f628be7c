"""Counts all programs at the façade in one pass over each of sessions, endpoints and subscriptions.

There may be ten thousand, and the status and the figures ask every few seconds, in the event loop.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from heapq import nsmallest

from pws_soap.server.node.registry import Registry, Session
from service.core.facade import NOTIFICATION_OUTCOMES, FacadeUserStatus


@dataclass(slots=True)
class _Tally:
    sessions: int = 0
    endpoints: int = 0
    subscriptions: int = 0
    contacts: int = 0
    silent: int = 0
    fetched: float | None = None


@dataclass(slots=True)
class Census:
    """What one pass has found. A program is an end user's session, or an application user's that has no end user."""

    programs: list[Session] = field(default_factory=list)
    silent: int = 0
    _tallies: dict[str, _Tally] = field(default_factory=dict)
    _silent: set[str] = field(default_factory=set, repr=False)
    """Keys of sessions that have a silent subscription."""
    _failing: set[str] = field(default_factory=set, repr=False)
    """Keys of sessions whose last notification failed."""

    @classmethod
    def of(cls, registry: Registry, users: Iterable[str], failing: Container[int], silent_before: float) -> Census:
        """Count them.

        `failing` are the ids of subscriptions whose last notification failed; one that was notified before
        `silent_before` and has not been fetched since is silent. Programs of others than `users` are not counted.
        """
        census = cls(_tallies={user: _Tally() for user in users})
        nobody, tallies, sessions = _Tally(), census._tallies, registry.sessions
        begun = {session.application for session in sessions.values()}
        for session in sessions.values():
            tallies.get(session.application_user, nobody).sessions += 1
            if not (session.is_application and session.key in begun):
                census.programs.append(session)
        for endpoint in registry.endpoints.values():
            tallies.get(sessions[endpoint.session].application_user, nobody).endpoints += 1
        for subscription in registry.subscriptions.values():
            tally = tallies.get(sessions[subscription.session].application_user, nobody)
            tally.subscriptions += 1
            tally.contacts += len(subscription.contacts)
            fetched, notified = subscription.fetched, subscription.notified
            if fetched is not None and (tally.fetched is None or fetched > tally.fetched):
                tally.fetched = fetched
            if subscription.silent and notified is not None and notified < silent_before:
                tally.silent += 1
                census.silent += 1
                census._silent.add(subscription.session)
            if subscription.id in failing:
                census._failing.add(subscription.session)
        return census

    def first(self, most: int) -> list[Session]:
        """The first `most` programs: those in trouble before the others, then by name."""

        def order(session: Session) -> tuple[bool, bool, str, str]:
            key = session.key
            return key not in self._silent, key not in self._failing, session.application_user, session.user

        return nsmallest(most, self.programs, order)

    def by_user(self, to_wall: float, notifications: Mapping[tuple[str, str], int]) -> list[FacadeUserStatus]:
        """All programs of each user together. `to_wall` makes wall time of the clock that subscriptions have.

        `notifications` are counted by user and outcome.
        """
        return [
            FacadeUserStatus(
                user,
                tally.sessions,
                tally.endpoints,
                tally.subscriptions,
                tally.contacts,
                tally.silent,
                None if tally.fetched is None else tally.fetched + to_wall,
                {outcome: notifications.get((user, outcome), 0) for outcome in NOTIFICATION_OUTCOMES},
            )
            for user, tally in self._tallies.items()
        ]
