"""An equal reply to an equal request is not read again, and is never taken for another."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict

from pws_soap import codec, kept_replies
from pws_soap.client import PwsClient
from pws_soap.entries import EntryReader
from pws_soap.errors import PwsError
from pws_soap.kept_replies import KeptReplies, KeptReply
from pws_soap.memory import MemoryTransport, SentRequest
from pws_soap.models import Presence, PresenceState, Secret, Session, SessionKind
from pws_soap.transport import Reply
from tests.soap.samples import KEY, NODE, application, basic, end_user, people, pidf, rich
from tests.support.examples import examples

NOW = datetime(2026, 5, 30, 12, tzinfo=UTC)
PRESENCES = [Presence(uri, PresenceState.BUSY) for uri in people(3)]
OTHER = Session("dispatcher", SessionKind.END_USER, NODE, Secret("another-key"))
CARRIERS = ["", "elements", "cdata", "escaped"]
MANY = [pidf(uri) for uri in people(90)]


def whole(body: bytes, presences: list[Presence] = PRESENCES) -> KeptReply:
    return KeptReply.of_whole(body, presences)


def known(kept: KeptReplies, body: bytes, request: bytes = b"request", session: Session | None = None) -> object:
    """What is known of a reply that has no entries."""
    before = kept.last(session or end_user(), request)
    if before is None:
        return None
    try:
        next(before.followed_by(body, None))
    except StopIteration as done:
        return done.value and done.value.presences
    raise AssertionError("it takes no time to read it")


def test_a_reply_is_known_as_the_last_to_its_request_alone() -> None:
    kept = KeptReplies()
    kept.keep(end_user(), b"request", whole(b"a"))
    assert known(kept, b"a") == PRESENCES
    assert known(kept, b"a", b"other request") is None
    assert known(kept, b"b") is None
    kept.keep(end_user(), b"request", whole(b"b", PRESENCES[:1]))
    assert known(kept, b"a") is None
    assert (len(kept), kept.memory) == (1, 1)


async def test_what_is_handed_out_can_be_changed() -> None:
    """By the caller: the next one gets the same."""
    reply = basic([("ann@example.com", "BUSY")])
    async with PwsClient(NODE, transport=MemoryTransport([reply] * 3)) as pws:
        for _ in range(3):
            found = await pws.get_subscribed_presence(end_user(), 7)
            assert [each.contact for each in found] == ["ann@example.com"]
            found.clear()


def test_only_so_much_is_kept() -> None:
    """The reply that was not asked for longest goes; one that is too large is not kept."""
    kept = KeptReplies(replies=2, memory=70)
    for name in (b"a", b"b"):
        kept.keep(end_user(), name, whole(name * 30))
    assert known(kept, b"a" * 30, b"a") is not None
    kept.keep(end_user(), b"c", whole(b"c" * 10))
    assert (known(kept, b"b" * 30, b"b"), kept.memory) == (None, 40)
    kept.keep(end_user(), b"d", whole(b"d" * 60))
    assert kept.memory == 70
    kept.keep(end_user(), b"d", whole(b"d" * 80))
    assert known(kept, b"d" * 80, b"d") is None
    assert kept.memory in {0, 10}


def test_the_replies_to_a_session_go_when_its_user_has_another() -> None:
    """Nobody asks with the old key again. Other users' replies stay, as long as there are not too many."""
    kept = KeptReplies(replies=8)
    for number in range(3):
        kept.keep(end_user(), b"%d" % number, whole(b"a"))
    kept.keep(application(), b"request", whole(b"a"))
    kept.keep(OTHER, b"request", whole(b"b"))
    assert (len(kept), kept.memory) == (2, 2)
    assert known(kept, b"a", session=application()) is not None
    for number in range(20):
        kept.keep(Session(f"user{number}", SessionKind.END_USER, NODE, Secret("key")), b"%d" % number, whole(b"a"))
    assert len(kept) <= 8
    assert len(kept._sessions) <= 10


# A client that remembers, beside one that does not


def written(carrier: str, entries: list[str]) -> bytes:
    """A reply with these entries; of basic presence without a carrier."""
    if carrier:
        return rich(entries, carrier)
    return basic([]).replace(b"<basicPresenceList>", ("<basicPresenceList>" + "".join(entries)).encode())


def entries_of(carrier: str) -> list[str]:
    """Enough that a reply is long."""
    return MANY if carrier else [f'<contact contactURI="{uri}" presenceStatus="BUSY"/>' for uri in people(150)]


async def read_by(client: PwsClient, *, is_rich: bool) -> object:
    """All fields of what it reads, or its error."""
    try:
        found = await client.get_subscribed_presence(end_user(), 7, rich=is_rich)
    except PwsError as error:
        return str(error)
    return [asdict(presence) for presence in found]


async def read_in_turn(bodies: list[bytes], *, is_rich: bool) -> list[object]:
    """What one client reads; it is the same as what a new client reads of each."""
    found = []
    async with PwsClient(NODE, transport=MemoryTransport(bodies), now=lambda: NOW) as remembers:
        for body in bodies:
            async with PwsClient(NODE, transport=MemoryTransport([body]), now=lambda: NOW) as new:
                found.append(await read_by(remembers, is_rich=is_rich))
                assert found[-1] == await read_by(new, is_rich=is_rich)
    return found


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_of_a_reply_with_few_changes_only_these_are_read(carrier: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All else is known by its bytes, and is the very presence of the reply before."""
    one_by_one: list[bytes] = []
    in_steps: list[EntryReader] = []
    read, read_all = EntryReader.read, EntryReader.in_steps

    def counted(self: EntryReader, entry: bytes) -> tuple[Presence, bool]:
        one_by_one.append(entry)
        return read(self, entry)

    def counted_all(self: EntryReader) -> Generator[list[Presence], None, None]:
        in_steps.append(self)
        return read_all(self)

    monkeypatch.setattr(EntryReader, "read", counted)
    monkeypatch.setattr(EntryReader, "in_steps", counted_all)
    entries = entries_of(carrier)
    changed = [*entries[:7], entries[7].replace("busy", "away").replace("BUSY", "AWAY"), *entries[8:]]
    replies = [written(carrier, each) for each in (entries, changed, changed, entries)]
    async with PwsClient(NODE, transport=MemoryTransport(replies)) as pws:
        found = [await pws.get_subscribed_presence(end_user(), 7, rich=bool(carrier)) for _ in replies]
    assert len(in_steps) == 1
    assert len(one_by_one) == 2
    assert [each[7].state for each in found] == [
        PresenceState.BUSY,
        PresenceState.AWAY,
        PresenceState.AWAY,
        PresenceState.BUSY,
    ]
    assert all(
        one is other
        for later in found[1:]
        for place, (one, other) in enumerate(zip(found[0], later, strict=True))
        if place != 7
    )


ODD = st.sampled_from(
    [
        "<more/>",
        "x",
        "&#160;",
        "\n",
        "<!-- -->",
        "<!-- <presence entity='sip:eve@example.com'/> -->",
        "<!--",
        "<?more?>",
        "<presence entity='sip:eve@example.com'/>",
        "<presence>",
        "</presence>",
        "]]>",
        "<![CDATA[",
        "/>",
        "<contact contactURI='eve@example.com' presenceStatus='DND'/>",
        "<busy until='2026-05-30T13:00:00Z'/>",
        "\0",
        "&lt;",
        "<p:note>x</p:note>",
    ]
)
WORDS = st.sampled_from(
    [
        ("busy", "away"),
        ("BUSY", "AWAY"),
        ("BUSY", "NONE"),
        ("user0", "USER0"),
        ("user00", "eve00"),
        ("busy", "busy until='2026-05-30T13:00:00Z'"),
        ("/>", "></busy>"),
        ("<", "<p:"),
        ("contactURI", "contacturi"),
        ('"', "'"),
    ]
)
PLACE = st.integers(0, 99)
CHANGE = st.one_of(
    st.tuples(st.just("mutate"), PLACE, WORDS),
    st.tuples(st.just("insert"), PLACE, ODD),
    st.tuples(st.just("within"), PLACE, ODD),
    st.tuples(st.just("swap"), PLACE, PLACE),
    st.tuples(st.just("repeat"), PLACE, PLACE),
    st.tuples(st.just("leave out"), PLACE, PLACE),
    st.tuples(st.just("break off"), PLACE, PLACE),
    st.tuples(
        st.just("frame"),
        PLACE,
        st.sampled_from(
            [
                ("PresenceList>", "PresenceList >"),
                ("<presenceResponse>", "<presenceResponse href='#1'>"),
                ("</presenceResponse>", "<more/></presenceResponse>"),
                ("</SOAP-ENV:Envelope>", "</SOAP-ENV:Envelope><?more?>"),
                ("_PRESENCE<", "_PRESENCES<"),
                ("Body", "body"),
            ]
        ),
    ),
)


def changed_by(carrier: str, entries: list[str], change: tuple[str, int, Any]) -> bytes:
    """A reply with one thing otherwise than in one with these entries."""
    kind, place, word = change
    at = place % len(entries)
    one, before, behind = entries[at], entries[:at], entries[at + 1 :]
    if kind == "frame":
        return written(carrier, entries).replace(word[0].encode(), word[1].encode())
    if kind == "break off":
        body = written(carrier, entries)
        return body[: len(body) * place // 100]
    if kind == "mutate":
        entries = [*before, one.replace(*word), *behind]
    elif kind == "insert":
        entries = [*before, word, one, *behind]
    elif kind == "within":
        middle = (place * 37) % len(one)
        entries = [*before, one[:middle] + word + one[middle:], *behind]
    elif kind == "swap":
        entries = [*behind, one, *before]
    elif kind == "repeat":
        entries = [*before, one, *behind[: word % 5], one, *behind[word % 5 :]]
    else:
        entries = [*before, *behind]
    return written(carrier, entries)


@given(st.sampled_from(CARRIERS), st.lists(st.tuples(CHANGE, st.booleans()), min_size=1, max_size=5))
@settings(max_examples=examples(200), deadline=None)
async def test_what_is_remembered_changes_no_reading(
    carrier: str, changes: list[tuple[tuple[str, int, Any], bool]]
) -> None:
    """Whatever the replies before were: each is read as by a client that has read none; and so is the good one."""
    entries = entries_of(carrier)
    good = written(carrier, entries)
    bodies = [good]
    for change, is_repeated in changes:
        bodies += [changed_by(carrier, entries, change)] * (1 + is_repeated) + [good]
    found = await read_in_turn(bodies, is_rich=bool(carrier))
    assert found[-1] == found[0]


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_a_reply_about_others_is_read_as_a_new_one(carrier: str) -> None:
    """One contact in the place of another, one more, one less, two that have changed places, one that comes twice."""
    entries = entries_of(carrier)
    other = entries[3].replace("user0003", "zoe")
    named_twice = entries[3].replace("busy", "away").replace("BUSY", "AWAY")
    replies = [
        [*entries[:3], other, *entries[4:]],
        [*entries, other],
        [other, *entries],
        entries[:-1],
        entries[1:],
        [entries[1], entries[0], *entries[2:]],
        [*entries[:-1], named_twice],
        entries,
    ]
    await read_in_turn([written(carrier, each) for one in replies for each in (entries, one)], is_rich=bool(carrier))


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("places", [(0, -1), (-1, 0), (40, 40)])
async def test_calls_at_the_same_time_read_their_own_reply(
    carrier: str, places: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each beside the same reply before, with a pause at every entry, and a third one beside the last of them."""
    monkeypatch.setattr(kept_replies, "_COMPARED", 1)
    entries = entries_of(carrier)
    bodies = [written(carrier, entries)]
    for place, word in zip(places, ("away", "dnd"), strict=True):
        changed = entries.copy()
        changed[place] = changed[place].replace("busy", word).replace("BUSY", word.upper())
        bodies.append(written(carrier, changed))
    order = [*bodies, *bodies]
    async with PwsClient(NODE, transport=MemoryTransport(order), now=lambda: NOW) as pws:
        first = await read_by(pws, is_rich=bool(carrier))
        found = await asyncio.gather(*(read_by(pws, is_rich=bool(carrier)) for _ in bodies[1:]))
        again = [await read_by(pws, is_rich=bool(carrier)) for _ in bodies]
    assert again == [first, *found] == await read_in_turn(bodies, is_rich=bool(carrier))


@pytest.mark.parametrize("carrier", CARRIERS[1:])
async def test_an_entry_with_times_is_read_each_time(carrier: str) -> None:
    """The others of the same reply are not."""
    timed = [*MANY[:5], MANY[5].replace("<busy/>", "<busy until='2026-05-30T13:00:00Z'/><away/>"), *MANY[6:]]
    now = NOW
    found = []
    async with PwsClient(NODE, transport=MemoryTransport([rich(timed, carrier)] * 3), now=lambda: now) as pws:
        for _ in range(3):
            found.append(await pws.get_subscribed_presence(end_user(), 7, rich=True))
            now += timedelta(hours=2)
        assert pws._calls._readings.read == len(MANY) + 2
    assert [each[5].state for each in found] == [PresenceState.BUSY, PresenceState.AWAY, PresenceState.AWAY]
    assert found[0][4] is found[1][4] is found[2][4]


async def test_a_long_reply_is_compared_in_steps() -> None:
    """Others have their turn meanwhile."""
    contacts = [(uri, "BUSY") for uri in people(9000)]
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    bodies = [basic(contacts), basic([*contacts[:-1], (contacts[-1][0], "AWAY")])]
    async with PwsClient(NODE, transport=MemoryTransport(bodies)) as pws:
        await pws.get_subscribed_presence(end_user(), 7)
        counting = asyncio.create_task(count())
        await asyncio.sleep(0)
        before = turns
        found = await pws.get_subscribed_presence(end_user(), 7)
        counting.cancel()
    assert turns - before >= 4
    assert found[-1].state is PresenceState.AWAY


@pytest.mark.parametrize("carrier", ["elements", "cdata", "escaped", "escaped by number"])
@pytest.mark.parametrize("count", [1, 40])
async def test_a_document_with_times_means_something_else_later(carrier: str, count: int) -> None:
    """The same bytes, read twice."""
    timed = [pidf(uri).replace("<busy/>", "<busy until='2026-05-30T13:00:00Z'/><away/>") for uri in people(count)]
    now = NOW
    reply = rich(timed, carrier.partition(" ")[0])
    if carrier == "escaped by number":
        reply = reply.replace(b"until=", b"until&#61;")
    async with PwsClient(NODE, transport=MemoryTransport([reply] * 2), now=lambda: now) as pws:
        first = await pws.get_subscribed_presence(end_user(), 7, rich=True)
        now += timedelta(hours=2)
        second = await pws.get_subscribed_presence(end_user(), 7, rich=True)
    assert {each.state for each in first} == {PresenceState.BUSY}
    assert {each.state for each in second} == {PresenceState.AWAY}


async def test_the_same_reply_to_another_session_is_not_taken_from_memory() -> None:
    """It may repeat a session key, which must be that of the request."""
    header = f"<session-key xmlns='urn:cisco:cup:presence:soap'>{KEY}</session-key>"
    reply = basic([("ann@example.com", "BUSY")], header=header)
    async with PwsClient(NODE, transport=MemoryTransport([reply] * 3)) as pws:
        assert len(await pws.get_subscribed_presence(end_user(), 7)) == 1
        with pytest.raises(Exception, match="another session"):
            await pws.get_subscribed_presence(OTHER, 7)
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

    async with PwsClient(NODE, transport=MemoryTransport(answer)) as pws:
        for _ in range(3):
            for user, number, as_rich in ((end_user(), 7, False), (end_user(), 7, True), (end_user(), 8, False)):
                await pws.get_subscribed_presence(user, number, rich=as_rich)
            await pws.get_subscribed_presence(OTHER, 7)
        assert KEY not in repr(pws._calls.__dict__)
    assert len(made) == 4
    assert [request.body for request in sent[:4]] * 3 == [request.body for request in sent]
    assert len({request.body for request in sent}) == 4
