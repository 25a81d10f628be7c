"""Passwords, session keys and the callback's path are nowhere but in the requests that need them."""

from __future__ import annotations

import dataclasses
import io
import logging
import pickle
import traceback
from collections.abc import Awaitable, Callable, Iterator

import pytest

from pws_soap.client import PwsClient
from pws_soap.errors import Disconnected, PwsError, Redirected, UnexpectedReply
from pws_soap.memory import MemoryTransport, SentRequest
from pws_soap.models import Endpoint, Secret, Session, SessionKind
from tests.soap.loopback import Act, Loopback, Step, http
from tests.soap.samples import (
    CALLBACK,
    ENDPOINT,
    KEY,
    NODE,
    NS,
    PASSWORD,
    SUBSCRIPTION,
    application,
    description,
    end_user,
    envelope,
    fault,
    logged_in,
    people,
    response,
)
from tests.support.ports import free_port

PATH = "/pws/6b1f-secret-path"
SECRETS = (PASSWORD, KEY, PATH, "6b1f-secret")

Call = Callable[[PwsClient, str], Awaitable[object]]

CALLS: dict[str, Call] = {
    "login": lambda pws, _: pws.login("pwsapp", PASSWORD),
    "login with a secret": lambda pws, _: pws.login("pwsapp", Secret(PASSWORD), force=True),
    "login_end_user": lambda pws, node: pws.login_end_user(application(node), "dispatcher"),
    "logout": lambda pws, node: pws.logout(application(node)),
    "register_endpoint": lambda pws, node: pws.register_endpoint(application(node), CALLBACK),
    "renew_endpoint": lambda pws, node: pws.renew_endpoint(application(node), ENDPOINT),
    "unregister_endpoint": lambda pws, node: pws.unregister_endpoint(application(node), ENDPOINT),
    "subscribe": lambda pws, node: pws.subscribe(end_user(node), ENDPOINT, people(2)),
    "add_contacts": lambda pws, node: pws.add_contacts(end_user(node), ENDPOINT, SUBSCRIPTION, people(2)),
    "renew_subscription": lambda pws, node: pws.renew_subscription(end_user(node), ENDPOINT, SUBSCRIPTION),
    "unsubscribe": lambda pws, node: pws.unsubscribe(end_user(node), SUBSCRIPTION),
    "get_subscribed_presence": lambda pws, node: pws.get_subscribed_presence(end_user(node), SUBSCRIPTION),
    "get_polled_presence": lambda pws, node: pws.get_polled_presence(end_user(node), people(2), rich=True),
    "set_presence": lambda pws, node: pws.set_presence(end_user(node), "BUSY"),
    "set_rich_presence": lambda pws, node: pws.set_rich_presence(end_user(node), "<presence/>"),
}

ALL = " ".join((PASSWORD, KEY, CALLBACK))
ECHOES: dict[str, list[Step]] = {
    "fault that repeats them": [http(fault(description(101, f"Not valid: {ALL}", f"Do not send {ALL}")))],
    "fault text that repeats them": [http(fault(None, ALL))],
    "fault of unknown code": [http(fault(description(999, ALL, ALL)))],
    "words that are cut in one": [http(fault(description(101, "x" * 490 + ALL)))],
    "text that begins with them": [http(ALL.encode())],
    "page that begins with them": [http(f"<html><!-- {ALL} -->".encode())],
    "malformed": [http(f"<{PASSWORD}><a b='{KEY}'>{CALLBACK}</c>".encode())],
    "another element": [http(envelope(f"<x{KEY}/>"))],
    "status line": [f"HTTP/1.1 abc {PASSWORD} {KEY} {PATH}\r\n\r\n".encode()],
    "not HTTP": [f"{PASSWORD} {KEY} {PATH}\r\n".encode()],
    "status": [http(response("logout", f"<status>{KEY}</status>"))],
    "error page": [http(b"<html/>", 500)],
    "empty": [http(b"")],
    "reset": [Act.RESET],
    "closed": [Act.CLOSE],
    "silence": [Act.SILENCE],
}


@pytest.fixture
def everything_logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """All records of all loggers, from DEBUG up."""
    with caplog.at_level(logging.DEBUG):
        for name in ("zeep", "zeep.transports", "zeep.wsdl", "zeep.xsd", "aiohttp", "aiohttp.client", "asyncio"):
            caplog.set_level(logging.DEBUG, logger=name)
        yield caplog


def shown(error: BaseException) -> str:
    """All that a program may print of an exception and of those that led to it, as far as they are told."""
    text = io.StringIO()
    traceback.print_exception(error, file=text)
    seen: BaseException | None = error
    while seen is not None:
        text.write(f"{seen} {seen!r} {seen.args!r} {getattr(seen, '__notes__', '')}")
        if isinstance(seen, PwsError):
            text.write(repr(vars(seen)))
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return text.getvalue()


@pytest.mark.parametrize("echo", ECHOES)
async def test_failing_calls_show_no_secret(echo: str, everything_logged: pytest.LogCaptureFixture) -> None:
    """Whatever the server answers, and whatever it repeats, for every operation."""
    failed = 0
    patience = 0.05 if Act.SILENCE in ECHOES[echo] else 30.0
    async with Loopback(ECHOES[echo]) as server, PwsClient(server.url, read_timeout=patience) as pws:
        for name, call in CALLS.items():
            before = len(server.received)
            try:
                await call(pws, server.url)
            except PwsError as error:
                failed += 1
                await server.has_read(before + 1)
                sent = server.received[-1].body.decode()  # a call cannot know the secrets of other calls
                text = shown(error)
                assert not [each for each in SECRETS if each in sent and each in text], f"{name}: {text}"
    assert failed == len(CALLS)
    logged = everything_logged.text + "".join(repr(record.__dict__) for record in everything_logged.records)
    assert not [secret for secret in SECRETS if secret in logged]


async def test_unreachable_server_shows_no_secret(everything_logged: pytest.LogCaptureFixture) -> None:
    """Nothing was sent, and nothing is told."""
    url = f"http://127.0.0.1:{free_port()}"
    async with PwsClient(url) as pws:
        for call in CALLS.values():
            with pytest.raises(PwsError) as caught:
                await call(pws, url)
            assert not [secret for secret in SECRETS if secret in shown(caught.value)]
    assert not [secret for secret in SECRETS if secret in everything_logged.text]


async def test_successful_calls_log_no_secret(everything_logged: pytest.LogCaptureFixture) -> None:
    """zeep at DEBUG included."""
    transport = MemoryTransport([logged_in()] * 2)
    pws = PwsClient(NODE, transport=transport)
    session = await pws.login("pwsapp", PASSWORD)
    user = await pws.login_end_user(session, "dispatcher")
    assert user.key.reveal() == KEY
    text = everything_logged.text + repr((session, user, pws, transport, transport.sent))
    assert not [secret for secret in SECRETS if secret in text]


@pytest.mark.parametrize(
    "call",
    [
        lambda pws: pws.login("pwsapp", PASSWORD + "\x00"),
        lambda pws: pws.login("pwsapp", PASSWORD + "\ud800"),
        lambda pws: pws.login("pwsapp", PASSWORD.encode()),
        lambda pws: pws.login("pwsapp", PASSWORD * 100),
        lambda pws: pws.login("", Secret(PASSWORD)),
        lambda pws: pws.login(Secret(PASSWORD), "x"),
        lambda pws: pws.register_endpoint(application(), CALLBACK + " with spaces"),
        lambda pws: pws.register_endpoint(application(), Secret("ftp" + CALLBACK)),
        lambda pws: pws.register_endpoint(application(), CALLBACK.encode()),
        lambda pws: pws.register_endpoint(end_user(), CALLBACK),
        lambda pws: pws.register_endpoint(application(), CALLBACK, expires=1),
        lambda pws: pws.renew_endpoint(application("https://other:8083"), ENDPOINT),
        lambda pws: pws.subscribe(end_user(), Endpoint(0, Secret(CALLBACK), 3600), people(1)),
        lambda pws: pws.logout(KEY),
    ],
)
async def test_refused_arguments_show_no_secret(call: Callable[[PwsClient], Awaitable[object]]) -> None:
    """The message names the argument; a secret in it is stars."""
    with pytest.raises(PwsError) as caught:
        await call(PwsClient(NODE, transport=MemoryTransport()))
    assert not [secret for secret in SECRETS if secret in shown(caught.value)]


@pytest.mark.parametrize(
    "url",
    [f"https://user:{PASSWORD}@imp1.example.com", f"https://user:{PASSWORD}@imp1:port", f"ftp://u:{PASSWORD}@x/"],
)
def test_address_with_a_password_is_refused_without_showing_it(url: str) -> None:
    """Whatever else is wrong with it."""
    with pytest.raises(PwsError) as caught:
        PwsClient(url)
    assert PASSWORD not in shown(caught.value)


def test_values_do_not_show_their_secrets() -> None:
    """Sessions, endpoints, and what holds them."""
    session = Session("pwsapp", SessionKind.APPLICATION, NODE, Secret(KEY), backup="imp2")
    for text in (f"{session} {session!r} {[session]} {ENDPOINT} {(ENDPOINT,)!r}", repr(dataclasses.fields(session))):
        assert not [secret for secret in SECRETS if secret in text]
    assert "imp2" in repr(session)


def test_secret_hides_itself() -> None:
    """In every way of showing; `reveal` alone tells."""
    secret = Secret(Secret(PASSWORD))
    assert secret.reveal() == PASSWORD
    assert (str(secret), repr(secret), f"{secret}") == ("***", "Secret('***')", "***")
    assert secret == Secret(PASSWORD) != Secret("other")
    assert secret != PASSWORD
    assert len({secret, Secret(PASSWORD)}) == 1
    assert secret
    assert not Secret("")
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(secret)


async def test_transport_s_own_words_are_cleaned_too() -> None:
    """A transport that quotes what came: place and operation stay, the secret goes."""
    error = Disconnected(f"the connection broke: {PASSWORD}", node="imp1:8083", operation="login")
    pws = PwsClient(NODE, transport=MemoryTransport([error, error]))
    with pytest.raises(Disconnected) as caught:
        await pws.login("pwsapp", PASSWORD)
    assert str(caught.value) == f"login at {NODE}: the connection broke: ***"


async def test_redirect_names_nodes_only() -> None:
    """No key in it."""
    reply = response("login", '<redirect primaryServer="imp2.example.com" backupServer="imp3.example.com"/>')
    pws = PwsClient(NODE, transport=MemoryTransport([reply]))
    with pytest.raises(Redirected) as caught:
        await pws.login_end_user(application(), "dispatcher")
    assert not [secret for secret in SECRETS if secret in shown(caught.value)]


async def test_secrets_reach_the_server_all_the_same() -> None:
    """They are in the requests: what hides them hides them from people only."""
    bodies: list[bytes] = []

    async def answer(sent: SentRequest) -> bytes:
        bodies.append(sent.body)
        return fault(description(101))

    pws = PwsClient(NODE, transport=MemoryTransport(answer))
    for call in CALLS.values():
        with pytest.raises(PwsError):
            await call(pws, NODE)
    everything = b"".join(bodies)
    assert all(secret.encode() in everything for secret in SECRETS)
    assert f'<ns0:session-key xmlns:ns0="{NS}">{KEY}<'.encode() in everything


async def test_zeep_does_not_log_a_reply_that_does_not_fit(caplog: pytest.LogCaptureFixture) -> None:
    """It would log the value, with a traceback; a server may well repeat a secret there."""
    body = (
        b'<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>'
        b'<registerEndPointResponse xmlns="urn:cisco:cup:presence:soap">'
        b"<endPointID>http://here/pws/TOPSECRETPATH</endPointID></registerEndPointResponse></e:Body></e:Envelope>"
    )
    session = Session("pwsapp", SessionKind.APPLICATION, "http://imp1:8082", Secret("key"))
    client = PwsClient("http://imp1:8082", transport=MemoryTransport([body]))
    with caplog.at_level(logging.DEBUG), pytest.raises(UnexpectedReply) as caught:
        await client.register_endpoint(session, "http://here/pws/TOPSECRETPATH")
    assert "TOPSECRETPATH" not in caplog.text + str(caught.value)
