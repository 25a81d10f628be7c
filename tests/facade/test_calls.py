"""What calls are refused, and with which code: logins, limits, endpoints, setPresence, watch_more, and reloads."""

from __future__ import annotations

import asyncio
import ipaddress

import pytest

from pws_soap import PwsClient
from pws_soap.errors import Exhausted, Fault, LoginRefused, NotLoggedIn, RequestRefused, ServerTrouble, Throttled
from pws_soap.models import MAX_CONTACT_LENGTH, PresenceState, Secret, Session
from pws_soap.server import messages as m
from service.core.engine import NotAvailable, PresenceNotSet, PresenceToSet
from service.facade.accounts import FREE, FREE_NAMES
from service.facade.preparation import MAX_URL
from service.facade.settings import FacadeUser
from tests.facade.desk import ANN, BOB, BUSY, ENDPOINT, EVE, HERE, USERS, Desk, facade_desk


async def office(desk: Desk) -> None:
    desk.watch(ANN, BOB)
    desk.read(ANN)
    desk.read(BOB, BUSY)
    await desk.settle()


# --- who may log in


@pytest.mark.parametrize(("user", "password"), [("attendant", "desk"), ("nobody", "seat"), ("attendant", "Seat")])
async def test_a_wrong_password_and_an_unknown_name_are_told_alike(user: str, password: str) -> None:
    async with facade_desk() as desk:
        with pytest.raises(LoginRefused) as refused:
            await desk.client().login(user, password)
        assert refused.value.code == 114


async def test_wrong_passwords_are_slowed_down_where_they_come_from() -> None:
    """After some, not even the right one is looked at there for a while; elsewhere, and for others, it is."""
    async with facade_desk() as desk:
        guessing = desk.client("10.9.9.9")
        for _ in range(FREE):
            with pytest.raises(LoginRefused):
                await guessing.login("attendant", "guess")
        with pytest.raises(Throttled, match="wrong passwords") as refused:
            await guessing.login("attendant", "seat")
        assert refused.value.code == 212
        await guessing.login("support", "desk")
        await desk.client().login("attendant", "seat")
        await desk.clock.run(2)
        await guessing.login("attendant", "seat")


async def _fail(pws: PwsClient, name: str) -> int | None:
    """The code of a login with a wrong password."""
    with pytest.raises(Fault) as refused:
        await pws.login(name, "guess")
    return refused.value.code


async def test_a_program_with_an_old_password_holds_up_no_other_at_its_address() -> None:
    """It tries again and again for days; programs beside it, or behind the same proxy, log in whenever they like."""
    async with facade_desk() as desk:
        there = desk.client("10.9.9.9")
        for _ in range(2 * FREE_NAMES):
            await _fail(there, "attendant")
            await desk.clock.run(61)
        await _fail(there, "attendant")
        await there.login("support", "desk")


async def test_an_address_that_tries_many_names_is_slowed_down() -> None:
    """All names there but those that have logged in before; an IPv6 network of one customer is one address."""
    async with facade_desk() as desk:
        await desk.client("2001:db8::1").login("support", "desk")
        codes = [await _fail(desk.client(f"2001:db8::{number:x}"), f"name{number}") for number in range(2, 100)]
        assert codes.count(114) == FREE_NAMES
        assert codes.count(212) == len(codes) - FREE_NAMES
        await desk.client("2001:db8::ffff").login("support", "desk")
        assert await _fail(desk.client("2001:db8::ffff"), "attendant") == 212
        await desk.client("2001:db8:0:1::1").login("attendant", "seat")


LONG = f"{MAX_CONTACT_LENGTH * 'c'}@example.com"


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (m.GetPolledPresence((ANN, LONG)), 124),
        (m.Subscribe((LONG,), 1, expiration=3600), 124),
        (m.RegisterEndPoint(ENDPOINT + MAX_URL * "u", 0, 3600), 209),
    ],
)
async def test_what_is_kept_is_not_long(call: m.SessionCall, code: int) -> None:
    """Ten thousand endpoints or contacts of a megabyte each would fill the memory."""
    async with facade_desk() as desk:
        program = await desk.program()
        session = program.application if isinstance(call, m.RegisterEndPoint) else program.session
        request = m.Request(operation="any", key=session.key.reveal(), call=call)
        outcome = await desk.facade.service._outcome(request)
        assert isinstance(outcome.reply, m.Refusal)
        assert (outcome.reply.code, "more than" in outcome.reply.reason) == (code, True)


async def test_a_name_is_not_long() -> None:
    async with facade_desk() as desk:
        with pytest.raises(Fault, match="more than") as refused:
            await desk.client().login(256 * "n", "seat")
        assert refused.value.code == 113


async def test_an_end_user_whom_the_user_may_not_be_is_refused() -> None:
    async with facade_desk() as desk:
        pws = desk.client()
        application = await pws.login("attendant", "seat")
        with pytest.raises(LoginRefused) as refused:
            await pws.login_end_user(application, "boss")
        assert refused.value.code == 113


async def test_programs_of_one_user_share_its_sessions_and_those_of_others_do_not() -> None:
    """As the server has it; another user has a session of its own for the same end user."""
    async with facade_desk() as desk:
        await office(desk)
        first, second = await desk.program(), await desk.program()
        assert first.session.key == second.session.key
        other = await desk.program("support", "dispatcher")
        assert other.session.key != first.session.key
        subscription = await first.subscribe(ANN)
        with pytest.raises(Fault) as refused:
            await other.fetch(subscription.id)
        assert refused.value.code == 137
        again = await desk.program("support", "dispatcher")
        assert again.session.key == other.session.key


async def test_ids_never_come_again() -> None:
    async with facade_desk() as desk:
        await office(desk)
        program = await desk.program()
        first = await program.subscribe(ANN)
        await program.pws.unsubscribe(program.session, first)
        second = await program.subscribe(BOB)
        assert second.id > first.id
        with pytest.raises(Fault) as refused:
            await program.fetch(first)
        assert refused.value.code == 133


# --- limits


async def test_there_are_so_many_sessions_and_no_more() -> None:
    async with facade_desk(max_sessions=2) as desk:
        program = await desk.program()
        with pytest.raises(ServerTrouble, match="2 sessions") as refused:
            await program.pws.login_end_user(program.application, "supervisor")
        assert refused.value.code == 208
        await program.pws.login_end_user(program.application, "dispatcher")


async def test_one_user_has_so_many_contacts_and_no_more() -> None:
    async with facade_desk(max_contacts=3) as desk:
        await office(desk)
        program = await desk.program()
        await program.subscribe(ANN, BOB)
        with pytest.raises(Exhausted, match="3 may be") as refused:
            await program.subscribe(ANN, EVE)
        assert refused.value.code == 211


async def test_one_user_asks_so_often_and_no_more() -> None:
    async with facade_desk(requests_per_second=2) as desk:
        await office(desk)
        program = await desk.program()
        with pytest.raises(Throttled) as refused:
            await asyncio.gather(*(program.poll(ANN) for _ in range(10)))
        assert refused.value.code == 212
        other = desk.client("10.1.0.8")
        await other.login("support", "desk")
        await desk.clock.run(1)
        await program.poll(ANN)


async def test_a_poll_of_thousands_is_one_request() -> None:
    """Lists of any length up to 5000; one more is code 135."""
    from tests.support import soap_by_hand as soap

    async with facade_desk() as desk:
        await office(desk)
        program = await desk.program()
        key = program.session.key.reveal()
        names = [f"p{number}@example.com" for number in range(4998)]
        reply = await desk.facade.service.answer(soap.envelope(soap.poll(ANN, BOB, *names), key))
        assert reply.status == 200
        assert reply.body.count(b"presenceStatus=") == 5000
        reply = await desk.facade.service.answer(soap.envelope(soap.poll(ANN, BOB, EVE, *names), key))
        assert b"<code>135</code>" in reply.body


# --- endpoints


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://10.9.9.9:8080/told", "10.9.9.9 is not the address that it is registered from"),
        ("http://127.0.0.1/", "127.0.0.1 is not the address"),
        ("http://169.254.169.254/latest/meta-data", "is not the address"),
    ],
)
async def test_an_endpoint_is_where_the_program_is(url: str, why: str) -> None:
    """Unless the configuration names networks."""
    async with facade_desk() as desk:
        program = await desk.program()
        with pytest.raises(ServerTrouble, match=why) as refused:
            await program.pws.register_endpoint(program.application, url)
        assert refused.value.code == 209


async def test_an_endpoint_is_in_the_networks_of_the_configuration() -> None:
    async with facade_desk(endpoints=(ipaddress.ip_network("10.1.0.0/16"),)) as desk:
        program = await desk.program()
        await program.pws.register_endpoint(program.application, "http://10.1.255.1/told")
        with pytest.raises(ServerTrouble, match="none of the networks"):
            await program.pws.register_endpoint(program.application, "http://10.2.0.1/told")


# --- setPresence


async def test_set_presence_is_refused_unless_it_is_allowed() -> None:
    async with facade_desk() as desk:
        program = await desk.program()
        with pytest.raises(RequestRefused, match="does not pass setPresence on") as refused:
            await program.pws.set_presence(program.session, "AWAY")
        assert refused.value.code == 120
        assert desk.engine.set_by == ()


async def test_set_presence_is_passed_on() -> None:
    """With what the program sent, documents included."""
    async with facade_desk(set_presence=True) as desk:
        program = await desk.program()
        await program.pws.set_presence(program.session, "DND", override=True, expires=7200)
        await program.pws.clear_presence(program.session, "dispatcher@example.com")
        (first, second) = desk.engine.set_by
        assert first == ("dispatcher", PresenceToSet(PresenceState.DND, None, override=True, expires=7200))
        assert second[1].state is None
        assert b"clear" in (second[1].document or b"")


@pytest.mark.parametrize(
    ("raised", "code"),
    [(PresenceNotSet(162, "source"), 162), (NotAvailable("the outcome is not known"), 210)],
)
async def test_what_the_server_says_to_it_is_passed_back(raised: Exception, code: int) -> None:
    async with facade_desk(set_presence=True) as desk:
        desk.engine.on_set = raised
        program = await desk.program()
        with pytest.raises(Fault) as refused:
            await program.pws.set_presence(program.session, "AWAY")
        assert refused.value.code == code


# --- watch_more


async def test_whom_nobody_watches_is_watched_where_that_is_allowed() -> None:
    async with facade_desk(watch_more=True) as desk:
        await office(desk)
        program = await desk.program()
        subscription = await program.subscribe(ANN, EVE)
        assert [each.contact for each in desk.engine.watched()] == [EVE]
        desk.watch(EVE)
        desk.read(EVE, BUSY)
        await desk.settle()
        assert (await program.fetch(subscription))[EVE] == "BUSY"


async def test_a_call_that_is_refused_has_nobody_watched() -> None:
    async with facade_desk(watch_more=True) as desk:
        program = await desk.program()
        calls: list[tuple[Session, m.SessionCall, int]] = [
            (program.application, m.GetPolledPresence((EVE,)), 140),
            (program.session, m.Subscribe((EVE,), 99, expiration=3600), 132),
            (program.session, m.Subscribe((EVE,), program.endpoint, expiration=1), 131),
            (program.session, m.Subscribe((EVE,), program.endpoint, subscription=99), 133),
        ]
        for session, call, code in calls:
            outcome = await desk.facade.service._outcome(m.Request(key=session.key.reveal(), call=call))
            assert isinstance(outcome.reply, m.Refusal)
            assert outcome.reply.code == code
        assert list(desk.engine.watched()) == []


async def test_who_sees_some_groups_alone_has_nobody_watched() -> None:
    """Else it would learn by that who is watched."""
    async with facade_desk(watch_more=True) as desk:
        await office(desk)
        program = await desk.program("support", "anybody")
        assert await program.poll(EVE) == {EVE: "UNKNOWN"}
        assert list(desk.engine.watched()) == []


# --- a reload


async def test_a_user_that_is_gone_or_has_another_password_is_logged_out() -> None:
    async with facade_desk() as desk:
        await office(desk)
        one, other = await desk.program(), await desk.program("support", "anybody")
        desk.facade.reload({"support": USERS["support"]})
        with pytest.raises(NotLoggedIn):
            await one.poll(ANN)
        assert await other.poll(ANN) == {ANN: "AVAILABLE"}
        desk.facade.reload({"support": FacadeUser(Secret("new"), frozenset({"*"}), frozenset({"support"}))})
        with pytest.raises(NotLoggedIn):
            await other.poll(ANN)


async def test_who_sees_fewer_groups_is_told_so() -> None:
    async with facade_desk() as desk:
        await office(desk)
        program = await desk.program()
        subscription = await program.subscribe(ANN, BOB)
        await program.fetch(subscription)
        desk.facade.reload({"attendant": FacadeUser(Secret("seat"), frozenset({"dispatcher"}), frozenset({"support"}))})
        await desk.turns()
        assert desk.notified == [subscription.id] * 2
        assert await program.fetch(subscription) == {ANN: "AVAILABLE", BOB: "UNKNOWN"}


# --- who looked at whom, and how programs do


async def test_the_audit_says_who_looked_at_whom() -> None:
    async with facade_desk() as desk:
        await office(desk)
        program = await desk.program()
        await program.poll(ANN, BOB)
        (entry,) = desk.audited
        assert (entry.action, entry.key, entry.address, entry.shown) == ("look", "facade.users.attendant", HERE, 2)
        assert entry.asked == f"SOAP getPolledPresence BASIC_PRESENCE {ANN} {BOB}"
        assert entry.more == {"details": False, "end_user": "dispatcher"}


async def test_the_status_shows_who_has_gone_silent() -> None:
    """A subscription that was notified and is not fetched, and why notifications fail."""
    async with facade_desk(silent_after=100.0) as desk:
        await office(desk)
        desk.refuse_notifications = "HTTP 404"
        program = await desk.program()
        subscription = await program.subscribe(ANN, BOB)
        await desk.pass_time(30)
        status = desk.facade.status()
        assert (status.sessions, status.endpoints, status.subscriptions, status.silent) == (2, 1, 1, 0)
        await desk.pass_time(100)
        (shown,) = desk.facade.status().programs
        assert (shown.user, shown.end_user, shown.address, shown.agent) == ("attendant", "dispatcher", HERE, "tests")
        assert (shown.silent, shown.notifications, shown.failed, shown.endpoints) == (True, 1, 1, 1)
        (kept,) = shown.subscriptions
        assert (kept.contacts, kept.pending, kept.last_error, kept.silent) == (2, 2, "HTTP 404", True)
        assert kept.endpoint == "http://10.1.0.7:8080"
        assert "told" not in repr(shown)
        await program.fetch(subscription)
        (shown,) = desk.facade.status().programs
        assert not shown.silent
        assert shown.last_fetch_at == desk.clock.now()


async def test_a_registered_url_is_not_in_the_status_whole() -> None:
    async with facade_desk() as desk:
        program = await desk.program()
        await program.subscribe(ANN)
        assert ENDPOINT not in repr(desk.facade.status())
