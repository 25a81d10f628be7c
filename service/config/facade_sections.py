"""The sections of the façade: where it speaks the Presence Web Service itself, and to whom."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, field_validator

from pws_soap.models import Secret
from service.config import parsers, value_types
from service.config.addresses import is_loopback, service_url

_NAMES = 'a list of end users, such as ["dispatcher"], or ["*"] for any'


def _some(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        raise parsers.wrong(_NAMES, "an empty list")
    return tuple(dict.fromkeys(names))


EndUsers = Annotated[
    tuple[Annotated[str, PlainValidator(parsers.text("the name of an end user, or *"))], ...],
    BeforeValidator(parsers.listed(_NAMES)),
    AfterValidator(_some),
]


class FacadeSection(value_types.Section):
    """[facade]: the Presence Web Service itself, for programs written for the presence server (docs/facade.md). It is
    there where `listen_port` is given.
    """

    listen_host: Annotated[str, PlainValidator(parsers.text("an address to listen on, such as 0.0.0.0"))] = Field(
        default="127.0.0.1", description="Address to listen on. Any but a loopback address takes a `certificate`."
    )
    listen_port: Annotated[int, PlainValidator(parsers.whole(0, 65535))] | None = Field(
        default=None,
        description="Port to listen on; 0: any free one. Without it there is no façade.",
        examples=[8083],
    )
    certificate: Annotated[Path, PlainValidator(parsers.existing_file)] | None = Field(
        default=None,
        description="PEM file with the certificate that programs are shown, and those that signed it. SIGHUP reads it "
        "again.",
        examples=["facade.pem"],
    )
    key_file: Annotated[Path, PlainValidator(parsers.existing_file)] | None = Field(
        default=None, description="PEM file with the certificate's private key.", examples=["facade.key"]
    )
    plain_http: value_types.Bool = Field(
        default=False,
        description="Whether other machines may be served without a `certificate`: passwords and presence then travel "
        "in the clear, unless a proxy before the service speaks TLS.",
    )
    address: Annotated[str, PlainValidator(service_url)] | None = Field(
        default=None,
        description="This façade as programs reach it: what `?wsdl` says. Required with `listen_port`.",
        examples=["https://presence.example.com:8083"],
    )
    endpoints: value_types.Networks = Field(
        default=(),
        description="Addresses and networks in which programs may have their endpoints; nowhere else is ever called. "
        "Without it, an endpoint has to be at the address that the program registers it from.",
        examples=[["10.1.0.0/16"]],
    )
    watch_more: value_types.Bool = Field(
        default=False,
        description="Whether a contact that nobody watches is watched from then on as soon as a program asks for it, "
        "as by POST /v1/contacts; else it is UNKNOWN.",
    )
    set_presence: value_types.Bool = Field(
        default=False, description="Whether setPresence is passed on to the presence server; else it is refused."
    )
    unsure_after: Annotated[float, PlainValidator(parsers.real(1, 3600, unit="seconds"))] = Field(
        default=60.0,
        description="Seconds after which contacts that are not live are told as UNKNOWN. Until then nothing is told.",
    )
    silent_after: Annotated[float, PlainValidator(parsers.real(10, 86400, unit="seconds"))] = Field(
        default=900.0,
        description="Seconds after a notification without a fetch after which a program is called silent, in the log "
        "and in the status.",
    )
    notification_timeout: Annotated[float, PlainValidator(parsers.real(0.5, 60, unit="seconds"))] = Field(
        default=5.0, description="Seconds within which an endpoint has to answer a notification. There is one try."
    )
    max_sessions: Annotated[int, PlainValidator(parsers.whole(1, 1_000_000))] = Field(
        default=10_000, description="Sessions that there may be at once (code 208)."
    )
    max_endpoints: Annotated[int, PlainValidator(parsers.whole(1, 1_000_000))] = Field(
        default=10_000, description="Endpoints that there may be at once (code 138)."
    )
    max_subscriptions: Annotated[int, PlainValidator(parsers.whole(1, 1_000_000))] = Field(
        default=20_000, description="Subscriptions that there may be at once (code 139); each has up to 5000 contacts."
    )
    max_contacts: Annotated[int, PlainValidator(parsers.whole(1, 100_000_000))] = Field(
        default=1_000_000, description="Contacts in all subscriptions of one user of the façade together (code 211)."
    )
    max_watch_more: Annotated[int, PlainValidator(parsers.whole(1, 100_000))] = Field(
        default=5_000, description="Contacts that `watch_more` adds at most, since the service has started."
    )
    requests_per_second: Annotated[float, PlainValidator(parsers.real(1, 100_000, zero="no limit"))] = Field(
        default=1_000.0,
        description="Requests a second of one user of the façade, and of one address that is not logged in (code 212).",
    )
    max_body_bytes: Annotated[int, PlainValidator(parsers.whole(65_536, 64 * 1024 * 1024, unit="bytes"))] = Field(
        default=2 * 1024 * 1024, description="A longer request is refused (code 150)."
    )

    @property
    def is_on(self) -> bool:
        """Whether there is a façade."""
        return self.listen_port is not None

    @property
    def needs_certificate(self) -> bool:
        """Whether programs on other machines are served without TLS, and nobody has said that they may be."""
        return self.certificate is None and not self.plain_http and not is_loopback(self.listen_host)

    @property
    def speaks_tls(self) -> bool:
        """Whether `address` says https."""
        return urlsplit(self.address or "").scheme == "https"


class FacadeUserSection(value_types.Section):
    """[facade.users.NAME]: an application user of the façade, by whose name and password programs log in."""

    password: Annotated[Secret, PlainValidator(parsers.secret)] = Field(
        title="the user's password",
        description="The user's password at the façade. Better: put it into a file, and name that file.",
        examples=["change me"],
    )
    end_users: EndUsers = Field(
        title=_NAMES,
        description='End users in whose names it may log in; `["*"]`: any name.',
        examples=[["dispatcher"]],
    )
    groups: value_types.GroupNames = Field(
        default=(),
        description="The groups whose contacts it sees; others are UNKNOWN to it. Without it, all contacts.",
        examples=[["support"]],
    )

    @field_validator("groups")
    @classmethod
    def _some_groups(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """A list from which the last one was taken must not come to mean all."""
        if not value:
            raise parsers.wrong("at least one of the groups", "an empty list", "without this line it sees all contacts")
        return value
