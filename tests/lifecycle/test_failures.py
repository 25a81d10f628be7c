"""Every error of the library has its kind in the lifecycle."""

from __future__ import annotations

import pytest

from pws_soap.codes import CODES
from pws_soap.errors import (
    ArgumentError,
    ContractError,
    Disconnected,
    EmptyReply,
    Fault,
    PartlySubscribed,
    PwsError,
    TimedOut,
    Unreachable,
    UntrustedServer,
)
from pws_soap.lifecycle import FailureKind, failure_of
from pws_soap.models import Subscription

SPECIAL = {
    **dict.fromkeys((100, 101), FailureKind.SESSION_LOST),
    **dict.fromkeys((132, 136), FailureKind.ENDPOINT_LOST),
    **dict.fromkeys((133, 137), FailureKind.SUBSCRIPTION_LOST),
    **dict.fromkeys((138, 139, 206, 207, 211), FailureKind.EXHAUSTED),
    **dict.fromkeys((210, 212), FailureKind.THROTTLED),
    **dict.fromkeys((200, 201, 202, 203, 204, 205, 208, 209), FailureKind.SERVER),
    160: FailureKind.HELD,
}


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_code_has_its_kind(code: int) -> None:
    """What is in no other group is refused: sending it again does not help."""
    failure = failure_of(Fault.of(code))
    assert failure.kind is SPECIAL.get(code, FailureKind.REFUSED)
    assert failure.code == code
    assert str(code) in failure.text


@pytest.mark.parametrize(
    ("error", "failure_kind"),
    [
        (Unreachable("refused"), FailureKind.UNREACHABLE),
        (UntrustedServer("another certificate"), FailureKind.REFUSED),
        (TimedOut("no reply"), FailureKind.UNKNOWN_OUTCOME),
        (Disconnected("reset"), FailureKind.UNKNOWN_OUTCOME),
        (EmptyReply("empty"), FailureKind.UNKNOWN_OUTCOME),
        (Fault.of(None, status=503), FailureKind.THROTTLED),
        (Fault.of(None), FailureKind.SERVER),
        (Fault.of(999), FailureKind.SERVER),
        (ArgumentError("expires", "3600..86400", 1), FailureKind.REFUSED),
        (ContractError("a.wsdl", ("login",)), FailureKind.REFUSED),
        (PwsError("something else"), FailureKind.SERVER),
    ],
)
def test_every_other_error_has_its_kind(error: PwsError, failure_kind: FailureKind) -> None:
    """By its class."""
    assert failure_of(error).kind is failure_kind
    assert failure_of(error).text == str(error)


def test_a_partly_made_subscription_has_the_kind_of_its_cause() -> None:
    """The rest is added when that is over."""
    partly = PartlySubscribed(Subscription(1, ("a@example.com",), 3600), ("b@example.com",), Fault.of(212))
    assert failure_of(partly) == failure_of(Fault.of(212))
