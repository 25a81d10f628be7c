"""Every error of the library says what a person can do about it."""

from __future__ import annotations

import pytest

from pws_soap import errors
from pws_soap.errors import Fault, Redirected
from service.cli.shared import hints


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (Fault.of(114, operation="login"), "login refused with code 114"),
        (Fault.of(113, operation="login"), "end user's name"),
        (Fault.of(136, operation="unregisterEndPoint"), "--end-user"),
        (Fault.of(132), "`pws create` makes one"),
        (Fault.of(141, operation="subscribe"), "watch.end_user an end user"),
        (Fault.of(121, "the server's text"), "the server's text"),
        (Fault.of(None, status=503), "wait a minute"),
        (Redirected("ann", None, None), "is the user assigned to a node?"),
        (Redirected("ann", None, "imp3"), "put imp3 first in server.nodes"),
    ],
)
def test_every_error_says_what_to_do(error: errors.PwsError, told: str) -> None:
    text = hints.message(error)
    assert told in text
    assert "\n" not in text
