"""A contact that is read again and says the same: its record stays, and its age begins anew."""

from __future__ import annotations

import pytest

from service.core.presence.freshness import Level
from service.core.presence.records import Source
from tests.support.bare_service import presence
from tests.support.followed_log import ANN, BOB, BOUND, FollowedLog


@pytest.mark.parametrize("source", Source)
def test_what_only_its_age_made_stale_is_live_again_once_it_is_read(source: Source) -> None:
    """The log tells of it although neither record nor feed is another one."""
    followed = FollowedLog().watch(ANN, BOB)
    store, log = followed.store, followed.log
    told = [presence(ANN), presence(BOB)]
    store.put(told, store.begin(), source=source)
    record = store.get(ANN)
    followed.clock.advance(BOUND + 1)
    log.touch()
    before = log.snapshot(ANN)
    assert before is not None
    assert before.contact.freshness.level is Level.STALE
    store.put(told, store.begin(), source=source)
    log.touch()
    after = log.snapshot(ANN)
    assert after is not None
    assert after.contact.freshness.level is Level.LIVE
    assert store.get(ANN) is record
