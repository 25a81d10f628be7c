"""What a claim does to a verdict."""

from __future__ import annotations

import pytest

from service.core.clock import Moment
from service.core.presence.availability import AvailabilityVerdict
from service.core.presence.claim import Claim
from service.core.presence.snapshot import CLAIMED, with_claim

NOW = Moment(0.0, 0.0)
HELD = Claim("c1", "ann@example.com", "ann@example.com", "support", "", "joe", NOW, NOW)
FREE, BUSY = AvailabilityVerdict(True, "is AVAILABLE"), AvailabilityVerdict(False, "is BUSY")


@pytest.mark.parametrize(
    ("verdict", "claim", "expected"),
    [(FREE, None, FREE), (FREE, HELD, CLAIMED), (BUSY, None, BUSY), (BUSY, HELD, BUSY)],
)
def test_a_contact_that_is_held_is_not_available(
    verdict: AvailabilityVerdict, claim: Claim | None, expected: AvailabilityVerdict
) -> None:
    """Whom the rules do not call available keeps their reason."""
    assert with_claim(verdict, claim) == expected
