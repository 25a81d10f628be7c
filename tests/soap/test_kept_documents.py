"""Documents that a client keeps: each says by itself what it said in the reply, whatever carried it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest
from lxml import etree
from msgspec.structs import replace

from pws_soap import PwsClient
from pws_soap.memory import MemoryTransport, SentRequest
from pws_soap.models import Presence, Session
from pws_soap.pidf import read_document, to_presence
from pws_soap.pidf.model import MAX_KEPT_DOCUMENT
from pws_soap.simulator import Options, Simulator, State
from pws_soap.transport import Reply
from tests.soap.samples import NODE, end_user, people, pidf, rich

NOW = datetime(2026, 5, 30, 12, tzinfo=UTC)
FEW, MANY = 1, 40
"""Contacts of a reply that is read as a whole, and of one that is read entry by entry."""


def client_of(simulator: Simulator) -> PwsClient:
    """A client that keeps documents, in one process with the server."""

    async def post(sent: SentRequest) -> Reply:
        reply = await simulator.post("imp1", sent.headers, sent.body)
        return Reply(reply.status, reply.body)

    return PwsClient(NODE, transport=MemoryTransport(post), now=lambda: NOW, keeps_documents=True)


async def session_at(pws: PwsClient) -> Session:
    return await pws.login_end_user(await pws.login("pwsapp", "secret"), "dispatcher")


def says_the_same(presence: Presence) -> bool:
    """Whether the document that is kept means what was read."""
    assert presence.document is not None
    etree.fromstring(presence.document)  # by itself, namespaces included
    return to_presence(read_document(presence.document, NOW)) == replace(presence, document=None)


@pytest.mark.parametrize("count", [FEW, MANY])
@pytest.mark.parametrize("carrier", ["elements", "cdata", "escaped"])
@pytest.mark.parametrize("namespaces", ["right", "wrong", "missing"])
async def test_each_document_is_that_of_its_contact(
    carrier: Literal["elements", "cdata", "escaped"], namespaces: Literal["right", "wrong", "missing"], count: int
) -> None:
    """Read for the first time, again unchanged, and after a change."""
    simulator = Simulator(
        Options(rich_carrier=carrier, rich_namespaces=namespaces, rich_declaration=True), nodes=["imp1"]
    )
    names = simulator.populate(count)
    async with client_of(simulator) as pws:
        user = await session_at(pws)
        first = await pws.get_polled_presence(user, names, rich=True)
        again = await pws.get_polled_presence(user, names, rich=True)
        simulator.change(names[0], state=State.DND, note='"so" <b> & äöü')
        changed = await pws.get_polled_presence(user, names, rich=True)
    for presences in (first, again, changed):
        assert [each.contact for each in presences] == names
        assert all(map(says_the_same, presences))
    assert changed[0].document != first[0].document
    assert changed[1:] == first[1:]


async def test_a_client_keeps_no_documents_unless_it_is_asked_to() -> None:
    async with PwsClient(NODE, transport=MemoryTransport([rich("".join(map(pidf, people(MANY))))])) as pws:
        presences = await pws.get_subscribed_presence(end_user(), 1, rich=True)
    assert len(presences) == MANY
    assert all(presence.document is None for presence in presences)


@pytest.mark.parametrize("count", [FEW, MANY])
async def test_what_is_declared_around_a_document_goes_with_it(count: int) -> None:
    """A prefix and a namespace without one."""
    names = people(count)
    documents = "".join(
        f'<presence entity="sip:{name}"><p:person><p:activities><p:busy/></p:activities></p:person></presence>'
        for name in names
    )
    body = rich(documents).replace(
        b"<richPresenceList>",
        b'<richPresenceList xmlns="urn:ietf:params:xml:ns:pidf" xmlns:p="urn:cisco:params:xml:ns:pidf:rpid">',
    )
    assert b"xmlns:p" in body
    async with PwsClient(NODE, transport=MemoryTransport([body]), keeps_documents=True) as pws:
        presences = await pws.get_subscribed_presence(end_user(), 1, rich=True)
    own = [each for each in presences if each.contact]
    assert [each.contact for each in own] == names
    for presence in own:
        root = etree.fromstring(presence.document or b"")
        assert root.tag == "{urn:ietf:params:xml:ns:pidf}presence"
        assert root[0].tag == "{urn:cisco:params:xml:ns:pidf:rpid}person"
        assert set(root.nsmap) == {None, "p"}


async def test_a_document_with_times_is_kept_with_what_it_means_now() -> None:
    """It is read each time, and each time the presence holds the document that it was read of."""
    until = NOW + timedelta(hours=1)
    document = (
        f'<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:ann@example.com"><person><activities '
        f'until="{until:%Y-%m-%dT%H:%M:%SZ}"><busy/></activities></person></presence>'
    )
    async with PwsClient(
        NODE, transport=MemoryTransport([rich(document)]), now=lambda: NOW, keeps_documents=True
    ) as pws:
        (presence,) = await pws.get_subscribed_presence(end_user(), 1, rich=True)
    assert presence.valid_until == until
    assert presence.document is not None
    assert b"until=" in presence.document


@pytest.mark.parametrize("count", [FEW, MANY])
async def test_a_very_long_document_is_read_and_not_kept(count: int) -> None:
    names = people(count)
    long = pidf(names[0]).replace("</presence>", f"<note>{'x' * MAX_KEPT_DOCUMENT}</note></presence>")
    async with PwsClient(
        NODE, transport=MemoryTransport([rich(long + "".join(map(pidf, names[1:])))]), keeps_documents=True
    ) as pws:
        presences = await pws.get_subscribed_presence(end_user(), 1, rich=True)
    assert [each.problem for each in presences] == [None] * count
    assert [each.document is None for each in presences] == [True] + [False] * (count - 1)
