"""Contacts as plain values, as JSON and TOML have them: checked on the way in, complete on the way out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from pws_soap.server.presence import Device, Presence, State
from pws_soap.simulator.office.world import Fields

_CONTACT: Final = re.compile(r"[^\s@<>\"]+(?:@[^\s@<>\"]+){1,2}")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_NOT_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_FLAGS: Final = ("audio", "video", "text")
_TEXTS: Final = ("address", "priority", "source")


def is_xml(text: str) -> bool:
    """Whether XML can hold a text."""
    return _NOT_XML.search(text) is None


def valid_contact(value: object) -> str:
    """A contact URI. Raises ValueError."""
    if not isinstance(value, str) or not _CONTACT.fullmatch(value) or _NOT_XML.search(value):
        raise ValueError(f"contact: expected user@domain, got {value!r}")
    return value


def fields_from(values: Mapping[str, Any]) -> Fields:
    """Fields of a contact from plain values. Raises ValueError that names the key."""
    fields: Fields = {}
    for key, value in values.items():
        match key:
            case "state":
                if value not in list(State):
                    raise ValueError(f"state: expected one of {', '.join(State)}, got {value!r}")
                fields["state"] = State(value)
            case "activities":
                fields["activities"] = _names("activities", value)
            case "idle":
                fields["idle"] = _flag("idle", value)
            case "federated":
                fields["federated"] = _flag("federated", value)
            case "note":
                fields["note"] = _text("note", value)
            case "display_name":
                fields["display_name"] = _text("display_name", value)
            case "devices":
                fields["devices"] = _devices(value)
            case _:
                known = ", ".join(Fields.__annotations__)
                raise ValueError(f"{key}: no such key, expected some of {known}")
    return fields


def plain(presence: Presence) -> dict[str, Any]:
    """A contact as plain values."""
    return {
        "contact": presence.contact,
        "state": presence.state.value,
        "basic": presence.basic.value,
        "activities": list(presence.activities),
        "idle": presence.idle,
        "note": presence.note,
        "display_name": presence.display_name,
        "manual": presence.manual,
        "federated": presence.federated,
        "since": presence.since,
        "devices": [
            {"id": device.id, "open": device.open, "activities": list(device.activities)}
            | {name: getattr(device, name) for name in (*_FLAGS, *_TEXTS)}
            for device in presence.devices
        ],
    }


def _flag(key: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{key}: expected true or false, got {value!r}")  # noqa: TRY004 - a value from JSON
    return value


def _text(key: str, value: object) -> str | None:
    if value is not None and (not isinstance(value, str) or _NOT_XML.search(value)):
        raise ValueError(f"{key}: expected text that XML can hold, got {value!r}")
    return value


def _names(key: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(name, str) and _NAME.fullmatch(name) for name in value):
        raise ValueError(f"{key}: expected a list of names such as on-the-phone, got {value!r}")
    return tuple(value)


def _devices(value: object) -> tuple[Device, ...]:
    if not isinstance(value, list):
        raise ValueError(f"devices: expected a list, got {value!r}")  # noqa: TRY004 - a value from JSON
    return tuple(_device(item) for item in value)


def _device(value: object) -> Device:
    if not isinstance(value, dict) or not isinstance(value.get("id"), str) or not value["id"]:
        raise ValueError(f"devices: expected an object with an id, got {value!r}")
    known = ("id", "open", "activities", *_FLAGS, *_TEXTS)
    for key in value:
        if key not in known:
            raise ValueError(f"devices: {key}: no such key, expected some of {', '.join(known)}")
    is_open = value.get("open")
    return Device(
        id=_text("devices: id", value["id"]) or "",
        open=None if is_open is None else _flag("devices: open", is_open),
        activities=_names("devices: activities", value.get("activities", [])),
        audio=_flag("devices: audio", value.get("audio", False)),
        video=_flag("devices: video", value.get("video", False)),
        text=_flag("devices: text", value.get("text", False)),
        address=_text("devices: address", value.get("address")),
        priority=_text("devices: priority", value.get("priority")),
        source=_text("devices: source", value.get("source")),
    )
