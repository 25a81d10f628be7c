"""What reaches a target, and in which order; on a clock that stands."""

from __future__ import annotations

from tests.support.bare_service import AVAILABLE, AWAY, BUSY
from tests.support.followed_log import ANN, BOB
from tests.webhooks.office import BROKEN, TAKEN, Office, told


async def test_every_change_is_sent_after_a_reset() -> None:
    office = Office().watch(ANN, BOB)
    async with office.delivering() as crm:
        office.read(ANN, BUSY)
        await office.turns()
        office.read(ANN, AWAY)
        await office.turns()
        assert crm.kinds() == ["reset", "change", "change"]
        assert crm.of(ANN) == ["BUSY", "AWAY"]
        assert office.status.queued == 0


async def test_an_hour_of_failures() -> None:
    office = Office().watch(ANN, BOB)
    async with office.delivering(answer=lambda _: BROKEN, hears=lambda _: False) as crm:
        for _ in range(30):
            office.read(ANN, BUSY)
            office.read(BOB, AWAY)
            await office.later(60)
            office.read(ANN, AVAILABLE)
            await office.later(60)
        assert crm.received == []
        crm.answer, crm.hears = lambda _: TAKEN, lambda _: True
        await office.later(700)
        await office.settled()
        assert told(crm) == office.expected()
        assert crm.most_under_way
