"""Writes the PIDF document of a contact in every form that has been seen (protocol section 4, RFC 3863, RFC 4480).

The oddities are the real server's: namespaces that are wrong or missing, no `person`, two spellings of a display name.
Documents are written as text, since a reply may hold thousands.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, assert_never
from xml.sax.saxutils import escape, quoteattr

from pws_soap.server.options import ServerOptions
from pws_soap.server.presence import Device, Presence, State

_PIDF: Final = "urn:ietf:params:xml:ns:pidf"
_CISCO_RPID: Final = "urn:cisco:params:xml:ns:pidf:rpid"
_DATA_MODEL: Final = "urn:ietf:params:xml:ns:pidf:data-model"
_CIPID: Final = "urn:ietf:params:xml:ns:pidf:cipid"
_SERVCAPS: Final = "urn:ietf:params:xml:ns:pidf:servcaps"

_SOFT_CLIENT: Final = Device("cisco-upc", text=True)
_PHONE: Final = frozenset({"on-the-phone", "alerting"})


@dataclass(frozen=True, slots=True)
class _Namespaces:
    presence: str
    person: str
    name: str
    caps: str


def _declared(namespace: str) -> str:
    return f' xmlns="{namespace}"'


_KINDS: Final = {
    "right": _Namespaces(_declared(_PIDF), _declared(_CISCO_RPID), _declared(_CIPID), _declared(_SERVCAPS)),
    # The person as phones send it, other elements in namespaces that have been seen on them.
    "wrong": _Namespaces(_declared(_PIDF), _declared(_DATA_MODEL), "", _declared(_CISCO_RPID)),
    "missing": _Namespaces("", "", "", ""),
}
_MIX: Final = ("right", "wrong", "missing")


def _choice(contact: str, of: int) -> int:
    """A number below `of` that is always the same for a contact, so that its documents always look alike."""
    return zlib.crc32(contact.casefold().encode()) % of


def document(presence: Presence, options: ServerOptions) -> str:
    """The contact's document, without an XML declaration; that of an unknown contact says `unknown` and no more."""
    entity = quoteattr("sip:" + presence.contact)
    if presence.state is State.UNKNOWN and presence.display_name is None:
        unknown = f"<person{_declared(_CISCO_RPID)}><activities><unknown/></activities></person>"
        return f'<presence xmlns="{_PIDF}" entity={entity}>{unknown}</presence>'
    kind = options.rich_namespaces
    namespaces = _KINDS[_MIX[_choice(presence.contact, 3)] if kind == "mixed" else kind]
    personal = options.rich_person == "always" or (
        options.rich_person == "mixed" and _choice("person" + presence.contact, 2) == 0
    )
    parts = [f"<presence{namespaces.presence} entity={entity}>"]
    if personal:
        parts.append(_person(presence, namespaces))
    if presence.display_name is not None:
        element = options.rich_name
        parts.append(f"<{element}{namespaces.name}>{escape(presence.display_name)}</{element}>")
    stamp = f"{datetime.fromtimestamp(presence.since, UTC):%Y-%m-%dT%H:%M:%SZ}" if presence.since else ""
    devices = presence.devices or (_SOFT_CLIENT,)
    parts.extend(_tuple(device, presence, namespaces, stamp, personal=personal) for device in devices)
    parts.append("</presence>")
    return "".join(parts)


def _is_open(device: Device, presence: Presence) -> bool:
    if device.open is not None:
        return device.open
    return presence.state not in (State.UNAVAILABLE, State.VACATION, State.UNKNOWN)


def activities(presence: Presence) -> tuple[str, ...]:
    """The elements under `activities`: the state's own first, as a real document has them."""
    own = () if presence.state is State.UNKNOWN else (presence.state.value.lower(),)
    return own + tuple(activity for activity in presence.activities if activity not in own)


def _person(presence: Presence, namespaces: _Namespaces) -> str:
    user = presence.contact.rpartition("@")[0]
    on_phone = not _PHONE.isdisjoint(presence.activities)
    elements = "".join(f"<{activity}/>" for activity in activities(presence))
    im_status = "available" if on_phone else presence.state.value.lower()
    manual = "<class>manual</class>" if presence.manual else ""
    note = f"<note>{escape(presence.note)}</note>" if presence.note is not None else ""
    return (
        f"<person{namespaces.person} id={quoteattr(user)}><activities>"
        f"<user-input>{'idle' if presence.idle else 'active'}</user-input>{elements}"
        f"<phone-status>{'busy' if on_phone else 'available'}</phone-status><im-status>{im_status}</im-status>"
        f"</activities>{manual}{note}</person>"
    )


def _tuple(device: Device, presence: Presence, namespaces: _Namespaces, stamp: str, *, personal: bool) -> str:
    basic = "open" if _is_open(device, presence) else "closed"
    own = device.activities or (() if personal else activities(presence))
    elements = f"<activities>{''.join(f'<{name}/>' for name in own)}</activities>" if own else ""
    capabilities = "".join(
        f"<{name}>{'true' if able else 'false'}</{name}>"
        for name, able in (("audio", device.audio), ("video", device.video), ("text", device.text))
    )
    address = device.address or "sip:" + presence.contact
    priority = f' priority="{device.priority or "0.5"}"'
    source = f"<source>{escape(device.source)}</source>" if device.source is not None else ""
    # Without a person the device carries the rest; with one these are often empty.
    note = f"<note>{escape(presence.note)}</note>" if not personal and presence.note is not None else "<note/>"
    user_input = f"<user-input>{'idle' if presence.idle else 'active'}</user-input>" if not personal else ""
    time_stamp = f"<timestamp>{stamp}</timestamp>" if stamp else "<timestamp/>"
    return (
        f"<tuple id={quoteattr(device.id)}><status><basic>{basic}</basic>{elements}"
        f"</status><servcaps{namespaces.caps}>{capabilities}</servcaps>"
        f"<contact{priority}>{escape(address)}</contact>{note}{user_input}{source}{time_stamp}</tuple>"
    )


def carried(documents: list[str], options: ServerOptions) -> str:
    """The content of `richPresenceList`, in the carrier of the options."""
    head = '<?xml version="1.0" encoding="UTF-8"?>\n' if options.rich_declaration else ""
    text = "\n".join(head + document for document in documents)
    match options.rich_carrier:
        case "elements":
            return "".join(documents)
        case "escaped":
            return escape(text)
        case "cdata":
            return "<![CDATA[" + text.replace("]]>", "]]]]><![CDATA[>") + "]]>"
        case unknown:
            assert_never(unknown)
