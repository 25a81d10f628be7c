"""What a program is told of a contact that is live, not live, and live again: never what is not confirmed."""

from __future__ import annotations

import asyncio

import pytest

from pws_soap.errors import Fault, RequestRefused, Throttled
from pws_soap.server import Refused, Watcher
from pws_soap.server import messages as m
from service.core.engine import NotAvailable
from service.facade.preparation import IN_VAIN, MOST_READ, MOST_WAITING
from tests.facade.desk import ANN, AVAILABLE, BOB, BUSY, EVE, UNSURE_AFTER, Desk, facade_desk

NOBODY = "nobody@example.com"


async def office(desk: Desk) -> None:
    """Two contacts that are live."""
    desk.watch(ANN, BOB)
    desk.read(ANN)
    desk.read(BOB, BUSY)
    await desk.settle()


async def test_a_fetch_tells_all_and_then_what_has_changed() -> None:
    async with facade_desk() as desk:
        await office(desk)
        program = await desk.program()
        subscription = await program.subscribe(ANN, BOB, NOBODY)
        assert desk.notified == [subscription.id]
        assert await program.fetch(subscription) == {ANN: "AVAILABLE", BOB: "BUSY", NOBODY: "UNKNOWN"}
        assert await program.fetch(subscription) == {}
        desk.read(BOB, AVAILABLE)
        await desk.settle()
        assert desk.notified == [subscription.id] * 2
        assert await program.fetch(subscription) == {BOB: "AVAILABLE"}


async def test_the_latch_is_closed_until_a_fetch() -> None:
    async with facade_desk() as desk:
        await office(desk)
        program = await desk.program()
        subscription = await program.subscribe(ANN, BOB)
        for state in (BUSY, AVAILABLE, BUSY):
            desk.read(ANN, state)
            await desk.settle()
        assert desk.notified == [subscription.id]
        assert await program.fetch(subscription) == {ANN: "BUSY", BOB: "BUSY"}


async def test_nothing_is_told_of_a_contact_that_is_not_live() -> None:
    """It is left out, stays pending, and is told when it is live again: with a notification of its own."""
    async with facade_desk() as desk:
        await office(desk)
        program = await desk.program()
        desk.lose(ANN)
        subscription = await program.subscribe(ANN, BOB)
        assert desk.notified == [subscription.id]
        assert await program.fetch(subscription) == {BOB: "BUSY"}
        await desk.pass_time(10)
        assert desk.notified == [subscription.id]
        desk.read(ANN, BUSY)
        await desk.settle()
        assert desk.notified == [subscription.id] * 2
        assert await program.fetch(subscription) == {ANN: "BUSY"}


async def test_a_subscription_of_nobody_who_is_live_stays_silent() -> None:
    async with facade_desk() as desk:
        await office(desk)
        program = await desk.program()
        desk.lose()
        subscription = await program.subscribe(ANN, BOB)
        await desk.pass_time(UNSURE_AFTER / 2)
        assert desk.notified == []
        assert await program.fetch(subscription) == {}
        desk.regain()
        await desk.settle()
        assert desk.notified == [subscription.id]
        assert await program.fetch(subscription) == {ANN: "AVAILABLE", BOB: "BUSY"}


async def test_after_a_while_it_is_unknown_and_then_what_it_is_again() -> None:
    """Although nothing has changed at the server."""
    async with facade_desk() as desk:
        await office(desk)
        program = await desk.program()
        subscription = await program.subscribe(ANN, BOB)
        await program.fetch(subscription)
        desk.lose()
        await desk.pass_time(UNSURE_AFTER - 5)
        assert desk.notified == [subscription.id]
        await desk.pass_time(10)
        assert desk.notified == [subscription.id] * 2
        assert await program.fetch(subscription) == {ANN: "UNKNOWN", BOB: "UNKNOWN"}
        await desk.pass_time(600)
        assert desk.notified == [subscription.id] * 2
        desk.regain()
        await desk.settle()
        assert desk.notified == [subscription.id] * 3
        assert await program.fetch(subscription) == {ANN: "AVAILABLE", BOB: "BUSY"}


async def test_a_short_doubt_says_nothing() -> None:
    """Neither that it began nor that it ended: what was told is still true."""
    async with facade_desk() as desk:
        await office(desk)
        program = await desk.program()
        subscription = await program.subscribe(ANN, BOB)
        await program.fetch(subscription)
        desk.lose()
        await desk.pass_time(UNSURE_AFTER / 2)
        desk.regain()
        await desk.settle()
        assert desk.notified == [subscription.id]
        assert await program.fetch(subscription) == {}


async def test_a_doubt_that_the_log_never_sees_leaves_nobody_silent() -> None:
    """A fetch in just that moment tells nothing; what it left out is told all the same."""
    async with facade_desk() as desk:
        await office(desk)
        program = await desk.program()
        subscription = await program.subscribe(ANN)
        desk.lose(ANN)
        assert await program.fetch(subscription) == {}
        desk.read(ANN)
        await desk.settle()
        assert desk.notified == [subscription.id] * 2
        assert await program.fetch(subscription) == {ANN: "AVAILABLE"}


async def test_a_change_while_the_contact_is_not_live_is_told_once_it_is() -> None:
    async with facade_desk() as desk:
        await office(desk)
        program = await desk.program()
        subscription = await program.subscribe(ANN)
        await program.fetch(subscription)
        desk.lose()
        desk.read(ANN, BUSY)  # the feed is in doubt all the same
        await desk.settle()
        assert desk.notified == [subscription.id]
        desk.regain()
        await desk.settle()
        assert await program.fetch(subscription) == {ANN: "BUSY"}


async def test_a_fetch_that_would_say_that_nothing_has_changed_says_wait() -> None:
    """Where it cannot be known: whom a fetch does not name is as it was, to the program. It is told once it is live."""
    async with facade_desk() as desk:
        await office(desk)
        program = await desk.program()
        subscription = await program.subscribe(ANN, BOB)
        await program.fetch(subscription)
        desk.lose(BOB)
        for _ in range(2):
            with pytest.raises(Throttled) as refused:
                await program.fetch(subscription)
            assert refused.value.code == 210
        desk.read(ANN, BUSY)
        await desk.pass_time(10)
        assert desk.notified == [subscription.id]  # nobody is invited to a fetch that says wait
        desk.read(BOB, BUSY)
        await desk.settle()
        assert desk.notified == [subscription.id] * 2
        assert await program.fetch(subscription) == {ANN: "BUSY", BOB: "BUSY"}


async def test_one_that_stays_in_doubt_does_not_hold_back_the_others_for_long() -> None:
    """Its document cannot be read: after a while it is UNKNOWN, and the news of the others are told."""
    async with facade_desk() as desk:
        await office(desk)
        program = await desk.program()
        subscription = await program.subscribe(ANN, BOB)
        await program.fetch(subscription)
        desk.lose(BOB)
        desk.read(ANN, BUSY)
        await desk.pass_time(UNSURE_AFTER + 5)
        assert desk.notified == [subscription.id] * 2
        assert await program.fetch(subscription) == {ANN: "BUSY", BOB: "UNKNOWN"}
        desk.read(ANN, AVAILABLE)
        await desk.settle()
        assert await program.fetch(subscription) == {ANN: "AVAILABLE"}


async def test_who_subscribes_long_after_is_told_unknown_at_once() -> None:
    async with facade_desk() as desk:
        await office(desk)
        desk.lose()
        await desk.pass_time(UNSURE_AFTER + 5)
        program = await desk.program()
        subscription = await program.subscribe(ANN, BOB)
        assert desk.notified == [subscription.id]
        assert await program.fetch(subscription) == {ANN: "UNKNOWN", BOB: "UNKNOWN"}
        desk.regain()
        await desk.settle()
        assert await program.fetch(subscription) == {ANN: "AVAILABLE", BOB: "BUSY"}


async def test_whom_nobody_watches_is_told_once_somebody_does() -> None:
    async with facade_desk() as desk:
        await office(desk)
        program = await desk.program()
        subscription = await program.subscribe(EVE)
        assert await program.fetch(subscription) == {EVE: "UNKNOWN"}
        desk.watch(EVE)
        await desk.settle()
        assert await program.fetch(subscription) == {}
        desk.read(EVE, BUSY)
        await desk.settle()
        assert await program.fetch(subscription) == {EVE: "BUSY"}
        desk.core.store.unwatch([EVE])
        await desk.settle()
        assert await program.fetch(subscription) == {EVE: "UNKNOWN"}


async def test_a_document_that_ends_is_in_doubt_from_then_on() -> None:
    """What it says until when is not told any longer than that."""
    async with facade_desk() as desk:
        await office(desk)
        from datetime import UTC, datetime, timedelta

        until = datetime.fromtimestamp(desk.clock.now(), UTC) + timedelta(seconds=30)
        desk.read(ANN, BUSY, valid_until=until)
        await desk.settle()
        program = await desk.program()
        subscription = await program.subscribe(ANN)
        assert await program.fetch(subscription) == {ANN: "BUSY"}
        await desk.pass_time(30)
        desk.engine.on_read = lambda _contacts: NotAvailable("nobody answers")
        with pytest.raises(Throttled):
            await program.poll(ANN)
        desk.engine.on_read = lambda _contacts: desk.read(ANN, AVAILABLE)
        assert await program.poll(ANN) == {ANN: "AVAILABLE"}
        await desk.settle()
        assert await program.fetch(subscription) == {ANN: "AVAILABLE"}


# --- polls


async def test_a_poll_of_who_is_live_asks_nobody() -> None:
    async with facade_desk() as desk:
        await office(desk)
        program = await desk.program()
        assert await program.poll(ANN, BOB, NOBODY) == {ANN: "AVAILABLE", BOB: "BUSY", NOBODY: "UNKNOWN"}
        assert desk.engine.refreshed == []


async def test_a_poll_of_who_is_not_live_is_read_through() -> None:
    async with facade_desk() as desk:
        await office(desk)
        program = await desk.program()
        desk.lose(ANN)
        desk.engine.on_read = lambda _contacts: desk.read(ANN, BUSY)
        assert await program.poll(ANN, BOB) == {ANN: "BUSY", BOB: "BUSY"}
        assert desk.engine.refreshed == [[ANN]]


async def test_a_poll_that_cannot_be_read_through_says_wait() -> None:
    """Code 210 with HTTP 503, and no state of anybody."""
    async with facade_desk() as desk:
        await office(desk)
        program = await desk.program()
        desk.lose(ANN)
        desk.engine.on_read = lambda _contacts: NotAvailable("nobody answers")
        with pytest.raises(Throttled) as refused:
            await program.poll(ANN, BOB)
        assert (refused.value.code, refused.value.status) == (210, 503)
        assert await program.poll(BOB) == {BOB: "BUSY"}


async def test_a_poll_while_nothing_is_kept_up_to_date_asks_nobody() -> None:
    """Reading could not make it live."""
    async with facade_desk() as desk:
        await office(desk)
        program = await desk.program()
        desk.lose()
        with pytest.raises(Throttled):
            await program.poll(ANN)
        assert desk.engine.refreshed == []


async def test_a_poll_of_who_cannot_be_read_for_long_says_unknown() -> None:
    """Its document cannot be read: the others of the poll must not wait for ever."""
    async with facade_desk() as desk:
        await office(desk)
        program = await desk.program()
        desk.lose(ANN)
        await desk.pass_time(UNSURE_AFTER + 5)
        assert await program.poll(ANN, BOB) == {ANN: "UNKNOWN", BOB: "BUSY"}
        assert desk.engine.refreshed == [[ANN]]


# --- groups


async def test_polls_of_who_cannot_be_read_do_not_ask_the_server_each_time() -> None:
    async with facade_desk() as desk:
        await office(desk)
        program = await desk.program()
        desk.lose(ANN)
        await desk.pass_time(UNSURE_AFTER + 1)
        for _ in range(5):
            assert await program.poll(ANN, BOB) == {ANN: "UNKNOWN", BOB: BUSY}
        assert len(desk.engine.refreshed) == 1
        await desk.pass_time(IN_VAIN + 1)
        await program.poll(ANN)
        assert len(desk.engine.refreshed) == 2


async def test_polls_wait_for_so_many_contacts_and_no_more() -> None:
    """Each is looked at again and again: beyond, a poll says wait at once."""
    many = [f"p{number}@example.com" for number in range(MOST_READ)]
    async with facade_desk() as desk:
        desk.watch(*many)
        prepare, call = desk.facade._preparation.prepare, m.GetPolledPresence(tuple(many))
        watcher = Watcher("dispatcher", "attendant")
        polls = [asyncio.create_task(prepare(call, watcher)) for _ in range(MOST_WAITING // MOST_READ)]
        await desk.turns(5)
        with pytest.raises(Refused, match="Other polls wait for 20000"):
            await prepare(call, watcher)
        for each in polls:
            each.cancel()
        assert len(await asyncio.gather(*polls, return_exceptions=True)) == len(polls)
        with pytest.raises(Refused, match="cannot be told yet"):
            await asyncio.gather(prepare(call, watcher), desk.pass_time(10))


async def test_contacts_of_other_groups_are_as_if_nobody_watched_them() -> None:
    async with facade_desk() as desk:
        await office(desk)
        program = await desk.program("support", "anybody")
        subscription = await program.subscribe(ANN, BOB, NOBODY)
        unknown = {BOB: "UNKNOWN", NOBODY: "UNKNOWN"}
        assert await program.poll(ANN, BOB, NOBODY) == {ANN: "AVAILABLE"} | unknown
        assert await program.fetch(subscription) == {ANN: "AVAILABLE"} | unknown
        desk.lose()
        await desk.settle()
        assert await program.poll(BOB) == {BOB: "UNKNOWN"}


# --- rich


DOCUMENT = (
    '<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:ann@example.com"><person '
    'xmlns="urn:cisco:params:xml:ns:pidf:rpid"><activities><busy/></activities></person></presence>'
)


async def test_rich_is_the_servers_own_document() -> None:
    async with facade_desk() as desk:
        await office(desk)
        desk.read_rich(ANN, DOCUMENT, BUSY)
        program = await desk.program()
        assert await program.poll(ANN, NOBODY, rich=True) == {ANN: "BUSY", NOBODY: "UNKNOWN"}
        assert await program.poll(ANN) == {ANN: "BUSY"}
        subscription = await program.subscribe(ANN)
        assert await program.fetch(subscription, rich=True) == {ANN: "BUSY"}


async def test_rich_of_a_basic_watch_is_a_fault_that_says_so() -> None:
    async with facade_desk() as desk:
        await office(desk)
        desk.read_rich(ANN, DOCUMENT, BUSY)
        program = await desk.program()
        with pytest.raises(RequestRefused, match=f"{BOB} is watched with BASIC_PRESENCE") as refused:
            await program.poll(ANN, BOB, rich=True)
        assert refused.value.code == 110
        subscription = await program.subscribe(ANN, BOB)
        with pytest.raises(Fault) as again:
            await program.fetch(subscription, rich=True)
        assert again.value.code == 110
        assert await program.fetch(subscription) == {ANN: "BUSY", BOB: "BUSY"}


async def test_a_document_with_a_prefix_that_nobody_declares_is_passed_on_whole() -> None:
    """As servers send such documents in texts, and an element of ours has to be well-formed."""
    async with facade_desk() as desk:
        await office(desk)
        desk.read_rich(ANN, DOCUMENT.replace("<busy/>", "<r:busy/><r:on-the-phone r:x='1'/>"), BUSY)
        program = await desk.program()
        (presence,) = await program.pws.get_polled_presence(program.session, [ANN], rich=True)
        assert (str(presence.state), presence.on_the_phone) == ("BUSY", True)


async def test_a_document_that_is_not_kept_says_unknown() -> None:
    async with facade_desk() as desk:
        await office(desk)
        desk.read(ANN, BUSY, type="RICH_PRESENCE")
        program = await desk.program()
        assert await program.poll(ANN, rich=True) == {ANN: "UNKNOWN"}


async def test_a_document_that_changes_is_told_although_the_state_is_as_it_was() -> None:
    """As at the server: to a program with rich presence, whom a fetch does not name has the same document still."""
    async with facade_desk() as desk:
        desk.watch(ANN)
        desk.read_rich(ANN, '<presence entity="sip:ann@example.com"><one/></presence>')
        program = await desk.program()
        subscription = await program.subscribe(ANN)
        await program.fetch(subscription, rich=True)
        desk.notified.clear()
        desk.read_rich(ANN, '<presence entity="sip:ann@example.com"><one/></presence>')
        await desk.settle()
        assert desk.notified == []
        desk.read_rich(ANN, '<presence entity="sip:ann@example.com"><other/></presence>')
        await desk.settle()
        assert desk.notified == [subscription.id]
        assert ANN in await program.fetch(subscription, rich=True)
        assert await program.fetch(subscription, rich=True) == {}


async def test_a_fetch_tells_what_no_program_was_notified_of_yet() -> None:
    """The service knows already that it is not as it was told."""
    async with facade_desk() as desk:
        desk.watch(ANN)
        desk.read(ANN)
        program = await desk.program()
        subscription = await program.subscribe(ANN)
        assert await program.fetch(subscription) == {ANN: AVAILABLE}
        desk.read(ANN, BUSY)
        assert await program.fetch(subscription) == {ANN: BUSY}
        desk.core.store.unwatch([ANN])
        assert await program.fetch(subscription) == {ANN: "UNKNOWN"}


async def test_who_leaves_out_a_contact_in_doubt_is_notified_of_the_others() -> None:
    """It was that one alone for which nothing could be told."""
    async with facade_desk() as desk:
        desk.watch(ANN, BOB)
        desk.read(ANN)
        desk.read(BOB)
        program = await desk.program()
        subscription = await program.subscribe(ANN, BOB)
        await program.fetch(subscription)
        desk.notified.clear()
        desk.lose(ANN)
        desk.read(BOB, BUSY)
        await desk.settle()
        assert desk.notified == []
        await program.pws.unsubscribe(program.session, subscription, [ANN])
        await desk.settle()
        assert desk.notified == [subscription.id]
        assert await program.fetch(subscription) == {BOB: BUSY}
