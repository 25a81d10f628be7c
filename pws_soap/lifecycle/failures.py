"""An error of the library as the lifecycle sees it: which trouble it is, decided by class and code alone."""

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
    UntrustedServer,
)
from pws_soap.lifecycle.values import Failure, Trouble

_TROUBLES: Final[tuple[tuple[type[PwsError], Trouble], ...]] = (
    (UntrustedServer, Trouble.REFUSED),
    (Unreachable, Trouble.UNREACHABLE),
    (OutcomeUnknown, Trouble.UNKNOWN_OUTCOME),
    (NotLoggedIn, Trouble.SESSION_LOST),
    (EndpointLost, Trouble.ENDPOINT_LOST),
    (SubscriptionLost, Trouble.SUBSCRIPTION_LOST),
    (Throttled, Trouble.THROTTLED),
    (Exhausted, Trouble.EXHAUSTED),
    (AlreadyLoggedIn, Trouble.HELD),
    (LoginRefused, Trouble.REFUSED),
    (RequestRefused, Trouble.REFUSED),
    (ArgumentError, Trouble.REFUSED),
    (ContractError, Trouble.REFUSED),
)


def failure_of(error: PwsError) -> Failure:
    """What the lifecycle needs to know of an error; the first class in the table decides."""
    if isinstance(error, PartlySubscribed):
        error = error.cause
    trouble = next((trouble for kind, trouble in _TROUBLES if isinstance(error, kind)), Trouble.SERVER)
    code = error.code if isinstance(error, Fault) else None
    return Failure(trouble, str(error), code, error.may_have_acted)
