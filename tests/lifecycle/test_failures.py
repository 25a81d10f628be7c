"""Every error of the library is a trouble of the lifecycle."""

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
from pws_soap.lifecycle import Trouble, failure_of
from pws_soap.models import Subscription

SPECIAL = {
    **dict.fromkeys((100, 101), Trouble.SESSION_LOST),
    **dict.fromkeys((132, 136), Trouble.ENDPOINT_LOST),
    **dict.fromkeys((133, 137), Trouble.SUBSCRIPTION_LOST),
    **dict.fromkeys((138, 139, 206, 207, 211), Trouble.EXHAUSTED),
    **dict.fromkeys((210, 212), Trouble.THROTTLED),
    **dict.fromkeys((200, 201, 202, 203, 204, 205, 208, 209), Trouble.SERVER),
    160: Trouble.HELD,
}


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_code_has_its_trouble(code: int) -> None:
    """What is in no other group is refused: sending it again does not help."""
    failure = failure_of(Fault.of(code))
    assert failure.trouble is SPECIAL.get(code, Trouble.REFUSED)
    assert failure.code == code
    assert str(code) in failure.text


@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        (Unreachable("refused"), Trouble.UNREACHABLE),
        (UntrustedServer("another certificate"), Trouble.REFUSED),
        (TimedOut("no reply"), Trouble.UNKNOWN_OUTCOME),
        (Disconnected("reset"), Trouble.UNKNOWN_OUTCOME),
        (EmptyReply("empty"), Trouble.UNKNOWN_OUTCOME),
        (Fault.of(None, status=503), Trouble.THROTTLED),
        (Fault.of(None), Trouble.SERVER),
        (Fault.of(999), Trouble.SERVER),
        (ArgumentError("expires", "3600..86400", 1), Trouble.REFUSED),
        (ContractError("a.wsdl", ("login",)), Trouble.REFUSED),
        (PwsError("something else"), Trouble.SERVER),
    ],
)
def test_every_other_error_has_its_trouble(error: PwsError, trouble: Trouble) -> None:
    """By its class."""
    assert failure_of(error).trouble is trouble
    assert failure_of(error).text == str(error)


def test_a_partly_made_subscription_has_the_trouble_of_its_cause() -> None:
    """The rest is added when that is over."""
    partly = PartlySubscribed(Subscription(1, ("a@example.com",), 3600), ("b@example.com",), Fault.of(212))
    assert failure_of(partly) == failure_of(Fault.of(212))
