"""The way to another replica over sockets: whom it believes, and what a client is told when the way is bad."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509

from pws_soap.errors import ArgumentError
from service.runtime import peers as runtime_peers
from service.runtime.peer_requests import PeerRequest, PeerUnreachable
from service.runtime.peers import HttpPeers
from tests.support.tls_servers import MadeCertificate, context

ASKED = PeerRequest("POST", "/v1/claims?a=%2F", [(b"host", b"api.example.com"), (b"x-api-key", b"k")], b"{}")
ANSWER = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\nX-By: two\r\n\r\nok"
HERE = (x509.IPAddress(ip_address("127.0.0.1")),)

Answering = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(autouse=True)
def slow_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection may take its time, that of TLS as well."""
    monkeypatch.setattr(runtime_peers, "CONNECT", 60.0)


class Replica:
    """What listens at an address, and the heads of the requests that it got."""

    def __init__(self, answering: Answering) -> None:
        self.heads: list[bytes] = []
        self.address = ""
        self._answering = answering

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.heads.append(await reader.readuntil(b"\r\n\r\n"))
            await reader.readexactly(2)
            await self._answering(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def listening(answering: Answering, tls: ssl.SSLContext | None = None) -> AsyncIterator[Replica]:
    replica = Replica(answering)
    server = await asyncio.start_server(replica.serve, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    replica.address = f"{'http' if tls is None else 'https'}://127.0.0.1:{port}"
    try:
        yield replica
    finally:
        server.close()
        await server.wait_closed()


async def answers(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(ANSWER)
    await writer.drain()


async def asked(address: str, ca_file: Path | None = None) -> tuple[int, bytes]:
    """Status and body."""
    peers = HttpPeers(ca_file)
    try:
        async with peers.ask(address, ASKED) as reply:
            return reply.status, b"".join([part async for part in reply.body])
    finally:
        await peers.close()


async def test_a_request_goes_as_it_is() -> None:
    """With the client's Host and target, and nothing that it did not say but the length of its body."""
    async with listening(answers) as replica:
        assert await asked(replica.address) == (201, b"ok")
        assert sorted(replica.heads[0].lower().strip().split(b"\r\n")) == [
            b"content-length: 2",
            b"host: api.example.com",
            b"post /v1/claims?a=%2f http/1.1",
            b"x-api-key: k",
        ]


async def test_a_replica_over_tls_is_believed_by_the_authority_that_was_named(tmp_path: Path) -> None:
    """And by no other; where it is not, it is told nothing, neither a key nor anything else."""
    authority = MadeCertificate("replicas", authority=True)
    own = MadeCertificate("replica", issuer=authority, names=HERE)
    named = authority.write(tmp_path / "ca.pem")
    other = MadeCertificate("somebody else", authority=True).write(tmp_path / "other.pem")
    async with listening(answers, context(own, tmp_path)) as replica:
        assert await asked(replica.address, named) == (201, b"ok")
        for ca_file in (None, other):
            with pytest.raises(PeerUnreachable) as refused:
                await asked(replica.address, ca_file)
            assert not refused.value.may_have_acted
        assert len(replica.heads) == 1


async def test_a_certificate_for_another_name_is_not_believed(tmp_path: Path) -> None:
    """No matter who signed it: another machine of the same authority is no replica."""
    authority = MadeCertificate("replicas", authority=True)
    elsewhere = MadeCertificate("replica", issuer=authority, names=(x509.DNSName("elsewhere.example.com"),))
    named = authority.write(tmp_path / "ca.pem")
    async with listening(answers, context(elsewhere, tmp_path)) as replica:
        with pytest.raises(PeerUnreachable) as refused:
            await asked(replica.address, named)
        assert not refused.value.may_have_acted
        assert not replica.heads


def test_a_file_without_certificates_is_told_at_the_start(tmp_path: Path) -> None:
    """Not when the first request is to be passed on."""
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(ArgumentError):
        HttpPeers(tmp_path / "ca.pem")


async def test_nobody_listens() -> None:
    """So nothing was done."""
    async with listening(answers) as replica:
        address = replica.address
    with pytest.raises(PeerUnreachable) as refused:
        await asked(address)
    assert not refused.value.may_have_acted


@pytest.mark.parametrize("said", [b"", ANSWER[:-1], b"no HTTP at all\r\n\r\n"])
async def test_an_answer_that_breaks_off(said: bytes) -> None:
    """Something may have been done."""

    async def breaks_off(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        await writer.drain()

    async with listening(breaks_off) as replica:
        with pytest.raises(PeerUnreachable) as refused:
            await asked(replica.address)
        assert refused.value.may_have_acted


@pytest.mark.parametrize(("method", "times"), [("DELETE", 1), ("GET", 2)])
async def test_what_changes_something_is_sent_once(method: str, times: int) -> None:
    """A claim may be released although the connection broke off; a second request would hear that there is none."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    peers = HttpPeers()
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    with pytest.raises(PeerUnreachable) as refused:
        async with peers.ask(address, PeerRequest(method, "/v1/claims/1", [(b"host", b"here")], b"")):
            pass
    await peers.close()
    server.close()
    await server.wait_closed()
    assert refused.value.may_have_acted
    assert len(heads) == times


async def test_what_is_logged_of_a_bad_answer_has_no_query() -> None:
    """It names contacts."""

    async def babbles(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"no HTTP at all\r\n\r\n")
        await writer.drain()

    async with listening(babbles) as replica:
        with pytest.raises(PeerUnreachable) as refused:
            await asked(replica.address)
        assert str(refused.value) == f"{replica.address} answers something that is not HTTP"


async def test_who_does_not_wait_any_more_hangs_up() -> None:
    """The other replica sees it at once, although it has not answered."""
    came, gone = asyncio.Event(), asyncio.Event()

    async def waits(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        came.set()
        assert await reader.read() == b""
        gone.set()

    async with listening(waits) as replica:
        asking = asyncio.create_task(asked(replica.address))
        async with asyncio.timeout(30):
            await came.wait()
            asking.cancel()
            await gone.wait()
        with pytest.raises(asyncio.CancelledError):
            await asking


async def test_no_redirect_is_followed() -> None:
    """What is passed on goes to a replica, and nowhere else."""

    async def redirects(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async with listening(redirects) as replica:
        assert await asked(replica.address) == (307, b"")
