"""What toolkits send beside the schema: read as gSOAP reads it, refused where the option says strict."""

from __future__ import annotations

import pytest

from pws_soap.server import ServerOptions, State
from pws_soap.server import messages as m
from pws_soap.server.soap.diagnosis import complaint
from pws_soap.server.soap.requests import read
from tests.support.soap_by_hand import (
    ANN,
    JOE,
    PWS,
    SOAP11,
    SOAP12,
    contacts_list,
    envelope,
    fetch,
    login,
    poll,
    register,
    subscribe,
)

LENIENT, STRICT = ServerOptions(), ServerOptions(strict=True)
XSI = "http://www.w3.org/2001/XMLSchema-instance"
TYPES = f'xmlns:xsi="{XSI}" xmlns:xsd="http://www.w3.org/2001/XMLSchema"'
SUBSCRIBE = m.Subscribe((ANN,), 1, 0, 3600)


def inside(operation: str, content: str, attributes: str = "") -> str:
    """An operation by hand."""
    return f'<{operation} xmlns="{PWS}" {TYPES}{attributes}>{content}</{operation}>'


TYPED = inside(
    "login",
    '<username xsi:type="xsd:string">pwsapp</username><password xsi:type="xsd:string">secret</password>',
    ' xsi:type="login" force="true"',
)
SUBSCRIBED = {
    "type": "<subscriptionType>PRESENCE_NOTIFICATION</subscriptionType>",
    "expiration": "<expiration>3600</expiration>",
    "endpoint": "<endPointID>1</endPointID>",
    "subscription": "<subscriptionID>0</subscriptionID>",
}
SET = "<presenceType>BASIC_PRESENCE</presenceType><presenceInfo>{}</presenceInfo><expiration>3600</expiration>"
BUSY = m.SetPresence("BASIC_PRESENCE", False, 3600, State.BUSY)


@pytest.mark.parametrize(
    ("body", "call", "code"),
    [
        # xsi:type of strings and of elements with elements: anything
        (TYPED, m.Login("pwsapp", "secret", force=True), 102),
        (poll(ANN).replace("<contactsList>", f'<contactsList {TYPES} xsi:type="q:List" xmlns:q="urn:q">'),
         m.GetPolledPresence((ANN,)), 102),
        (subscribe(ANN).replace("<contact ", f'<contact xmlns:i="{XSI}" i:type="Contact" '), SUBSCRIBE, None),
        (fetch().replace("<subscriptionID>", f'<subscriptionID {TYPES} xsi:type="xsd:short">'),
         m.GetSubscribedPresence(1), None),
        (inside("unsubscribe", "<unsubscribeRequest><subscriptionID>5</subscriptionID>"
                '<unsubscribeAll xsi:type="xsd:nonsense"/></unsubscribeRequest>'), m.Unsubscribe(5), 102),
        # xsi:nil: the element is absent
        (inside("registerEndPoint", '<url xsi:nil="true"/><endPointID>3</endPointID><expiration>3600</expiration>'),
         m.RegisterEndPoint(None, 3, 3600), 102),
        (inside("subscribe", '<contactsList xsi:nil="1"/>' + SUBSCRIBED["type"] + '<expiration xsi:nil="true"/>'
                + SUBSCRIBED["endpoint"] + "<subscriptionID>5</subscriptionID>"), m.Subscribe(None, 1, 5, None), 146),
        (inside("login", '<username>u</username><password>p</password><app-session-id xsi:nil="true"/>'),
         m.Login("u", "p"), 112),
        (inside("unsubscribe", "<unsubscribeRequest><subscriptionID>5</subscriptionID>"
                '<unsubscribeAll/><contactsList xsi:nil="true"/></unsubscribeRequest>'), m.Unsubscribe(5), 146),
        (inside("unsubscribe", "<unsubscribeRequest><subscriptionID>5</subscriptionID>"
                '<unsubscribeAll xsi:nil="true"/></unsubscribeRequest>'), m.Unsubscribe(5), 102),
        # xsi:nil of a required value: it is read all the same
        (fetch().replace("<subscriptionID>", f'<subscriptionID {TYPES} xsi:nil="true">')
         .replace("<presenceType>", f'<presenceType {TYPES} xsi:nil="1">'), m.GetSubscribedPresence(1), 102),
        (inside("login", '<username xsi:nil="true">u</username><password>p</password>'), m.Login("u", "p"), 102),
        # an element in a value ends it
        (fetch().replace(">1<", ">1<b>2</b>3<"), m.GetSubscribedPresence(1), 102),
        (fetch().replace("BASIC_PRESENCE", "BASIC_PRESENCE<b>x</b>"), m.GetSubscribedPresence(1), 102),
        (inside("setPresence", SET.format('<basicPresence>BUSY</basicPresence><richPresence xsi:nil="true"/>'
                                          "<override>false</override>")), BUSY, 102),
        (poll(ANN).replace("<contact ", f'<contact xmlns:i="{XSI}" i:nil="true"/><contact ', 1),
         m.GetPolledPresence((ANN,)), 148),
        (poll(ANN).replace("<presenceType>", '<x xmlns:i="http://www.w3.org/1999/XMLSchema-instance" i:null="1"/>'
                           "<presenceType>"), m.GetPolledPresence((ANN,)), 102),
        # unknown elements and attributes
        (inside("logout", "<more/>and text"), m.Logout(), 102),
        (inside("logout", "", ' id="_1" x:y="z" xmlns:x="urn:x"'), m.Logout(), 102),
        (login().replace("<password>", "<x:client xmlns:x='urn:x'>7<x:y/></x:client><password>"),
         m.Login("pwsapp", "secret"), 102),
        (login().replace("<username>", '<username lang="en">'), m.Login("pwsapp", "secret"), 102),
        (poll(ANN).replace("<contact ", '<contact nickname="Ann" '), m.GetPolledPresence((ANN,)), 148),
        (poll(ANN).replace("<contact ", "<group/><contact "), m.GetPolledPresence((ANN,)), 147),
        (inside("setPresence", SET.format("<mood/><basicPresence>BUSY</basicPresence><override>0</override>")),
         BUSY, 102),
        # order, and elements that come twice: the first counts
        (inside("login", "<password>p</password><username>u</username>"), m.Login("u", "p"), 102),
        (inside("subscribe", SUBSCRIBED["subscription"] + SUBSCRIBED["endpoint"] + SUBSCRIBED["expiration"]
                + SUBSCRIBED["type"] + contacts_list(ANN)), SUBSCRIBE, 102),
        (inside("registerEndPoint", "<expiration>3600</expiration><endPointID>0</endPointID><url>http://h</url>"),
         m.RegisterEndPoint("http://h", 0, 3600), 102),
        (inside("unsubscribe", "<unsubscribeRequest><unsubscribeAll/><subscriptionID>5</subscriptionID>"
                "</unsubscribeRequest>"), m.Unsubscribe(5), 102),
        (inside("setPresence", "<expiration>3600</expiration><presenceInfo><override>false</override>"
                "<basicPresence>BUSY</basicPresence></presenceInfo><presenceType>BASIC_PRESENCE</presenceType>"),
         BUSY, 102),
        (fetch().replace("</subscriptionID>", "</subscriptionID><subscriptionID>9</subscriptionID>"),
         m.GetSubscribedPresence(1), 102),
        # white space, signs and zeros
        (inside("setPresence", SET.format("<basicPresence>\n BUSY </basicPresence><override>\n0 </override>")),
         BUSY, 120),
        (fetch().replace("BASIC_PRESENCE", " BASIC_PRESENCE\n"), m.GetSubscribedPresence(1), 110),
        (fetch().replace(">1<", "> +0001\n<"), m.GetSubscribedPresence(1), None),
        (subscribe(ANN).replace("<expiration>3600<", "<expiration> +00 <"), m.Subscribe((ANN,), 1, 0, None), None),
        (fetch().replace(">1<", "><![CDATA[1]]><!-- 2 --><?p 3?><"), m.GetSubscribedPresence(1), None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("soap", [SOAP11, SOAP12])
def test_a_form_that_toolkits_send_is_read(body: str, call: m.Call, code: int | None, soap: str) -> None:
    """The code is that of the strict option; None where the schema allows the form."""
    assert read(envelope(body, "key", soap=soap), LENIENT).call == call
    strict = read(envelope(body, "key", soap=soap), STRICT)
    assert strict.problem == code
    if code is None:
        assert strict.call == call


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (inside("login", '<username>u</username><password xsi:nil="true"/><app-session-id>k</app-session-id>'), 112),
        (inside("unsubscribe", "<unsubscribeRequest><subscriptionID>5</subscriptionID>"
                '<contactsList xsi:nil="true"/><unsubscribeAll/></unsubscribeRequest>'), 146),
        (fetch().replace(">1<", "><b>1</b><"), 102),
        (fetch().replace(">1<", "><b/>1<"), 102),
        (fetch().replace("BASIC_PRESENCE", "BASIC<b/>_PRESENCE"), 110),
        (poll(ANN).replace("<contact ", "text<contact "), 102),
        (inside("login", "<username>u</username>text<password>p</password>"), 102),
        (inside("login", "<username>u</username><password>p</password>", ' force="maybe"'), 102),
        (login().replace("<username>", '<username xmlns="">'), 113),
        (subscribe(ANN).replace("<endPointID>1</endPointID>", f'<endPointID {TYPES} xsi:nil="true"/>'), 102),
        (subscribe(ANN).replace("<expiration>3600<", "<expiration>3600.0<"), 131),
        (fetch().replace("BASIC_PRESENCE", "basic_presence"), 110),
        (poll(ANN).replace("contactURI", "uri"), 148),
        (poll(ANN).replace("<contact ", "<person "), 147),
        (poll(ANN).replace("<contact ", '<contact xmlns="" '), 147),
        (poll(ANN).replace("<contact ", f'<contact {TYPES} xsi:nil="true" '), 146),
        (inside("setPresence", SET.format("<basicPresence>BUSY</basicPresence><override>yes</override>")), 125),
    ],
)  # fmt: skip
def test_what_is_missing_or_wrong_stays_so(body: str, code: int) -> None:
    """Leniency passes over what is not known; it makes up no value."""
    assert read(envelope(body, "key"), LENIENT).problem == code


def test_a_rich_document_keeps_its_children_whatever_their_types() -> None:
    """xsi:type in it, as SOAP::Lite writes, is nothing for the validator."""
    document = (
        '<p:presence xmlns:p="urn:ietf:params:xml:ns:pidf" xsi:type="nowhere:Type">'
        '<p:note xsi:type="xsd:string">x</p:note></p:presence>'
    )
    content = f'<richPresence xsi:type="xsd:anyType">{document}</richPresence><override>true</override>'
    body = inside("setPresence", SET.replace("BASIC", "RICH").format(content))
    call = read(envelope(body, "key"), LENIENT).call
    assert isinstance(call, m.SetPresence)
    assert call.rich is not None
    assert call.rich.startswith(b"<p:presence")
    assert b">x</p:note>" in call.rich


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ('href="#_1"', 'id="_1"'),
        ('e:ref="_1" xmlns:e="http://www.w3.org/2003/05/soap-encoding"',
         'e:id="_1" xmlns:e="http://www.w3.org/2003/05/soap-encoding"'),
        ('e:ref="#_1" xmlns:e="http://schemas.xmlsoap.org/soap/encoding/"', 'id="_1"'),
    ],
)  # fmt: skip
def test_an_element_may_stand_beside_the_operation_that_refers_to_it(reference: str, name: str) -> None:
    """As SOAP's encoding writes what is used twice: `href` and `id`."""
    listed = contacts_list(ANN, JOE).replace("<contactsList>", f'<multiRef xmlns="{PWS}" {name}>')
    body = poll(ANN).replace(contacts_list(ANN), f"<contactsList {reference}/>")
    body += listed.replace("</contactsList>", "</multiRef>")
    assert read(envelope(body, "key"), LENIENT).call == m.GetPolledPresence((ANN, JOE))
    assert read(envelope(body, "key"), STRICT).problem == 102


def test_a_reference_to_itself_or_to_nothing_is_refused() -> None:
    """As gSOAP does."""
    for reference in ('href="#_1" id="_1"', 'href="#_2"'):
        body = poll(ANN).replace(contacts_list(ANN), f"<contactsList {reference}/>")
        refused = read(envelope(body, "key"), LENIENT)
        assert (refused.problem, refused.reason) == (
            102, "Line 1: no other element has the id to which contactsList refers."
        )  # fmt: skip


INT, FLAG, WORD = "xsd:int", "xsd:boolean", f"PresenceType of {PWS}"
OVERRIDING = inside("setPresence", SET.format("<basicPresence>BUSY</basicPresence><override>0</override>"))


@pytest.mark.parametrize(
    ("body", "element", "given", "expected"),
    [
        *((fetch(), "subscriptionID", given, None)
          for given in ("xsd:int", "xsd:short", "xsd:byte", "int", "y:int", "")),
        *((fetch(), "subscriptionID", given, INT)
          for given in ("xsd:string", "xsd:integer", "xsd:long", "xsd:unsignedByte", "z:int", "xsd:INT", "xsd:")),
        (OVERRIDING, "override", "xsd:boolean", None),
        (OVERRIDING, "override", "xsd:int", FLAG),  # as SOAP::Lite types 0
        (OVERRIDING, "override", "xsd:string", FLAG),
        (OVERRIDING, "expiration", "xsd:string", INT),
        (fetch(), "presenceType", "p:PresenceType", None),
        (fetch(), "presenceType", "PresenceType", None),  # our namespace is the default one here
        (fetch(), "presenceType", "", None),
        *((fetch(), "presenceType", given, WORD)
          for given in ("xsd:string", "p:GetPresenceStatusType", "y:PresenceType", "z:PresenceType", "xsd:NMTOKEN")),
        *((login(), element, given, None) for element in ("username", "password")
          for given in ("xsd:string", "xsd:int", "z:y")),
    ],
)  # fmt: skip
def test_the_type_of_a_number_a_truth_value_and_an_enumeration_has_to_be_its_own(
    body: str, element: str, given: str, expected: str | None
) -> None:
    """Measured on gSOAP: strings may have any, enumerations their own, numbers one of three names in any namespace."""
    for instance in (XSI, "http://www.w3.org/1999/XMLSchema-instance"):
        typed = (
            f'<{element} xmlns:i="{instance}" i:type="{given}" xmlns:p="{PWS}" xmlns:y="urn:y" '
            'xmlns:xsd="http://www.w3.org/2001/XMLSchema">'
        )
        answer = read(envelope(body.replace(f"<{element}>", typed), "key"), LENIENT)
        if expected is None:
            assert answer.call is not None, answer
        else:
            reason = f"Line 1: the xsi:type of {element} is not its own; expected is {expected}, or none."
            assert (answer.problem, answer.reason) == (102, reason)


def test_the_type_of_a_shared_element_counts_too() -> None:
    """That of the reference, and that of what it refers to, as Axis writes both."""
    shared = fetch().replace("<subscriptionID>1</subscriptionID>", '<subscriptionID href="#i"{}/>')
    target = f'<multiRef {TYPES} id="i" xsi:type="xsd:{{}}">1</multiRef>'
    assert read(envelope(shared.format("") + target.format("int"), "k"), LENIENT).call == m.GetSubscribedPresence(1)
    assert read(envelope(shared.format("") + target.format("string"), "k"), LENIENT).problem == 102
    wrong = shared.format(f' {TYPES} xsi:type="xsd:string"')
    assert read(envelope(wrong + target.format("int"), "k"), LENIENT).problem == 102


KEY = f'<session-key xmlns="{PWS}">key</session-key>'


@pytest.mark.parametrize(
    ("parts", "call", "key", "strict"),
    [
        ("<e:Header>{key}</e:Header><e:Body>{call}</e:Body>", True, "key", True),
        ("<e:Header>\n{key} </e:Header> <e:Body>\n{call}\n</e:Body>\n", True, "key", True),
        ("<e:Body>{call}</e:Body>", True, None, True),
        # what follows the Body is not read, not even a Header
        ("<e:Body>{call}</e:Body><e:Header>{key}</e:Header>", True, None, False),
        ("<e:Body>{call}</e:Body><e:Body/>", True, None, False),
        ("<e:Body>{call}</e:Body><x/>", True, None, False),
        ("<e:Body>{call}</e:Body>text", True, None, False),
        ("<e:Header>{key}text</e:Header><e:Body>{call}</e:Body>", True, "key", False),
        ("<e:Body>{call}text</e:Body>", True, None, False),
        # what comes before is
        ("<x/><e:Header>{key}</e:Header><e:Body>{call}</e:Body>", False, None, False),
        ("<e:Header>{key}</e:Header><x/><e:Body>{call}</e:Body>", False, None, False),
        ("<e:Header/><e:Header>{key}</e:Header><e:Body>{call}</e:Body>", False, None, False),
        ("<Header>{key}</Header><e:Body>{call}</e:Body>", False, None, False),
        ("text<e:Header>{key}</e:Header><e:Body>{call}</e:Body>", False, None, False),
        ("<e:Header>{key}</e:Header>text<e:Body>{call}</e:Body>", False, None, False),
        ("<e:Header>text{key}</e:Header><e:Body>{call}</e:Body>", False, None, False),
        ("<e:Body>text{call}</e:Body>", False, None, False),
        ("<e:Header>{key}</e:Header>", False, None, False),
    ],
)
def test_what_may_stand_in_an_envelope(parts: str, call: bool, key: str | None, strict: bool) -> None:
    """The call that is read, and the key; whether the strict option takes it too."""
    whole = f'<e:Envelope xmlns:e="{SOAP11}">{parts.format(key=KEY, call=fetch())}</e:Envelope>'.encode()
    lenient = read(whole, LENIENT)
    assert (lenient.call == m.GetSubscribedPresence(1), lenient.key) == (call, key)
    assert (read(whole, STRICT).problem is None) is strict


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (poll(ANN).replace("<contact ", '\n<contact xmlns="" '), "Line 2: contact is in no namespace, and " + PWS),
        (login().replace("<username>", '\n<username xmlns="urn:x">'), "Line 2: username is in the namespace urn:x, "),
        ("<login><username>a</username></login>", f"Line 1: login is in no namespace, and {PWS} is expected."),
        (inside("unsubscribe", '<unsubscribeRequest>\n<subscriptionID xmlns="">1</subscriptionID><unsubscribeAll/>'
                "</unsubscribeRequest>"), "Line 2: subscriptionID is in no namespace, and "),
    ],
)  # fmt: skip
def test_the_reason_says_which_namespace_is_missing(content: str, reason: str) -> None:
    """The most frequent mistake of all: the words of the validator do not tell it from the right element."""
    assert reason in read(envelope(content), LENIENT).reason


def test_a_session_key_outside_its_namespace_is_named() -> None:
    """As the reason of code 100."""
    asked = read(envelope(fetch(), header="\n<session-key>k</session-key>"), LENIENT)
    assert (asked.problem, asked.reason) == (None, f"Line 2: session-key is in no namespace, and {PWS} is expected.")
    assert read(envelope(fetch()), LENIENT).reason == ""


def test_a_reason_names_no_line_rather_than_a_wrong_one() -> None:
    """The parser counts up to 65535, and an element that is made here has the line of what was sent."""
    wrong = fetch().replace("<subscriptionID>1<", "\n<subscriptionID>one<")
    for lines, said in (
        (1, "Line 3: "),
        (60_000, "Line 60002: "),
        (65_532, "Line 65534: "),
        (65_533, ""),
        (90_000, ""),
    ):
        reason = read(envelope("\n" * lines + wrong), LENIENT).reason
        assert reason.startswith(said + "Element 'subscriptionID'"), lines
    assert read(envelope(poll(ANN).replace("<contact ", "\n<person ")), LENIENT).reason.startswith("Line 2: ")


def test_two_operations_in_a_body_are_refused() -> None:
    """Nobody knows which was meant; other elements beside the operation are passed over."""
    assert read(envelope(login() + fetch()), LENIENT).problem == 102
    assert read(envelope(login() + '<x xmlns="urn:x"/>'), LENIENT).call == m.Login("pwsapp", "secret")
    assert read(envelope(login() + '<x xmlns="urn:x"/>'), STRICT).problem == 102


@pytest.mark.parametrize(
    ("body", "charset"),
    [
        (b"\n \t<?xml version='1.0'?>", None),
        (b"<?xml version='1.0'?>\n<!-- before --><?p i?>\n", None),
        (b"\xef\xbb\xbf<?xml version='1.0' encoding='utf-8'?>", None),
        (b"\xef\xbb\xbf \r\n<?xml version='1.0'?>", "utf-8"),
        (b"<?xml version='1.1' standalone='yes'?>", None),
        (b"<?xml version='1.0' encoding='no-such-encoding'?>", None),
        (b"", "no-such-charset"),
        (b"", "zip"),
    ],
)
def test_whatever_stands_before_the_envelope(body: bytes, charset: str | None) -> None:
    """White space, marks and declarations."""
    whole = body + envelope(login("ann\N{LATIN SMALL LETTER O WITH DIAERESIS}")) + b"\r\n\0"
    assert read(whole, LENIENT, charset=charset).call == m.Login("annö", "secret")


@pytest.mark.parametrize(
    ("encoding", "declared", "charset"),
    [
        ("iso-8859-1", "ISO-8859-1", None),
        ("iso-8859-1", None, "ISO-8859-1"),
        ("iso-8859-1", "utf-8", "iso-8859-1"),
        ("iso-8859-1", "ISO-8859-1", "utf-8"),
        ("windows-1252", None, "Windows-1252"),
        ("utf-8", None, "us-ascii"),
        ("utf-8", "utf-16", None),
        ("utf-8", "UTF-16LE", "utf-16"),
    ],
)
def test_the_encoding_is_that_of_the_mark_the_charset_or_the_declaration(
    encoding: str, declared: str | None, charset: str | None
) -> None:
    """In this order; where the text does not fit to one, the next is tried."""
    declaration = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ""
    body = (declaration + envelope(login("Zoë")).decode()).encode(encoding)
    assert read(body, LENIENT, charset=charset).call == m.Login("Zoë", "secret")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("options", [LENIENT, STRICT])
def test_wide_encodings_are_refused(encoding: str, options: ServerOptions) -> None:
    """gSOAP does not read them, with a mark or without one, whatever is declared."""
    for declared in ("", '<?xml version="1.0" encoding="UTF-16"?>'):
        refused = read((declared + envelope(login()).decode()).encode(encoding), options, charset=encoding)
        assert (refused.problem, refused.reason[:35]) == (102, "The body is in UTF-16 or UTF-32, wh")


@pytest.mark.parametrize(
    "junk", [b"\0\0", b"\r\n--", b"junk", b"<a/>", b"</a>", b"<!-- c --><b>", b"&b;", b"<!DOCTYPE a>"]
)
def test_what_follows_the_envelope_is_not_read(junk: bytes) -> None:
    """gSOAP stops at its end."""
    assert read(envelope(login()) + junk, LENIENT).call == m.Login("pwsapp", "secret")
    assert read(envelope(login()) + junk, STRICT).problem == 102


def test_strict_wants_the_declaration_first() -> None:
    """As XML does; white space before an envelope without one is allowed."""
    assert read(b" <?xml version='1.0'?>" + envelope(login()), STRICT).problem == 102
    assert read(b" " + envelope(login()), STRICT).call == m.Login("pwsapp", "secret")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (envelope("\n" + fetch().replace("<subscriptionID>1<", "\n<subscriptionID>one<")),
         "Line 3: Element 'subscriptionID': '...' is not a valid value of the atomic type 'xs:int'."),
        (envelope(login().replace("</password>", "</passwort>")), "Line 1: mismatched tag."),
        (envelope(subscribe(ANN).replace("<endPointID>1</endPointID>", "")),
         "Line 1: Element 'subscriptionID': This element is not expected. Expected is ( endPointID )."),
        (envelope(""), "Line 1: the Body is empty."),
        (envelope(login("&b;")), "Line 1: undefined entity."),
        (envelope("<x:login/>"), "Line 1: the prefix of a name is not declared."),
        (b"<!DOCTYPE a>" + envelope(login()), "Line 1: a document type is not taken."),
        (b'<a xmlns="urn:a"/>', "Line 1: {urn:a}a is no Envelope of SOAP 1.1 or 1.2."),
        (envelope('<a xmlns="urn:a"/>'), "Line 1: {urn:a}a is no operation in urn:cisco:cup:presence:soap."),
        (b"", "The body is empty."),
    ],
)  # fmt: skip
def test_the_reason_is_in_the_validators_words_with_the_line(content: bytes, reason: str) -> None:
    """The line is that of what was sent, whatever was moved since."""
    assert reason in read(content, LENIENT).reason


def test_a_document_type_is_only_one_where_it_is_markup() -> None:
    """In text, a comment or CDATA it is text."""
    body = login("<![CDATA[<!DOCTYPE a><!ENTITY b 'c'>]]>").replace("<password>", "<!-- <!DOCTYPE a> --><password>")
    call = read(envelope(body), LENIENT).call
    assert isinstance(call, m.Login)
    assert call.username == "<!DOCTYPE a><!ENTITY b 'c'>"


@pytest.mark.parametrize("options", [LENIENT, STRICT])
@pytest.mark.parametrize(
    ("operation", "reason"),
    [
        (login().replace(">secret<", ">a<b:S3cretPw/>b<"), "Line 1: the prefix of a name is not declared."),
        (login().replace(">secret<", "><b b:S3cretPw=''/><"), "Line 1: the prefix of a name is not declared."),
        (login().replace(">secret<", "><a:b:S3cretPw xmlns:a='u'/><"),
         "Line 1: a name has a colon in the wrong place."),
        (login().replace(">secret<", ">&S3cretPw;<"), "Line 1: undefined entity."),
        (login().replace("<login", "<login force='S3cretPw'"),
         "Line 1: Element 'login', attribute 'force': '...' is not a valid value of the atomic type 'xs:boolean'."),
        (login().replace("<login", """<login force="a' is 'S3cretPw' is b" """),
         "Line 1: Element 'login', attribute 'force': '...' is not a valid value of the atomic type 'xs:boolean'."),
        (login().replace("<login", "<login force='" + "S3cretPw" * 20_000 + "'"),
         "Line 1: Element 'login', attribute 'force': '...'"),
    ],
)  # fmt: skip
def test_a_reason_has_no_value_of_the_request(options: ServerOptions, operation: str, reason: str) -> None:
    """It goes into the fault and the log, and any value may be a password."""
    assert read(envelope(operation), options).reason == reason


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("[facet 'enumeration'] The value 'x' is not an element of the set {'A', 'B'}.",
         "[facet 'enumeration'] The value '...' is not an element of the set {'A', 'B'}."),
        ("[facet 'minInclusive'] The value '-5' is less than the minimum value allowed ('0').",
         "[facet 'minInclusive'] The value '...' is less than the minimum value allowed ('0')."),
        ("[facet 'maxLength'] The value has a length of '9'; this exceeds the allowed maximum length of '3'.",
         "[facet 'maxLength'] The value has a length of '9'; this exceeds the allowed maximum length of '3'."),
        ("Duplicate key-sequence ['x'] in unique identity-constraint 'k'.",
         "Duplicate key-sequence '...' in unique identity-constraint 'k'."),
        ("The attribute 'contactURI' is required but missing.", "The attribute 'contactURI' is required but missing."),
    ],
)  # fmt: skip
def test_the_validators_words_keep_names_and_what_is_expected(said: str, kept: str) -> None:
    """Only the value is cut out."""
    assert complaint(f"Element '{{{PWS}}}a': {said}") == f"Element 'a': {kept}"


def test_a_reason_is_one_short_line() -> None:
    """Whatever name it has in it."""
    reason = read(envelope(fetch().replace("<subscriptionID", f"<{'x' * 5000}/><subscriptionID")), STRICT).reason
    assert "xxx" in reason
    assert len(reason) < 400
    assert "\n" not in reason


def test_an_empty_url_beside_an_id_is_kept_apart_from_none() -> None:
    """What it means is the node's to decide."""
    assert read(envelope(register("").replace(">0<", ">3<"), "key"), LENIENT).call == m.RegisterEndPoint("", 3, 3600)


def test_a_password_is_read_as_the_schema_has_it() -> None:
    """A normalizedString has spaces for tabs and line ends, and keeps all of them; gSOAP reads it so."""
    call = read(envelope(login("  a \n b ", " p\n\tq ")), LENIENT).call
    assert call == m.Login("a b", " p  q ")
