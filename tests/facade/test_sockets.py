"""The façade over real sockets and TLS: our own client, plain SOAP over HTTP by hand, endpoints that behave badly."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509

from pws_soap import PwsClient
from pws_soap.models import Presence, PresenceState, PresenceType, Secret
from service.api.app import create_app
from service.core.clock import SystemClock
from service.core.presence.memory_store import MemoryStore
from service.core.presence.records import Source
from service.core.wiring import Core
from service.facade.endpoints import EndpointAddress, EndpointRules
from service.facade.facade import SoapFacade
from service.facade.notifier import MOST_AT_ADDRESS, MOST_UNPROVEN_AT_ADDRESS, Notifier
from service.facade.settings import FacadeSettings
from service.runtime.server import Beside, listen, serve
from tests.facade.desk import ANN, BOB, FEED, USERS, ReadingEngine
from tests.support import soap_by_hand as soap
from tests.support.tls_servers import MadeCertificate, context

MANY = [f"p{number:04}@example.com" for number in range(5000)]


@dataclass
class Served:
    """A façade that listens, and its store."""

    url: str
    port: int
    core: Core
    facade: SoapFacade

    def read(self, *contacts: str, state: PresenceState = PresenceState.AVAILABLE, length: int = 0) -> None:
        """These are read, with documents of about `length` bytes."""
        store = self.core.store
        store.watch(contacts, FEED)
        reading = store.begin()
        store.put([_presence(contact, state, length) for contact in contacts], reading, source=Source.SUBSCRIBED)
        store.trust(FEED)
        store.confirm(FEED, reading)


def _presence(contact: str, state: PresenceState, length: int) -> Presence:
    if not length:
        return Presence(contact, state)
    document = (
        f'<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:{contact}"><person><activities><'
        f"{state.lower()}/></activities></person><note>{'x' * length}</note></presence>"
    )
    return Presence(contact, state, PresenceType.RICH, document=document.encode())


@asynccontextmanager
async def served(
    tls: ssl.SSLContext | None = None, address: str = "https://presence.example.com", **settings: object
) -> AsyncIterator[Served]:
    """A façade on a free port of the loopback interface. No endpoint is given up because the machine is slow."""
    settings = {"notification_timeout": 60.0} | settings
    clock = SystemClock()
    core = Core.of(MemoryStore(clock), clock, 1000.0, {})
    engine = ReadingEngine()
    facade = SoapFacade(FacadeSettings(address, USERS, **settings), core, engine)  # type: ignore[arg-type]  # as the test says
    api = create_app(engine, core, callback_secret=Secret("a-secret-of-the-tests"), version="1")
    sockets = [listen("127.0.0.1", 0), listen("127.0.0.1", 0)]
    stop, ready = asyncio.Event(), asyncio.Event()
    beside = [Beside(facade.app, sockets[1], tls, 60)]
    port = sockets[1].getsockname()[1]
    serving = asyncio.create_task(serve(api, sockets[0], stop, beside=beside, ready=ready.set))
    ticking = asyncio.create_task(core.log.run())
    facade.start()
    try:
        await asyncio.wait_for(ready.wait(), 30)
        yield Served(f"{'http' if tls is None else 'https'}://127.0.0.1:{port}", port, core, facade)
    finally:
        ticking.cancel()
        await asyncio.gather(ticking, return_exceptions=True)
        await facade.stop()
        stop.set()
        await serving


@dataclass
class Told:
    """An endpoint: the queries that came, and its URL."""

    url: str
    queries: asyncio.Queue[str] = field(default_factory=asyncio.Queue)

    async def next(self) -> str:
        return await asyncio.wait_for(self.queries.get(), 30)


@asynccontextmanager
async def endpoint(answer: Callable[[], web.Response] = web.Response) -> AsyncIterator[Told]:
    """An endpoint that answers with this."""
    told = Told("")

    async def come(request: web.Request) -> web.Response:
        told.queries.put_nowait(request.query_string)
        return answer()

    app = web.Application()
    app.router.add_get("/told", come)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    told.url = f"http://127.0.0.1:{runner.addresses[0][1]}/told"
    try:
        yield told
    finally:
        await runner.cleanup()


async def test_our_own_client_over_tls(tmp_path: Path) -> None:
    """The whole way: login, endpoint, subscription, notification, fetch, poll, change, logout."""
    certificate = MadeCertificate(names=(x509.IPAddress(ipaddress.ip_address("127.0.0.1")),))
    authority = certificate.write(tmp_path / "ca.pem")
    async with (
        served(context(certificate, tmp_path)) as office,
        endpoint() as told,
        PwsClient(office.url, ca_file=authority, wsdl="live") as pws,
    ):
        office.read(ANN, BOB)
        application = await pws.login("attendant", "seat")
        user = await pws.login_end_user(application, "dispatcher")
        registered = await pws.register_endpoint(application, told.url)
        subscription = await pws.subscribe(user, registered, [ANN, BOB])
        assert await told.next() == f"id={subscription.id}&eventType=PRESENCE_NOTIFICATION"
        assert {each.contact for each in await pws.get_subscribed_presence(user, subscription)} == {ANN, BOB}
        office.read(ANN, state=PresenceState.DND)
        await told.next()
        (changed,) = await pws.get_subscribed_presence(user, subscription)
        assert (changed.contact, changed.state) == (ANN, PresenceState.DND)
        await pws.renew_subscription(user, registered, subscription)
        await pws.renew_endpoint(application, registered)
        await pws.unsubscribe(user, subscription)
        await pws.unregister_endpoint(application, registered)
        await pws.logout(application)
        status = office.facade.status()
        assert (status.sessions, status.endpoints, status.subscriptions) == (0, 0, 0)
        assert status.notifications["sent"] == 2


async def test_a_long_reply_holds_up_nobody() -> None:
    """5000 documents, sent in pieces to a program that reads slowly; meanwhile others are answered."""
    async with served() as office, PwsClient(office.url) as pws:
        office.read(*MANY, length=1000)
        application = await pws.login("attendant", "seat")
        user = await pws.login_end_user(application, "dispatcher")
        body = soap.envelope(soap.poll(*MANY, kind="RICH_PRESENCE"), user.key.reveal())
        reader, writer = await asyncio.open_connection("127.0.0.1", office.port, limit=1024)
        writer.write(soap.request(body))
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(re.search(rb"content-length: (\d+)", head.lower())[1])  # type: ignore[index]  # it is there
        assert length > 5_000_000
        (presence,) = await pws.get_polled_presence(user, [MANY[7]])
        assert presence.state is PresenceState.AVAILABLE
        received = await reader.readexactly(length)
        assert received.count(b"</presence>") == 5000
        writer.close()


async def by_hand(port: int, *requests: bytes) -> bytes:
    """All that comes back on one connection, until it is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"".join(requests))
    try:
        return await asyncio.wait_for(reader.read(), 30)
    finally:
        writer.close()


LOGIN = soap.envelope(soap.login("attendant", "seat"))


async def test_what_old_and_odd_clients_do_on_a_connection() -> None:
    """HTTP/1.0, Expect: 100-continue, Upgrade: h2c, several requests on one connection."""
    close = b"Connection: close"
    async with served() as office:
        old = soap.request(LOGIN).replace(b"HTTP/1.1", b"HTTP/1.0")
        reply = await by_hand(office.port, old)
        assert reply.startswith(b"HTTP/1.")
        assert b"session-key" in reply
        assert b"transfer-encoding" not in reply.lower()
        reply = await by_hand(office.port, soap.request(LOGIN, b"Expect: 100-continue", close))
        assert reply.startswith(b"HTTP/1.1 100 ")
        assert b"session-key" in reply
        upgrade = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__")
        reply = await by_hand(office.port, soap.request(LOGIN, *upgrade), soap.request(LOGIN, close))
        assert reply.count(b"HTTP/1.1 200 ") == 2
        assert b"mustUnderstand" not in reply
        assert b"HTTP/1.1 101" not in reply


async def test_a_fault_closes_the_connection_and_says_why() -> None:
    """As gSOAP does; 210 and 212 with 503, all others with 200."""
    async with served() as office:
        wrong = soap.envelope(soap.login("attendant", "wrong"))
        reply = await by_hand(office.port, soap.request(wrong), soap.request(LOGIN))
        assert reply.count(b"HTTP/1.1 200 ") == 1
        assert b"<code>114</code>" in reply
        chunked = b"POST /presence-service/soap HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        assert b"<code>150</code>" in await by_hand(office.port, chunked)


async def test_soap_1_2_is_answered_in_soap_1_2() -> None:
    async with served() as office:
        body = soap.envelope(soap.login("attendant", "seat"), soap=soap.SOAP12)
        reply = await by_hand(office.port, soap.request(body, b"Connection: close"))
        assert b"application/soap+xml" in reply
        assert soap.SOAP12.encode() in reply


async def test_the_wsdl_names_our_address() -> None:
    async with served(address="https://presence.example.com:8083") as office:
        get = soap.request(b"", b"Connection: close", method=b"GET", path="/presence-service/soap?wsdl")
        reply = await by_hand(office.port, get)
        assert b'location="https://presence.example.com:8083/presence-service/soap"' in reply
        assert b'location="http://cupserver' not in reply


async def test_endpoints_that_hang_or_fail_hold_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """One hangs, one is closed, one leads elsewhere: each is tried once, and the good one is told."""
    loop = asyncio.get_running_loop()
    passing = loop.time

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()

    hanging = await asyncio.start_server(hang, "127.0.0.1", 0)
    there = hanging.sockets[0].getsockname()[1]
    async with (
        served() as office,
        endpoint() as good,
        endpoint(lambda: web.Response(status=302, headers={"Location": good.url + "?led=1"})) as leading,
        PwsClient(office.url) as pws,
    ):
        office.read(ANN)
        application = await pws.login("attendant", "seat")
        user = await pws.login_end_user(application, "dispatcher")
        bad = [f"http://127.0.0.1:{there}/x", "http://127.0.0.1:1/", leading.url]
        for url in [*bad, good.url]:
            await pws.subscribe(user, await pws.register_endpoint(application, url), [ANN])
        assert await good.next() == "id=4&eventType=PRESENCE_NOTIFICATION"
        assert (await leading.next()).startswith("id=3&")
        while office.facade.status().notifications != {"sent": 1, "failed": 2}:  # noqa: ASYNC110  # there is no event
            await asyncio.sleep(0.01)
        # The time of the one that hangs is over at once. However slow the machine, that of no other was.
        monkeypatch.setattr(loop, "time", lambda: passing() + 120)
        await office.facade.service.delivery.drain()
        assert office.facade.status().notifications == {"sent": 1, "failed": 3}
        (program,) = office.facade.status().programs
        assert [each.last_error for each in program.subscriptions] == [
            "no answer within 60 s",
            "no connection: Connection refused",
            "HTTP 302",
            None,
        ]
        assert good.queries.empty()
    hanging.close()
    await hanging.wait_closed()


async def test_an_address_where_all_hang_holds_up_no_other() -> None:
    """A computer is gone with hundreds of programs, each with a port of its own, which have answered until now."""
    answers, hanging, stuck = asyncio.Event(), asyncio.Event(), 0

    class WithoutSockets(Notifier):
        async def _get(self, url: str, target: EndpointAddress) -> str:
            nonlocal stuck
            if hanging.is_set() and str(target.address) != "10.0.0.9":
                stuck += 1
                await answers.wait()
            return ""

    notifier = WithoutSockets(EndpointRules([ipaddress.ip_network("10.0.0.0/8")], SystemClock()), 5.0)
    ports = range(1000, 1300)
    for port in ports:
        assert await notifier.send(f"http://10.0.0.1:{port}/", None) == ""
    hanging.set()
    lost = [asyncio.create_task(notifier.send(f"http://10.0.0.1:{port}/", None)) for port in ports]
    new = [asyncio.create_task(notifier.send(f"http://10.0.0.2:{port}/", None)) for port in ports]
    for _ in range(20):
        await asyncio.sleep(0)
    assert await notifier.send("http://10.0.0.9/told", None) == ""
    assert stuck == MOST_AT_ADDRESS + MOST_UNPROVEN_AT_ADDRESS
    answers.set()
    await asyncio.gather(*lost, *new)
    assert not notifier._hosts
    await notifier.aclose()


async def test_the_host_of_an_endpoint_is_looked_up_and_called_by_its_address() -> None:
    networks = (ipaddress.ip_network("127.0.0.0/8"),)
    async with served(endpoints=networks) as office, endpoint() as told, PwsClient(office.url) as pws:
        office.read(ANN)
        application = await pws.login("attendant", "seat")
        user = await pws.login_end_user(application, "dispatcher")
        url = told.url.replace("127.0.0.1", "localhost")
        await pws.subscribe(user, await pws.register_endpoint(application, url), [ANN])
        assert await told.next() == "id=1&eventType=PRESENCE_NOTIFICATION"
