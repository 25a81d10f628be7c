"""Replies as the server writes them, and the values that calls need: one place for all tests of the library."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from xml.sax.saxutils import escape, quoteattr

from pws_soap.models import Endpoint, Secret, Session, SessionKind, Subscription

BOMB = "<!DOCTYPE b [<!ENTITY a 'boom'>" + "".join(
    f"<!ENTITY {name} '{f'&{before};' * 10}'>" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)

NS = "urn:cisco:cup:presence:soap"
SOAP11 = "http://schemas.xmlsoap.org/soap/envelope/"
SOAP12 = "http://www.w3.org/2003/05/soap-envelope"
XSD = "http://www.w3.org/2001/XMLSchema"
WSDL = "http://schemas.xmlsoap.org/wsdl/"
WSDL_SOAP = "http://schemas.xmlsoap.org/wsdl/soap/"

NODE = "https://imp1.example.com:8083"
PASSWORD = "correct-horse-battery"
KEY = "0f1e2d3c-session-key"
CALLBACK = "http://10.0.0.5:8080/pws/6b1f-secret-path"
ENDPOINT = Endpoint(3, Secret(CALLBACK), 3600)
SUBSCRIPTION = Subscription(7, ("ann@example.com",), 3600)

OPERATIONS = (
    "login",
    "logout",
    "getPolledPresence",
    "getSubscribedPresence",
    "setPresence",
    "subscribe",
    "unsubscribe",
    "registerEndPoint",
    "unregisterEndPoint",
)


def application(node: str = NODE) -> Session:
    """The session of an application user."""
    return Session("pwsapp", SessionKind.APPLICATION, node, Secret(KEY))


def end_user(node: str = NODE) -> Session:
    """The session of an end user."""
    return Session("dispatcher", SessionKind.END_USER, node, Secret(KEY))


def people(count: int) -> list[str]:
    """That many contact URIs."""
    return [f"user{number:04}@example.com" for number in range(count)]


def envelope(body: str, *, soap: str = SOAP11, header: str = "", prefix: str = "SOAP-ENV") -> bytes:
    """An envelope around `body`, which declares its own namespaces."""
    head = f"<{prefix}:Header>{header}</{prefix}:Header>" if header else ""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<{prefix}:Envelope xmlns:{prefix}="{soap}">'
        f"{head}<{prefix}:Body>{body}</{prefix}:Body></{prefix}:Envelope>"
    ).encode()


def response(operation: str, inner: str, **options: str) -> bytes:
    """The response of an operation, with `inner` in the default namespace."""
    return envelope(f'<{operation}Response xmlns="{NS}">{inner}</{operation}Response>', **options)


def status(operation: str, value: str = "SUCCESS") -> bytes:
    """A response of ResponseStatusType."""
    return response(operation, f"<status>{value}</status>")


def logged_in(key: str = KEY, backup: str | None = None) -> bytes:
    """A loginResponse with success."""
    attribute = f" backupServer={quoteattr(backup)}" if backup is not None else ""
    return response("login", f"<success{attribute}><session-key>{escape(key)}</session-key></success>")


def endpoint_id(number: int | str = 3) -> bytes:
    """A registerEndPointResponse."""
    return response("registerEndPoint", f"<endPointID>{number}</endPointID>")


def subscription_id(number: int | str = 7) -> bytes:
    """A subscribeResponse."""
    return response("subscribe", f"<subscriptionID>{number}</subscriptionID>")


def contacts_xml(contacts: Iterable[tuple[str | None, str | None]]) -> str:
    """The `contact` elements of a basic list; None leaves the attribute out."""
    return "".join(
        "<contact"
        + (f" contactURI={quoteattr(uri)}" if uri is not None else "")
        + (f" presenceStatus={quoteattr(state)}" if state is not None else "")
        + "/>"
        for uri, state in contacts
    )


def basic(
    contacts: Sequence[tuple[str | None, str | None]] | None,
    operation: str = "getSubscribedPresence",
    **options: str,
) -> bytes:
    """A basic presence reply; None leaves the list out altogether."""
    listed = "" if contacts is None else f"<basicPresenceList>{contacts_xml(contacts)}</basicPresenceList>"
    inner = f"<presenceResponse><presenceType>BASIC_PRESENCE</presenceType>{listed}</presenceResponse>"
    return response(operation, inner, **options)


def pidf(contact: str, activity: str = "busy") -> str:
    """A small presence document, as the server writes them."""
    return (
        f'<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:{contact}">'
        f'<person xmlns="urn:cisco:params:xml:ns:pidf:rpid" id="p"><activities><{activity}/></activities></person>'
        '<tuple id="cmp-8001-162"><status><basic>open</basic></status></tuple></presence>'
    )


def rich(documents: Iterable[str], carrier: str = "elements", operation: str = "getSubscribedPresence") -> bytes:
    """A rich presence reply, its documents carried as child `elements`, `cdata` or `escaped` text."""
    text = "".join(documents)
    carried = {"elements": text, "cdata": f"<![CDATA[{text}]]>", "escaped": escape(text)}[carrier]
    inner = (
        "<presenceResponse><presenceType>RICH_PRESENCE</presenceType>"
        f"<richPresenceList>{carried}</richPresenceList></presenceResponse>"
    )
    return response(operation, inner)


def description(code: object = 133, message: str = "No such", fix: str = "Try again", *, xmlns: str | None = NS) -> str:
    """The description of a fault, in a namespace or (None) in none."""
    spaced = f' xmlns="{xmlns}"' if xmlns is not None else ""
    return (
        f"<description{spaced}><code>{escape(str(code))}</code><message>{escape(message)}</message>"
        f"<fix>{escape(fix)}</fix></description>"
    )


def fault(detail: str | None = None, text: str = "Something failed") -> bytes:
    """A SOAP 1.1 fault; None leaves the detail out."""
    inside = "" if detail is None else f"<detail>{detail}</detail>"
    return envelope(
        f"<SOAP-ENV:Fault><faultcode>SOAP-ENV:Client</faultcode><faultstring>{text}</faultstring>{inside}"
        "</SOAP-ENV:Fault>"
    )


def fault12(detail: str | None = None, text: str = "Something failed") -> bytes:
    """A SOAP 1.2 fault; None leaves the detail out."""
    inside = "" if detail is None else f"<E:Detail>{detail}</E:Detail>"
    return envelope(
        "<E:Fault><E:Code><E:Value>E:Sender</E:Value></E:Code>"
        f'<E:Reason><E:Text xml:lang="en">{text}</E:Text></E:Reason>{inside}</E:Fault>',
        soap=SOAP12,
        prefix="E",
    )
