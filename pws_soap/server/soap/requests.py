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
from pws_soap.server.soap.diagnosis import complaint, diagnosis, words
from pws_soap.server.soap.encoding import as_utf8
from pws_soap.server.soap.limits import parsed

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
        strangers = headers.not_understood(envelope, namespace, options)
        if strangers:
            return m.Request(version, not_understood=strangers)
        content = _body(envelope, namespace)
        root = _root(content, options)
        operation = etree.QName(root).localname
        key = headers.session_key(envelope, namespace, options)
        return m.Request(version, operation, key, _call(operation, root, content, options, in_thread=in_thread))
    except Refused as refused:
        return m.Request(version, operation, key, problem=refused.code, reason=refused.reason)


def _envelope(body: bytes, charset: str | None, options: ServerOptions) -> etree._Element:
    if not body:
        raise Refused(150, "The body is empty.")
    return parsed(as_utf8(body, None if options.strict else charset, strict=options.strict), 102, strict=options.strict)


def _version(envelope: etree._Element) -> tuple[str, m.Version]:
    name = etree.QName(envelope)
    if name.localname != "Envelope" or name.namespace not in ENVELOPES:
        raise Refused(103, f"Line {envelope.sourceline}: {words(str(envelope.tag))} is no Envelope of SOAP 1.1 or 1.2.")
    return name.namespace, ENVELOPES[name.namespace]


def _body(envelope: etree._Element, namespace: str) -> etree._Element:
    content = envelope.find(f"{{{namespace}}}Body")
    if content is None:
        raise Refused(102, "The Envelope has no Body.")
    return content


def _root(content: etree._Element, options: ServerOptions) -> etree._Element:
    """The element of the operation: the first. Others may only stand beside it for it to refer to."""
    elements = list(content.iterchildren("*"))
    if not elements:
        raise Refused(102, f"Line {content.sourceline}: the Body is empty.")
    more = [each for each in elements[1:] if options.strict or _is_operation(each)]
    if more:
        raise Refused(102, f"Line {more[0].sourceline}: the Body has more than one operation.")
    if not _is_operation(elements[0]):
        raise Refused(103, f"Line {elements[0].sourceline}: {words(str(elements[0].tag))} is no operation in {PWS}.")
    return elements[0]


def _is_operation(element: etree._Element) -> bool:
    name = etree.QName(element)
    return name.namespace == PWS and name.localname in m.OPERATIONS


def _call(
    operation: str, root: etree._Element, content: etree._Element, options: ServerOptions, *, in_thread: bool
) -> m.Call:
    _check_lists(root, options)
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
        raise Refused(diagnosis(operation, root), f"Line {mistake.line}: {complaint(mistake.message)}")
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
        _text(root, "password"),
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
