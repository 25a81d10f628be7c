"""Principals: what the owner of a key may do and see."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Scope(StrEnum):
    """What a key may be used for. None implies another."""

    READ = "read"
    """Ask for presence: queries, streams, history, the status."""
    CLAIM = "claim"
    """Make, renew and release claims."""
    ADMIN = "admin"
    """Change what the service does: contacts, refresh, failover."""
    METRICS = "metrics"
    """Read the figures of `/metrics`."""

    @property
    def sees_all(self) -> bool:
        """Whether a key with it cannot be limited to groups, or to who is available: what it does concerns all."""
        return self in {Scope.ADMIN, Scope.METRICS}


@dataclass(frozen=True, slots=True)
class Principal:
    """The owner of a key. `name` is the key's name in the configuration, and may be shown.

    `groups`: sees contacts of these groups only, as if there were no others; None: all contacts. `details`: sees why;
    without it, only whether a contact is available.
    """

    name: str
    scopes: frozenset[Scope]
    groups: frozenset[str] | None = None
    details: bool = True

    @property
    def limited(self) -> bool:
        """Whether anything is hidden from it."""
        return self.groups is not None or not self.details


ANYBODY: Final = Principal("anonymous", frozenset(Scope))
"""The principal of a request without a key, where none is needed."""
READER: Final = Principal("anonymous", frozenset({Scope.READ}))
"""The principal of a request without a key, where keys are configured and everybody may read."""
