"""What clients are told of a claim, and whether that is the same."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.core.clock import Moment
from service.core.presence.claim import Claim, is_told_alike

CLAIM = Claim(
    "1",
    "ann@example.com",
    "Ann@example.com",
    "support",
    "a call",
    "router",
    Moment(996.836986670041, 1_800_000_977.6457856),
    Moment(1056.836986670041, 1_800_001_037.6457856),
)


def test_rounding_of_another_process_s_times_is_not_told() -> None:
    """The same claim, read back from the engine."""
    read = replace(
        CLAIM, made=Moment(996.8369866700409, CLAIM.made.wall), expires=Moment(-3.5, CLAIM.expires.wall + 1e-7)
    )
    assert read != CLAIM
    assert is_told_alike(CLAIM, read)
    assert is_told_alike(None, None)


@pytest.mark.parametrize(
    "other",
    [
        None,
        replace(CLAIM, id="2"),
        replace(CLAIM, group=""),
        replace(CLAIM, purpose="a chat"),
        replace(CLAIM, holder="another"),
        replace(CLAIM, made=Moment(CLAIM.made.monotonic, CLAIM.made.wall + 0.001)),
        replace(CLAIM, expires=Moment(CLAIM.expires.monotonic, CLAIM.expires.wall + 0.001)),
    ],
)
def test_what_is_told_differs(other: Claim | None) -> None:
    assert not is_told_alike(CLAIM, other)
    assert not is_told_alike(other, CLAIM)
