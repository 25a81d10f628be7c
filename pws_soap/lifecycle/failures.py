"""An error of the library as the lifecycle sees it: which kind of failure it is, decided by class and code alone."""

from __future__ import annotations

from typing import Final

from pws_soap.errors import (
    AlreadyLoggedIn,
    ArgumentError,
    ContractError,
    EndpointLost,
    Exhausted,
    Fault,
    LoginRefused,
    NotLoggedIn,
    OutcomeUnknown,
    PartlySubscribed,
    PwsError,
    RequestRefused,
    SubscriptionLost,
    Throttled,
    Unreachable,
    UnreadableReply,
    UntrustedServer,
)
from pws_soap.lifecycle.values import Failure, FailureKind

_KINDS: Final[tuple[tuple[type[PwsError], FailureKind], ...]] = (
    (UntrustedServer, FailureKind.REFUSED),
    (Unreachable, FailureKind.UNREACHABLE),
    (OutcomeUnknown, FailureKind.UNKNOWN_OUTCOME),
    (NotLoggedIn, FailureKind.SESSION_LOST),
    (EndpointLost, FailureKind.ENDPOINT_LOST),
    (SubscriptionLost, FailureKind.SUBSCRIPTION_LOST),
    (Throttled, FailureKind.THROTTLED),
    (Exhausted, FailureKind.EXHAUSTED),
    (AlreadyLoggedIn, FailureKind.HELD),
    (LoginRefused, FailureKind.REFUSED),
    (RequestRefused, FailureKind.REFUSED),
    (ArgumentError, FailureKind.REFUSED),
    (ContractError, FailureKind.REFUSED),
)


def failure_of(error: PwsError) -> Failure:
    """What the lifecycle needs to know of an error; the first class in the table decides."""
    if isinstance(error, PartlySubscribed):
        error = error.cause
    kind = next((kind for error_class, kind in _KINDS if isinstance(error, error_class)), FailureKind.SERVER)
    code = error.code if isinstance(error, Fault) else None
    return Failure(kind, str(error), code, error.may_have_acted, isinstance(error, UnreadableReply))
