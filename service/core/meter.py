"""The meter: what happens, told at the moment at which it does, to what counts it. By default nothing does.

What can be read from a state later on is not told: it is read when the figures are asked for. Words are those of fixed
lists or of the configuration, and nobody's name is among them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol


class NotificationOutcome(StrEnum):
    """What became of a request to the callback's path."""

    TAKEN = "taken"
    """It says something new: the subscription is fetched."""
    COALESCED = "coalesced"
    """Another one came since the last fetch began: one fetch serves both."""
    UNKNOWN = "unknown"
    """No subscription has its id; it waits, since it may be earlier than the reply that names the id."""
    REJECTED = "rejected"
    """The path was right, and the query no notification."""


class ReadKind(StrEnum):
    """How presence is read from the server."""

    FETCH = "fetch"
    POLL = "poll"


class ClaimOutcome(StrEnum):
    """What became of a request for people."""

    GRANTED = "granted"
    NOT_ENOUGH_FREE = "not-enough-free"
    FULL = "full"
    """As many requests wait as may."""
    STOPPING = "stopping"
    LEFT = "left"
    """The client went before it was served."""


class SlowClient(StrEnum):
    """What became of a stream whose client reads more slowly than things happen."""

    COALESCED = "coalesced"
    """It got the last event of each contact instead of all."""
    RESTARTED = "restarted"
    """It got a new snapshot, since not all that it had missed is kept."""
    ENDED = "ended"
    """It read nothing for so long that its connection was closed."""


class CanaryOutcome(StrEnum):
    """What became of a round of the canary (`service.sync.canary`)."""

    SEEN = "seen"
    """The answer said what had been set."""
    LATE = "late"
    """It did not within the time that a round has."""
    FAILED = "failed"
    """Nothing could be set."""


class WebhookOutcome(StrEnum):
    """What became of one attempt to deliver a message to a target of webhooks."""

    DELIVERED = "delivered"
    """The target answered with a status from 200 to 299."""
    REFUSED = "refused"
    """It answered with another status."""
    UNANSWERED = "unanswered"
    """It gave no answer: no connection, no trust in its certificate, or no answer in time."""


class EngineCommand(StrEnum):
    """What a replica asks of the engine that the replicas share (`service.cluster.engine.ClusterEngine`)."""

    TAKE = "take"
    BEAT = "beat"
    COMMIT = "commit"
    CLAIM = "claim"
    RELEASE = "release"
    ECHO = "echo"
    MEMBERS = "members"
    FOLLOW = "follow"
    SNAPSHOT = "snapshot"
    MARK = "mark"
    MARKS = "marks"
    FACTS = "facts"


class EngineOutcome(StrEnum):
    """How the engine that the replicas share has answered."""

    OK = "ok"
    TENURE_OVER = "tenure-over"
    """This replica owns no more, so that nothing was written."""
    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    FULL = "full"
    READ_ONLY = "read-only"
    DAMAGED = "damaged"
    NOT_REPLICATED = "not-replicated"
    """It was written, and no copy has confirmed it in time."""


class Meter(Protocol):
    """Counts. No method waits or raises. Times are seconds, a `failure` is the kind of one, or empty where all is well.

    `code` is the server's code of a failure, None where it gave none.
    """

    def notification_came(self, outcome: NotificationOutcome) -> None:
        """A request came on the callback's path."""
        ...

    def notification_served(self, seconds: float) -> None:
        """The store has all that a notification announced, so many seconds after it came."""
        ...

    def read_ended(self, kind: ReadKind, failure: str, code: int | None) -> None:
        """A fetch or a poll has ended."""
        ...

    def command_ended(self, resource: str, action: str, failure: str, code: int | None) -> None:
        """A command of the lifecycle, such as the renewal of a subscription, has ended."""
        ...

    def request_begins(self, lane: str, waited: float) -> None:
        """A request to the server is sent, after it waited for the request budget. `lane`: its priority."""
        ...

    def claim_settled(self, outcome: ClaimOutcome, waited: float) -> None:
        """A request for people has its outcome, so long after it came."""
        ...

    def client_was_slow(self, what: SlowClient) -> None:
        """A stream could not keep up."""
        ...

    def canary_ended(self, outcome: CanaryOutcome, seconds: float | None) -> None:
        """A round of the canary has ended. `seconds` from the change to the answer, where there was one."""
        ...

    def webhook_attempted(self, target: str, outcome: WebhookOutcome, seconds: float) -> None:
        """An attempt to deliver has ended, so many seconds after it began. `target`: its name in the configuration."""
        ...


class ReplicaMeter(Protocol):
    """Counts what only one of several replicas does. No method waits or raises."""

    def engine_answered(self, command: EngineCommand, outcome: EngineOutcome, seconds: float | None) -> None:
        """The engine has answered, or failed, after so many seconds. None: the command waits for something to happen,
        so that its time says nothing."""
        ...

    def entries_accepted(self, number: int) -> None:
        """The engine has accepted so many entries of the log in one batch."""
        ...


class NoMeter:
    """Counts nothing."""

    def notification_came(self, outcome: NotificationOutcome) -> None: ...

    def notification_served(self, seconds: float) -> None: ...

    def read_ended(self, kind: ReadKind, failure: str, code: int | None) -> None: ...

    def command_ended(self, resource: str, action: str, failure: str, code: int | None) -> None: ...

    def request_begins(self, lane: str, waited: float) -> None: ...

    def claim_settled(self, outcome: ClaimOutcome, waited: float) -> None: ...

    def client_was_slow(self, what: SlowClient) -> None: ...

    def canary_ended(self, outcome: CanaryOutcome, seconds: float | None) -> None: ...

    def webhook_attempted(self, target: str, outcome: WebhookOutcome, seconds: float) -> None: ...


class NoReplicaMeter:
    """Counts nothing."""

    def engine_answered(self, command: EngineCommand, outcome: EngineOutcome, seconds: float | None) -> None: ...

    def entries_accepted(self, number: int) -> None: ...


NO_REPLICA_METER = NoReplicaMeter()
"""The one that is used where none is given."""
NO_METER = NoMeter()
"""The one that is used where none is given."""
