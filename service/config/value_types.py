"""What a value of the configuration can be: how it is read, and the words for what was expected, by `values`."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, PlainValidator

from pws_soap.models import SETTABLE_STATES, PresenceState
from service.access.principal import Scope
from service.config import addresses, parsers
from service.config.contacts import as_contact, merged

_FREE: Final = tuple(state for state in PresenceState if state in SETTABLE_STATES)
"""States that can be called free; UNKNOWN is none."""

Bool = Annotated[bool, PlainValidator(parsers.boolean)]
Seconds = Annotated[float, PlainValidator(parsers.real(0.1, 3600, unit="seconds"))]
Contacts = Annotated[
    tuple[Annotated[str, PlainValidator(as_contact)], ...],
    BeforeValidator(parsers.listed('a list of contacts, such as ["joe@example.com"]')),
    AfterValidator(merged),
]


Scopes = Annotated[
    tuple[Annotated[Scope, PlainValidator(parsers.choice(*Scope))], ...],
    BeforeValidator(parsers.listed('a list of scopes, such as ["read", "claim"]')),
]
GroupNames = Annotated[
    tuple[Annotated[str, PlainValidator(parsers.text("the name of a group", pattern=".+"))], ...],
    BeforeValidator(parsers.listed('a list of groups, such as ["support"]')),
]
Networks = Annotated[
    tuple[Annotated[addresses.Network, PlainValidator(addresses.network)], ...],
    BeforeValidator(parsers.listed('a list of addresses or networks, such as ["10.0.0.5", "10.1.0.0/16"]')),
]
Hosts = Annotated[
    tuple[
        Annotated[
            str, PlainValidator(parsers.text("a host name such as presence.example.com", pattern=addresses.HOST))
        ],
        ...,
    ],
    BeforeValidator(parsers.listed('a list of host names, such as ["presence.example.com"]')),
]
Origins = Annotated[
    tuple[Annotated[str, PlainValidator(addresses.origin)], ...],
    BeforeValidator(parsers.listed('a list of origins, such as ["https://board.example.com"]')),
]


States = Annotated[
    tuple[Annotated[PresenceState, PlainValidator(parsers.choice(*_FREE))], ...],
    BeforeValidator(parsers.listed('a list of states, such as ["AVAILABLE", "AWAY"]')),
]
Activities = Annotated[
    tuple[Annotated[str, PlainValidator(parsers.text("an activity such as on-the-phone"))], ...],
    BeforeValidator(parsers.listed('a list of activities, such as ["on-the-phone", "meeting"]')),
]
Span = Annotated[float, PlainValidator(parsers.real(0, 86400, unit="seconds"))]
Idle = Annotated[float, PlainValidator(parsers.real(1, 86400, unit="seconds", zero="idle does not matter"))]


class Section(BaseModel):
    """Frozen, without unknown keys, and silent about what it was given."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
