"""Memory that bodies may take, and what is told to those beyond."""

from __future__ import annotations

import gzip

from service.facade.bodies import SMALL, BodyBudget
from service.facade.facade import SoapFacade
from tests.facade.desk import ANN, HERE, Desk, facade_desk
from tests.support import soap_by_hand as soap

ONE = 4 * SMALL


def test_one_address_has_a_share_and_all_have_a_limit() -> None:
    budget = BodyBudget(of_one=2 * ONE, of_all=3 * ONE)
    with budget.held("a", ONE), budget.held("a", ONE):
        assert not budget.has_room("a", ONE)
        assert budget.has_room("a", SMALL)
        with budget.held("b", ONE):
            assert not budget.has_room("c", ONE)
        assert budget.has_room("c", ONE)
    assert budget.has_room("a", 2 * ONE)


async def ask(facade: SoapFacade, body: bytes, *headers: tuple[bytes, bytes]) -> tuple[int, bytes]:
    """One request, as a server of ASGI hands it over."""
    sent: list[dict[str, object]] = []
    length = str(len(body)).encode()

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    scope: dict[str, object] = {
        "type": "http",
        "method": "POST",
        "path": "/presence-service/soap",
        "query_string": b"",
        "headers": [(b"content-length", length), (b"user-agent", b"tests"), *headers],
        "client": (HERE, 1234),
    }
    await facade.app(scope, receive, send)  # type: ignore[arg-type]  # ASGI's mappings
    status = sent[0]["status"]
    assert isinstance(status, int)
    return status, b"".join(part for message in sent[1:] if isinstance(part := message["body"], bytes))


async def test_a_long_request_waits_where_there_is_no_room() -> None:
    """Before its body is read; a short one is answered."""

    async def poll_of(desk: Desk, count: int) -> tuple[int, bytes]:
        program = await desk.program()
        names = [ANN, *(f"p{number}@example.com" for number in range(count))]
        return await ask(desk.facade, soap.envelope(soap.poll(*names), program.session.key.reveal()))

    async with facade_desk() as desk:
        desk.watch(ANN)
        desk.read(ANN)
        desk.facade._bodies = BodyBudget(of_one=0, of_all=0)
        status, body = await poll_of(desk, 2000)
        assert (status, b"<code>212</code>" in body) == (503, True)
        assert (await poll_of(desk, 2))[0] == 200
        desk.facade._bodies = BodyBudget()
        status, body = await poll_of(desk, 2000)
        assert (status, body.count(b"presenceStatus")) == (200, 2001)


async def test_a_packed_request_counts_as_what_it_may_become() -> None:
    """A thousand bytes may be a megabyte that takes long to read; an ordinary one is answered beside many others."""
    async with facade_desk() as desk:
        desk.watch(ANN)
        desk.read(ANN)
        program = await desk.program()
        key = program.session.key.reveal()
        packed = gzip.compress(soap.envelope(soap.poll(ANN), key))
        assert (await ask(desk.facade, packed, (b"content-encoding", b"gzip")))[0] == 200
        desk.facade._bodies = BodyBudget(of_one=500_000, of_all=500_000)
        assert (await ask(desk.facade, packed, (b"content-encoding", b"gzip")))[0] == 200
        bomb = gzip.compress(soap.envelope("<x/>" * 200_000, key))
        assert len(bomb) < 2000
        assert (await ask(desk.facade, bomb, (b"content-encoding", b"gzip")))[0] == 503


async def test_a_request_has_no_more_elements_than_its_length_allows() -> None:
    """Each takes as long to read when it is packed into a bit; thousands of contacts are far below that."""
    async with facade_desk() as desk:
        elements = soap.envelope("<x/>" * 40_000)
        status, body = await ask(desk.facade, elements)
        assert (status, b"more than 32768 elements" in body) == (200, True)
