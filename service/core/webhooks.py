"""What the routes and the figures need of webhooks: the port between the deliveries to targets and answering.

A target is an HTTP address in the configuration to which events are sent. Times are wall time, seconds since the epoch;
texts are for people and hold neither a secret nor the query of a URL.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class TargetState(StrEnum):
    """How a target is doing."""

    DELIVERING = "delivering"
    """The last attempt was answered with success, or none was made so far, or what failed need not be sent any more."""
    RETRYING = "retrying"
    """The last attempt failed; another one follows."""
    PARKED = "parked"
    """It has failed for too long, or said that it is gone: nothing is sent until a replay or a restart."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One POST to a target. `seconds` until its answer; `status` None where none came, `error` says why in words.

    `message` is the id that the receiver sees, the same in all attempts at one message. `number` counts these, from 1.
    """

    at: float
    message: str
    event: str
    number: int
    seconds: float
    contact: str | None = None
    status: int | None = None
    error: str | None = None

    @property
    def succeeded(self) -> bool:
        """Whether the target took the message: any status from 200 to 299."""
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class TargetStatus:
    """A target at one moment.

    `address` is its scheme, host, port and path. `queued` messages wait or are under way, the oldest since
    `oldest_queued_at`. `delivered` messages and `failed` attempts since the start; `coalesced`: messages that a later
    one about the same contact replaced; `dropped`: messages lost to a full queue. `attempts` are the last ones, the
    newest first.
    """

    name: str
    address: str
    state: TargetState
    since: float
    events: tuple[str, ...] = ()
    queued: int = 0
    oldest_queued_at: float | None = None
    delivered: int = 0
    failed: int = 0
    coalesced: int = 0
    dropped: int = 0
    last_success_at: float | None = None
    next_attempt_at: float | None = None
    last_error: str | None = None
    attempts: tuple[Attempt, ...] = ()


class NoSuchTarget(ValueError):
    """A name that no [[webhooks]] block has."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name = name
        self.known = tuple(known)
        super().__init__(f"no webhook {name!r}; there are: {', '.join(self.known) or 'none'}")


class EventsNotKept(ValueError):
    """A replay from an id from which on not all events are kept, or that is none of ours."""

    def __init__(self, after: int, floor: int, last: int) -> None:
        self.after = after
        self.floor = floor
        self.last = last
        super().__init__(f"events after {after} are not all kept: a replay can begin at {floor} to {last}")


class Webhooks(Protocol):
    """The targets of the configuration."""

    def status(self) -> Sequence[TargetStatus]:
        """How each target is doing, in the order of the configuration."""
        ...

    def replay(self, name: str, after: int) -> int:
        """Queue the events after the id `after` for a target once more; how many messages that made.

        A parked target is tried again. Raises NoSuchTarget and EventsNotKept.
        """
        ...


class NoWebhooks:
    """No targets (`Webhooks`)."""

    def status(self) -> Sequence[TargetStatus]:
        """None."""
        return ()

    def replay(self, name: str, after: int) -> int:
        """There is nothing to send to."""
        raise NoSuchTarget(name, ())
