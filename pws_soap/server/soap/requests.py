"""Reads requests: an envelope of SOAP 1.1 or 1.2 becomes a call, or the code of what is wrong with it.

Document types are refused, and what is too large or too deep (`limits`). Unless the option `strict` is set, a request
is first brought into the form that the schema describes (`shapes`). What the schema refuses is code 102, unless the
server has a more precise code for it (`diagnosis`).
"""

from __future__ import annotations

import re
from typing import Final

from lxml import etree

from pws_soap.server import messages as m
from pws_soap.server.codes import Refused
from pws_soap.server.options import ServerOptions
from pws_soap.server.presence import State
from pws_soap.server.soap import headers, shapes
from pws_soap.server.soap.contract import PWS, new_schema, schema
from pws_soap.server.soap.diagnosis import complaint, diagnosis, outside, words
from pws_soap.server.soap.encoding import as_utf8
from pws_soap.server.soap.limits import max_elements, parsed
from pws_soap.server.soap.mixed import at_line, line_text

ENVELOPES: Final[dict[str, m.Version]] = {
    "http://schemas.xmlsoap.org/soap/envelope/": "1.1",
    "http://www.w3.org/2003/05/soap-envelope": "1.2",
}
_COUNT: Final = etree.XPath("count(pws:contact)", namespaces={"pws": PWS})
_NOTHING: Final = re.compile(r"[+-]?0+")
"""An expiration of 0."""


def read(body: bytes, options: ServerOptions, *, charset: str | None = None, in_thread: bool = False) -> m.Request:
    """Read the body of a request. Never raises: what is wrong is the request's `problem`.

    `charset` is what the HTTP header says of the encoding. `in_thread`: it runs beside the thread of the event loop.
    """
    version: m.Version = "1.1"
    operation, key = "", None
    try:
        envelope = _envelope(body, charset, options)
        namespace, version = _version(envelope)
        header, content = _header_and_body(envelope, namespace, strict=options.strict)
        strangers = headers.not_understood(header, namespace, options)
        if strangers:
            return m.Request(version, not_understood=strangers)
        root = _root(content, options)
        operation = etree.QName(root).localname
        key = headers.session_key(header, namespace, options)
        call = _call(operation, root, content, options, in_thread=in_thread)
        return m.Request(version, operation, key, call, reason="" if key else headers.why_no_key(header))
    except Refused as refused:
        return m.Request(version, operation, key, problem=refused.code, reason=refused.reason)


def _envelope(body: bytes, charset: str | None, options: ServerOptions) -> etree._Element:
    if not body:
        raise Refused(150, "The body is empty.")
    content = as_utf8(body, None if options.strict else charset, strict=options.strict)
    return parsed(content, 102, strict=options.strict, most=max_elements(options.max_request_bytes))


def _version(envelope: etree._Element) -> tuple[str, m.Version]:
    name = etree.QName(envelope)
    if name.localname != "Envelope" or name.namespace not in ENVELOPES:
        raise Refused(103, f"{at_line(envelope)}{words(str(envelope.tag))} is no Envelope of SOAP 1.1 or 1.2.")
    return name.namespace, ENVELOPES[name.namespace]


def _header_and_body(
    envelope: etree._Element, namespace: str, *, strict: bool
) -> tuple[etree._Element | None, etree._Element]:
    """A Header, which may be missing, and the Body. What follows the Body is not read, as in gSOAP, unless `strict`."""
    header_tag, body_tag = f"{{{namespace}}}Header", f"{{{namespace}}}Body"
    header = body = None
    text = envelope.text
    for element in envelope.iterchildren("*"):
        if text and not text.isspace():
            raise Refused(102, f"{at_line(element)}text stands in the Envelope.")
        text = element.tail
        if element.tag == header_tag and header is None and body is None:
            header = element
        elif element.tag == body_tag and body is None:
            body = element
            if not strict:
                break
        else:
            name = words(str(element.tag))
            raise Refused(
                102, f"{at_line(element)}{name} stands in the Envelope, where a Header or a Body is expected."
            )
    if body is None:
        raise Refused(102, "The Envelope has no Body.")
    if strict:
        for part in (envelope, header, body):
            _check_no_text(part)
    return header, body


def _check_no_text(element: etree._Element | None) -> None:
    texts = () if element is None else (element.text, *[child.tail for child in element])
    if element is not None and any(text and not text.isspace() for text in texts):
        raise Refused(102, f"{at_line(element)}text stands in the {etree.QName(element).localname}.")


def _root(content: etree._Element, options: ServerOptions) -> etree._Element:
    """The element of the operation: the first. Others may only stand beside it for it to refer to."""
    elements = list(content.iterchildren("*"))
    if not elements:
        raise Refused(102, f"{at_line(content)}the Body is empty.")
    if content.text and not content.text.isspace():
        raise Refused(102, f"{at_line(content)}text stands in the Body, before the operation.")
    more = [each for each in elements[1:] if options.strict or _is_operation(each)]
    if more:
        raise Refused(102, f"{at_line(more[0])}the Body has more than one operation.")
    name = etree.QName(elements[0])
    if name.localname in m.OPERATIONS and name.namespace != PWS:
        raise Refused(103, f"{at_line(elements[0])}{outside(elements[0])}")
    if not _is_operation(elements[0]):
        raise Refused(103, f"{at_line(elements[0])}{words(str(elements[0].tag))} is no operation in {PWS}.")
    return elements[0]


def _is_operation(element: etree._Element) -> bool:
    name = etree.QName(element)
    return name.namespace == PWS and name.localname in m.OPERATIONS


def _call(
    operation: str, root: etree._Element, content: etree._Element, options: ServerOptions, *, in_thread: bool
) -> m.Call:
    _check_lists(root, options)
    given = root
    made = shapes.Canonical(root) if options.strict else shapes.canonical(root, content)
    root = made.root
    if operation == "subscribe":
        expiration = _child(root, "expiration")
        if expiration is not None and _NOTHING.fullmatch((expiration.text or "").strip()):
            root.remove(expiration)  # the schema forbids it, the server accepts it (protocol section 2)
    _check_lists(root, options)  # again, since one may have been moved here from elsewhere in the body
    checker = (new_schema if in_thread else schema)(options.contacts_per_list)
    if not checker.validate(root):
        mistake = checker.error_log[0]
        reason = f"{line_text(mistake.line)}{complaint(mistake.message)}"
        stray = shapes.outside_namespace(given, shapes.shapes()[operation])
        if stray is not None:
            reason = f"{reason} {at_line(stray)}{outside(stray)}"
        raise Refused(diagnosis(operation, root), reason)
    made.complete()
    return _READERS[operation](root)


def _check_lists(root: etree._Element, options: ServerOptions) -> None:
    """Refuse a contact list that is too long, before anything is done with each of its contacts."""
    for listed in root.iter(f"{{{PWS}}}contactsList"):
        contacts = int(_COUNT(listed))
        if contacts > options.contacts_per_list:
            raise Refused(135, f"The list has {contacts} contacts; {options.contacts_per_list} are the limit.")


# Reading what is valid


def _child(parent: etree._Element, name: str) -> etree._Element | None:
    return parent.find(f"{{{PWS}}}{name}")


def _text(parent: etree._Element, name: str) -> str | None:
    element = _child(parent, name)
    return None if element is None else element.text or ""


def _normalized(text: str | None) -> str | None:
    """A string as xsd:normalizedString has it."""
    return None if text is None else re.sub("[\t\r\n]", " ", text)


def _int(parent: etree._Element, name: str) -> int:
    return int(_text(parent, name) or 0)


def _bool(text: str | None) -> bool:
    return (text or "").strip() in ("true", "1")


def _contacts(parent: etree._Element) -> tuple[str, ...] | None:
    listed = _child(parent, "contactsList")
    if listed is None:
        return None
    return tuple(contact.get("contactURI", "") for contact in listed.iterchildren("*"))


def _presence_type(parent: etree._Element) -> m.PresenceType:
    return "RICH_PRESENCE" if _text(parent, "presenceType") == "RICH_PRESENCE" else "BASIC_PRESENCE"


def _login(root: etree._Element) -> m.Call:
    username = " ".join((_text(root, "username") or "").split())  # xsd:token
    app_session = _text(root, "app-session-id")
    return m.Login(
        username,
        _normalized(_text(root, "password")),
        None if app_session is None else app_session.strip(),  # as the key in a header is
        _bool(root.get("force")),
    )


def _register(root: etree._Element) -> m.Call:
    return m.RegisterEndPoint(_text(root, "url"), _int(root, "endPointID"), _int(root, "expiration"))


def _subscribe(root: etree._Element) -> m.Call:
    return m.Subscribe(
        contacts=_contacts(root),
        endpoint=_int(root, "endPointID"),
        subscription=_int(root, "subscriptionID"),
        expiration=_int(root, "expiration") or None,
        event=(_text(root, "subscriptionType") or "").strip(),
    )


def _unsubscribe(root: etree._Element) -> m.Call:
    inner = root[0]
    return m.Unsubscribe(_int(inner, "subscriptionID"), _contacts(inner))


def _set_presence(root: etree._Element) -> m.Call:
    info = root[1]
    basic, rich = _text(info, "basicPresence"), _child(info, "richPresence")
    document: bytes | None = None
    if rich is not None:
        document = etree.tostring(rich[0], with_tail=False) if len(rich) else (rich.text or "").strip().encode()
    return m.SetPresence(
        type=_presence_type(root),
        override=_bool(_text(info, "override")),
        expiration=_int(root, "expiration"),
        basic=None if basic is None else State(basic),
        rich=document,
    )


_READERS: Final = {
    "login": _login,
    "logout": lambda root: m.Logout(),
    "registerEndPoint": _register,
    "unregisterEndPoint": lambda root: m.UnregisterEndPoint(_int(root, "endPointID")),
    "subscribe": _subscribe,
    "unsubscribe": _unsubscribe,
    "getSubscribedPresence": lambda root: m.GetSubscribedPresence(_int(root, "subscriptionID"), _presence_type(root)),
    "getPolledPresence": lambda root: m.GetPolledPresence(_contacts(root) or (), _presence_type(root)),
    "setPresence": _set_presence,
}
