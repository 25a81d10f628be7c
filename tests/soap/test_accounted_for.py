"""A reply confirms those whom it does not name only if all of it is accounted for.

"Nothing changed" and "only these have changed" are statements about everybody. So every reply here is either refused,
or it has an entry about nobody, which keeps it from confirming anybody; unless all of it is named or known to say
nothing. And every way of reading gives the same verdict: as a whole, entry by entry, known by its bytes.
"""

from __future__ import annotations

import random
from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pws_soap import envelope
from pws_soap.client import PwsClient
from pws_soap.errors import PwsError
from pws_soap.memory import MemoryTransport
from pws_soap.models import Presence
from pws_soap.server import messages
from pws_soap.server.options import ServerOptions
from pws_soap.server.presence import Presence as Spoken
from pws_soap.server.presence import State
from pws_soap.server.soap import replies as writer
from tests.soap.samples import NODE, NS, SOAP11, SOAP12, basic, end_user, people, pidf, rich
from tests.support.examples import examples

FETCH = "getSubscribedPresence"
CARRIERS = ["elements", "cdata", "escaped"]
ANN, JOE = pidf("ann@example.com"), pidf("joe@example.com", "dnd")
XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
ENC = 'xmlns:enc="http://schemas.xmlsoap.org/soap/encoding/"'


async def fetched(*replies: bytes, as_rich: bool = True) -> list[list[Presence] | type[PwsError]]:
    """What one client makes of each of these replies to the same request; an error where one is refused."""
    found: list[list[Presence] | type[PwsError]] = []
    async with PwsClient(NODE, transport=MemoryTransport(list(replies))) as pws:
        for _ in replies:
            try:
                found.append(await pws.get_subscribed_presence(end_user(), 7, rich=as_rich))
            except PwsError as error:
                found.append(type(error))
    return found


def confirms_everybody(result: list[Presence] | type[PwsError]) -> bool:
    """Whether anybody who is not named has not changed by that."""
    return not isinstance(result, type) and all(each.contact for each in result)


def in_list(content: str, attributes: str = "") -> bytes:
    """A rich reply with this in its list."""
    old, new = "<richPresenceList>", f"<richPresenceList{attributes}>{content}"
    return rich([]).replace(old.encode(), new.encode())


EMPTY = rich([])
LIST = b"<richPresenceList></richPresenceList>"
RESPONSE = b"<presenceResponse>"
OPERATION = f'<{FETCH}Response xmlns="{NS}">'.encode()
TYPE = b"<presenceType>RICH_PRESENCE</presenceType>"


def changed(old: bytes, new: bytes, reply: bytes = EMPTY) -> bytes:
    """A reply with something in it changed, once."""
    assert old in reply
    return reply.replace(old, new, 1)


MAY_SAY_MORE: dict[str, bytes] = {
    # Content that is said to be elsewhere, longer, or none.
    "list refers to an attachment": changed(LIST, b'<richPresenceList href="cid:1"/>'),
    "list refers to an element": changed(LIST, b'<richPresenceList href="#id0"></richPresenceList>'),
    "list of SOAP 1.2 refers": changed(LIST, f'<richPresenceList {ENC} enc:ref="id0"/>'.encode()),
    "list of three": changed(LIST, f'<richPresenceList {ENC} enc:arrayType="x[3]"/>'.encode()),
    "list of SOAP 1.2 of three": changed(LIST, f'<richPresenceList {ENC} enc:arraySize="3"/>'.encode()),
    "list from the tenth on": changed(LIST, f'<richPresenceList {ENC} enc:offset="[10]"/>'.encode()),
    "list is nil": changed(LIST, f'<richPresenceList {XSI} xsi:nil="true"/>'.encode()),
    "list of an unknown type": changed(LIST, f'<richPresenceList {XSI} xsi:type="More"/>'.encode()),
    "list is cut": changed(LIST, b'<richPresenceList truncated="true"/>'),
    "list has an undeclared attribute": changed(LIST, b'<richPresenceList z:more="1"/>'),
    "list counts": changed(LIST, b'<richPresenceList count="0"/>'),
    "list has an XInclude": in_list("<i:include xmlns:i='http://www.w3.org/2001/XInclude' href='x'/>"),
    "list has an XOP include": in_list("<i:Include xmlns:i='http://www.w3.org/2004/08/xop/include' href='cid:1'/>"),
    "response refers": changed(RESPONSE, b'<presenceResponse href="#id0">'),
    "response is nil": changed(RESPONSE, f'<presenceResponse {XSI} xsi:nil="1">'.encode()),
    "response of another type": changed(RESPONSE, f'<presenceResponse {XSI} xsi:type="Fault">'.encode()),
    "operation refers": changed(OPERATION, OPERATION[:-1] + b' href="#id0">'),
    "operation has a status": changed(OPERATION, OPERATION[:-1] + b' status="FAILURE">'),
    "body refers": changed(b"<SOAP-ENV:Body>", b'<SOAP-ENV:Body href="cid:1">'),
    "envelope refers": changed(b"<SOAP-ENV:Envelope ", b'<SOAP-ENV:Envelope href="cid:1" '),
    "type refers": changed(TYPE, TYPE.replace(b"<presenceType>", b'<presenceType href="#id1">')),
    "element behind the body": changed(b"</SOAP-ENV:Body>", b'</SOAP-ENV:Body><multiRef id="id0"/>'),
    "element behind the operation": changed(b"</SOAP-ENV:Body>", b'<multiRef id="id0"/></SOAP-ENV:Body>'),
    # Faults and other words.
    "fault in the list": in_list("<Fault><faultcode>Server</faultcode></Fault>"),
    "description in the list": in_list(f'<description xmlns="{NS}"><code>210</code></description>'),
    "error in the list": in_list("<error code='210'/>"),
    "fault in the response": changed(LIST, b"<Fault/>" + LIST),
    "fault in the type": changed(TYPE, TYPE.replace(b"</", b"<Fault/></")),
    "fault beside the response": changed(RESPONSE, b"<Fault/>" + RESPONSE),
    "status beside the list": changed(LIST, LIST + b"<status>FAILURE</status>"),
    "text in the list": in_list("try later"),
    "text behind the list": changed(LIST, LIST + b"try later"),
    "text in the operation": changed(OPERATION, OPERATION + b"try later"),
    "text in the body": changed(b"</SOAP-ENV:Body>", b"try later</SOAP-ENV:Body>"),
    "text behind the body": changed(b"</SOAP-ENV:Body>", b"</SOAP-ENV:Body>try later"),
    "no-break space": in_list("&#160;"),
    "zero width space": in_list("&#8203;"),
    "byte order mark": in_list("&#65279;"),
    "word joiner in the response": changed(LIST, LIST + b"&#8288;"),
    "ideographic space in the body": changed(b"</SOAP-ENV:Body>", b"&#12288;</SOAP-ENV:Body>"),
    "line separator": in_list("&#8232;"),
    "next line": in_list("&#133;"),
    "instruction": in_list("<?truncated?>"),
    "instruction behind the envelope": EMPTY + b"<?more?>",
    "document in a comment": in_list(f"<!-- {JOE} -->"),
    "escaped document in a comment": in_list(f"<!-- {escape(JOE)} -->"),
    "contact in a comment": in_list("<!-- <contact contactURI='joe@example.com'/> -->"),
    # The wrong place, the wrong name, the wrong namespace.
    "list in a list": in_list("<richPresenceList/>"),
    "list in a list refers": in_list("<richPresenceList href='cid:1'/>"),
    "list in lower case of another namespace": changed(LIST, b"<richpresencelist xmlns='urn:z'/>"),
    "list of another namespace": changed(LIST, b'<z:richPresenceList xmlns:z="urn:z"/>'),
    "list of nearly the namespace": changed(LIST, f'<z:richPresenceList xmlns:z="{NS}:"/>'.encode()),
    "response of another namespace": EMPTY.replace(b"<presenceResponse>", b'<presenceResponse xmlns="urn:z">'),
    "type of another namespace": changed(TYPE, TYPE.replace(b"<presenceType>", b'<presenceType xmlns="urn:z">')),
    "operation of nearly the namespace": changed(NS.encode(), NS.replace("cisco", "cisc0").encode()),
    "envelope of nearly SOAP": EMPTY.replace(SOAP11.encode(), SOAP11.rstrip("/").encode()),
    "body in another version": changed(
        b"<SOAP-ENV:Body>", f'<b:Body xmlns:b="{SOAP12}x">'.encode(), EMPTY.replace(b"</SOAP-ENV:Body>", b"</b:Body>")
    ),
    "list misspelt": EMPTY.replace(b"richPresenceList", b"richPresencesList"),
    "list of another operation": EMPTY.replace(f"{FETCH}Response".encode(), b"getPolledPresenceResponse"),
    "list beside the response": changed(LIST, b"").replace(b"</presenceResponse>", b"</presenceResponse>" + LIST),
    "response in a response": changed(RESPONSE, RESPONSE * 2).replace(
        b"</presenceResponse>", b"</presenceResponse>" * 2
    ),
    "two responses": changed(RESPONSE, b"<presenceResponse/>" + RESPONSE),
    "two types": changed(TYPE, TYPE * 2),
    "no type": changed(TYPE, b""),
    "basic list": changed(LIST, b"<basicPresenceList/>"),
    "two headers": changed(b"<SOAP-ENV:Body>", b"<SOAP-ENV:Header/><SOAP-ENV:Header/><SOAP-ENV:Body>"),
    "header behind the body": changed(b"</SOAP-ENV:Body>", b"</SOAP-ENV:Body><SOAP-ENV:Header/>"),
    # Documents.
    "document without entity": in_list(ANN.replace('entity="sip:ann@example.com"', "")),
    "document with an empty entity": in_list(ANN.replace("sip:ann@example.com", "")),
    "document with two entities": in_list(ANN.replace("entity=", 'ENTITY="sip:joe@example.com" entity=')),
    "document of two": in_list(ANN.replace("sip:ann@example.com", "sip:ann@example.com sip:joe@example.com")),
    "document in a document": in_list(ANN.replace("</presence>", JOE + "</presence>")),
    "document in an element of a document": in_list(ANN.replace("</presence>", f"<x>{JOE}</x></presence>")),
    "document in a note": in_list(ANN.replace("<tuple", f"<note>{JOE}</note><tuple", 1)),
    "document cut by the end of another": in_list(escape(ANN.replace("</presence>", "") + JOE + "</presence>")),
    "documents in unknown wrappers": in_list(f"<entries><entry>{ANN}</entry><more/></entries>"),
    "words of a wrapper": in_list(f"<entries next='2'>{ANN}</entries>"),
}
for _form, _text in {
    "an error": "<error code='x'/>",
    "more": "<more/>",
    "a count": "<presences count='3'/>",
    "a list": "<richPresenceList/>",
    "a list that refers": "<richPresenceList href='cid:1'/>",
    "a page": "<html>Gateway error</html>",
    "a declaration": "<?xml version='1.0'?>",
    "an instruction": "<?truncated?>",
    "a broken comment": "<!--",
    "the end of a document": "</presence>",
    "a doctype": "<!DOCTYPE presence>",
    "a document and more": ANN + "<more/>",
    "a list that counts": f"<richPresenceList count='2'>{ANN}</richPresenceList>",
    "a document that does not end": ANN[:-5],
    "a document whose first tag does not end": ANN[:80],
    "a list that does not end": f"<richPresenceList>{ANN}",
}.items():
    MAY_SAY_MORE[f"{_form}, escaped"] = in_list(escape(_text))
    MAY_SAY_MORE[f"{_form}, in CDATA"] = in_list(f"<![CDATA[{_text}]]>")
    MAY_SAY_MORE[f"{_form}, escaped twice"] = in_list(escape(escape(_text)))

SAYS_IT_ALL: dict[str, bytes] = {
    "empty": EMPTY,
    "absent": changed(LIST, b""),
    "white space": in_list(" \r\n\t"),
    "empty CDATA": in_list("<![CDATA[]]>"),
    "a comment": in_list("<!-- nothing -->"),
    "a comment behind": EMPTY + b"<!-- served in 3 ms -->",
    "a header": changed(b"<SOAP-ENV:Body>", b"<SOAP-ENV:Header><x/></SOAP-ENV:Header><SOAP-ENV:Body>"),
    "SOAP 1.2": EMPTY.replace(SOAP11.encode(), SOAP12.encode()),
    "no namespace": changed(RESPONSE, b'<presenceResponse xmlns="">'),
    "the type of the WSDL": changed(RESPONSE, f'<presenceResponse {XSI} xsi:type="ns1:PresenceResponse">'.encode()),
    "any type": changed(LIST, f'<richPresenceList {XSI} xsi:type="xsd:anyType" xsi:nil="false"/>'.encode()),
    "encoding style": changed(
        RESPONSE, b'<presenceResponse SOAP-ENV:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/">'
    ),
    "white space is kept": changed(LIST, b'<richPresenceList xml:space="preserve" xml:lang="en"/>'),
    "two lists": changed(LIST, LIST + f"<richPresenceList>{ANN}</richPresenceList>".encode()),
    "the list in its text": in_list(escape(f"<richPresenceList>{ANN}{JOE}</richPresenceList>")),
    "mixed carriers": in_list(f"{ANN}<![CDATA[{JOE}]]>"),
    "a contact around a document": in_list(f"<contact contactURI='ann@example.com'>{ANN}</contact>"),
}


@pytest.mark.parametrize("shape", MAY_SAY_MORE)
async def test_a_reply_that_may_say_more_confirms_nobody(shape: str) -> None:
    """And an equal one as little: it is not read again, but it means the same."""
    first, second = await fetched(MAY_SAY_MORE[shape], MAY_SAY_MORE[shape])
    assert not confirms_everybody(first)
    assert second == first


@pytest.mark.parametrize("shape", SAYS_IT_ALL)
async def test_a_reply_that_says_it_all_confirms_everybody(shape: str) -> None:
    first, second = await fetched(SAYS_IT_ALL[shape], SAYS_IT_ALL[shape])
    assert confirms_everybody(first)
    assert second == first
    assert not isinstance(first, type)
    assert [each.problem for each in first] == [None] * len(first)


@pytest.mark.parametrize(
    ("contact", "named"),
    [
        ("<contact contactURI='ann@example.com' presenceStatus='BUSY'>{0}</contact>", ["ann@example.com", ""]),
        ("<contact contactURI='ann@example.com' presenceStatus='BUSY'>x</contact>", ["ann@example.com", ""]),
        ("<contact contactURI='ann@example.com' presenceStatus='BUSY'><more/></contact>", ["ann@example.com", ""]),
        ("<contact href='#joe'/>", [""]),
        ("<contact><contactURI>ann@example.com</contactURI><contactURI>joe@example.com</contactURI></contact>", [""]),
        ("<contact contactURI='ann@example.com'><contactURI>joe@example.com</contactURI></contact>", [""]),
        ("<contact xmlns:z='urn:z' z:contactURI='joe@example.com' contactURI='a@b.c' presenceStatus='DND'/>", [""]),
        ("<contact xmlns='urn:z' contactURI='ann@example.com' presenceStatus='BUSY'/>", [""]),
        ("<contact contactURI='ann@example.com' presenceStatus='BUSY'/>&#160;", ["ann@example.com", ""]),
        ("<contacts>{0}</contacts>", [""]),
        ("&lt;contact/>", [""]),
    ],
)
@pytest.mark.parametrize("before", [0, 200])
async def test_a_contact_of_a_basic_list_names_one_and_holds_nothing_else(
    contact: str, named: list[str], before: int
) -> None:
    """In a short reply and in a long one, which is read entry by entry where that can be."""
    usual = [(uri, "AWAY") for uri in people(before)]
    inner = contact.format("<contact contactURI='joe@example.com' presenceStatus='DND'/>")
    reply = basic(usual).replace(b"</basicPresenceList>", f"{inner}</basicPresenceList>".encode())
    (found,) = await fetched(reply, as_rich=False)
    assert not isinstance(found, type)
    assert sorted(each.contact for each in found if each.contact not in dict(usual)) == sorted(named)


@pytest.mark.parametrize("attribute", ["href='#1'", f"{XSI} xsi:nil='true'", "presencestatus='DND'"])
async def test_a_contact_whose_state_may_be_another_is_in_doubt(attribute: str) -> None:
    reply = basic([("ann@example.com", "BUSY")]).replace(b"<contact ", f"<contact {attribute} ".encode())
    (found,) = await fetched(reply, as_rich=False)
    assert not isinstance(found, type)
    assert [(each.contact, each.problem is None) for each in found] == [("ann@example.com", False)]


# Long replies, read entry by entry

MANY = [pidf(uri) for uri in people(30)]
DAMAGE = {
    "list": (b"<richPresenceList>", b'<richPresenceList href="cid:1">'),
    "response": (b"<presenceResponse>", b"<presenceResponse>try later"),
    "behind": (b"</richPresenceList>", b"</richPresenceList><more/>"),
    "before": (b"<richPresenceList>", b"<richPresenceList><!-- <presence --><?more?>"),
    "instruction": (b"</SOAP-ENV:Envelope>", b"</SOAP-ENV:Envelope><?more?>"),
    "comment": (b"<SOAP-ENV:Body>", b"<!-- <presence entity='sip:joe@example.com'/> --><SOAP-ENV:Body>"),
    "space": (b"</richPresenceList>", b"&#160;</richPresenceList>"),
}


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("damage", DAMAGE)
async def test_a_long_reply_that_may_say_more_confirms_nobody(damage: str, carrier: str) -> None:
    """Whether its documents are known by their bytes or not, and whether it comes once or twice."""
    whole = rich(MANY, carrier)
    damaged = changed(*DAMAGE[damage], whole)
    first, good, *damaged_again = await fetched(damaged, whole, damaged, damaged)
    assert confirms_everybody(good)
    assert not confirms_everybody(first)
    assert damaged_again == [first, first]


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize(
    "inside",
    [JOE, f"<x>{JOE}</x>", f"<{'p' * 100}:presence/>", "<?more <presence/>?>", "<Presence/>"],
)
async def test_what_a_document_of_a_long_reply_hides_is_found(inside: str, carrier: str) -> None:
    """The reply is not read entry by entry then, and it means the same when its documents are known."""
    hiding = [*MANY[:7], MANY[7].replace("</presence>", inside + "</presence>"), *MANY[8:]]
    whole, hidden = rich(MANY, carrier), rich(hiding, carrier)
    good, first, second = await fetched(whole, hidden, hidden)
    assert confirms_everybody(good)
    assert not confirms_everybody(first)
    assert second == first


# Any mutation of what a server writes


def written(carrier: str, contacts: int) -> bytes:
    """A reply as a server writes it; without a carrier one with basic presence."""
    people_ = tuple(Spoken(uri, State.BUSY, uri.partition("@")[0], since=1_800_000_000.0) for uri in people(contacts))
    if not carrier:
        return writer.write(messages.PresenceList(FETCH, "BASIC_PRESENCE", people_), "1.1", ServerOptions()).body
    options = ServerOptions(rich_carrier=carrier)  # type: ignore[arg-type]  # a str of the three
    return writer.write(messages.PresenceList(FETCH, "RICH_PRESENCE", people_), "1.1", options).body


ELEMENTS = ["<more/>", "<Fault>x</Fault>", "<x><y/></x>", "<ns1:contact/>", "<presence/>", f"<a>{JOE}</a>", "<?p q?>"]
ELEMENTS += [f"<richPresenceList>{JOE}<more/></richPresenceList>", "<multiRef id='1'/>", f"<!--{JOE}-->"]
TEXTS = ["x", "0", "&#160;", "&#8203;", "&#65279;", "&lt;more/&gt;", "<![CDATA[<error/>]]>", "&lt;!--", "]]&gt;"]
ATTRIBUTES = ["href='#1'", "id='1'", "a='b'", "xsi:nil='true'", "SOAP-ENV:mustUnderstand='1'", "xml:base='x'"]
NOTHING = ["", " ", "\r\n\t", "<!-- -->", "<![CDATA[]]>", "<![CDATA[ ]]>"]
IDLE_ATTRIBUTES = ["xml:space='preserve'", "xml:lang='en'", f"{XSI} xsi:nil='false'", "xmlns:q='urn:q'"]
PLACES = st.tuples(st.sampled_from(["", *CARRIERS]), st.sampled_from([0, 1, 3, 30]), st.integers(0, 2**32))


def frame(reply: bytes) -> list[int]:
    """Where the tags of the body, of the response and of its list begin; not those of the entries."""
    names = (b"SOAP-ENV:Body", FETCH.encode() + b"Response", b"presenceResponse", b"PresenceList", b"presenceType")
    return [
        at for at in range(len(reply)) if reply[at : at + 1] == b"<" and reply[at:].partition(b">")[0].endswith(names)
    ]


def inserted(reply: bytes, what: str, dice: random.Random, *, attribute: bool) -> bytes:
    """The reply with something put in before one of those tags, or into one that begins an element."""
    places = frame(reply)[1:]
    if attribute:
        starts = [at for at in places if reply[at + 1 : at + 2] != b"/"]
        at = reply.index(b">", dice.choice(starts))
        return reply[:at] + b" " + what.encode() + reply[at:]
    at = dice.choice(places)
    return reply[:at] + what.encode() + reply[at:]


@given(PLACES, st.sampled_from([*ELEMENTS, *TEXTS, *ATTRIBUTES]))
@settings(max_examples=examples(300), deadline=None)
async def test_no_mutation_of_a_reply_confirms_everybody(place: tuple[str, int, int], what: str) -> None:
    """Whatever is put into the response or the list, wherever: it may be the rest of the reply."""
    carrier, contacts, seed = place
    reply = written(carrier, contacts)
    dice = random.Random(seed)  # noqa: S311  # a place, no secret
    damaged = inserted(reply, what, dice, attribute=what in ATTRIBUTES)
    good, first, second = await fetched(reply, damaged, damaged, as_rich=bool(carrier))
    assert confirms_everybody(good)
    assert not confirms_everybody(first), damaged
    assert second == first


@given(PLACES, st.sampled_from([*NOTHING, *IDLE_ATTRIBUTES]))
@settings(max_examples=examples(150), deadline=None)
async def test_what_says_nothing_changes_nothing(place: tuple[str, int, int], what: str) -> None:
    """White space, comments and attributes about how a text is written."""
    carrier, contacts, seed = place
    reply = written(carrier, contacts)
    dice = random.Random(seed)  # noqa: S311  # a place, no secret
    is_attribute = what in IDLE_ATTRIBUTES
    good, same = await fetched(reply, inserted(reply, what, dice, attribute=is_attribute), as_rich=bool(carrier))
    assert confirms_everybody(good)
    assert same == good


def test_what_the_parser_passes_over_is_looked_for_in_steps() -> None:
    """A reply is looked through twice at most, with a pause after each megabyte."""
    for text in (b"<!--" * 500_000, b"<?xml " * 300_000, b"<!-- --" * 300_000 + b"-->", b"x" * 5_000_000):
        assert sum(1 for _ in envelope.passed_over(text)) >= len(text) // (1024 * 1024)
