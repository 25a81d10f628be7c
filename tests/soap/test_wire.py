"""Real sockets on the loopback interface: what goes over the wire, and what becomes of a connection that fails."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import select
import socket
import tracemalloc
from collections.abc import Awaitable, Callable

import pytest

from pws_soap import codes, errors
from pws_soap.client import PwsClient
from pws_soap.connection import Connection
from pws_soap.errors import PwsError
from pws_soap.transport import HttpTransport
from tests.soap.loopback import Act, Loopback, Step, http, read_request
from tests.soap.samples import (
    BOMB,
    CALLBACK,
    ENDPOINT,
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
from tests.support.ports import free_port

GOOD = logged_in()


async def login(server: Loopback, **options: float) -> None:
    """One call to a server."""
    async with PwsClient(server.url, read_timeout=options.pop("read_timeout", 30), **options) as pws:  # type: ignore[arg-type]  # numbers only
        await pws.login("pwsapp", PASSWORD)


# What is sent


async def test_requests_have_a_length_and_share_one_connection() -> None:
    """Content-Length, never chunked; kept alive; nothing that asks for compression or leads elsewhere."""
    replies = [http(GOOD), http(endpoint_id()), http(status("logout"))]
    async with Loopback(replies) as server, PwsClient(server.url) as pws:
        await pws.login("pwsapp", PASSWORD)
        await pws.register_endpoint(application(server.url), CALLBACK)
        await pws.logout(application(server.url))
    assert server.connections == 1
    assert [received.headers["soapaction"].rpartition("/")[2] for received in server.received] == [
        'login"',
        'registerEndPoint"',
        'logout"',
    ]
    for received in server.received:
        assert received.line == "POST /presence-service/soap HTTP/1.1"
        assert received.headers["content-length"] == str(len(received.body)) != "0"
        assert received.headers["content-type"] == "text/xml; charset=utf-8"
        assert received.headers["host"] == server.url.removeprefix("http://")
        assert received.headers["soapaction"].startswith('"urn:cisco:cup:presence:soap/')
        assert not {"transfer-encoding", "accept-encoding", "cookie", "expect", "authorization"} & set(received.headers)


async def test_large_requests_are_not_chunked_either() -> None:
    """A list of a hundred long contacts, well over a packet."""
    uris = [f"{'x' * 60}{number}@{'y' * 200}.example.com" for number in range(100)]
    async with Loopback([http(subscription_id())]) as server, PwsClient(server.url) as pws:
        await pws.subscribe(end_user(server.url), 3, uris)
    (received,) = server.received
    assert len(received.body) > 25_000
    assert "transfer-encoding" not in received.headers


async def test_concurrent_calls_use_a_bounded_number_of_connections() -> None:
    """The others wait for one of them to be free; each answer goes to its own caller."""
    async with Loopback([http(endpoint_id(number)) for number in range(1, 41)]) as server:
        transport = HttpTransport(max_connections=4)
        busy = []

        def made() -> Connection:
            busy.append(len(transport._busy))
            return Connection(transport._ended)

        transport._made = made  # type: ignore[method-assign]
        async with PwsClient(server.url, transport=transport) as pws:
            app = application(server.url)
            found = await asyncio.gather(*(pws.register_endpoint(app, CALLBACK) for _ in range(12)))
    assert max(busy) < 4
    assert len(found) == len(server.received) == 12


async def test_environment_names_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable meant for browsers must not carry session keys away."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    async with Loopback([http(GOOD)]) as server:
        await login(server)
    assert len(server.received) == 1


async def test_cookies_are_not_kept() -> None:
    """Sessions are in the envelope, and only there."""
    async with (
        Loopback([http(GOOD, 200, "Set-Cookie: a=b; Path=/"), http(GOOD)]) as server,
        PwsClient(server.url) as pws,
    ):
        await pws.login("pwsapp", PASSWORD)
        await pws.login("pwsapp", PASSWORD)
    assert "cookie" not in server.received[1].headers


# What comes back damaged

DAMAGED: dict[str, tuple[list[Step], type[PwsError], str]] = {
    "empty": ([http(b"")], errors.EmptyReply, "HTTP 200 with an empty body"),
    "white space": ([http(b"\r\n\r\n")], errors.EmptyReply, "empty body"),
    "no content": ([b"HTTP/1.1 204 No Content\r\n\r\n"], errors.EmptyReply, "HTTP 204"),
    "truncated XML": ([http(GOOD[:-40])], errors.TruncatedReply, "ends in the middle of its XML"),
    "truncated in the head": ([http(GOOD[:60])], errors.TruncatedReply, "after 60 bytes"),
    "not XML": ([http(b"It works!")], errors.NotXml, "not XML: 'It works!'"),
    "HTML page": ([http(b"<!DOCTYPE html><html><br></html>")], errors.NotXml, "HTML page"),
    "HTML error page": ([http(b"<html><hr></html>", 502)], errors.NotXml, "HTTP 502: the reply is an HTML page"),
    "malformed": ([http(GOOD.replace(b"</success>", b""))], errors.NotXml, "not well-formed"),
    "entity bomb": ([http(f"{BOMB}]><b>&i;</b>".encode())], errors.ForbiddenXml, "document type"),
    "entity bomb in an attribute": ([http(f"{BOMB}]><b c='&i;'/>".encode())], errors.ForbiddenXml, "document type"),
    "DTD": ([http(b"<!DOCTYPE a SYSTEM 'file:///etc/hostname'>" + GOOD[39:])], errors.ForbiddenXml, "document type"),
    "UTF-16": ([http(GOOD.decode().encode("utf-16"))], errors.NotXml, "not in UTF-8"),
    "another operation's": ([http(status("logout"))], errors.UnexpectedReply, "'logoutResponse' instead of login"),
    "oversized": ([http(b"x" * 20_001)], errors.ReplyTooLarge, "larger than 20000 bytes"),
    "oversized and chunked": (
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + (b"1000\r\n" + b"x" * 4096 + b"\r\n") * 9],
        errors.ReplyTooLarge,
        "max_reply_bytes",
    ),
    "oversized by its own account": ([http(b"x" * 30_000, length=10**12)], errors.ReplyTooLarge, "larger than"),
    "redirect": ([http(b"", 302, "Location: http://192.0.2.1/")], errors.EmptyReply, "HTTP 302"),
    "redirect with a page": ([http(b"<html/>", 307, "Location: /elsewhere")], errors.NotXml, "HTTP 307"),
    "not HTTP": ([b"SSH-2.0-OpenSSH_9.6\r\n"], errors.UnreadableReply, "the reply is not HTTP"),
    "not HTTP at all": ([b"\x00\x01\x02\x03\r\n\r\n"], errors.UnreadableReply, "the reply is not HTTP"),
}


@pytest.mark.parametrize("name", DAMAGED)
async def test_damaged_reply_has_its_own_error(name: str) -> None:
    """With operation and node in the message, and without asking a second time."""
    steps, kind, words = DAMAGED[name]
    async with Loopback(steps) as server:
        with pytest.raises(errors.OutcomeUnknown) as caught:
            await login(server, max_reply_bytes=20_000)
        node = server.url
    assert type(caught.value) is kind
    assert words in str(caught.value)
    assert str(caught.value).startswith("login at ")
    assert caught.value.node.endswith(node.removeprefix("http://"))
    assert caught.value.operation == "login"
    assert len(server.received) == 1


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nContent-Le", http(GOOD, length=len(GOOD) + 10)])
async def test_connection_that_ends_before_the_reply_does(head: bytes) -> None:
    """Nothing, half a header, fewer bytes than Content-Length says: all are Disconnected."""
    async with Loopback([head]) as server, PwsClient(server.url) as pws:
        with pytest.raises(errors.Disconnected, match="the connection broke"):
            await pws.get_subscribed_presence(end_user(server.url), 7)
    assert len(server.received) == 1


async def test_invalid_utf_8_in_one_contact_costs_no_other() -> None:
    """Over the wire as from memory."""
    body = basic([("ann@example.com", "BUSY"), ("bXo@example.com", "AWAY")]).replace(b"X", b"\xe9")
    async with Loopback([http(body)]) as server, PwsClient(server.url) as pws:
        found = await pws.get_subscribed_presence(end_user(server.url), 7)
    assert [each.contact for each in found] == ["ann@example.com", "b\N{LATIN SMALL LETTER E WITH ACUTE}o@example.com"]


async def test_reply_of_5000_contacts_arrives_whole() -> None:
    """In several packets, in any pieces."""
    body = basic([(uri, "BUSY") for uri in people(5000)])
    async with Loopback([http(body)]) as server, PwsClient(server.url) as pws:
        found = await pws.get_subscribed_presence(end_user(server.url), 7)
    assert [each.contact for each in found] == people(5000)


async def test_compressed_reply_that_grows_is_cut_off() -> None:
    """Nobody asked for compression; who sends it all the same cannot fill the memory."""
    bomb = gzip.compress(b"x" * 50_000_000, compresslevel=9)
    async with Loopback([http(bomb, 200, "Content-Encoding: gzip")]) as server:
        tracemalloc.start()
        try:
            with pytest.raises(errors.ReplyTooLarge):
                await login(server, max_reply_bytes=100_000)
            assert tracemalloc.get_traced_memory()[1] < 20_000_000
        finally:
            tracemalloc.stop()


async def test_compressed_reply_is_read() -> None:
    """As long as it stays small."""
    async with Loopback([http(gzip.compress(GOOD), 200, "Content-Encoding: gzip")]) as server:
        await login(server)


@pytest.mark.parametrize("chunked", [False, True])
async def test_bytes_behind_the_end_of_a_compression_are_refused(chunked: bool) -> None:
    """Whether they come with the last compressed bytes or after them; they are not taken in first."""
    good, junk = gzip.compress(GOOD), b"x" * 2_000_000
    reply = http(good + junk, 200, "Content-Encoding: gzip")
    if chunked:
        reply = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n" + b"".join(
            b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (good, junk, b"")
        )
    async with Loopback([reply]) as server:
        with pytest.raises(errors.UnreadableReply, match="behind the end of the compression"):
            await login(server, max_reply_bytes=65_536)


async def test_fault_over_http_500_and_a_throttle_over_503() -> None:
    """As the other forms, over the wire."""
    async with Loopback([http(fault(description(114)), 500)]) as server:
        with pytest.raises(errors.LoginRefused):
            await login(server)
    async with Loopback([b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"]) as server:
        with pytest.raises(errors.Throttled):
            await login(server)


# What does not come back


async def test_time_out_of_a_silent_server() -> None:
    """The outcome is unknown: it is not sent again, not even a call that changes nothing."""
    async with Loopback([Act.SILENCE]) as server:
        with pytest.raises(errors.TimedOut, match=r"no complete reply \(read time-out 0.05 s\)") as caught:
            await login(server, read_timeout=0.05)
        await server.has_read(1)
    assert caught.value.policy is codes.Policy.READ_AGAIN
    assert len(server.received) == 1


async def test_time_out_in_the_middle_of_a_reply() -> None:
    """A server that stops after half of it."""
    async with Loopback([http(GOOD[:100], length=len(GOOD)), Act.SILENCE]) as server:
        with pytest.raises(errors.TimedOut):
            await login(server, read_timeout=0.05)


async def test_connection_refused_is_unreachable() -> None:
    """Nothing was sent."""
    url = f"http://127.0.0.1:{free_port()}"
    async with PwsClient(url) as pws:
        with pytest.raises(errors.Unreachable, match="connection refused") as caught:
            await pws.login("pwsapp", PASSWORD)
    assert type(caught.value) is errors.Unreachable
    assert str(caught.value).startswith(f"login at {url.removeprefix('http://')}: ")


async def test_name_that_does_not_exist_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says which name."""

    async def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", unknown)  # no query leaves the loopback interface
    async with PwsClient("http://no-such-host.invalid:8082", connect_timeout=30) as pws:
        with pytest.raises(errors.Unreachable, match=r"'no-such-host.invalid' cannot be resolved"):
            await pws.login("pwsapp", PASSWORD)


async def test_name_service_that_hangs_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connect time-out covers it; nothing was sent."""

    async def hang(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", hang)
    async with PwsClient("http://no-such-host.invalid:8082", connect_timeout=0.05) as pws:
        with pytest.raises(errors.Unreachable, match=r"no connection within 0\.05 s"):
            await pws.login("pwsapp", PASSWORD)


async def test_second_address_of_a_name_is_tried_where_the_first_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name may have several."""
    async with Loopback([http(GOOD)]) as server:
        port = int(server.url.rpartition(":")[2])

        async def two(*_: object, **__: object) -> list[tuple[object, ...]]:
            kind = (socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
            return [(socket.AF_INET, *kind, (host, port)) for host in ("127.0.0.2", "127.0.0.1")]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", two)
        async with PwsClient(f"http://two.example.com:{port}") as pws:
            await pws.login("pwsapp", PASSWORD)
    assert server.connections == 1


async def test_name_that_cannot_be_one_is_unreachable() -> None:
    """What no resolver takes is an error of ours all the same."""
    for host in ("a..b", "x" * 300 + ".example.com"):
        async with PwsClient(f"http://{host}:8082", connect_timeout=30) as pws:
            with pytest.raises(errors.Unreachable):
                await pws.login("pwsapp", PASSWORD)


# Closed connections: again, or not

Call = Callable[[PwsClient, str], Awaitable[object]]

REPEATABLE: dict[str, tuple[Call, bytes]] = {
    "login": (lambda pws, _: pws.login("pwsapp", PASSWORD), GOOD),
    "login_end_user": (lambda pws, node: pws.login_end_user(application(node), "dispatcher"), GOOD),
    "renew_endpoint": (lambda pws, node: pws.renew_endpoint(application(node), ENDPOINT), endpoint_id()),
    "add_contacts": (lambda pws, node: pws.add_contacts(end_user(node), 3, 7, people(1)), subscription_id()),
    "renew_subscription": (
        lambda pws, node: pws.renew_subscription(end_user(node), 3, SUBSCRIPTION),
        subscription_id(),
    ),
    "get_polled_presence": (
        lambda pws, node: pws.get_polled_presence(end_user(node), people(1)),
        basic([], "getPolledPresence"),
    ),
    "set_presence": (lambda pws, node: pws.set_presence(end_user(node), "BUSY"), status("setPresence")),
    "set_rich_presence": (
        lambda pws, node: pws.set_rich_presence(end_user(node), "<presence/>"),
        status("setPresence"),
    ),
}
"""Calls whose effect is the same once and twice, with a good reply."""

ONCE: dict[str, tuple[Call, bytes]] = {
    "login with force": (lambda pws, _: pws.login("pwsapp", PASSWORD, force=True), GOOD),
    "logout": (lambda pws, node: pws.logout(end_user(node)), status("logout")),
    "register_endpoint": (lambda pws, node: pws.register_endpoint(application(node), CALLBACK), endpoint_id()),
    "unregister_endpoint": (
        lambda pws, node: pws.unregister_endpoint(application(node), 3),
        status("unregisterEndPoint"),
    ),
    "subscribe": (lambda pws, node: pws.subscribe(end_user(node), 3, people(1)), subscription_id()),
    "unsubscribe": (lambda pws, node: pws.unsubscribe(end_user(node), 7), status("unsubscribe")),
    "get_subscribed_presence": (lambda pws, node: pws.get_subscribed_presence(end_user(node), 7), basic([])),
}
"""Calls that consume or make something: what became of them must be found out."""

ENDS = {"closed": Act.CLOSE, "reset": Act.RESET, "reset at once": Act.RESET_FIRST}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("name", REPEATABLE)
async def test_repeatable_call_is_sent_again_once(name: str, end: str) -> None:
    """After a connection that closed under it: it succeeds on a new one."""
    call, reply = REPEATABLE[name]
    async with Loopback([ENDS[end]], [http(reply)]) as server, PwsClient(server.url) as pws:
        await call(pws, server.url)
    assert server.connections == 2
    assert len({received.body for received in server.received}) == 1


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("name", REPEATABLE)
async def test_repeatable_call_is_not_sent_a_third_time(name: str, end: str) -> None:
    """A server that always closes is left in peace."""
    call, _ = REPEATABLE[name]
    async with Loopback([ENDS[end]]) as server, PwsClient(server.url) as pws:
        with pytest.raises(errors.Disconnected) as caught:
            await call(pws, server.url)
    assert server.connections == 2
    assert caught.value.policy is codes.Policy.READ_AGAIN


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("name", ONCE)
async def test_other_calls_are_sent_once(name: str, end: str) -> None:
    """The second connection would have answered well: it is not tried."""
    call, reply = ONCE[name]
    async with Loopback([ENDS[end]], [http(reply)]) as server, PwsClient(server.url) as pws:
        with pytest.raises(errors.Disconnected) as caught:
            await call(pws, server.url)
    assert server.connections == 1
    assert caught.value.policy is codes.Policy.READ_AGAIN


async def test_connection_closed_under_a_kept_alive_request() -> None:
    """The server answers, and closes when the next request comes: a poll goes on, a fetch says it does not know."""
    async with Loopback([http(GOOD), Act.RESET], [polled("ann@example.com")]) as server, PwsClient(server.url) as pws:
        await pws.login("pwsapp", PASSWORD)
        assert len(await pws.get_polled_presence(end_user(server.url), ["ann@example.com"])) == 1
    assert (server.connections, len(server.received)) == (2, 3)
    async with Loopback([http(GOOD), Act.RESET], [polled("ann@example.com")]) as server, PwsClient(server.url) as pws:
        await pws.login("pwsapp", PASSWORD)
        with pytest.raises(errors.Disconnected):
            await pws.get_subscribed_presence(end_user(server.url), 7)
    assert (server.connections, len(server.received)) == (1, 2)


async def test_server_that_closes_after_every_reply_costs_nothing() -> None:
    """As gSOAP does after a fault: Connection: close is heeded, nothing is sent into a closed connection."""
    closing = http(fault(description(133)), 200, "Connection: close")
    async with Loopback([closing]) as server, PwsClient(server.url) as pws:
        for _ in range(3):
            with pytest.raises(errors.SubscriptionLost):
                await pws.get_subscribed_presence(end_user(server.url), 7)
    assert server.connections == len(server.received) == 3


# Replies that nobody asked for


async def polls(pws: PwsClient, node: str, *contacts: str) -> list[str]:
    """Poll contacts one after the other; what the replies name."""
    found = []
    for contact in contacts:
        found += [each.contact for each in await pws.get_polled_presence(end_user(node), [contact])]
    return found


def polled(contact: str, state: str = "BUSY") -> bytes:
    return http(basic([(contact, state)], "getPolledPresence"))


async def test_a_connection_carries_each_operation_once() -> None:
    """Another operation's reply is known by its name; the next poll takes a new connection."""
    user = people(2)
    async with Loopback([polled(user[0]), http(GOOD)], [polled(user[1])]) as server, PwsClient(server.url) as pws:
        await polls(pws, server.url, user[0])
        await pws.login("pwsapp", PASSWORD)
        assert server.connections == 1
        assert await polls(pws, server.url, user[1]) == [user[1]]
        assert server.connections == 2


async def test_few_idle_connections_are_kept() -> None:
    uris = people(7)
    scripts: list[list[Step]] = [[polled(each), Act.SILENCE] for each in uris]
    async with Loopback(*scripts) as server:
        transport = HttpTransport()
        async with PwsClient(server.url, transport=transport) as pws:
            assert await polls(pws, server.url, *uris) == uris
            assert len(transport._idle) == 2
    assert server.connections == 7


@pytest.mark.parametrize("stray", [polled("ann@example.com"), b"x", b"HTTP/1.1 408 Request Timeout\r\n\r\n"])
async def test_bytes_behind_the_end_of_a_reply_close_the_connection(stray: bytes) -> None:
    """The first reply of a connection can only be to its one request: it counts."""
    async with (
        Loopback([polled("ann@example.com") + stray, Act.SILENCE], [polled("bo@example.com")]) as server,
        PwsClient(server.url) as pws,
    ):
        assert await polls(pws, server.url, "ann@example.com", "bo@example.com") == [
            "ann@example.com",
            "bo@example.com",
        ]
    assert (server.connections, len(server.received)) == (2, 2)


async def test_two_replies_to_a_later_request_are_no_reply() -> None:
    """One of them may be an earlier one that came twice."""
    uris = people(1)
    async with (
        Loopback([http(GOOD), http(GOOD) + polled(uris[0])]) as server,
        PwsClient(server.url) as pws,
    ):
        await pws.login("pwsapp", PASSWORD)
        with pytest.raises(errors.UnreadableReply, match="more than one reply"):
            await polls(pws, server.url, uris[0])


async def test_a_copy_of_an_earlier_reply_is_known_by_its_name() -> None:
    """It comes when the next request has been sent, and that one's reply not yet."""
    async with Loopback([http(endpoint_id())] * 2) as server, PwsClient(server.url) as pws:
        await pws.register_endpoint(application(server.url), CALLBACK)
        with pytest.raises(errors.UnexpectedReply, match="'registerEndPointResponse' instead of getSubscribed"):
            await pws.get_subscribed_presence(end_user(server.url), 7)
    assert server.connections == 1


async def test_bytes_on_an_idle_connection_close_it_whether_they_were_read_or_not() -> None:
    """A second copy that lies in the system's buffer when the next request is to be sent, or came before."""
    stray = polled("ann@example.com")
    writers: list[asyncio.StreamWriter] = []
    closed = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        received, _ = await read_request(reader)
        writer.write(http(GOOD) if "login" in received.headers["soapaction"] else stray)
        with contextlib.suppress(OSError):
            await reader.read()
        closed.set()

    for looks in (False, True):
        writers.clear()
        closed.clear()
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        transport = HttpTransport()
        async with server, PwsClient(url, transport=transport) as pws:
            await polls(pws, url, "ann@example.com")
            (connection,) = transport._idle
            assert connection._transport is not None
            socket_of_client = connection._transport.get_extra_info("socket")
            writers[0].write(stray)
            # A busy kernel may deliver them a little later. The loop, which would read them, has no turn meanwhile.
            assert select.select([socket_of_client], [], [], 30)[0]
            if looks:
                await closed.wait()
            await pws.login("pwsapp", PASSWORD)
            assert not connection.is_open
            assert len(writers) == 2
            for writer in writers:
                writer.transport.abort()


@pytest.mark.parametrize("age", ["7", "0", "soon", ""])
async def test_a_reply_out_of_a_cache_is_not_the_server_s(age: str) -> None:
    """The header alone says that the server did not make the reply for this request (RFC 9111 section 5.1)."""
    async with Loopback([http(GOOD, 200, f"Age: {age}")]) as server:
        with pytest.raises(errors.UnexpectedReply, match="from a cache"):
            await login(server)


# The client's own life


async def test_client_can_be_used_again_after_close() -> None:
    """It opens new connections; sessions are on the server."""
    async with Loopback([http(GOOD)]) as server:
        pws = PwsClient(server.url)
        await pws.close()
        await pws.login("pwsapp", PASSWORD)
        await pws.close()
        await pws.login("pwsapp", PASSWORD)
        await pws.close()
        await pws.close()
    assert server.connections == 2


async def test_live_wsdl_over_the_wire() -> None:
    """Fetched with GET from the path of the service, once for two calls at a time."""
    from pws_soap.contract import bundled_wsdl

    async with Loopback([http(bundled_wsdl()), http(GOOD)], [http(GOOD)]) as server:
        pws = PwsClient(server.url, wsdl="live")
        await asyncio.gather(pws.login("pwsapp", PASSWORD), pws.login("pwsapp", PASSWORD))
        await pws.close()
    lines = [received.line for received in server.received]
    assert lines[0] == "GET /presence-service/soap?wsdl HTTP/1.1"
    assert lines[1:] == ["POST /presence-service/soap HTTP/1.1"] * 2


async def test_live_wsdl_that_cannot_be_had() -> None:
    """Entering the client says so, and leaves no connection behind."""
    with pytest.raises(errors.Unreachable, match=r"\?wsdl at 127"):
        await PwsClient(f"http://127.0.0.1:{free_port()}", wsdl="live").__aenter__()


async def test_call_that_is_cancelled_stays_cancelled() -> None:
    """It is not turned into one of our errors."""
    async with Loopback([Act.SILENCE]) as server, PwsClient(server.url) as pws:
        task = asyncio.create_task(pws.login("pwsapp", PASSWORD))
        await server.got_request.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_large_reply_leaves_the_event_loop_free() -> None:
    """While 5000 contacts are read, other tasks run after each part of the reply."""
    body = basic([(uri, "BUSY") for uri in people(5000)])
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with Loopback([http(body)]) as server, PwsClient(server.url) as pws:
        task = asyncio.create_task(others())
        await pws.get_subscribed_presence(end_user(server.url), 7)
        task.cancel()
    assert turns > len(body) // (32 * 1024)


async def test_response_of_another_name_over_the_wire() -> None:
    """`response` of something that is not an operation at all."""
    async with Loopback([http(response("nothing", ""))]) as server:
        with pytest.raises(errors.UnexpectedReply, match="'nothingResponse'"):
            await login(server)
