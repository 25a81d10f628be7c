"""What the three fixtures do, used as anybody uses them."""

from __future__ import annotations

import asyncio
import http.client
import socket
import urllib.request
from collections.abc import AsyncIterator, Iterator

import pytest

from pws_soap import Fault, OutcomeUnknown, PwsClient, Session, Subscription, TransportError
from pws_soap.pytest_plugin import PwsFaults, PwsOffice, PwsServer, WaitTimedOut, start_server
from pws_soap.simulator import Device, State
from tests.pytest_plugin.program import Program

ANN, JOE = "ann@example.com", "joe@example.com"


@pytest.fixture
async def client(pws_server: PwsServer) -> AsyncIterator[PwsClient]:
    async with PwsClient(pws_server.base_url, ca_file=pws_server.ca_file) as client:
        yield client


@pytest.fixture
async def user(pws_server: PwsServer, client: PwsClient) -> Session:
    """An end user's session."""
    application = await client.login(pws_server.username, pws_server.password)
    return await client.login_end_user(application, pws_server.end_user)


@pytest.fixture
def program(pws_server: PwsServer) -> Iterator[Program]:
    with Program([node.base_url for node in pws_server.nodes]) as program:
        yield program


async def test_calls_are_recorded_without_secrets(pws_server: PwsServer, client: PwsClient, user: Session) -> None:
    await client.get_polled_presence(user, [ANN])
    login, _, poll = pws_server.calls
    assert (login.number, login.node, login.operation, login.user) == (1, "imp1", "login", "pwsapp")
    assert login.arguments == {"username": "pwsapp", "force": False}
    assert (poll.user, poll.arguments["contacts"], poll.status) == ("dispatcher", (ANN,), 200)
    assert [(each.contact, each.state) for each in poll.contacts] == [(ANN, State.UNAVAILABLE)]
    assert poll.succeeded
    assert str(poll) == "  3 getPolledPresence by dispatcher at imp1: answered"
    for told in (repr(pws_server.calls), repr(pws_server)):
        assert pws_server.password not in told
        assert user.key.reveal() not in told


async def test_a_refused_call_says_why(pws_server: PwsServer, client: PwsClient) -> None:
    with pytest.raises(Fault):
        await client.login("pwsapp", "wrong")
    assert [str(call) for call in pws_server.calls] == ["  1 login by pwsapp at imp1: refused with 114"]
    assert (await asyncio.to_thread(pws_server.wait_for_refusal, 114)).operation == "login"


def test_a_request_that_is_not_read_is_recorded(pws_server: PwsServer) -> None:
    """It is sent in chunks, which the server refuses by its headers."""
    connection = http.client.HTTPConnection(pws_server.host, pws_server.port)
    connection.putrequest("POST", "/presence-service/soap")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    connection.getresponse().close()
    connection.close()
    (call,) = pws_server.calls_of("unreadable")
    assert (call.code, call.succeeded) == (150, False)


def test_the_wsdl_is_served(pws_server: PwsServer) -> None:
    with urllib.request.urlopen(pws_server.wsdl_url) as answer:  # noqa: S310 - it is http
        assert pws_server.binding.rpartition("}")[2].encode() in answer.read()


@pytest.mark.pws(tls=True, nodes=("one", "two"), contacts={ANN: "DND"})
async def test_tls_and_two_nodes(pws_server: PwsServer, client: PwsClient, user: Session) -> None:
    assert [node.name for node in pws_server.nodes] == ["one", "two"]
    assert pws_server.url.startswith("https://127.0.0.1:")
    assert (await client.get_polled_presence(user, [ANN]))[0].state == "DND"
    async with PwsClient(pws_server.nodes[1].base_url) as stranger:
        with pytest.raises(TransportError):
            await stranger.login("pwsapp", "secret")


# The office


async def test_what_is_set_is_what_a_client_reads(pws_office: PwsOffice, client: PwsClient, user: Session) -> None:
    phone = Device("cmp-1", open=True, audio=True)
    pws_office.set(ANN, "AVAILABLE", activities=["on-the-phone"], note="Back at 3", devices=[phone], idle=True)
    (ann,) = await client.get_polled_presence(user, [ANN], rich=True)
    assert (ann.state, ann.on_the_phone, ann.note, ann.idle) == ("BUSY", True, "Back at 3", True)
    assert [device.id for device in ann.devices] == ["cmp-1"]
    assert pws_office.set(ANN, "AWAY").activities == ()
    assert pws_office.get(ANN).note == "Back at 3"


def test_people_come_and_go(pws_office: PwsOffice) -> None:
    assert len(pws_office.contacts) == 24
    assert pws_office.set("eve@partner.example", "AWAY", federated=True, display_name="Eve").basic == "UNKNOWN"
    assert len(pws_office.add(3)) == 3
    assert (pws_office.remove(ANN), pws_office.remove(ANN)) == (True, False)
    assert pws_office.get(ANN).state == "UNKNOWN"
    assert repr(pws_office) == "PwsOffice(27 contacts)"


def test_wrong_presence_is_refused_and_changes_nothing(pws_office: PwsOffice) -> None:
    before = pws_office.get(ANN)
    with pytest.raises(ValueError, match=r"^state: expected one of AVAILABLE, .*, got 'FREE'$"):
        pws_office.set(ANN, "FREE")
    with pytest.raises(ValueError, match=r"^contact: expected user@domain, got 'ann'$"):
        pws_office.set("ann", "BUSY")
    with pytest.raises(ValueError, match=r"^activities: expected a list of names such as on-the-phone, got 'meeting'$"):
        pws_office.set(ANN, "BUSY", activities="meeting")
    with pytest.raises(ValueError, match=r"^devices: expected a list of pws_soap\.simulator\.Device, got \['x'\]$"):
        pws_office.set(ANN, "BUSY", devices=["x"])  # type: ignore[list-item]
    with pytest.raises(ValueError, match=r"^count: expected 1 to 100000, got 0$"):
        pws_office.add(0)
    assert pws_office.get(ANN) == before


# Waiting


def test_waits_follow_a_program(pws_server: PwsServer, pws_office: PwsOffice, program: Program) -> None:
    """Subscription, notification, fetch, and what was told; afterwards only what is new counts."""
    held = pws_server.wait_for_subscription(ANN.upper())
    assert (held.user, held.contacts) == ("dispatcher", (ANN, JOE))
    assert 3500 < held.expires_in <= 3600
    assert pws_server.wait_for_notification(subscription=held.id).outcome == "answered"
    assert pws_server.wait_for_fetch(subscription=held.id).arguments["subscription"] == held.id
    pws_server.clear_log()
    assert pws_server.calls_of("login") == ()
    pws_office.set(ANN, "BUSY")
    assert pws_office.wait_until_told(ANN).state == "BUSY"
    second = pws_server.wait_for_fetch(count=2)
    assert [call for call in pws_server.calls_of("getSubscribedPresence") if call.number < second.number]
    assert [each.id for each in pws_server.subscriptions] == [held.id]


def test_a_wait_that_is_over_says_what_has_happened(pws_server: PwsServer, pws_office: PwsOffice) -> None:
    with pytest.raises(WaitTimedOut, match=r"^no successful fetch number 2 within 0\.01 s\nno call yet$"):
        pws_server.wait_for_fetch(count=2, timeout=0.01)
    with pytest.raises(WaitTimedOut, match=r"^no reply that says of ann@example\.com what holds now within"):
        pws_office.wait_until_told(ANN, timeout=0.01)
    assert issubclass(WaitTimedOut, AssertionError)


async def test_no_notification_is_explained(pws_server: PwsServer, client: PwsClient, user: Session) -> None:
    """Nobody listens; then the latch is shut."""
    application = await client.login(pws_server.username, pws_server.password)
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/"
        endpoint = await client.register_endpoint(application, url, expires=3600)
        await client.subscribe(user, endpoint, [ANN], expires=3600)
        PwsOffice(pws_server).set(ANN, "BUSY")
        await asyncio.to_thread(pws_server.wait, "failure", lambda: pws_server._log.notifications or None)
    assert pws_server.withheld == {"latch": 1}
    with pytest.raises(WaitTimedOut, match=r"(?s)notification of subscription 1 .*: failed\n.*withheld: 1 \(latch\)"):
        await asyncio.to_thread(pws_server.wait_for_notification, timeout=0.01)


async def test_a_wait_in_a_coroutine_says_how_to_write_it(pws_server: PwsServer) -> None:
    with pytest.raises(RuntimeError, match=r"await asyncio\.to_thread\(pws_server\.wait_for_"):
        pws_server.wait_for_fetch()


def test_wrong_arguments_of_waits(pws_server: PwsServer, pws_faults: PwsFaults) -> None:
    with pytest.raises(ValueError, match=r"^operation: expected one of login, .*, unreadable, got 'fetch'$"):
        pws_server.wait_for_call("fetch")
    with pytest.raises(ValueError, match=r"^timeout: expected seconds above 0, at most 3600, got 0$"):
        pws_server.wait_for_call("login", timeout=0)
    with pytest.raises(ValueError, match=r"^count: expected at least 1, got 0$"):
        pws_server.wait_for_call("login", count=0)
    with pytest.raises(ValueError, match=r"^code: expected one of 100, .*, got 999$"):
        pws_server.wait_for_refusal(999)
    with pytest.raises(ValueError, match=r"^fault: expected one of refuse, .*, got 'node-down'$"):
        pws_faults.wait_for_hit("node-down")


def test_an_error_in_what_is_waited_for_is_the_tests(pws_server: PwsServer) -> None:
    def broken() -> None:
        raise LookupError("not there")

    with pytest.raises(LookupError, match="not there"):
        pws_server.wait("nothing", broken)


def test_the_clock_moves(pws_server: PwsServer) -> None:
    before = pws_server.now
    pws_server.move_clock(3600)
    assert 3600 <= pws_server.now - before < 3660
    with pytest.raises(ValueError, match="expected to stay between 1970 and 2999"):
        pws_server.move_clock(1e11)


# Faults


@pytest.fixture
async def subscription(pws_server: PwsServer, client: PwsClient, user: Session) -> Subscription:
    application = await client.login(pws_server.username, pws_server.password)
    endpoint = await client.register_endpoint(application, "http://127.0.0.1:9/", expires=3600)
    return await client.subscribe(user, endpoint, [ANN], expires=3600)


@pytest.mark.parametrize(
    ("fault", "fate", "status", "code"),
    [
        ({"fault": "lose-reply"}, "lost", None, None),
        ({"fault": "abort-request"}, "aborted", None, None),
        ({"fault": "truncate-reply"}, "damaged", 200, None),
        ({"fault": "garble-reply"}, "damaged", 200, None),
        ({"fault": "refuse", "code": 200}, "refused", 200, 200),
        ({"fault": "http-503"}, "refused", 503, None),
        ({"fault": "close-after-reply"}, "answered", 200, None),
    ],
    ids=lambda value: value["fault"] if isinstance(value, dict) else None,
)
async def test_what_becomes_of_a_fetch(
    fault: dict[str, object],
    fate: str,
    status: int | None,
    code: int | None,
    pws_server: PwsServer,
    pws_faults: PwsFaults,
    client: PwsClient,
    user: Session,
    subscription: Subscription,
) -> None:
    pws_faults.inject(**fault, operation="getSubscribedPresence", count=1)  # type: ignore[arg-type]
    if fate == "answered":
        await client.get_subscribed_presence(user, subscription)
    else:
        with pytest.raises((Fault, OutcomeUnknown, TransportError)):
            await client.get_subscribed_presence(user, subscription)
    (call,) = pws_server.calls_of("getSubscribedPresence")
    assert (call.fate, call.status, call.code) == (fate, status, code)
    assert pws_faults.hits == {fault["fault"]: 1}


async def test_a_lost_reply_tells_nobody(
    pws_office: PwsOffice, pws_faults: PwsFaults, client: PwsClient, user: Session, subscription: Subscription
) -> None:
    """Though the server has taken the change along."""
    with pws_faults.inject("lose-reply"), pytest.raises(OutcomeUnknown):
        await client.get_subscribed_presence(user, subscription)
    with pytest.raises(WaitTimedOut):
        await asyncio.to_thread(pws_office.wait_until_told, ANN, timeout=0.01)
    assert await client.get_subscribed_presence(user, subscription) == []


async def test_a_fault_is_taken_back_with_its_block(pws_faults: PwsFaults, client: PwsClient) -> None:
    with pws_faults.inject("refuse", code=200) as fault, pytest.raises(Fault):
        await client.login("pwsapp", "secret")
    fault.undo()
    await client.login("pwsapp", "secret")
    assert repr(fault) == "InjectedFault('refuse', affected=None)"


def test_a_node_that_hangs_shows_no_wsdl_either(pws_server: PwsServer, pws_faults: PwsFaults) -> None:
    connection = http.client.HTTPConnection(pws_server.host, pws_server.port, timeout=30)
    connection.connect()
    connection.sock.settimeout(0.1)
    with pws_faults.inject("node-hang", node="imp1"):
        connection.request("GET", pws_server.wsdl_url)
        with pytest.raises(TimeoutError):
            connection.getresponse()
    connection.close()


@pytest.mark.pws(nodes=2, requests_per_second=100)
async def test_what_was_done_to_nodes_is_taken_back(
    pws_server: PwsServer, pws_faults: PwsFaults, client: PwsClient
) -> None:
    pws_faults.inject("node-down", node="imp1")
    pws_faults.inject("node-hang", node="imp2")
    assert pws_faults.inject("cpu", percent=90).affected == 2
    pws_faults.inject("rate-limit", per_second=1)
    with pws_faults.inject("cpu", percent=99, node="imp2"):
        pass
    nodes = pws_server.call(lambda simulator: [place.node.cpu for place in simulator.places.values()])
    assert nodes == [90, 0]
    pws_faults.clear()
    assert (
        pws_server.call(
            lambda simulator: [
                (place.state, place.node.cpu, place.node.requests_per_second) for place in simulator.places.values()
            ]
        )
        == [("up", 0, 100)] * 2
    )
    await client.login("pwsapp", "secret")
    assert repr(pws_faults) == "PwsFaults(hits={})"


def test_wrong_faults_are_refused(pws_faults: PwsFaults) -> None:
    with pytest.raises(ValueError, match=r"^fault: expected one of refuse, .*, got 'explode'$"):
        pws_faults.inject("explode")
    with pytest.raises(ValueError, match=r"^code: lose-reply takes no such key, only"):
        pws_faults.inject("lose-reply", code=200)
    with pytest.raises(ValueError, match=r"^lasting: expected a number of seconds above 0, got 0$"):
        pws_faults.inject("lose-reply", lasting=0)
    with pytest.raises(ValueError, match=r"^node: expected one of imp1, got 'imp9'$"):
        pws_faults.inject("node-down", node="imp9")


# A server of another scope


def test_two_servers_know_nothing_of_each_other() -> None:
    with start_server(contacts=1) as one, start_server(contacts=[JOE], tls=True) as other:
        assert (len(PwsOffice(one).contacts), PwsOffice(other).contacts) == (1, (JOE,))
        assert one.port != other.port
        assert other.ca_file is not None
        assert other.ca_file.read_text().startswith("-----BEGIN CERTIFICATE-----")
    assert not other.ca_file.exists()
    with pytest.raises(ValueError, match=r"^contcts: no such option"), start_server(contcts=1):
        pass


@pytest.mark.pws(users=())
def test_nobody_may_log_in(pws_server: PwsServer) -> None:
    for name in ("username", "password", "end_user"):
        with pytest.raises(LookupError, match="the option users has no"):
            getattr(pws_server, name)
