"""Reads requests: an envelope of SOAP 1.1 or 1.2 becomes a call, or the code of what is wrong with it.

Document types and entities are refused. What the schema refuses is code 102, unless the server has a more precise code
for it (protocol section 3).
"""

from __future__ import annotations

from typing import Final

from lxml import etree

from pws_soap.server import messages as m
from pws_soap.server.codes import Refused
from pws_soap.server.options import ServerOptions
from pws_soap.server.presence import State
from pws_soap.server.soap.contract import PWS, TPI, schema

ENVELOPES: Final[dict[str, m.Version]] = {
    "http://schemas.xmlsoap.org/soap/envelope/": "1.1",
    "http://www.w3.org/2003/05/soap-envelope": "1.2",
}
_SETTABLE: Final = frozenset(State) - {State.UNKNOWN}


def read(body: bytes, options: ServerOptions) -> m.Request:
    """Read the body of a request. Never raises: what is wrong is the request's `problem`."""
    version: m.Version = "1.1"
    operation, key = "", None
    try:
        envelope = _parse(body)
        namespace, version = _version(envelope)
        root = _root(envelope, namespace)
        operation = etree.QName(root).localname
        key = _session_key(envelope.find(f"{{{namespace}}}Header"), options)
        return m.Request(version, operation, key, _call(operation, root, options))
    except Refused as refused:
        return m.Request(version, operation, key, problem=refused.code)


def _parse(body: bytes) -> etree._Element:
    if not body:
        raise Refused(150)
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        raise Refused(102)
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True
    )
    try:
        envelope = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise Refused(102) from None
    if envelope.getroottree().docinfo.doctype:  # in UTF-16, for instance, where the bytes above are not found
        raise Refused(102)
    return envelope


def _version(envelope: etree._Element) -> tuple[str, m.Version]:
    name = etree.QName(envelope)
    if name.localname != "Envelope" or name.namespace not in ENVELOPES:
        raise Refused(103)
    return name.namespace, ENVELOPES[name.namespace]


def _root(envelope: etree._Element, namespace: str) -> etree._Element:
    content = envelope.find(f"{{{namespace}}}Body")
    elements = [] if content is None else list(content.iterchildren("*"))
    if len(elements) != 1:
        raise Refused(102)
    name = etree.QName(elements[0])
    if name.namespace != PWS or name.localname not in m.OPERATIONS:
        raise Refused(103)
    return elements[0]


def _session_key(header: etree._Element | None, options: ServerOptions) -> str | None:
    if header is None:
        return None
    element = header.find(f"{{{PWS}}}session-key")
    if element is None and options.accept_tpi_header:
        element = header.find(f"{{{TPI}}}session-key")
    return None if element is None else (element.text or "").strip()


def _call(operation: str, root: etree._Element, options: ServerOptions) -> m.Call:
    if operation == "subscribe":
        expiration = _child(root, "expiration")
        if expiration is not None and (expiration.text or "").strip() == "0":
            root.remove(expiration)  # the schema forbids it, the server accepts it (protocol section 2)
    if not schema(options.contacts_per_list).validate(root):
        raise Refused(_diagnosis(operation, root))
    return _READERS[operation](root)


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
    return m.Login(username, _text(root, "password"), _text(root, "app-session-id"), _bool(root.get("force")))


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


# The code for what is not valid


def _diagnosis(operation: str, root: etree._Element) -> int:
    """The code for a request that the schema refuses: that of the first mistake which has one of its own, else 102."""
    if operation == "login":
        return _login_diagnosis(root)
    if operation == "unsubscribe":
        inner = _child(root, "unsubscribeRequest")
        return 102 if inner is None else _contacts_diagnosis(inner, required=_child(inner, "unsubscribeAll") is None)
    if operation in ("subscribe", "getPolledPresence"):
        code = _contacts_diagnosis(root, required=operation == "getPolledPresence")
        if code != 102:
            return code
    if operation in ("getSubscribedPresence", "getPolledPresence", "setPresence") and _text(
        root, "presenceType"
    ) not in ("BASIC_PRESENCE", "RICH_PRESENCE"):
        return 110
    if operation == "setPresence":
        code = _set_presence_diagnosis(root)
        if code != 102:
            return code
    if operation in ("registerEndPoint", "subscribe", "setPresence"):
        return _expiration_diagnosis(root, below=86400 if operation == "registerEndPoint" else 86401)
    return 102


def _login_diagnosis(root: etree._Element) -> int:
    if not (_text(root, "username") or "").strip():
        return 113
    if (_child(root, "password") is None) == (_child(root, "app-session-id") is None):
        return 112
    return 102


def _contacts_diagnosis(parent: etree._Element, *, required: bool) -> int:
    listed = _child(parent, "contactsList")
    if listed is None:
        return 146 if required else 102
    contacts = list(listed.iterchildren("*"))
    if not contacts:
        return 146
    if any(contact.tag != f"{{{PWS}}}contact" for contact in contacts):
        return 147
    if any(name != "contactURI" for contact in contacts for name in contact.attrib):
        return 148
    return 102


def _set_presence_diagnosis(root: etree._Element) -> int:
    info = _child(root, "presenceInfo")
    if info is None:
        return 115
    if (_text(info, "override") or "").strip() not in ("true", "false", "1", "0"):
        return 125
    basic = _text(info, "basicPresence")
    if basic is not None and basic not in _SETTABLE:
        return 120
    return 102


def _expiration_diagnosis(root: etree._Element, *, below: int) -> int:
    text = _text(root, "expiration")
    if text is None:
        return 102
    try:
        return 102 if 3600 <= int(text) < below else 131
    except ValueError:
        return 131
