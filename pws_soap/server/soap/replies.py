"""Writes replies and faults in an envelope of SOAP 1.1 or 1.2.

They are written as text with everything escaped, since a reply may hold thousands of contacts; the prefixes are
gSOAP's. Tests validate every kind of reply against the schema.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from lxml import etree

from pws_soap.server import messages as m
from pws_soap.server.codes import THROTTLED, text_of
from pws_soap.server.http_reply import HttpReply
from pws_soap.server.options import ServerOptions
from pws_soap.server.presence import State
from pws_soap.server.soap import pidf_writer
from pws_soap.server.soap.contract import PWS
from pws_soap.server.soap.diagnosis import listed
from pws_soap.server.soap.requests import ENVELOPES

_NAMED: Final = 5
"""At most 5 headers that were not understood are named in a header of SOAP 1.2."""
_LONGEST: Final = 1000
"""Characters of a name that is named there."""
_NAMESPACE: Final = {version: namespace for namespace, version in ENVELOPES.items()}
_CONTENT_TYPE: Final[dict[m.Version, str]] = {
    "1.1": "text/xml; charset=utf-8",
    "1.2": "application/soap+xml; charset=utf-8",
}


def write(reply: m.Reply, version: m.Version, options: ServerOptions, key: str | None = None) -> HttpReply:
    """Write a reply. `key` is the request's session key, for servers that repeat it in a header."""
    if isinstance(reply, m.Refusal):
        return write_fault(reply.code, version, options, reply.reason)
    if isinstance(reply, m.NotUnderstood):
        return _write_not_understood(reply, version, options)
    header = ""
    if key and options.repeat_session_key != "no":
        must = ""
        if options.repeat_session_key == "must-understand":
            must = f' SOAP-ENV:mustUnderstand="{"1" if version == "1.1" else "true"}"'
        header = f"<SOAP-ENV:Header><ns1:session-key{must}>{escape(key)}</ns1:session-key></SOAP-ENV:Header>"
    content = _presence(reply, options) if isinstance(reply, m.PresenceList) else [_body(reply).encode()]
    return HttpReply(200, _CONTENT_TYPE[version], _around(content, version, header))


def write_fault(code: int, version: m.Version, options: ServerOptions, reason: str = "") -> HttpReply:
    """Write a fault: HTTP 200, or 503 for the throttles (protocol section 3). Its message ends with the reason."""
    message, fix = text_of(code)
    message = f"{message} {reason}".rstrip()
    description = (
        f'<description xmlns="{PWS}"><code>{code}</code><message>{escape(message)}</message>'
        f"<fix>{escape(fix)}</fix></description>"
    )
    if code in THROTTLED:
        status = 503
        if options.throttle_body == "empty":
            return HttpReply(status, "text/plain", b"")
        if options.throttle_body == "bare":
            return HttpReply(status, "text/xml; charset=utf-8", description.encode())
    else:
        status = options.fault_status
    servers_fault = code >= 200
    if version == "1.1":
        fault = (
            f"<SOAP-ENV:Fault><faultcode>SOAP-ENV:{'Server' if servers_fault else 'Client'}</faultcode>"
            f"<faultstring>{escape(message)}</faultstring><detail>{description}</detail></SOAP-ENV:Fault>"
        )
    else:
        fault = (
            f"<SOAP-ENV:Fault><SOAP-ENV:Code><SOAP-ENV:Value>SOAP-ENV:{'Receiver' if servers_fault else 'Sender'}"
            f'</SOAP-ENV:Value></SOAP-ENV:Code><SOAP-ENV:Reason><SOAP-ENV:Text xml:lang="en">{escape(message)}'
            f"</SOAP-ENV:Text></SOAP-ENV:Reason><SOAP-ENV:Detail>{description}</SOAP-ENV:Detail></SOAP-ENV:Fault>"
        )
    return HttpReply(status, _CONTENT_TYPE[version], _envelope(fault, version))


def _write_not_understood(reply: m.NotUnderstood, version: m.Version, options: ServerOptions) -> HttpReply:
    """Write SOAP's own fault for headers that are not understood: no detail, in SOAP 1.2 their names in the header."""
    message = escape(f"These headers must be understood and are not: {listed(reply.headers)}.")
    if version == "1.1":
        fault = (
            f"<SOAP-ENV:Fault><faultcode>SOAP-ENV:MustUnderstand</faultcode><faultstring>{message}</faultstring>"
            "</SOAP-ENV:Fault>"
        )
        return HttpReply(options.fault_status, _CONTENT_TYPE[version], _envelope(fault, version))
    fault = (
        "<SOAP-ENV:Fault><SOAP-ENV:Code><SOAP-ENV:Value>SOAP-ENV:MustUnderstand</SOAP-ENV:Value></SOAP-ENV:Code>"
        f'<SOAP-ENV:Reason><SOAP-ENV:Text xml:lang="en">{message}</SOAP-ENV:Text></SOAP-ENV:Reason></SOAP-ENV:Fault>'
    )
    names = [etree.QName(header) for header in reply.headers if len(header) <= _LONGEST][:_NAMED]
    blocks = "".join(
        f'<SOAP-ENV:NotUnderstood qname="h:{name.localname}" xmlns:h={quoteattr(name.namespace)}/>'
        if name.namespace
        else f'<SOAP-ENV:NotUnderstood qname="{name.localname}"/>'
        for name in names
    )
    header = f"<SOAP-ENV:Header>{blocks}</SOAP-ENV:Header>"
    return HttpReply(options.fault_status, _CONTENT_TYPE[version], _envelope(fault, version, header))


def _envelope(content: str, version: m.Version, header: str = "") -> bytes:
    return _around([content.encode()], version, header)


def _around(content: list[bytes], version: m.Version, header: str) -> bytes:
    """An envelope around content that lies in pieces: thousands of contacts are put together once."""
    before = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<SOAP-ENV:Envelope xmlns:SOAP-ENV="{_NAMESPACE[version]}" xmlns:ns1="{PWS}">{header}<SOAP-ENV:Body>'
    )
    return b"".join([before.encode(), *content, b"</SOAP-ENV:Body></SOAP-ENV:Envelope>"])


def _body(reply: m.Reply) -> str:
    match reply:
        case m.LoggedIn():
            return (
                f"<ns1:loginResponse><ns1:success{_attribute('backupServer', reply.backup)}>"
                f"<ns1:session-key>{escape(reply.key)}</ns1:session-key></ns1:success></ns1:loginResponse>"
            )
        case m.Redirect():
            attributes = _attribute("primaryServer", reply.primary) + _attribute("backupServer", reply.backup)
            return f"<ns1:loginResponse><ns1:redirect{attributes}/></ns1:loginResponse>"
        case m.EndPoint():
            return _number("registerEndPointResponse", "endPointID", reply.id)
        case m.Subscribed():
            return _number("subscribeResponse", "subscriptionID", reply.id)
        case m.Done():
            return f"<ns1:{reply.operation}Response><ns1:status>SUCCESS</ns1:status></ns1:{reply.operation}Response>"
        case m.PresenceList() | m.Refusal() | m.NotUnderstood():  # pragma: no cover - `write` has written them
            raise AssertionError("it is written by a function of its own")


def _attribute(name: str, value: str | None) -> str:
    return "" if value is None else f" {name}={quoteattr(value)}"


def _number(response: str, element: str, number: int) -> str:
    return f"<ns1:{response}><ns1:{element}>{number}</ns1:{element}></ns1:{response}>"


def _presence(reply: m.PresenceList, options: ServerOptions) -> list[bytes]:
    if reply.absent:
        listed = []
    elif reply.type == "BASIC_PRESENCE":
        contacts = [_contact(presence.contact, presence.basic) for presence in reply.contacts]
        listed = [b"<ns1:basicPresenceList>", *contacts, b"</ns1:basicPresenceList>"]
    else:
        listed = [b"<ns1:richPresenceList>", *_documents(reply, options), b"</ns1:richPresenceList>"]
    before = f"<ns1:{reply.operation}Response><ns1:presenceResponse><ns1:presenceType>{reply.type}</ns1:presenceType>"
    return [before.encode(), *listed, f"</ns1:presenceResponse></ns1:{reply.operation}Response>".encode()]


@lru_cache(maxsize=16_384)
def _contact(contact: str, state: State) -> bytes:
    """A contact of a basic list, written once for all to whom the same is told."""
    return f"<ns1:contact contactURI={quoteattr(contact)} presenceStatus={quoteattr(state)}/>".encode()


def _documents(reply: m.PresenceList, options: ServerOptions) -> list[bytes]:
    """The documents in the carrier of the options; those that are elements are taken as they are."""
    if options.rich_carrier == "elements":
        return [
            pidf_writer.document(presence, options).encode() if (document := presence.document) is None else document
            for presence in reply.contacts
        ]
    documents = [
        pidf_writer.document(presence, options) if (document := presence.document) is None else document.decode()
        for presence in reply.contacts
    ]
    return [pidf_writer.carried(documents, options).encode()] if documents else []
