"""The simulator over real sockets: HTTP, resets, outages, notifications, TLS."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import trustme
import uvloop
from aiohttp import web
from lxml import etree

from pws_soap.server.soap.contract import wsdl
from pws_soap.simulator import Fault, NodeAddress, NodeCondition, Options, Simulator, SimulatorServer, State, run, serve
from pws_soap.simulator.serving import node_app
from tests.support.ports import free_port
from tests.support.soap_by_hand import (
    ANN,
    JOE,
    PATH,
    envelope,
    fetch,
    login,
    login_end_user,
    poll,
    register,
    request,
    subscribe,
)

from .talk import Read


@pytest.fixture
async def server() -> AsyncIterator[SimulatorServer]:
    """A simulator of two nodes on loopback, without a control interface."""
    async with SimulatorServer(nodes=("imp1", "imp2"), control_port=None, seed=1) as server:
        server.simulator.populate(5)
        yield server


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A client that keeps connections alive."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session:
        yield session


async def soap(http: aiohttp.ClientSession, url: str, body: str, key: str | None = None) -> Read:
    """Send a body by hand."""
    async with http.post(url, data=envelope(body, key)) as answer:
        return Read(answer.status, etree.fromstring(await answer.read()))


async def talk(server: SimulatorServer, *requests: bytes) -> list[bytes]:
    """Send bytes on one connection, each when the answer to the one before is complete; all that comes back."""
    reader, writer = await asyncio.open_connection(server.nodes[0].host, server.nodes[0].port)
    answers = []
    try:
        for request in requests:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            answers.append(head + await reader.readexactly(length))
            if b"connection: close" in head.lower():
                answers.append(await reader.read())
    finally:
        writer.close()
        await writer.wait_closed()
    return answers


async def test_the_wsdl_is_served_with_its_placeholder_address(server: SimulatorServer) -> None:
    """GET ?wsdl (K); the address in it must always be overridden (K)."""
    (answer,) = await talk(server, request(b"", method=b"GET", path=PATH + "?wsdl"))
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(wsdl())
    assert b'location="http://cupserver:8081/presence-service/soap"' in answer


async def test_the_wsdl_is_there_behind_a_slash_and_for_a_head(server: SimulatorServer) -> None:
    """gSOAP serves POST at every path and answers HEAD; a slash at the end is a common slip."""
    (answer,) = await talk(server, request(b"", method=b"GET", path=PATH + "/?wsdl"))
    assert answer.endswith(wsdl())
    answer = (await talk(server, request(envelope(login()), path=PATH + "/")))[0]
    assert b"session-key>" in answer
    reader, writer = await asyncio.open_connection(server.nodes[0].host, server.nodes[0].port)
    writer.write(request(b"", b"Connection: close", method=b"HEAD", path=PATH + "?wsdl"))
    head = await reader.read()
    writer.close()
    assert head.startswith(b"HTTP/1.1 200 ")
    assert head.endswith(b"\r\n\r\n")
    assert b"content-length: %d\r\n" % len(wsdl()) in head


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        (b"GET", "/", b"404"),
        (b"GET", PATH, b"404"),
        (b"POST", "/other", b"404"),
        (b"PUT", PATH, b"405"),
    ],
)
async def test_what_is_not_there(server: SimulatorServer, method: bytes, path: str, status: bytes) -> None:
    """One path, POST and GET ?wsdl."""
    (answer,) = await talk(server, request(b"", method=method, path=path))
    assert answer.startswith(b"HTTP/1.1 " + status)


async def test_a_request_must_carry_its_length(server: SimulatorServer) -> None:
    """Chunked requests are refused (K), and the connection is closed."""
    chunk = envelope(login())
    chunked = request(b"", b"Transfer-Encoding: chunked") + b"%x\r\n%s\r\n0\r\n\r\n" % (len(chunk), chunk)
    for refused in (chunked, request(b"")):
        answer, rest = await talk(server, refused)
        assert b"<code>150</code>" in answer
        assert rest == b""


async def test_a_request_may_be_too_long() -> None:
    """Option max_request_bytes: it is not even read."""
    async with SimulatorServer(Options(max_request_bytes=100), control_port=None) as server:
        answer, _ = await talk(server, request(b" " * 101))
        assert b"<code>150</code>" in answer


async def test_a_connection_stays_open_but_for_faults_and_after_so_many_requests() -> None:
    """gSOAP closes after every fault and after about 100 requests."""
    async with SimulatorServer(Options(requests_per_connection=3), control_port=None) as server:
        good, bad = request(envelope(login())), request(envelope(poll(ANN)))
        answers = await talk(server, good, good, good)
        assert b"connection: close" not in b"".join(answers[:2])
        assert b"connection: close" in answers[2]
        assert answers[3] == b""
        answers = await talk(server, good, bad)
        assert b"connection: close" in answers[1]
        assert answers[0].lower().count(b"server: gsoap") == 1


async def test_a_reply_is_reset_without_a_byte(server: SimulatorServer, http: aiohttp.ClientSession) -> None:
    """lose-reply by RST, after it was consumed; the next request finds the server alive."""
    url = server.nodes[0].url
    server.simulator.faults.add(Fault("lose-reply", count=1))
    with pytest.raises(aiohttp.ClientOSError) as caught:
        await soap(http, url, login())
    assert caught.value.errno == errno.ECONNRESET
    assert len(server.simulator.place("imp1").node.registry.sessions) == 1
    assert (await soap(http, url, login())).code is None


async def test_a_reply_breaks_off(server: SimulatorServer, http: aiohttp.ClientSession) -> None:
    """truncate-reply: fewer bytes than Content-Length said."""
    server.simulator.faults.add(Fault("truncate-reply", count=1, fraction=0.3))
    async with http.post(server.nodes[0].url, data=envelope(login())) as answer:
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()
    assert (await soap(http, server.nodes[0].url, login())).code is None


@pytest.mark.parametrize("fault", [Fault("slow-reply", seconds=0.08), Fault("slow-reply", seconds=0.01, code=1)])
async def test_a_reply_drips(server: SimulatorServer, http: aiohttp.ClientSession, fault: Fault) -> None:
    """slow-reply: whole in the end."""
    server.simulator.faults.add(fault)
    assert (await soap(http, server.nodes[0].url, login())).text("session-key")


async def test_a_reply_without_a_body_may_be_slow_too(server: SimulatorServer, http: aiohttp.ClientSession) -> None:
    """Too short to drip."""
    server.simulator.faults.add(Fault("slow-reply", seconds=0.01))
    server.simulator.faults.add(Fault("empty-reply"))
    async with http.post(server.nodes[0].url, data=envelope(login())) as answer:
        assert (answer.status, await answer.read()) == (200, b"")


async def test_a_client_that_leaves_is_no_trouble(server: SimulatorServer, http: aiohttp.ClientSession) -> None:
    """It goes in the middle of its request."""
    reader, writer = await asyncio.open_connection(server.nodes[0].host, server.nodes[0].port)
    writer.write(request(envelope(login()))[:-10])
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert await reader.read() == b""
    assert (await soap(http, server.nodes[0].url, login())).code is None


async def test_a_node_goes_down_and_comes_back_at_the_same_port(
    server: SimulatorServer, http: aiohttp.ClientSession
) -> None:
    """Its listening socket is really closed, open connections break; it remembers."""
    url = server.nodes[0].url
    key = (await soap(http, url, login())).text("session-key")
    reader, writer = await asyncio.open_connection(server.nodes[0].host, server.nodes[0].port)
    server.simulator.set_state("imp1", NodeCondition.DOWN)
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()
    with pytest.raises(aiohttp.ClientConnectorError):
        await soap(http, url, login())
    assert (await soap(http, server.nodes[1].url, login())).code is None
    server.simulator.set_state("imp1", NodeCondition.UP)
    server.simulator.set_state("imp1", NodeCondition.UP)
    await server.settled()
    assert (await soap(http, url, login())).text("session-key") == key


async def test_a_hung_node_accepts_and_never_answers(server: SimulatorServer, http: aiohttp.ClientSession) -> None:
    """Until it is back."""
    server.simulator.set_state("imp1", NodeCondition.HUNG)
    task = asyncio.create_task(soap(http, server.nodes[0].url, login()))
    done, _ = await asyncio.wait([task], timeout=0.05)
    assert not done
    server.simulator.set_state("imp1", NodeCondition.UP)
    assert (await task).code is None


async def test_closing_ends_what_hangs() -> None:
    """The server ends although a request waits for ever, and although a node opens again just now."""
    async with aiohttp.ClientSession() as http:
        async with SimulatorServer(nodes=["imp1", "imp2"]) as server:
            server.simulator.set_state("imp1", NodeCondition.HUNG)
            task = asyncio.create_task(soap(http, server.nodes[0].url, login()))
            await asyncio.wait([task], timeout=0.02)
            server.simulator.set_state("imp2", NodeCondition.DOWN)
            server.simulator.set_state("imp2", NodeCondition.UP)
        with pytest.raises(aiohttp.ClientError):
            await task


async def test_a_node_listens_again_once_its_port_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else may hold it for a while; one who holds it for good is told of, and a node may go down meanwhile."""
    monkeypatch.setattr("pws_soap.simulator.serving._REOPEN_PAUSE", 0.001)
    address = NodeAddress("imp1", "127.0.0.1", free_port())  # which no outgoing connection takes meanwhile
    async with SimulatorServer(nodes=[address], control_port=None) as server, aiohttp.ClientSession() as http:
        (node,) = server.nodes
        for outcome in ("freed", "down", "kept"):
            server.simulator.set_state("imp1", NodeCondition.DOWN)
            with socket.create_server((node.host, node.port)):
                server.simulator.set_state("imp1", NodeCondition.UP)
                if outcome == "kept":
                    await server.settled()
                else:
                    await asyncio.sleep(0.003)
                if outcome == "down":
                    server.simulator.set_state("imp1", NodeCondition.DOWN)
            await server.settled()
            if outcome == "freed":
                assert (await soap(http, node.url, login())).code is None
            else:
                with pytest.raises(aiohttp.ClientOSError):  # refused, or reset on a connection that was kept alive
                    await soap(http, node.url, login())


def test_resets_work_on_uvloop_too() -> None:
    """Which shows sockets in a way of its own; connections that stay open do not hold up the end."""

    async def main() -> None:
        async with aiohttp.ClientSession() as http, SimulatorServer(control_port=None) as server:
            server.simulator.faults.add(Fault("lose-reply", count=1))
            with pytest.raises(aiohttp.ClientOSError) as caught:
                await soap(http, server.nodes[0].url, login())
            assert caught.value.errno == errno.ECONNRESET
            assert (await soap(http, server.nodes[0].url, login())).code is None

    uvloop.run(main())


async def test_redirect_and_backup_name_addresses(server: SimulatorServer, http: aiohttp.ClientSession) -> None:
    """host:port, as a client finds them on loopback."""
    first, second = server.nodes
    answer = await soap(http, second.url, login())
    assert answer.root.find(".//{*}success").get("backupServer") == first.address  # type: ignore[union-attr]  # is there
    redirect = await soap(http, second.url, login_end_user(answer.text("session-key")))
    assert dict(redirect.root.find(".//{*}redirect").attrib) == {  # type: ignore[union-attr]  # is there
        "primaryServer": first.address,
        "backupServer": second.address,
    }


class Endpoint:
    """A real HTTP endpoint; `called` is set at each notification."""

    def __init__(self) -> None:
        self.queries: list[str] = []
        self.called = asyncio.Event()
        self.status = 200
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        assert request.method == "GET"
        assert await request.read() == b""
        self.queries.append(request.query_string)
        self.called.set()
        return web.Response(status=self.status, headers={"Location": self.url})


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    """An endpoint on loopback."""
    endpoint = Endpoint()
    app = web.Application()
    app.router.add_get("/pws/path", endpoint.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    endpoint.url = f"http://127.0.0.1:{runner.addresses[0][1]}/pws/path"
    yield endpoint
    await runner.cleanup()


async def watch(server: SimulatorServer, http: aiohttp.ClientSession, callback: str) -> str:
    """Subscribe to Ann and Joe; the end user's key."""
    url = server.nodes[0].url
    application = (await soap(http, url, login())).text("session-key")
    user = (await soap(http, url, login_end_user(application))).text("session-key")
    assert (await soap(http, url, register(callback), application)).text("endPointID") == "1"
    assert (await soap(http, url, subscribe(ANN, JOE), user)).text("subscriptionID") == "1"
    return user


async def test_notifications_are_real_gets(
    server: SimulatorServer, http: aiohttp.ClientSession, endpoint: Endpoint
) -> None:
    """The whole way, over sockets."""
    user = await watch(server, http, endpoint.url)
    async with asyncio.timeout(30):
        await endpoint.called.wait()
    assert endpoint.queries == ["id=1&eventType=PRESENCE_NOTIFICATION"]
    assert len((await soap(http, server.nodes[0].url, fetch(), user)).states) == 2
    endpoint.called.clear()
    server.simulator.change(ANN, state=State.BUSY)
    async with asyncio.timeout(30):
        await endpoint.called.wait()
    assert (await soap(http, server.nodes[0].url, fetch(), user)).states == {ANN: "BUSY"}


@pytest.mark.parametrize("status", [302, 404, 500])
async def test_a_notification_that_is_not_taken_has_failed(
    server: SimulatorServer, http: aiohttp.ClientSession, endpoint: Endpoint, status: int
) -> None:
    """Redirects are not followed; nothing is sent twice."""
    endpoint.status = status
    await watch(server, http, endpoint.url)
    await server.simulator.drain()
    assert len(endpoint.queries) == 1
    assert server.simulator.delivery.counts == {"failed": 1}


async def test_an_endpoint_that_does_not_answer_is_given_up() -> None:
    """After the option's notification_timeout, and one that nobody listens at, at once."""
    silent = socket.create_server(("127.0.0.1", 0))
    try:
        async with (
            SimulatorServer(Options(notification_timeout=0.05), control_port=None) as server,
            aiohttp.ClientSession() as http,
        ):
            for number, port in enumerate((silent.getsockname()[1], free_port()), 1):
                server.simulator.forget("everything")
                await server.settled()
                await watch(server, http, f"http://127.0.0.1:{port}/x")
                await server.simulator.drain()
                assert server.simulator.delivery.counts == {"failed": number}
    finally:
        silent.close()


async def test_tls(tmp_path: Path) -> None:
    """With a certificate of a private authority, by paths or by a context; resets work there too."""
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "key.pem")
    client = ssl.create_default_context()
    authority.configure_trust(client)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    for tls in ((tmp_path / "key.pem", tmp_path / "key.pem"), context):
        async with (
            SimulatorServer(nodes=[NodeAddress(host="localhost")], tls=tls, control_port=None) as server,
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=client)) as http,
        ):
            (node,) = server.nodes
            assert node.url == f"https://localhost:{node.port}{PATH}"
            assert (await soap(http, node.url, login())).code is None
            for kind in ("lose-reply", "truncate-reply"):
                server.simulator.faults.add(Fault(kind, count=1))
                with pytest.raises(aiohttp.ClientError):
                    await soap(http, node.url, login())
            assert (await soap(http, node.url, login())).code is None


async def test_an_address_that_is_taken_is_said() -> None:
    """And what was opened before is closed again."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = SimulatorServer(nodes=["imp1", NodeAddress("imp2", port=port)])
        with pytest.raises(OSError, match="address already in use"):
            await server.__aenter__()
        assert server.control_url == ""


async def test_serve_says_where_and_ends_when_cancelled() -> None:
    """What `pws simulate` does."""
    started: asyncio.Future[SimulatorServer] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(nodes=["imp1"], control_port=0, contacts=7, started=started.set_result))
    server = await started
    assert len(server.simulator.world) == 7
    assert server.control_url.startswith("http://127.0.0.1:")
    async with aiohttp.ClientSession() as http:
        assert (await soap(http, server.nodes[0].url, login())).code is None
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_run_ends_with_the_interrupt_key() -> None:
    """Without a traceback."""
    seen: list[str] = []

    def started(server: SimulatorServer) -> None:
        seen.append(server.nodes[0].name)
        raise KeyboardInterrupt

    run(control_port=0, started=started)
    assert seen == ["imp1"]


def test_a_server_serves_the_nodes_of_its_simulator() -> None:
    """A simulator that is given must have the same nodes."""
    with pytest.raises(ValueError, match="nodes: expected those of the simulator"):
        SimulatorServer(nodes=["imp1"], simulator=Simulator(nodes=["other"]))


def test_an_address_of_ipv6_has_brackets() -> None:
    """In every url."""
    from pws_soap.simulator import ServedNode

    assert ServedNode("imp1", "::1", 8082, tls=False).base_url == "http://[::1]:8082"


@pytest.mark.parametrize("kind", ["lose-reply", "truncate-reply", ""])
async def test_the_program_runs_under_any_asgi_server(kind: str) -> None:
    """Without our connection in the scope a reply that breaks off simply does not come."""
    simulator = Simulator()
    if kind:
        simulator.faults.add(Fault(kind))
    body = envelope(login())
    scope = {
        "type": "http",
        "method": "POST",
        "path": PATH,
        "query_string": b"",
        "headers": [(b"content-length", b"%d" % len(body))],
    }
    parts: list[dict[str, object]] = [
        {"type": "http.request", "body": body[:10], "more_body": True},
        {"type": "http.request", "body": body[10:]},
    ]
    sent: list[str] = []

    async def receive() -> dict[str, object]:
        return parts.pop(0)

    async def send(message: object) -> None:
        assert isinstance(message, dict)
        sent.append(message["type"] + (" more" if message.get("more_body") else ""))

    await node_app(simulator, "imp1")(scope, receive, send)
    assert (
        sent
        == {
            "": ["http.response.start", "http.response.body"],
            "truncate-reply": ["http.response.start", "http.response.body more"],
            "lose-reply": [],
        }[kind]
    )
    with pytest.raises(NotImplementedError):
        await node_app(simulator, "imp1")({"type": "websocket"}, receive, send)


@pytest.mark.parametrize("text", ["/a%20b", "/%41%2f?x=%31&y=a+b", "/p;v=1", "//dd/../e", "/%zz", "/p?"])
async def test_a_notification_goes_to_the_very_text_that_was_registered(text: str) -> None:
    """Nothing in it is escaped, unescaped or made shorter; the parameters are appended."""
    lines: asyncio.Queue[bytes] = asyncio.Queue()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0]
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()
        await writer.wait_closed()
        lines.put_nowait(line)

    listening = await asyncio.start_server(take, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    appended = ("&" if "?" in text else "?") + "id=1&eventType=PRESENCE_NOTIFICATION"
    async with listening, SimulatorServer(control_port=None) as server, aiohttp.ClientSession() as http:
        server.simulator.populate(2)
        await watch(server, http, f"http://127.0.0.1:{port}{text.replace('&', '&amp;')}")
        async with asyncio.timeout(30):
            assert await lines.get() == f"GET {text}{appended} HTTP/1.1".encode()


async def test_closing_awaits_the_sockets_that_are_being_opened_and_what_is_on_its_way() -> None:
    """A notification under way is broken off, and no task is left behind."""
    gone = asyncio.Event()

    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer nothing until the client has gone."""
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        gone.set()

    listening = await asyncio.start_server(never, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    async with listening, aiohttp.ClientSession() as http:
        before = asyncio.all_tasks()
        async with SimulatorServer(Options(notification_timeout=3600), control_port=None) as server:
            server.simulator.populate(2)
            await watch(server, http, f"http://127.0.0.1:{port}/")
            server.simulator.set_state("imp1", NodeCondition.DOWN)
            server.simulator.set_state("imp1", NodeCondition.UP)
        assert not {task for task in asyncio.all_tasks() - before if "pws_soap" in repr(task)}
        async with asyncio.timeout(30):
            await gone.wait()
