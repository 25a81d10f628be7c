"""What becomes of the access rules when the keys are read again."""

from __future__ import annotations

from service.access.authentication import AccessRules
from service.access.keys import KeyRing, hash_of
from service.access.principal import ANYBODY
from service.runtime.access_rules import kept_closed

KEYED = AccessRules(KeyRing([(hash_of("any"), ANYBODY)]), None)
OPEN = AccessRules(KeyRing(), ANYBODY)


def test_taking_the_last_key_away_opens_nothing() -> None:
    """Nor does the reload after that one; a key lets its owner in again."""
    closed = kept_closed(OPEN, KEYED)
    assert closed.anonymous is None
    assert kept_closed(OPEN, closed).anonymous is None
    assert kept_closed(KEYED, closed) is KEYED


def test_what_never_had_a_key_stays_open() -> None:
    assert kept_closed(OPEN, OPEN).anonymous is ANYBODY
