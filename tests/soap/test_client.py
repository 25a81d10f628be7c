"""The client's methods: what each returns, and what becomes of work that is done in part."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

import pytest

import pws_soap
from pws_soap import errors
from pws_soap.client import PwsClient
from pws_soap.codes import Policy
from pws_soap.errors import Fault, PartlySubscribed, Redirected, UnexpectedReply
from pws_soap.memory import MemoryTransport, SentRequest
from pws_soap.models import Endpoint, Presence, PresenceState, PresenceType, Secret, Session, SessionKind, Subscription
from pws_soap.transport import Reply
from tests.soap.samples import (
    CALLBACK,
    ENDPOINT,
    KEY,
    NODE,
    PASSWORD,
    SUBSCRIPTION,
    application,
    basic,
    description,
    end_user,
    endpoint_id,
    fault,
    logged_in,
    people,
    response,
    status,
    subscription_id,
)


def answering(*replies: bytes | Reply | errors.PwsError) -> PwsClient:
    """A client whose server answers these, one after the other."""
    return PwsClient(NODE, transport=MemoryTransport(replies))


async def test_login_makes_a_session() -> None:
    """Of this node, with its key, and the node for the worst case."""
    session = await answering(logged_in(backup="imp2.example.com")).login("pwsapp", PASSWORD)
    assert session == Session("pwsapp", SessionKind.APPLICATION, NODE, Secret(KEY), "imp2.example.com")


@pytest.mark.parametrize("backup", [None, "", "  "])
async def test_login_without_a_backup_node(backup: str | None) -> None:
    """Missing or empty is None."""
    user = await answering(logged_in(backup=backup)).login_end_user(application(), "dispatcher")
    assert user == Session("dispatcher", SessionKind.END_USER, NODE, Secret(KEY), None)


async def test_session_key_is_taken_as_a_token() -> None:
    """White space around it is the server's layout (xsd:token)."""
    session = await answering(logged_in(f"\n  {KEY}\n  ")).login("pwsapp", PASSWORD)
    assert session.key.reveal() == KEY


@pytest.mark.parametrize("inner", ["", "<success/>", "<success><session-key/></success>"])
async def test_login_without_a_key_is_unexpected(inner: str) -> None:
    """Nobody goes on with an empty session key."""
    with pytest.raises(UnexpectedReply, match=r"neither success nor redirect|a login without a session key"):
        await answering(response("login", inner)).login("pwsapp", PASSWORD)


@pytest.mark.parametrize(
    ("attributes", "primary", "backup"),
    [
        ('primaryServer="imp2" backupServer="imp3"', "imp2", "imp3"),
        ('primaryServer="imp2"', "imp2", None),
        ('backupServer=" imp3 " primaryServer=""', None, "imp3"),
        ("", None, None),
    ],
)
async def test_redirect_names_the_nodes(attributes: str, primary: str | None, backup: str | None) -> None:
    """Both are optional."""
    with pytest.raises(Redirected) as caught:
        await answering(response("login", f"<redirect {attributes}/>")).login_end_user(application(), "dispatcher")
    assert (caught.value.user, caught.value.primary, caught.value.backup) == ("dispatcher", primary, backup)
    assert caught.value.policy is Policy.MOVE
    words = f"primary {primary or 'unnamed'}, backup {backup or 'unnamed'}"
    assert str(caught.value) == f"'dispatcher' is homed on another node: {words}"


async def test_endpoint_is_what_was_registered() -> None:
    """With the id that came back; renewing it gives the id again."""
    pws = answering(endpoint_id(5), endpoint_id(5), endpoint_id(5))
    endpoint = await pws.register_endpoint(application(), CALLBACK, expires=7200)
    assert endpoint == Endpoint(5, Secret(CALLBACK), 7200)
    assert await pws.renew_endpoint(application(), endpoint) == 5
    assert await pws.renew_endpoint(application(), 5) == 5


async def test_subscription_is_what_was_subscribed() -> None:
    """With all its contacts; renewing it gives the id again, by object or by number."""
    pws = answering(subscription_id(9), subscription_id(9), subscription_id(9))
    subscription = await pws.subscribe(end_user(), ENDPOINT, people(2), expires=7200)
    assert subscription == Subscription(9, tuple(people(2)), 7200)
    assert await pws.renew_subscription(end_user(), ENDPOINT, subscription) == 9
    assert await pws.renew_subscription(end_user(), ENDPOINT, 9) == 9


@pytest.mark.parametrize("number", ["", "0", "-1", "five", "2e3"])
async def test_reply_without_an_id_is_unexpected(number: str) -> None:
    """Missing, zero, or no number: nothing to go on with."""
    with pytest.raises(UnexpectedReply, match=f"registerEndPoint at {NODE}: the reply has no id"):
        await answering(endpoint_id(number)).register_endpoint(application(), CALLBACK)
    with pytest.raises(UnexpectedReply, match=f"subscribe at {NODE}: the reply has no id"):
        await answering(subscription_id(number)).subscribe(end_user(), 3, people(1))


async def test_fetch_returns_what_changed() -> None:
    """Frozen values, in the order of the reply."""
    found = await answering(basic([("ann@example.com", "DND")])).get_subscribed_presence(end_user(), SUBSCRIPTION)
    assert found == [Presence("ann@example.com", PresenceState.DND, PresenceType.BASIC)]


async def test_poll_puts_its_lists_together() -> None:
    """As if they had been one."""
    replies = [
        basic([(uri, "BUSY") for uri in each], "getPolledPresence") for each in (people(101)[:100], people(101)[100:])
    ]
    found = await answering(*replies).get_polled_presence(end_user(), people(101))
    assert [each.contact for each in found] == people(101)


async def test_contacts_are_sent_as_the_server_spells_them() -> None:
    """Each once, without a port, a scheme or parameters."""
    transport = MemoryTransport([basic([("ann@example.com", "BUSY")], "getPolledPresence")])
    pws = PwsClient(NODE, transport=transport)
    spellings = ["Ann <sip:ann@example.com>", "ann@example.com:5060", "sips:ann@example.com;transport=tls"]
    await pws.get_polled_presence(end_user(), spellings)
    assert re.findall(rb'contactURI="([^"]*)"', transport.sent[-1].body) == [b"ann@example.com"]


# Work done in part


async def test_subscription_that_could_not_be_completed_says_what_it_has() -> None:
    """The first lists are in it, the failing one and those after it are not; its policy is the cause's."""
    pws = answering(subscription_id(9), subscription_id(9), fault(description(139)))
    with pytest.raises(PartlySubscribed) as caught:
        await pws.subscribe(end_user(), 3, people(350), expires=7200)
    error = caught.value
    assert error.subscription == Subscription(9, tuple(people(350)[:200]), 7200)
    assert error.missing == tuple(people(350)[200:])
    assert isinstance(error.cause, errors.Exhausted)
    assert error.__cause__ is error.cause
    assert error.policy is Policy.FREE_RESOURCES
    assert str(error).startswith("subscription 9 has 200 of 350 contacts: subscribe refused with code 139")
    assert repr(error).startswith("PartlySubscribed('subscription 9 has 200 of 350")
    assert "user0000" not in repr(error)


@pytest.mark.parametrize(
    "cause", [errors.TimedOut("late"), errors.Disconnected("gone"), errors.Unreachable("no route")]
)
async def test_later_list_may_fail_in_the_network_too(cause: errors.TransportError) -> None:
    """And is not sent again: whether its contacts are in is not known."""
    transport = MemoryTransport([subscription_id(9), cause])
    with pytest.raises(PartlySubscribed) as caught:
        await PwsClient(NODE, transport=transport).subscribe(end_user(), 3, people(150))
    assert len(transport.sent) == 2
    assert type(caught.value.cause) is type(cause)
    assert caught.value.policy is cause.policy


async def test_contacts_that_went_elsewhere_are_told() -> None:
    """An answer with another id means that a second subscription was made."""
    with pytest.raises(PartlySubscribed, match="the contacts of subscription 9 went to subscription 10"):
        await answering(subscription_id(9), subscription_id(10)).subscribe(end_user(), 3, people(101))
    with pytest.raises(UnexpectedReply, match="went to subscription 8"):
        await answering(subscription_id(8)).add_contacts(end_user(), 3, SUBSCRIPTION, people(1))


async def test_first_list_that_fails_fails_plainly() -> None:
    """Nothing was made: the error is the cause itself."""
    with pytest.raises(errors.EndpointLost):
        await answering(fault(description(132))).subscribe(end_user(), 3, people(150))


async def test_status_failure_of_each_operation() -> None:
    """A fault without a code."""
    calls: dict[str, Callable[[PwsClient], Awaitable[None]]] = {
        "logout": lambda pws: pws.logout(application()),
        "unregisterEndPoint": lambda pws: pws.unregister_endpoint(application(), 3),
        "unsubscribe": lambda pws: pws.unsubscribe(end_user(), 7),
        "setPresence": lambda pws: pws.set_presence(end_user(), "BUSY"),
    }
    for operation, call in calls.items():
        with pytest.raises(Fault, match=rf"^{operation} refused \(status FAILURE\)$") as caught:
            await call(answering(status(operation, "FAILURE")))
        assert (caught.value.code, caught.value.policy) == (None, Policy.READ_AGAIN)


async def test_repeatable_call_is_sent_again_once() -> None:
    """Without sockets: two requests, the same bytes."""
    transport = MemoryTransport([errors.Disconnected("gone"), logged_in()])
    await PwsClient(NODE, transport=transport).login("pwsapp", PASSWORD)
    first, second = transport.sent
    assert first == second


@pytest.mark.parametrize("kind", [errors.TimedOut, errors.Unreachable, errors.UnreadableReply])
async def test_other_failures_are_not_sent_again(kind: type[errors.TransportError]) -> None:
    """A server that is slow or wrong is not asked twice."""
    transport = MemoryTransport([kind("no")])
    with pytest.raises(kind, match=f"login at {NODE}: no"):
        await PwsClient(NODE, transport=transport).login("pwsapp", PASSWORD)
    assert len(transport.sent) == 1


# The client itself


async def test_client_closes_its_transport() -> None:
    """Once left, whatever happened inside."""
    transport = MemoryTransport()
    with pytest.raises(KeyError):
        async with PwsClient(NODE, transport=transport):
            raise KeyError
    assert transport.closed


def test_client_shows_what_it_is() -> None:
    """Node, WSDL and version."""
    assert repr(PwsClient(NODE, soap="1.2")) == f"PwsClient('{NODE}', wsdl='bundled', soap='1.2')"


def test_client_is_found_in_the_package() -> None:
    """Late, so that who does not need it does not wait for zeep; other names are no attributes."""
    assert pws_soap.PwsClient is PwsClient
    assert set(pws_soap.__all__) <= set(dir(pws_soap)) | {"PwsClient"}
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        pws_soap.Nothing  # noqa: B018  # the access is the test


# The transport without sockets


async def test_memory_transport_keeps_what_was_sent() -> None:
    """Method, address, headers; its repr shows no body."""
    transport = MemoryTransport([b"one", Reply(404, b"two")])
    assert await transport.get("http://x/?wsdl", operation="?wsdl") == Reply(200, b"one")
    assert await transport.post("http://x/", b"secret", {"A": "b"}, operation="login") == Reply(404, b"two")
    assert transport.sent == [
        SentRequest("GET", "http://x/?wsdl", b"", {}, "?wsdl"),
        SentRequest("POST", "http://x/", b"secret", {"A": "b"}, "login"),
    ]
    assert "secret" not in repr(transport.sent)
    assert repr(transport) == "MemoryTransport(2 sent)"


async def test_memory_transport_that_has_no_answer_left_says_so() -> None:
    """A test that sends more than it said fails."""
    with pytest.raises(AssertionError, match="logout: no answer is left for it"):
        await answering().logout(application())
