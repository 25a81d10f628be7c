"""An equal reply to an equal request is not read again, and is never taken for another."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pws_soap import codec
from pws_soap.client import PwsClient
from pws_soap.kept_replies import KeptReplies, digest_in_steps
from pws_soap.memory import MemoryTransport, SentRequest
from pws_soap.models import Presence, PresenceState, Secret, Session, SessionKind
from pws_soap.transport import Reply
from tests.soap.samples import KEY, NODE, basic, end_user, people, pidf, rich

NOW = datetime(2026, 5, 30, 12, tzinfo=UTC)
PRESENCES = [Presence(uri, PresenceState.BUSY) for uri in people(3)]


def digest(reply: bytes) -> bytes:
    steps = digest_in_steps(reply)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            made: bytes = done.value
            return made


def test_a_reply_is_known_as_the_last_to_its_request_alone() -> None:
    kept = KeptReplies()
    kept.keep(b"request", digest(b"a"), PRESENCES)
    assert kept.known(b"request", digest(b"a")) == PRESENCES
    assert kept.known(b"other request", digest(b"a")) is None
    assert kept.known(b"request", digest(b"b")) is None
    kept.keep(b"request", digest(b"b"), PRESENCES[:1])
    assert kept.known(b"request", digest(b"a")) is None
    assert len(kept) == 1


def test_what_is_handed_out_can_be_changed() -> None:
    kept = KeptReplies()
    kept.keep(b"request", digest(b"a"), PRESENCES)
    (kept.known(b"request", digest(b"a")) or []).clear()
    assert kept.known(b"request", digest(b"a")) == PRESENCES


def test_only_so_much_is_kept() -> None:
    """The reply that was not asked for longest goes; one that is too large is not kept."""
    kept = KeptReplies(replies=2, presences=7)
    for name in (b"a", b"b"):
        kept.keep(name, digest(name), PRESENCES)
    assert kept.known(b"a", digest(b"a")) is not None
    kept.keep(b"c", digest(b"c"), PRESENCES[:1])
    assert (kept.known(b"b", digest(b"b")), len(kept)) == (None, 4)
    kept.keep(b"d", digest(b"d"), PRESENCES * 2)
    assert len(kept) == 7
    kept.keep(b"d", digest(b"d"), PRESENCES * 3)
    assert kept.known(b"d", digest(b"d")) is None
    assert len(kept) in {0, 1}


def test_a_long_reply_is_digested_in_steps() -> None:
    """The digest of its parts is that of the whole."""
    long = b"x" * 3_000_000
    assert sum(1 for _ in digest_in_steps(long)) == 2
    assert digest(long) != digest(long[:-1] + b"y")
    assert digest(long[:-1] + b"x") == digest(long)


@pytest.mark.parametrize("carrier", ["elements", "cdata", "escaped"])
@pytest.mark.parametrize("count", [1, 40])
async def test_a_document_with_times_means_something_else_later(carrier: str, count: int) -> None:
    """The same bytes, read twice."""
    timed = [pidf(uri).replace("<busy/>", "<busy until='2026-05-30T13:00:00Z'/><away/>") for uri in people(count)]
    now = NOW
    async with PwsClient(NODE, transport=MemoryTransport([rich(timed, carrier)] * 2), now=lambda: now) as pws:
        first = await pws.get_subscribed_presence(end_user(), 7, rich=True)
        now += timedelta(hours=2)
        second = await pws.get_subscribed_presence(end_user(), 7, rich=True)
    assert {each.state for each in first} == {PresenceState.BUSY}
    assert {each.state for each in second} == {PresenceState.AWAY}


async def test_the_same_reply_to_another_session_is_not_taken_from_memory() -> None:
    """It may repeat a session key, which must be that of the request."""
    header = f"<session-key xmlns='urn:cisco:cup:presence:soap'>{KEY}</session-key>"
    reply = basic([("ann@example.com", "BUSY")], header=header)
    other = Session("dispatcher", SessionKind.END_USER, NODE, Secret("another-key"))
    async with PwsClient(NODE, transport=MemoryTransport([reply] * 3)) as pws:
        assert len(await pws.get_subscribed_presence(end_user(), 7)) == 1
        with pytest.raises(Exception, match="another session"):
            await pws.get_subscribed_presence(other, 7)
        assert len(await pws.get_subscribed_presence(end_user(), 7)) == 1


async def test_the_request_of_a_fetch_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """For each session key, subscription and type; it is what it would be, and sent each time."""
    made: list[str] = []
    encode = codec.encode

    def counted(*words: object) -> codec.EncodedRequest:
        made.append(str(words[1]))
        return encode(*words)  # type: ignore[arg-type]  # as they come

    monkeypatch.setattr(codec, "encode", counted)
    sent: list[SentRequest] = []

    async def answer(request: SentRequest) -> Reply:
        sent.append(request)
        kind = b"RICH" if b"RICH_PRESENCE" in request.body else b"BASIC"
        return Reply(200, basic([]).replace(b"BASIC", kind))

    other = Session("dispatcher", SessionKind.END_USER, NODE, Secret("another-key"))
    async with PwsClient(NODE, transport=MemoryTransport(answer)) as pws:
        for _ in range(3):
            for user, number, as_rich in ((end_user(), 7, False), (end_user(), 7, True), (end_user(), 8, False)):
                await pws.get_subscribed_presence(user, number, rich=as_rich)
            await pws.get_subscribed_presence(other, 7)
        assert KEY not in repr(pws._calls.__dict__)
    assert len(made) == 4
    assert [request.body for request in sent[:4]] * 3 == [request.body for request in sent]
    assert len({request.body for request in sent}) == 4
