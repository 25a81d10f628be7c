"""What reaches a target, in which order, and what becomes of one that fails; on a clock that stands."""

from __future__ import annotations

import asyncio
import itertools
import logging
from functools import partial
from typing import Any

import pytest

from service.core.events.event import Event, SubscriptionChange, WebhookChange
from service.core.presence.filters import Filter
from service.core.presence.snapshot import GroupedSnapshot
from service.core.webhooks import EventsNotKept, NoSuchTarget
from service.runtime.webhooks import StreamView
from service.webhooks.sender import PostResult
from service.webhooks.view import RenderedEvent
from tests.support.bare_service import AVAILABLE, AWAY, BUSY
from tests.support.followed_log import ANN, BOB, CID
from tests.webhooks.office import (
    BROKEN,
    CRM,
    GONE,
    TAKEN,
    TIMED_OUT,
    UNREACHABLE,
    Office,
    Received,
    Receiver,
    target,
    told,
)

REDIRECT = PostResult(302, "302, a redirect")
TOO_MANY = PostResult(429, "429 Too Many Requests", retry_after="90")


def takes(receiver: Receiver) -> None:
    """From now on it takes everything."""
    receiver.answer, receiver.hears, receiver.seconds = lambda _: TAKEN, lambda _: True, 0.0


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
        assert office.status.delivered == 3


@pytest.mark.parametrize("hears", [True, False], ids=["takes it", "does not take it"])
@pytest.mark.parametrize(
    ("failure", "seconds"),
    [(BROKEN, 0.0), (UNREACHABLE, 0.0), (TIMED_OUT, 15.0), (REDIRECT, 0.0), (TOO_MANY, 0.0), (BROKEN, 10.0)],
    ids=["500", "unreachable", "hanging", "redirect", "429", "slow 500"],
)
async def test_an_hour_of_failures(failure: PostResult, seconds: float, hears: bool) -> None:
    """Nothing piles up, one message at a time is tried, and then everybody's last state arrives."""
    office = Office()
    hears = hears and failure.may_have_arrived
    async with office.delivering(answer=lambda _: failure, hears=lambda _: hears, seconds=seconds) as crm:
        office.watch(ANN, BOB, CID)
        for minute in range(30):
            office.read(ANN, BUSY)
            office.read(BOB, AWAY if minute % 2 else AVAILABLE)
            await office.later(60)
            office.read(ANN, AVAILABLE)
            await office.later(60)
            assert office.status.queued <= 4
            assert crm.most_under_way <= 1
        assert office.state() == "retrying"
        assert 8 <= office.status.failed <= 50
        takes(crm)
        await office.later(700)
        await office.settled()
        assert told(crm) == office.expected()
        assert office.state() == "delivering"
        assert office.status.queued == 0


async def test_a_slow_target_gets_several_at_once_and_of_one_contact_one() -> None:
    office = Office().watch(ANN, BOB, CID)
    async with office.delivering(target(parallel=2)) as crm:
        crm.seconds = 5.0
        for contact in (ANN, BOB, CID):
            office.read(contact, BUSY)
        await office.later(1)
        assert office.status.queued == 3
        office.read(ANN, AWAY)
        office.read(ANN, AVAILABLE)
        await office.later(30)
        assert crm.of(ANN) == ["BUSY", "AVAILABLE"]
        assert crm.most_under_way == 2
        assert office.status.coalesced == 1


async def test_what_was_undone_while_nothing_arrived_is_not_sent() -> None:
    office = Office().watch(ANN)
    async with office.delivering() as crm:
        office.read(ANN, BUSY)
        await office.turns()
        crm.answer = lambda _: UNREACHABLE
        office.store.doubt("dispatcher", "lost")
        await office.settled()
        assert office.state() == "retrying"
        office.store.trust("dispatcher")
        office.read(ANN, BUSY)
        await office.settled()
        takes(crm)
        await office.later(700)
        assert crm.of(ANN) == ["BUSY"]
        assert office.status.queued == 0
        assert office.state() == "delivering"
        await office.later(90_000)
        crm.answer = lambda _: UNREACHABLE
        office.read(ANN, AWAY)
        await office.settled()
        assert office.state() == "retrying"


async def test_what_was_undone_is_sent_where_the_target_may_know_it() -> None:
    office = Office().watch(ANN)
    async with office.delivering() as crm:
        office.read(ANN, BUSY)
        await office.turns()
        crm.answer = lambda _: BROKEN  # and yet it takes what it gets
        office.store.doubt("dispatcher", "lost")
        await office.settled()
        assert crm.known[ANN]["freshness"] == "stale"
        office.store.trust("dispatcher")
        office.read(ANN, BUSY)
        await office.settled()
        takes(crm)
        await office.later(700)
        assert crm.known[ANN]["freshness"] == "live"


async def test_who_left_the_filter_unheard_is_removed_after_all() -> None:
    """The message that says so was under way and did not arrive; the next event alone would say nothing."""
    office = Office().watch(ANN)
    async with office.delivering(target(wanted=Filter(states=frozenset({BUSY})))) as crm:
        office.read(ANN, BUSY)
        await office.turns()
        crm.answer, crm.seconds = lambda _: UNREACHABLE, 5.0
        office.read(ANN, AWAY)
        await office.later(1)
        office.read(ANN, AVAILABLE)
        await office.later(10)
        assert set(crm.known) == {ANN}
        takes(crm)
        await office.later(700)
        assert crm.known == {}


async def test_who_left_the_filter_and_came_back_unheard_is_known_as_it_is() -> None:
    office = Office().watch(ANN)
    async with office.delivering(target(wanted=Filter(states=frozenset({BUSY})))) as crm:
        office.read(ANN, BUSY)
        await office.turns()
        crm.answer, crm.seconds = lambda _: TIMED_OUT, 5.0  # and yet it takes what it gets
        office.read(ANN, AWAY)
        await office.later(10)
        assert crm.known == {}
        office.read(ANN, BUSY)
        takes(crm)
        await office.later(700)
        assert set(crm.known) == {ANN}


async def test_a_retry_is_the_same_message() -> None:
    office = Office().watch(ANN)
    async with office.delivering() as crm:
        crm.answer = lambda _: BROKEN
        office.read(ANN, BUSY)
        await office.later(10)
        takes(crm)
        await office.later(60)
        same = [message for message in crm.received if message.event.get_subject() == ANN]
        assert len(same) > 2
        assert len({message.id for message in same}) == 1
        assert len({message.headers["webhook-timestamp"] for message in same}) == len(same)
        assert [attempt.number for attempt in office.status.attempts][:2] == [len(same), len(same) - 1]


async def test_a_target_that_is_gone_is_parked_at_once_and_told() -> None:
    office = Office().watch(ANN, BOB)
    async with office.delivering(target(), target("other")) as crm:
        office.read(ANN, BUSY)
        await office.turns()
        crm.answer = lambda _: GONE
        office.read(ANN, AWAY)
        await office.turns()
        office.read(ANN, AVAILABLE)
        office.read(BOB, BUSY)
        await office.later(3600)
        assert office.state() == "parked"
        assert office.status.failed == 1
        assert office.status.queued == 2
        assert office.status.next_attempt_at is None
        (parked,) = (event for event in office.events() if event.name == "webhook.parked")
        assert parked.data == WebhookChange("crm", "it answered 410 Gone")
        assert office.receivers["other"].kinds()[-1] != "reset"
        assert "webhook.parked" in office.receivers["other"].kinds()

        takes(crm)
        assert office.deliveries.replay("crm", office.log.last) == 0
        await office.settled()
        assert told(crm) == office.expected()
        assert office.events()[-1].name == "webhook.recovered"
        assert not any(kind.startswith("webhook.") for kind in crm.kinds())


async def test_a_replay_of_a_parked_target_begins_the_pauses_anew() -> None:
    office = Office().watch(ANN)
    async with office.delivering(target(give_up_after=7200.0), answer=lambda _: BROKEN, hears=lambda _: False) as crm:
        office.read(ANN, BUSY)
        await office.later(8000)
        assert office.state() == "parked"
        office.deliveries.replay("crm", office.log.last)
        await office.turns()
        assert office.state() == "retrying"
        takes(crm)
        await office.later(5)
        assert crm.of(ANN) == ["BUSY"]


async def test_failures_alone_park_a_target() -> None:
    office = Office().watch(ANN)
    async with office.delivering(target(give_up_after=7200.0), answer=lambda _: TIMED_OUT, hears=lambda _: False):
        await office.later(7100)
        assert office.state() == "retrying"
        await office.later(700)
        assert office.state() == "parked"
        assert "7200 s" in str(office.events()[-1].data)


async def test_a_success_in_between_begins_the_time_of_failures_anew() -> None:
    office = Office().watch(ANN)
    async with office.delivering(target(give_up_after=1000.0)) as crm:
        for _ in range(10):
            crm.answer = lambda _: BROKEN
            office.read(ANN, BUSY)
            await office.later(200)
            takes(crm)
            office.read(ANN, AWAY)
            await office.later(300)
        assert office.state() == "delivering"


async def test_a_message_that_a_target_refuses_holds_up_its_own_contact_only() -> None:
    office = Office().watch(ANN, BOB)
    async with office.delivering(target(give_up_after=3600.0)) as crm:
        await office.turns()

        def refuses_ann(message: Received) -> PostResult:
            return PostResult(422, "422") if message.event.get_subject() == ANN else TAKEN

        crm.answer, crm.hears = refuses_ann, lambda reply: reply is TAKEN
        office.read(ANN, BUSY)
        for minute in range(120):
            office.read(BOB, AWAY if minute % 2 else BUSY)
            await office.later(60)
            assert crm.known[BOB]["state"] == ("AWAY" if minute % 2 else "BUSY")
        assert crm.of(ANN) == []
        assert office.status.dropped == 1
        assert crm.kinds()[-1] == "change"
        assert "webhook.lost" in crm.kinds()
        takes(crm)
        office.read(ANN, AVAILABLE)
        await office.later(10)
        assert crm.of(ANN) == ["AVAILABLE"]


async def test_a_target_that_refuses_the_reset_gets_the_rest() -> None:
    """Its statuses say something of the message. One that says 503 gets the reset, however late."""
    office = Office().watch(ANN)

    def refuses_strangers(message: Received) -> PostResult:
        return TAKEN if message.kind == "pws.presence.change" else PostResult(400, "400 Bad Request")

    async with office.delivering(answer=refuses_strangers, hears=lambda reply: reply is TAKEN) as crm:
        office.read(ANN, BUSY)
        await office.later(60)
        assert crm.of(ANN) == ["BUSY"]


async def test_a_target_that_refuses_everything_for_a_while_gets_the_reset_after_all() -> None:
    """As one does that answers 400 to signatures that it cannot verify, until it has the secret. It is not pressed."""
    for is_parked in (False, True):
        office = Office().watch(ANN)
        crm = target(give_up_after=3600.0 if is_parked else 86400.0)
        async with office.delivering(crm, answer=lambda _: PostResult(400, "400"), hears=lambda _: False) as receiver:
            await office.later(1200)
            office.read(ANN, BUSY)
            await office.later(6000)
            assert office.status.failed < 40
            assert office.state() == ("parked" if is_parked else "retrying")
            takes(receiver)
            if is_parked:
                office.deliveries.replay("crm", office.log.last)
            await office.later(600)
            assert receiver.kinds() == ["reset", "change"]
            assert office.status.dropped == 0


async def test_one_message_that_is_refused_for_good_parks_no_target() -> None:
    """Although no other was there that would have been taken: what says that it is lost is."""
    office = Office().watch(ANN)
    async with office.delivering(target(give_up_after=3600.0)) as crm:
        await office.turns()

        def refuses_ann(message: Received) -> PostResult:
            return PostResult(422, "422") if message.event.get_subject() == ANN else TAKEN

        crm.answer, crm.hears = refuses_ann, lambda reply: reply is TAKEN
        office.read(ANN, BUSY)
        await office.later(3600 + 1300)
        assert crm.kinds() == ["reset", "webhook.lost"]
        assert crm.received[-1].id.endswith("-lost")
        assert office.state() == "delivering"


async def test_how_many_are_lost_is_told_although_that_failed_before() -> None:
    office = Office()
    async with office.delivering(target(max_queued=5)) as crm:
        await office.turns()
        crm.answer = lambda _: UNREACHABLE
        for number in range(30):
            for end_user in ("ann", "bob"):
                office.log.tell("subscription.renewed", SubscriptionChange(end_user, f"imp{number}"))
            await office.later(100)
        dropped = office.status.dropped
        takes(crm)
        await office.later(700)
        lost = [message.data["lost"] for message in crm.received if message.kind == "pws.webhook.lost"]
        assert sum(lost) == dropped > 50


async def test_once_it_takes_one_all_that_waits_follows() -> None:
    """However often it has failed, and however chance has it."""
    office = Office().watch(ANN, BOB)
    async with office.delivering(dice=partial(next, itertools.cycle([1.0, 0.0]))) as crm:
        await office.later(40)
        crm.answer, crm.hears = lambda _: BROKEN, lambda reply: reply is TAKEN
        office.read(ANN, BUSY)
        await office.later(8 * 3600)
        assert office.status.failed > 40
        takes(crm)
        office.read(BOB, BUSY)
        before = len(crm.received)
        while len(crm.received) == before:
            await office.later(1)
        await office.later(2)
        assert (crm.of(ANN)[-1], crm.of(BOB)[-1]) == ("BUSY", "BUSY")


async def test_an_answer_to_an_older_message_ends_no_pause() -> None:
    office = Office().watch(ANN, BOB)
    async with office.delivering(seconds=1.0) as crm:
        await office.later(2)

        def asks_for_time(message: Received) -> PostResult:
            crm.seconds = 0.5 if message.event.get_subject() == ANN else 1.0
            return TOO_MANY if message.event.get_subject() == ANN else TAKEN

        crm.answer, crm.hears = asks_for_time, lambda reply: reply is TAKEN
        office.read(ANN, BUSY)
        office.read(BOB, BUSY)
        await office.later(3)
        assert (office.status.failed, office.state(), crm.of(BOB)) == (1, "retrying", ["BUSY"])
        await office.later(80)
        assert office.status.failed == 1
        takes(crm)
        await office.later(10)
        assert (crm.of(ANN), office.state()) == (["BUSY"], "delivering")


async def test_a_parked_target_has_recovered_when_it_takes_a_message() -> None:
    """A replay that has nothing to send says nothing of it."""
    office = Office().watch(ANN)
    async with office.delivering(target(give_up_after=60.0)) as crm:
        office.read(ANN, BUSY)
        await office.turns()
        crm.answer = lambda _: UNREACHABLE
        office.store.doubt("dispatcher", "lost")
        await office.settled()
        await office.later(120)
        office.store.trust("dispatcher")
        office.read(ANN, BUSY)
        await office.settled()
        assert office.state() == "parked"
        office.deliveries.replay("crm", office.log.last)
        await office.turns()
        takes(crm)
        office.read(ANN, AVAILABLE)
        await office.later(10)
        assert office.state() == "delivering"
        assert office.events()[-1].name == "webhook.recovered"


async def test_retry_after_is_heeded_up_to_an_hour() -> None:
    office = Office().watch(ANN)
    for asked, wait in (("120", 120), ("100000000", 3600)):
        later = PostResult(503, "503", retry_after=asked)
        async with office.delivering(answer=lambda _, later=later: later, hears=lambda _: False) as crm:
            takes(crm)
            await office.later(wait - 2)
            assert crm.received == []
            await office.later(3)
            assert crm.resets == 1
        del office.receivers


async def test_a_hanging_target_holds_up_no_other() -> None:
    office = Office().watch(ANN)
    async with office.delivering(target(), target("other")) as crm:
        crm.seconds = 1e6
        office.read(ANN, BUSY)
        await office.turns()
        office.read(ANN, AWAY)
        await office.turns()
        assert office.receivers["other"].of(ANN) == ["BUSY", "AWAY"]
        assert crm.of(ANN) == []


async def test_a_filter_shows_what_the_stream_shows() -> None:
    """Anybody who enters it comes as a change, anybody who leaves it as removed; nobody else is ever named."""
    office = Office().watch(ANN, BOB, CID)
    async with office.delivering(target(wanted=Filter(states=frozenset({BUSY})))) as crm:
        office.read(ANN, BUSY)
        office.read(BOB, AWAY)
        await office.settled()
        office.read(ANN, AWAY)
        office.read(CID, BUSY)
        await office.settled()
        office.store.unwatch([CID])
        await office.later(60)
        assert crm.kinds() == ["reset", "change", "removed", "change", "removed"]
        assert {message.event.get_subject() for message in crm.received} == {None, ANN, CID}


async def test_the_kinds_of_the_configuration_alone_are_sent() -> None:
    office = Office().watch(ANN)
    async with office.delivering(target(events=frozenset({"subscription.lost"}))) as crm:
        office.read(ANN, BUSY)
        office.log.tell("subscription.lost", SubscriptionChange("dispatcher", "imp1", "gone"))
        office.log.tell("subscription.recreated", SubscriptionChange("dispatcher", "imp1"))
        await office.later(60)
        assert crm.kinds() == ["reset", "subscription.lost"]
        assert crm.received[-1].event.get_subject() == "dispatcher"


async def test_a_target_without_details_learns_of_nobody_why() -> None:
    office = Office().watch(ANN)
    async with office.delivering(target(details=False)) as crm:
        office.read(ANN, BUSY)
        await office.settled()
        office.read(ANN, AWAY)  # as little available as before
        office.log.tell("subscription.lost", SubscriptionChange("dispatcher", "imp1", "gone"))
        await office.later(60)
        assert crm.kinds() == ["reset", "change", "subscription.lost"]
        assert "state" not in crm.known[ANN]
        assert crm.received[-1].event.get_subject() is None
        assert set(crm.received[-1].data) == {"at", "revision"}


async def test_who_was_never_read_comes_after_half_a_minute() -> None:
    office = Office().watch(ANN, BOB)
    deliveries = office.deliver()
    deliveries.start()
    office.store.watch([CID], "dispatcher")
    await office.later(20)
    assert office.crm.of(CID) == []
    await office.later(20)
    assert office.crm.of(CID) == ["UNKNOWN"]
    await office.end()


async def test_events_about_the_same_keep_their_order() -> None:
    office = Office().watch(ANN)
    async with office.delivering() as crm:
        crm.seconds = 0.5
        for number in range(5):
            for user in ("dispatcher", "supervisor"):
                office.log.tell("subscription.renewed", SubscriptionChange(user, f"imp{number}"))
        await office.later(60)
        nodes: dict[str, list[str]] = {}
        for message in crm.received[1:]:
            nodes.setdefault(message.event.get_subject(), []).append(message.data["node"])
        assert set(map(tuple, nodes.values())) == {("imp0", "imp1", "imp2", "imp3", "imp4")}
        assert crm.most_under_way == 2


async def test_more_than_the_queue_holds_is_lost_and_told() -> None:
    office = Office().watch(ANN)
    async with office.delivering(target(max_queued=10), answer=lambda _: UNREACHABLE) as crm:
        for number in range(25):
            office.log.tell("subscription.renewed", SubscriptionChange("dispatcher", f"imp{number}"))
            office.store.watch([f"c{number}@example.com"], "dispatcher")
            office.store.unwatch([f"c{number}@example.com"])
        office.read(ANN, BUSY)
        await office.turns()
        assert office.status.queued <= 13
        dropped = office.status.dropped
        assert dropped >= 39
        takes(crm)
        await office.later(700)
        (lost,) = (message for message in crm.received if message.kind == "pws.webhook.lost")
        assert lost.data["lost"] == dropped
        assert crm.of(ANN) == ["BUSY"]
        assert office.status.queued == 0


async def test_a_replay_sends_the_last_event_of_each_contact_once_more() -> None:
    office = Office().watch(ANN, BOB, CID)
    async with office.delivering(target(wanted=Filter(groups=frozenset({"support"})))) as crm:
        start = office.log.last
        for state in (BUSY, AWAY):
            for contact in (ANN, BOB, CID):
                office.read(contact, state)
        office.log.tell("subscription.lost", SubscriptionChange("dispatcher", "imp1", "gone"))
        await office.settled()
        before = {message.id for message in crm.received}
        count = len(crm.received)
        assert office.deliveries.replay("crm", start) == 3  # CID is not in the group
        await office.settled()
        again = crm.received[count:]
        assert [message.event.get_subject() for message in again] == [ANN, BOB, "dispatcher"]
        assert {message.id for message in again} <= before
        assert crm.of(ANN)[-1] == "AWAY"
        with pytest.raises(NoSuchTarget):
            office.deliveries.replay("crn", start)
        with pytest.raises(EventsNotKept):
            office.deliveries.replay("crm", office.log.last + 1)


async def test_no_log_line_and_no_status_shows_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    office = Office().watch(ANN)
    with caplog.at_level(logging.DEBUG):
        async with office.delivering(answer=lambda _: BROKEN) as crm:
            office.read(ANN, BUSY)
            await office.later(60)
            takes(crm)
            await office.later(60)
            crm.answer = lambda _: GONE
            office.read(ANN, AWAY)
            await office.settled()
            shown = f"{office.status!r} {CRM!r} {office.deliveries!r} {caplog.text}"
    assert "parked" in shown
    assert "in-the-query" not in shown
    assert CRM.secrets[0].reveal().removeprefix("whsec_") not in shown


async def test_a_bug_in_one_target_ends_neither_it_nor_others(monkeypatch: pytest.MonkeyPatch) -> None:
    office = Office().watch(ANN)
    async with office.delivering(target(), target("other")) as crm:
        post, broken = crm.post, asyncio.Event()

        async def fails(body: bytes, headers: Any) -> PostResult:
            if not broken.is_set():
                broken.set()
                raise RuntimeError("a bug")
            return await post(body, headers)

        monkeypatch.setattr(crm, "post", fails)
        office.read(ANN, BUSY)
        await office.later(10)
        assert crm.of(ANN) == office.receivers["other"].of(ANN) == ["BUSY"]


async def test_a_bug_in_the_writing_of_one_message_holds_up_that_contact_alone_and_not_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    office = Office().watch(ANN, BOB)
    async with office.delivering() as crm:
        await office.turns()
        render, broken = StreamView.render, asyncio.Event()

        def fails(view: StreamView, event: Event, before: GroupedSnapshot | None) -> RenderedEvent | None:
            if event.key == ANN and not broken.is_set():
                raise RuntimeError("a bug")
            return render(view, event, before)

        monkeypatch.setattr(StreamView, "render", fails)
        office.read(ANN, BUSY)
        office.read(BOB, BUSY)
        await office.later(10)
        assert (crm.of(ANN), crm.of(BOB)) == ([], ["BUSY"])
        broken.set()
        await office.later(30)
        assert crm.of(ANN) == ["BUSY"]
