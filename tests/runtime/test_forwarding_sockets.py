"""Requests as clients write them, passed on between two servers over sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from pws_soap.models import Secret
from service.access.authentication import Authenticator
from service.api.disconnect import AnswerBrokenOff
from service.api.middleware.limits import MAX_BODY
from service.runtime import peers as runtime_peers
from service.runtime.forward_seal import BeatMoment
from service.runtime.forwarding import Forwarding
from service.runtime.owners import Owner
from service.runtime.peers import HttpPeers
from tests.support.bare_service import BareService, presence
from tests.support.listeners import running

ANN = "ann@example.com"


@pytest.fixture(autouse=True)
def slow_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection may take its time, that of TLS as well."""
    monkeypatch.setattr(runtime_peers, "CONNECT", 60.0)


class Knows:
    """Who owns; nothing changes."""

    def __init__(self, address: str) -> None:
        self.address = address

    def owner(self) -> Owner | None:
        return Owner(7, self.address, is_self=not self.address)

    async def gone(self, owner: Owner) -> None:
        await asyncio.Event().wait()

    def is_coming(self) -> bool:
        return False

    def is_leaving(self) -> bool:
        return False

    def moment(self) -> BeatMoment:
        return BeatMoment(7, 1)

    def address_of(self, mark: bytes) -> str | None:
        return None


@asynccontextmanager
async def follower(program: ASGIApp | None = None) -> AsyncIterator[tuple[int, BareService]]:
    """The port of a follower, and its owner's parts; with `program` in the place of the owner's."""
    owner, other = (BareService({"support": (ANN,)}, authenticator=Authenticator()) for _ in "12")
    if program is not None:
        owner.app = program  # type: ignore[assignment]  # any program will do to listen
    owner.watch(ANN)
    owner.read([presence(ANN)])
    peers = HttpPeers()
    try:
        async with running(_around(owner, "", peers), None) as (owner_port,):
            address = f"http://127.0.0.1:{owner_port}"
            async with running(_around(other, address, peers), None) as (port,):
                yield port, owner
                await peers.close()
    finally:
        await peers.close()


def _around(office: BareService, address: str, peers: HttpPeers) -> BareService:
    secret = Secret("a secret of the replicas")
    office.app = Forwarding(  # type: ignore[assignment]  # any program will do to listen
        office.app, Knows(address), peers, secret, Authenticator(), max_body=MAX_BODY
    )
    return office


async def said(port: int, request: bytes, until: bytes = b"") -> bytes:
    """What the server says until `until`, or until it closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        async with asyncio.timeout(30):
            return await (reader.readuntil(until) if until else reader.read())
    finally:
        writer.close()
        await writer.wait_closed()


def asking(method: str, target: str, *headers: str, body: bytes = b"") -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: 127.0.0.1", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def test_a_body_in_chunks_after_it_was_asked_for() -> None:
    """`Expect: 100-continue` is the follower's to answer."""
    body = b'1b\r\n{"group":"support","count":\r\n2\r\n1}\r\n0\r\n\r\n'
    headers = ("Content-Type: application/json", "Transfer-Encoding: chunked", "Expect: 100-continue")
    async with follower() as (port, owner):
        answer = await said(port, asking("POST", "/v1/claims", *headers, body=body))
        assert answer.startswith(b"HTTP/1.1 100")
        assert b"HTTP/1.1 201" in answer
        assert b"pws-forwarded" not in answer.lower()
        assert [lease.people[0].contact for lease in owner.core.claim_service.leases()] == [ANN]


async def test_a_head_request_that_the_owner_answers() -> None:
    """With the length that the answer would have, and without it."""
    async with follower() as (port, _):
        answer = await said(port, asking("HEAD", "/v1/presence?max_age=5"))
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        assert b"cache-status: pws-presence; hit" in head.lower()
        assert b"content-length: 0" not in head.lower()
        assert body == b""


async def test_large_bodies() -> None:
    """Up to the bound they go to the owner; beyond it the follower refuses them."""
    contacts = ",".join(f'"{number:05}-{"x" * 40}@example.com"' for number in range(2500))
    body = f'{{"contacts":[{contacts}]}}'.encode()
    headers = ("Content-Type: application/json", f"Content-Length: {len(body)}")
    async with follower() as (port, _):
        answer = await said(port, asking("POST", "/v1/contacts", *headers, body=body))
        assert answer.startswith(b"HTTP/1.1 200")
        assert answer.count(b"@example.com") == 2500
        headers = ("Content-Type: application/json", f"Content-Length: {MAX_BODY + 1}")
        answer = await said(port, asking("POST", "/v1/contacts", *headers), b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 413")


async def test_an_answer_that_breaks_off(caplog: pytest.LogCaptureFixture) -> None:
    """The client's connection is closed in its midst, and no trace is logged."""

    async def breaks_off(scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = [(b"content-length", b"10")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b"half", "more_body": True})
            raise AnswerBrokenOff

    async with follower(breaks_off) as (port, _):
        answer = await said(port, asking("POST", "/v1/claims", "Content-Length: 0"))
        assert answer.endswith(b"\r\n\r\nhalf")
    assert [record.name for record in caplog.records if record.exc_info] == []
