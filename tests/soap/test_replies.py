"""The two replies that grow: none of their contacts is lost, and what is read is what zeep reads where zeep can."""

from __future__ import annotations

from typing import Any

import pytest
import zeep.exceptions
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from pws_soap import codec, contract, envelope, replies
from pws_soap.client import PwsClient
from pws_soap.errors import UnexpectedReply
from pws_soap.memory import MemoryTransport
from pws_soap.models import Presence, PresenceState, PresenceType
from tests.soap.samples import KEY, NODE, NS, SOAP11, SOAP12, basic, end_user, people, pidf, response, rich
from tests.support.examples import examples

OPERATION = "getSubscribedPresence"
Contacts = list[tuple[str | None, str | None]]


async def fetched(reply: bytes, *, as_rich: bool = False) -> list[Presence]:
    """What the client makes of a reply, with the bundled WSDL."""
    return await PwsClient(NODE, transport=MemoryTransport([reply])).get_subscribed_presence(
        end_user(), 7, rich=as_rich
    )


def ours(reply: bytes) -> list[tuple[str, str]]:
    """Our reading of a basic reply."""
    payload = codec.payload(envelope.parse(reply), OPERATION)
    return [(each.contact, str(each.state)) for each in replies.presences(payload)]


def by_zeep(reply: bytes, *, strict: bool = True) -> list[tuple[str, str]]:
    """zeep's typed reading of the same reply, in the terms of ours. A contact without attributes is None to zeep."""
    loaded = contract.bundled()
    payload = codec.payload(envelope.parse(reply), OPERATION)
    with loaded.client.settings(strict=strict):
        value: Any = loaded.schema.deserialize(payload)  # zeep has no types
    listed = value.presenceResponse.basicPresenceList
    found = listed.contact if listed is not None else []
    pairs = [("", "") if each is None else (each.contactURI or "", each.presenceStatus) for each in found]
    return [(uri.strip(), state if state in set(PresenceState) else "UNKNOWN") for uri, state in pairs]


@pytest.mark.parametrize("count", [1, 100, 101, 250, 5000])
async def test_no_contact_of_a_basic_reply_is_lost(count: int) -> None:
    """The WSDL says at most 100; a reply may hold thousands."""
    states = list(PresenceState)
    expected = [(uri, states[index % 7]) for index, uri in enumerate(people(count))]
    found = await fetched(basic([(uri, str(state)) for uri, state in expected]))
    assert [(each.contact, each.state) for each in found] == expected
    assert {each.type for each in found} == {PresenceType.BASIC}
    assert {each.problem for each in found} == {None}


@pytest.mark.parametrize("carrier", ["elements", "cdata", "escaped"])
@pytest.mark.parametrize("count", [1, 250, 1500])
async def test_no_contact_of_a_rich_reply_is_lost(count: int, carrier: str) -> None:
    """However the documents are carried."""
    found = await fetched(rich((pidf(uri) for uri in people(count)), carrier), as_rich=True)
    assert [each.contact for each in found] == people(count)
    assert {each.state for each in found} == {PresenceState.BUSY}
    assert {each.type for each in found} == {PresenceType.RICH}


async def test_rich_reply_of_5000_contacts_arrives_whole() -> None:
    """As large as a subscription can be."""
    found = await fetched(rich((pidf(uri) for uri in people(5000)), "cdata"), as_rich=True)
    assert [each.contact for each in found] == people(5000)


def test_why_zeep_does_not_read_these_replies() -> None:
    """At the 101st contact strict zeep raises, and lax zeep drops the rest without a word: hence our reading."""
    reply = basic([(uri, "BUSY") for uri in people(101)])
    with pytest.raises(zeep.exceptions.XMLParseError):
        by_zeep(reply)
    assert len(by_zeep(reply, strict=False)) == 100
    assert len(ours(reply)) == 101


TYPE = "<presenceType>BASIC_PRESENCE</presenceType>"
CONTACT = st.tuples(
    st.none() | st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), max_size=30),
    st.none() | st.sampled_from([*PresenceState, "ON_FIRE", ""]).map(str),
)


@given(st.none() | st.lists(CONTACT, min_size=1, max_size=100))
@settings(max_examples=examples(150), deadline=None)
def test_our_reading_equals_zeep_s(contacts: Contacts | None) -> None:
    """On any reply of at most 100 contacts: odd characters, a missing address or state, no list at all."""
    reply = basic(contacts)
    expected = [((uri or "").strip(), state) for uri, state in contacts or []]
    assert [(uri, state if state in set(PresenceState) else "UNKNOWN") for uri, state in expected] == ours(reply)
    assert ours(reply) == by_zeep(reply)


@pytest.mark.parametrize(
    "reply",
    [
        basic(None),
        basic([]),
        response(OPERATION, "<presenceResponse><presenceType>BASIC_PRESENCE</presenceType></presenceResponse>"),
        response(OPERATION, f"<presenceResponse>{TYPE}<basicPresenceList>\n  </basicPresenceList></presenceResponse>"),
    ],
)
async def test_nothing_changed_is_an_empty_list(reply: bytes) -> None:
    """Whether the list is absent or empty."""
    assert await fetched(reply) == []


async def test_contact_without_a_state_is_unknown_and_does_not_take_its_neighbour_s() -> None:
    """Attributes are read contact by contact."""
    found = await fetched(basic([("ann@example.com", None), ("bo@example.com", "BUSY"), (None, "AWAY")]))
    assert [(each.contact, each.state) for each in found] == [
        ("ann@example.com", PresenceState.UNKNOWN),
        ("bo@example.com", PresenceState.BUSY),
        ("", PresenceState.AWAY),
    ]
    assert [each.problem for each in found] == ["no presenceStatus", None, "a contact without contactURI"]


@pytest.mark.parametrize("status", ["ON_FIRE", "AVAILABLE ISH", "x" * 100])
async def test_status_that_is_none_of_the_seven_is_unknown_with_a_problem(status: str) -> None:
    """A newer release may know more: the problem says what came, cut to a bearable length."""
    (found,) = await fetched(basic([("ann@example.com", status)]))
    assert found.state is PresenceState.UNKNOWN
    assert found.problem == f"presenceStatus {status[:40]!r} is none of the seven states"


async def test_spelling_of_a_state_is_forgiven() -> None:
    """Case and white space around it."""
    found = await fetched(basic([("ann@example.com", " busy "), (" bo@example.com ", "Dnd")]))
    assert [(each.contact, each.state) for each in found] == [
        ("ann@example.com", PresenceState.BUSY),
        ("bo@example.com", PresenceState.DND),
    ]


async def test_contacts_as_child_elements_are_read_too() -> None:
    """Another release may write elements where ours has attributes, and other things between them."""
    inner = (
        "<presenceResponse><basicPresenceList><contact><presenceStatus>AWAY</presenceStatus>"
        "<contactURI>ann@example.com</contactURI></contact></basicPresenceList></presenceResponse>"
    )
    (found,) = await fetched(response(OPERATION, inner))
    assert (found.contact, found.state) == ("ann@example.com", PresenceState.AWAY)


async def test_presence_of_a_type_that_was_not_asked_for_is_a_problem() -> None:
    """BASIC knows nothing of the phone: where RICH was asked for it must not stand for an answer, nor the reverse."""
    inner = (
        '<presenceResponse><basicPresenceList><contact contactURI="bo@example.com" presenceStatus="DND"/>'
        f"</basicPresenceList><richPresenceList>{pidf('ann@example.com')}</richPresenceList></presenceResponse>"
    )
    for as_rich, wrong in ((True, "bo@example.com"), (False, "ann@example.com")):
        found = await fetched(response(OPERATION, inner), as_rich=as_rich)
        assert {each.contact: each.problem is not None for each in found} == {
            "ann@example.com": wrong == "ann@example.com",
            "bo@example.com": wrong == "bo@example.com",
        }


async def test_reply_of_another_type_is_the_reply_to_another_request() -> None:
    with pytest.raises(UnexpectedReply, match="the reply has BASIC_PRESENCE where RICH_PRESENCE was asked for"):
        await fetched(basic([("ann@example.com", "BUSY")]), as_rich=True)


@pytest.mark.parametrize("second", ["BUSY", "", None, "ON_FIRE"])
async def test_contact_that_comes_twice_with_different_presence_has_a_problem(second: str | None) -> None:
    """Nobody knows which of the two is true."""
    for entries in (
        [("ann@example.com", "AWAY"), ("ANN@example.com", second)],
        [("ann@example.com", second), ("ANN@example.com", "AWAY")],
    ):
        (found,) = await fetched(basic(entries))
        assert found.contact == "ann@example.com"
        assert (found.state, found.problem) == (
            PresenceState.UNKNOWN,
            "the reply names it twice, with different presence",
        )


async def test_contact_that_comes_twice_with_the_same_presence_is_told_once() -> None:
    (found,) = await fetched(basic([("ann@example.com", "AWAY"), ("Ann@example.com", "AWAY")]))
    assert (found.state, found.problem) == (PresenceState.AWAY, None)


async def test_broken_document_beside_a_good_one_of_the_same_contact_is_a_problem() -> None:
    broken = '<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:ann@example.com"><person></presence>'
    for documents in ([broken, pidf("ann@example.com")], [pidf("ann@example.com"), broken]):
        (found,) = await fetched(rich(documents, "cdata"), as_rich=True)
        assert found.problem is not None


@pytest.mark.parametrize(
    ("inner", "problem"),
    [
        (
            "<basicPresenceList><contacts contactURI='ann@example.com' presenceStatus='BUSY'/></basicPresenceList>",
            "no contact",
        ),
        ("<basicPresenceList>ann@example.com BUSY</basicPresenceList>", "text between"),
        ("&lt;presence/&gt;", "text between"),
        ("<moreList><contact contactURI='ann@example.com' presenceStatus='BUSY'/></moreList>", "is no list of it"),
    ],
)
async def test_what_is_no_entry_is_told_without_a_name(inner: str, problem: str) -> None:
    """Nothing of a reply is passed over: what it does not name is taken as unchanged."""
    (found,) = await fetched(response(OPERATION, f"<presenceResponse>{TYPE}{inner}</presenceResponse>"))
    assert found.contact == ""
    assert found.problem is not None
    assert problem in found.problem


@pytest.mark.parametrize(
    "inner",
    [
        "<presenceResponse/>",
        "<presenceResponse xmlns:i='http://www.w3.org/2001/XMLSchema-instance' i:nil='true'/>",
        "<presenceResponse><presenceType/></presenceResponse>",
        "<presenceResponse>TYPE<status>FAILURE</status></presenceResponse>",
        "<presenceResponse>TYPE<error/></presenceResponse>",
        "<presenceResponse>TYPE<richPresenceList/></presenceResponse>",
        "<presenceResponse><basicPresenceList/></presenceResponse>",
    ],
)
async def test_nothing_changed_has_to_be_said_in_so_many_words(inner: str) -> None:
    """It is a statement about everybody: a reply that only holds no entry does not make it."""
    (found,) = await fetched(response(OPERATION, inner.replace("TYPE", TYPE)))
    assert found.contact == ""
    assert found.problem is not None
    assert found.problem.endswith("and no entry")


@pytest.mark.parametrize("header", ["<Fault/>", "<more xmlns:s='urn:s' s:mustUnderstand='1'/>"])
async def test_a_header_that_would_have_to_be_understood_is_no_answer(header: str) -> None:
    with pytest.raises(UnexpectedReply, match="a header"):
        await fetched(basic([], header=header))


async def test_a_reply_in_another_namespace_is_not_the_server_s() -> None:
    with pytest.raises(UnexpectedReply, match="another namespace"):
        await fetched(basic([]).replace(NS.encode(), b"urn:other"))


async def test_every_list_of_a_reply_is_read() -> None:
    """Another release may write one list for each hundred contacts."""
    lists = "".join(
        f'<basicPresenceList><contact contactURI="{uri}" presenceStatus="BUSY"/></basicPresenceList>'
        for uri in people(3)
    )
    found = await fetched(response(OPERATION, f"<presenceResponse>{lists}</presenceResponse>"))
    assert [each.contact for each in found] == people(3)


CONTACTS: Contacts = [("ann@example.com", "BUSY"), ("bo@example.com", "AWAY")]
EXPECTED = [("ann@example.com", "BUSY"), ("bo@example.com", "AWAY")]


@pytest.mark.parametrize("soap", [SOAP11, SOAP12])
@pytest.mark.parametrize("understand", ["1", "true"])
async def test_repeated_session_key_header_is_no_obstacle(soap: str, understand: str) -> None:
    """gSOAP may send it back, with mustUnderstand."""
    header = f'<k:session-key xmlns:k="{NS}" SOAP-ENV:mustUnderstand="{understand}">{KEY}</k:session-key>'
    found = await fetched(basic(CONTACTS, soap=soap, header=header))
    assert [(each.contact, str(each.state)) for each in found] == EXPECTED


async def test_soap_12_reply_to_a_soap_11_request_is_read() -> None:
    """And the other way round: the versions differ in a namespace only."""
    for version, namespace in (("1.1", SOAP12), ("1.2", SOAP11)):
        transport = MemoryTransport([basic(CONTACTS, soap=namespace)])
        pws = PwsClient(NODE, soap=version, transport=transport)  # type: ignore[arg-type]  # a str of the two
        assert len(await pws.get_subscribed_presence(end_user(), 7)) == 2


async def test_prefixes_are_the_server_s_own() -> None:
    """Odd ones, and declared wherever it likes."""
    reply = (
        f'<Envelope xmlns="{SOAP11}"><Body><ns17:{OPERATION}Response xmlns:ns17="{NS}"><_.-a:presenceResponse '
        f'xmlns:_.-a="{NS}"><_.-a:presenceType>BASIC_PRESENCE</_.-a:presenceType><b:basicPresenceList xmlns:b="{NS}">'
        '<b:contact presenceStatus="BUSY" contactURI="ann@example.com"></b:contact>'
        "<!-- and --><b:contact contactURI='bo@example.com' presenceStatus='AWAY'/></b:basicPresenceList>"
        f"</_.-a:presenceResponse></ns17:{OPERATION}Response></Body></Envelope>"
    ).encode()
    found = await fetched(reply)
    assert [(each.contact, str(each.state)) for each in found] == EXPECTED
    assert by_zeep(reply) == EXPECTED


async def test_an_extension_of_another_release_in_a_contact_is_no_obstacle() -> None:
    """It is about that contact."""
    reply = basic(CONTACTS).replace(b"<contact ", b'<contact since="2026" ')
    assert [(each.contact, str(each.state)) for each in await fetched(reply)] == EXPECTED


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"<basicPresenceList>", b"<basicPresenceList more='true'>"),
        (b"<basicPresenceList>", b"<novelty><x/></novelty><basicPresenceList>"),
    ],
)
async def test_an_extension_of_another_release_may_say_more(old: bytes, new: bytes) -> None:
    """All contacts are read, and anybody who is not named may be meant by the rest."""
    *named, rest = await fetched(basic(CONTACTS).replace(old, new))
    assert [(each.contact, str(each.state)) for each in named] == EXPECTED
    assert (rest.contact, rest.problem is None) == ("", False)


async def test_reply_without_presence_response_is_unexpected() -> None:
    """The reply of that name with something else inside, with operation and node in the message."""
    with pytest.raises(UnexpectedReply, match=f"{OPERATION} at {NODE}: the reply has no presenceResponse"):
        await fetched(response(OPERATION, "<somethingElse/>"))


def test_presences_are_read_as_they_are_asked_for() -> None:
    """A caller can pause between two of them."""
    payload = codec.payload(etree.fromstring(basic(CONTACTS)), OPERATION)
    found = replies.presences(payload)
    assert next(found).contact == "ann@example.com"
    assert next(found).contact == "bo@example.com"
    assert next(found, None) is None


async def test_a_reply_that_repeats_another_session_key_is_not_ours() -> None:
    """gSOAP may repeat the key of the request: another one is that of another request."""
    header = f'<k:session-key xmlns:k="{NS}">somebody-else</k:session-key>'
    with pytest.raises(UnexpectedReply, match="a reply to another session") as caught:
        await fetched(basic(CONTACTS, header=header))
    assert caught.value.may_have_acted


@pytest.mark.parametrize("named", [[("bo@example.com", "BUSY")], [(None, "BUSY")]])
async def test_a_poll_that_is_answered_about_nobody_who_was_asked_for_is_unexpected(named: Contacts) -> None:
    transport = MemoryTransport([basic(named, "getPolledPresence")])
    with pytest.raises(UnexpectedReply, match="names nobody who was asked for"):
        await PwsClient(NODE, transport=transport).get_polled_presence(end_user(), ["ann@example.com"])


async def test_a_poll_that_is_answered_about_somebody_else_too_is_read() -> None:
    """And a contact in another spelling is the one that was asked for."""
    named: Contacts = [("sip:Ann@Example.com:5060", "BUSY"), ("bo@example.com", "AWAY")]
    transport = MemoryTransport([basic(named, "getPolledPresence")])
    found = await PwsClient(NODE, transport=transport).get_polled_presence(end_user(), ["ann@example.com"])
    assert len(found) == 2
