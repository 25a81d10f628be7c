"""The section of the targets of webhooks, and how its values are read: a name, an address, secrets.

The query of an address may hold a key (that of Power Automate does), so that it is kept as a secret. What a block
alone cannot show (two names alike, groups that exist) is checked by `service.config.load`.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import SplitResult, urlsplit

from pydantic import BeforeValidator, Field, PlainValidator, ValidationInfo, field_validator

from pws_soap.models import PresenceState, Secret
from service.config import parsers, value_types
from service.config.errors import shown
from service.config.parsers import takes, wrong
from service.core.events.event import CHANGE, REMOVED
from service.core.events.names import EVENT_NAMES
from service.core.presence.filters import Filter
from service.core.presence.freshness import Level

MAX_NAME: Final = 64
PREFIX: Final = "whsec_"
"""How a secret of Standard Webhooks begins; the rest is base64."""
MIN_SECRET_BYTES: Final = 24
MAX_SECRET_BYTES: Final = 64
MAX_SECRETS: Final = 4
"""Secrets of one target: each message carries a signature for each of them."""
_NAME: Final = f"a name of at most {MAX_NAME} letters, digits, '-' and '_', such as crm"
_NAME_PATTERN: Final = rf"[A-Za-z0-9_-]{{1,{MAX_NAME}}}"


@dataclass(frozen=True, slots=True)
class WebhookUrl:
    """Where a target is. `address` may be shown: scheme, host, port and path; the query may hold a key."""

    address: str
    query: Secret | None = None

    def __str__(self) -> str:
        return self.address if self.query is None else f"{self.address}?(hidden)"

    @property
    def host(self) -> str:
        """The host, an IPv6 address without its brackets."""
        return urlsplit(self.address).hostname or ""

    @property
    def is_plain(self) -> bool:
        """Whether it is without TLS."""
        return self.address.startswith("http:")

    def whole(self) -> Secret:
        """What messages are sent to."""
        return Secret(self.address if self.query is None else f"{self.address}?{self.query.reveal()}")


_URL: Final = "a URL such as https://crm.example.com/presence"


@takes(_URL, {"type": "string", "format": "uri", "pattern": "^[Hh][Tt][Tt][Pp][Ss]?://"})
def webhook_url(value: object) -> WebhookUrl:
    """The address of a target. What is found wrong is told without the query and without a user name."""
    if isinstance(value, WebhookUrl):
        return value
    if not isinstance(value, str):
        raise wrong(_URL, shown(value))
    given = str(value).strip()
    try:
        url = urlsplit(given)
        fault = _fault(url, given)
    except ValueError:  # a broken IPv6 address, a port that is no number
        raise wrong(_URL, "something that is no URL") from None
    if fault:
        harmless = f"{url.scheme}://{url.hostname or ''}" if url.scheme else given.partition("?")[0].rpartition("@")[2]
        raise wrong(_URL, shown(harmless), fault)
    address = f"{url.scheme.lower()}://{url.netloc}{url.path or '/'}"
    return WebhookUrl(address, Secret(url.query) if url.query else None)


def _fault(url: SplitResult, given: str) -> str:
    if url.scheme.lower() not in {"http", "https"} or not url.hostname:
        return "it begins with https:// and names a host"
    if url.username is not None or url.password is not None:
        return "it has no user name and no password: the signature says who sends"
    if "#" in given:
        return "it has no fragment (#...), which is never sent"
    if not given.isascii() or not given.isprintable() or " " in given or set(given) & set("<>\"'\\"):
        return "percent-encode what a URL does not have, and write a name in other letters as xn--"
    return "a port is a number from 1 to 65535" if url.port == 0 else ""


_SECRET: Final = (
    f"a secret of Standard Webhooks, {PREFIX} and the base64 of {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} bytes"
)
_MAKE_ONE: Final = f'make one: echo "{PREFIX}$(openssl rand -base64 32)"'


@takes(_SECRET, {"type": "string", "pattern": rf"^\s*{PREFIX}[A-Za-z0-9+/]{{32,86}}={{0,2}}"})
def webhook_secrets(value: object) -> tuple[Secret, ...]:
    """The secrets with which messages to a target are signed, one a line. No mistake shows any of them."""
    if isinstance(value, tuple):
        value = "\n".join(each.reveal() for each in value if isinstance(each, Secret))
    if not isinstance(value, str):
        raise wrong(_SECRET, "something else than text")
    lines = value.split()
    if not lines:
        raise wrong(_SECRET, "an empty one", _MAKE_ONE)
    if len(lines) > MAX_SECRETS:
        raise wrong(f"at most {MAX_SECRETS} secrets, one a line", f"{len(lines)} of them")
    for number, line in enumerate(lines, 1):
        fault = _secret_fault(line)
        if fault:
            raise wrong(_SECRET, f"{fault} in line {number}" if len(lines) > 1 else fault, _MAKE_ONE)
    return tuple(map(Secret, dict.fromkeys(lines)))


def _secret_fault(text: str) -> str:
    if not text.startswith(PREFIX):
        return f"one without {PREFIX} before it"
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return "something that is not base64"
    if not MIN_SECRET_BYTES <= len(key) <= MAX_SECRET_BYTES:
        return f"the base64 of {len(key)} bytes"
    return ""


Events = Annotated[
    tuple[Annotated[str, PlainValidator(parsers.choice(*EVENT_NAMES))], ...],
    BeforeValidator(parsers.listed('a list of events, such as ["change", "removed"]')),
]
AnyStates = Annotated[
    tuple[Annotated[PresenceState, PlainValidator(parsers.choice(*PresenceState))], ...],
    BeforeValidator(parsers.listed('a list of states, such as ["AVAILABLE", "AWAY"]')),
]
Levels = Annotated[
    tuple[Annotated[Level, PlainValidator(parsers.choice(*Level))], ...],
    BeforeValidator(parsers.listed('a list, such as ["live"]')),
]
Part = Annotated[str, PlainValidator(parsers.text("text of 1 to 200 characters", pattern=r"\S(?:.{0,198}\S)?"))]


class WebhookSection(value_types.Section):
    """[[webhooks]]: a target to which events are sent over HTTP as they happen (docs/webhooks.md). One block for each
    target.
    """

    name: Annotated[str, PlainValidator(parsers.text(_NAME, pattern=_NAME_PATTERN))] = Field(
        title="the name of a target",
        description="What the target is called in the status, the figures, the log and the paths of the API.",
        examples=["crm"],
    )
    url: Annotated[WebhookUrl, PlainValidator(webhook_url)] = Field(
        title="the URL of a target",
        description="Where messages are sent to. With http:// only on this machine, or with `plain_http`. Its query is "
        "treated as a secret. Redirects are not followed.",
        examples=["https://crm.example.com/presence"],
    )
    secret: Annotated[tuple[Secret, ...], PlainValidator(webhook_secrets)] = Field(
        title="a secret of Standard Webhooks, whsec_...",
        description="With it messages are signed, so that the target knows who sends. Several lines: messages are "
        "signed with each, the new one first, until all receivers have it.",
        examples=["whsec_..."],
    )
    events: Events = Field(default=(CHANGE, REMOVED), description="The events that are sent, by their names.")
    state: AnyStates = Field(
        default=(),
        description="Contacts with one of these states alone, as the filter of the stream.",
        examples=[["AVAILABLE"]],
    )
    activity: value_types.Activities = Field(
        default=(), description="Contacts with one of these activities alone.", examples=[["on-the-phone"]]
    )
    group: value_types.GroupNames = Field(
        default=(),
        description="Contacts of these groups alone, and of the other events those about somebody in them.",
        examples=[["support"]],
    )
    freshness: Levels = Field(
        default=(), description="Contacts whose state is as sure as this alone.", examples=[["live"]]
    )
    available: value_types.Bool | None = Field(
        default=None, description="Contacts alone that are free, or that are not.", examples=[True]
    )
    q: Part | None = Field(
        default=None,
        description="Contacts alone whose URI or display name has this in it.",
        examples=["@example.com"],
    )
    details: value_types.Bool = Field(
        default=True, description="Whether the target is told more than who is available: the short form, if not."
    )
    timeout: Annotated[float, PlainValidator(parsers.real(1, 120, unit="seconds"))] = Field(
        default=15.0, description="Seconds within which the target has to answer."
    )
    plain_http: value_types.Bool = Field(
        default=False,
        description="Whether `url` may be http:// to another machine: who listens on the way reads all messages.",
    )
    ca_file: Annotated[Path, PlainValidator(parsers.existing_file)] | None = Field(
        default=None,
        description="PEM file with the authority that signed the target's certificate; without it, those of the "
        "system.",
        examples=["crm-ca.pem"],
    )
    addresses: value_types.Networks = Field(
        default=(),
        description="Addresses or networks that the host of `url` may have; nothing is sent to another one. Without "
        "it, all but link-local addresses, where metadata services of clouds are.",
        examples=[["10.0.0.0/8", "2001:db8::/32"]],
    )
    parallel: Annotated[int, PlainValidator(parsers.whole(1, 64))] = Field(
        default=4, description="Messages that may be under way at once; about one contact it is always one."
    )
    give_up_after: Annotated[float, PlainValidator(parsers.real(60, 30 * 86400, unit="seconds"))] = Field(
        default=86400.0, description="Seconds of failures alone after which the target is parked: nothing more is sent."
    )

    @field_validator("events")
    @classmethod
    def _some_events(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise wrong("at least one of the events", "an empty list", "leave the line out for changes of contacts")
        return tuple(dict.fromkeys(value))

    @field_validator("details")
    @classmethod
    def _short_form_hides(cls, value: bool, info: ValidationInfo) -> bool:
        """A target that must not know a state must not learn it from what it is sent."""
        given = [name for name in ("state", "activity") if info.data.get(name)]
        if not value and given:
            raise wrong(
                f"true for a target with the filter `{given[0]}`",
                "false",
                "the short form tells who is available, and no more",
            )
        return value

    @property
    def filter(self) -> Filter:
        """The filter, as the stream has it."""
        return Filter(
            frozenset(self.state),
            frozenset(activity.casefold() for activity in self.activity),
            frozenset(self.group),
            frozenset(self.freshness),
            (self.q or "").casefold(),
            self.available,
        )
