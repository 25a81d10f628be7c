"""One POST over real sockets: what is sent, to whom, and what becomes of each kind of answer."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from pws_soap.models import Secret
from service.core.clock import SystemClock
from service.webhooks import connection as webhook_connection
from service.webhooks import sender as webhook_sender
from service.webhooks.probe import ProbeResult, probe
from service.webhooks.sender import AddressRefused, HttpSender, PostProblem, PostResult, check_address
from service.webhooks.settings import WebhookSettings
from tests.support import hook_server
from tests.support.hook_server import OTHER_SECRET, SECRET, HookAnswer, HookServer, TakenMessage
from tests.support.tls_servers import MadeCertificate, context

SOURCE = "http://10.0.0.5:8080"


@pytest.fixture
def web() -> Iterator[HookServer]:
    with hook_server.hook_server() as found:
        yield found


def settings(url: str, *secrets: str, **fields: Any) -> WebhookSettings:
    return WebhookSettings("crm", Secret(url), tuple(map(Secret, secrets or (SECRET,))), **{"timeout": 60.0, **fields})


class Watched:
    """A sender, and what became of its last POST."""

    def __init__(self, found: WebhookSettings) -> None:
        self.sender = HttpSender(found, "pws-presence/test")
        self.close = self.sender.close
        self.last = PostResult()

    async def post(self, body: bytes, headers: Mapping[str, str]) -> PostResult:
        self.last = await self.sender.post(body, headers)
        return self.last


async def posted(found: WebhookSettings) -> PostResult:
    """A test message, as the sender has it."""
    watched = Watched(found)
    await probe(found, watched, SystemClock(), SOURCE)
    return watched.last


async def sent(found: WebhookSettings) -> ProbeResult:
    """A test message."""
    return await probe(found, HttpSender(found, "pws-presence/test"), SystemClock(), SOURCE)


async def test_a_message_is_verified_and_read_by_the_libraries_of_others(web: HookServer) -> None:
    result = await sent(settings(web.url))
    assert result.attempt.succeeded
    assert (result.problem, result.attempt.error) == (None, None)
    (message,) = web.messages
    assert message.path == "/hook?code=in-the-query"
    assert message.kind == "pws.webhook.test"
    assert message.event.get_source() == f"{SOURCE}/v1/webhooks/crm"
    assert message.id == f"crm-{message.event.get_id()}" == result.attempt.message
    assert message.event.get_extension("sequence") == f"{int(message.event.get_id()):016}"
    assert message.event.get_time().timestamp() == pytest.approx(result.attempt.at)
    assert message.headers["content-type"] == "application/cloudevents+json"
    assert message.headers["user-agent"] == "pws-presence/test"


async def test_a_message_carries_a_signature_of_each_secret(web: HookServer) -> None:
    """The server knows one of them alone."""
    assert (await sent(settings(web.url, OTHER_SECRET, SECRET))).attempt.succeeded
    assert len(web.messages[0].headers["webhook-signature"].split()) == 2


async def test_a_redirect_is_a_failure_and_not_followed(web: HookServer) -> None:
    elsewhere = ("Location", f"http://127.0.0.1:{web.port}/elsewhere?token=theirs")
    for status in (301, 302, 303, 307, 308):
        web.answer = partial(_redirect, status, elsewhere)
        attempt = (await sent(settings(web.url))).attempt
        assert (attempt.status, attempt.succeeded) == (status, False)
        assert "redirect" in str(attempt.error)
        assert "theirs" not in str(attempt.error)
    assert {message.path for message in web.messages} == {"/hook?code=in-the-query"}


def _redirect(status: int, location: tuple[str, str], _: TakenMessage) -> HookAnswer:
    return HookAnswer(status, (location,))


async def test_an_answer_that_does_not_come_is_timed_out(web: HookServer) -> None:
    web.answer = lambda _: HookAnswer(hangs=True)
    result = await sent(settings(web.url, timeout=0.2))
    assert result.problem is PostProblem.TIMED_OUT
    assert result.attempt.error == "no answer within 0.2 s"


async def test_a_status_counts_whatever_the_body_is(web: HookServer) -> None:
    """Of a long one a little is read; one that is said to be packed is not unpacked."""
    web.answer = lambda _: HookAnswer(200, (("Content-Encoding", "gzip"),), b"x" * 1_000_000)
    assert (await sent(settings(web.url))).attempt.status == 200


ANSWERS = {
    b"HTTP/1.1 204 No Content\r\n\r\n": 204,
    b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok": 204,
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok, and more than that": 200,
    b"HTTP/1.1 204 No Content\r\n\r\n" * 2: 204,
    b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ncut": 200,
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno chunk": 200,
    b"HTTP/1.1 201\r\nContent-Length: 0\r\n\r\n": 201,
    b"HTTP/1.0 200 OK\r\n\r\nuntil the end": 200,
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 202 Accepted\r\n\r\n": 202,
    b"HTTP/1.1 102 Processing\r\n\r\n" * 1000: None,
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n": None,
    b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000: None,
    b"\x15\x03\x01\x00\x02\x02\x46": None,
    b"": None,
}


async def test_whatever_is_behind_the_head_of_an_answer_its_status_counts() -> None:
    """And no bytes behind an answer are taken for that to the next message."""
    answer, seen = b"", 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal seen
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split()[0]))
        seen += 1
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        found = settings(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        sender = HttpSender(found, "pws-presence/test")
        for number, (answer, status) in enumerate(ANSWERS.items(), 1):
            result = await sender.post(b"{}", {})
            assert (result.status, result.problem) == (status, None if status else PostProblem.BROKEN), answer[:60]
            assert "\\x" not in str(result.error)
            assert seen == number
        await sender.close()


async def test_a_status_counts_although_its_body_takes_longer_than_there_is_time() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
        await reader.read()  # until the other side closes
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert (await posted(settings(f"http://127.0.0.1:{port}/", timeout=30.0))).status == 200


async def test_a_connection_that_breaks_leaves_open_whether_it_arrived(web: HookServer) -> None:
    web.answer = lambda _: HookAnswer(breaks=True)
    result = await posted(settings(web.url))
    assert result.problem is PostProblem.BROKEN
    assert result.may_have_arrived


async def test_no_cookie_comes_back_and_a_connection_serves_several_messages(
    web: HookServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_sender, "_KEPT_ALIVE", 600.0)  # however slow the machine is
    monkeypatch.setattr(webhook_connection, "_READ_FOR", 600.0)
    web.answer = lambda _: HookAnswer(200, (("Set-Cookie", "session=theirs"),), b"thanks")
    found = settings(web.url)
    sender = HttpSender(found, "pws-presence/test")

    class Kept:
        post = sender.post

        async def close(self) -> None:
            """Later."""

    for _ in range(3):
        assert (await probe(found, Kept(), SystemClock(), SOURCE)).attempt.succeeded
    await sender.close()
    assert not any("cookie" in message.headers for message in web.messages)
    assert web.connections == 1


async def test_no_proxy_of_the_environment_is_used(web: HookServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    assert (await sent(settings(web.url))).attempt.succeeded


async def test_retry_after_is_passed_on(web: HookServer) -> None:
    web.answer = lambda _: HookAnswer(429, (("Retry-After", "120"),))
    result = await posted(settings(web.url))
    assert (result.error, result.retry_after) == ("429 Too Many Requests", "120")


async def test_who_does_not_listen_does_not_have_the_message() -> None:
    reply = await posted(settings("http://127.0.0.1:1/"))
    assert (reply.problem, reply.error) == (PostProblem.NO_CONNECTION, "cannot connect: Connection refused")
    assert not reply.may_have_arrived


async def test_an_unknown_host() -> None:
    reply = await posted(settings("http://nobody.invalid/?code=in-the-query"))
    assert reply.problem is PostProblem.UNKNOWN_HOST
    assert "in-the-query" not in str(reply.error)


async def test_tls_is_verified(tmp_path: Path) -> None:
    """With the authority of `ca_file` a message arrives; without it, nothing is sent."""
    loopback = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    authority = MadeCertificate("authority", authority=True)
    shown = MadeCertificate(issuer=authority, names=(loopback,))
    file = authority.write(tmp_path / "ca.pem")
    with hook_server.hook_server(context(shown, tmp_path)) as web:
        assert (await sent(settings(web.url, ca_file=file))).attempt.succeeded
        result = await sent(settings(web.url))
        assert result.problem is PostProblem.NOT_TRUSTED
        assert "not trusted" in str(result.attempt.error)
        other_name = await sent(settings(web.url.replace("127.0.0.1", "localhost"), ca_file=file))
        assert other_name.problem is PostProblem.NOT_TRUSTED
        assert len(web.messages) == 1


async def test_a_ca_file_without_a_certificate(tmp_path: Path) -> None:
    empty = tmp_path / "ca.pem"
    empty.write_text("nothing")
    for path in (empty, tmp_path / "missing.pem"):
        reply = await posted(settings("https://127.0.0.1:1/", ca_file=path))
        assert reply.problem is PostProblem.CA_FILE
        assert not reply.may_have_arrived


async def test_a_ca_file_is_read_again_where_a_certificate_is_not_trusted(tmp_path: Path) -> None:
    """It may be the server's own certificate; a new authority needs no restart."""
    loopback = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    issuer = MadeCertificate("authority", authority=True)
    shown = MadeCertificate(issuer=issuer, names=(loopback,))
    file = MadeCertificate("another", authority=True).write(tmp_path / "ca.pem")
    with hook_server.hook_server(context(shown, tmp_path)) as web:
        found = settings(web.url, ca_file=file)
        watched = Watched(found)
        for trusted in (None, shown, None):
            if trusted is not None:
                trusted.write(file)
            await probe(found, watched, SystemClock(), SOURCE)
            assert watched.last.problem is (None if web.messages or trusted else PostProblem.NOT_TRUSTED)
        assert len(web.messages) == 2


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_connection_goes_to_allowed_addresses_alone(web: HookServer, host: str) -> None:
    """What counts is the address that is connected to, whether it stands in the URL or a name leads to it."""
    url = web.url.replace("127.0.0.1", host)
    refused = await sent(settings(url, addresses=(ipaddress.ip_network("10.0.0.0/8"),)))
    assert refused.problem is PostProblem.NOT_ALLOWED
    assert "addresses" in str(refused.attempt.error)
    assert not web.messages
    loopback = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("10.0.0.0/8"))
    assert (await sent(settings(url, addresses=loopback))).attempt.succeeded


async def test_metadata_of_a_cloud_is_no_target() -> None:
    for host in ("169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]", "0.0.0.0"):
        reply = await posted(settings(f"http://{host}/latest/meta-data", timeout=30.0))
        assert reply.problem is PostProblem.NOT_ALLOWED, host


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("10.0.0.1", True),
        ("8.8.8.8", True),
        ("::1", True),
        ("127.0.0.1", True),
        ("2001:db8::1", True),
        ("169.254.1.1", False),
        ("64:ff9b::a9fe:a9fe", False),
        ("2002:a9fe:a9fe::1", False),
        ("::ffff:169.254.169.254", False),
        ("fe80::1%eth0", False),
        ("fd00:ec2::254", False),
        ("100.100.100.200", False),
        ("0.0.0.0", False),
        ("::", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
    ],
)
def test_where_targets_are(address: str, allowed: bool) -> None:
    if allowed:
        check_address(address, ())
    else:
        with pytest.raises(AddressRefused):
            check_address(address, ())
        check_address(address, (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0")))
