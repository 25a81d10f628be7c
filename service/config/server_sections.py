"""What a configuration says, as frozen values with their defaults: the one list of sections.

Here are those about the presence server and what is watched there; those about answering are in `api_sections`. The
description of a required key is what its absence is reported with.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, ValidationInfo, field_validator

from pws_soap import hosts
from pws_soap.models import MAX_EXPIRES, MIN_EXPIRES, PresenceType, Secret
from service.config import addresses, parsers, value_types
from service.config.api_sections import (
    Access,
    Available,
    ClaimLimits,
    Group,
    HistorySection,
    Http,
    KeySection,
    LimitsSection,
    Stream,
)
from service.config.contacts import as_contact
from service.core import callback_url

TLS_PORT: Final = 8083
PLAIN_PORT: Final = 8082
"""Where SOAP is (protocol section 1)."""
CALLBACK_PORTS: Final = frozenset({80, 82, 8080})
"""Ports that the server is known to send notifications to; 5000 is known not to work (protocol section 2)."""


class ServerSection(value_types.Section):
    """[server]: the nodes of IM&P and how to speak with them. Nothing here switches verification off."""

    nodes: Annotated[
        tuple[Annotated[str, PlainValidator(addresses.node)], ...],
        BeforeValidator(parsers.listed('a list of nodes, such as ["imp1.example.com"]')),
        AfterValidator(addresses.different),
    ] = Field(description='a list of nodes, such as ["imp1.example.com"]')
    redirect_to: Annotated[tuple[str, ...], PlainValidator(addresses.redirect_to)] = ()
    tls: value_types.Bool = True
    ca_file: Annotated[Path, PlainValidator(parsers.existing_file)] | None = None
    fingerprint: Annotated[str, PlainValidator(addresses.fingerprint)] | None = None
    wsdl: Annotated[str, PlainValidator(parsers.wsdl)] = "bundled"
    soap: Annotated[Literal["1.1", "1.2"], PlainValidator(parsers.choice("1.1", "1.2"))] = "1.1"
    connect_timeout: value_types.Seconds = 5.0
    read_timeout: value_types.Seconds = 30.0
    max_reply_bytes: Annotated[int, PlainValidator(parsers.whole(65536, unit="bytes"))] = 32 * 1024 * 1024

    @field_validator("ca_file", "fingerprint")
    @classmethod
    def _needs_tls(cls, value: Path | str | None, info: ValidationInfo) -> Path | str | None:
        if value is not None and info.data.get("tls") is False:
            raise parsers.wrong("nothing where server.tls is false", "a value", "there is no certificate to check then")
        if value is not None and info.field_name == "fingerprint" and info.data.get("ca_file") is not None:
            raise parsers.wrong("either server.ca_file or server.fingerprint", "both", "a pinned certificate is enough")
        return value

    def urls(self) -> tuple[str, ...]:
        """Base URLs of the nodes, the preferred one first: `https://imp1.example.com:8083`."""
        return tuple(self.url_of(node) for node in self.nodes)

    def redirect_hosts(self) -> frozenset[str] | None:
        """The hosts that a redirect may lead to beside those of `nodes`, as `hosts.bare` has them; None: any."""
        if self.redirect_to == (addresses.ANY,):
            return None
        return frozenset(map(hosts.bare, self.redirect_to))

    def may_go_to(self, url: str) -> bool:
        """Whether the server may send us to the node at `url`, which then gets the application user's password."""
        return hosts.may_go_to(url, self.urls(), self.redirect_hosts())

    def url_of(self, node: str) -> str:
        """The base URL of a node that is ours or that the server named (a redirect, a backup).

        The server names hosts without ports; one of ours keeps the port that it has here. ValueError: not a node.
        """
        host, port = addresses.split_node(node)
        if port is None:
            known = dict(addresses.split_node(mine) for mine in reversed(self.nodes))
            ports = {hosts.bare(name): number for name, number in known.items()}
            port = ports.get(hosts.bare(host)) or (TLS_PORT if self.tls else PLAIN_PORT)
        return f"{'https' if self.tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


class Application(value_types.Section):
    """[application]: who logs in. `take_over` may end another application's session (code 160)."""

    username: Annotated[str, PlainValidator(parsers.text("a user name without spaces"))] = Field(
        description="the name of the application user"
    )
    password: Annotated[Secret, PlainValidator(parsers.secret)] = Field(description="the application user's password")
    take_over: value_types.Bool = False


class CallbackSection(value_types.Section):
    """[callback]: this service as the server reaches it."""

    url: Annotated[str, PlainValidator(addresses.callback_url)] = Field(
        description="this service as the server reaches it, such as http://10.0.0.5:8080"
    )
    secret: Annotated[Secret, PlainValidator(parsers.callback_secret)] | None = None
    listen_host: Annotated[str, PlainValidator(parsers.text("an address to listen on, such as 10.0.0.5"))] | None = None
    listen_port: Annotated[int, PlainValidator(parsers.whole(0, 65535))] | None = None
    allow_from: value_types.Networks = ()
    trusted_proxies: value_types.Networks = ()

    @property
    def is_apart(self) -> bool:
        """Whether notifications have a listener of their own."""
        return self.listen_host is not None or self.listen_port is not None

    def address(self, secret: Secret | None, node: str | None = None) -> Secret:
        """What is registered at the server's `node`: the URL with the secret path, or bare without a secret."""
        return callback_url.address(self.url, secret, node)

    @property
    def prefix(self) -> str:
        """The path of the URL, which a reverse proxy may pass on or take off."""
        return callback_url.prefix_of(self.url)

    def listener(self, http: Http) -> tuple[str, int]:
        """Where the listener for notifications alone is: what is not said is as for the API, or as in the URL."""
        port = self.port if self.listen_port is None else self.listen_port
        return self.listen_host or http.host, port

    @property
    def port(self) -> int:
        """The port that the server connects to."""
        parts = urlsplit(self.url)
        return parts.port or (443 if parts.scheme == "https" else 80)

    @property
    def is_loopback(self) -> bool:
        """Whether the address means the machine that calls it, which is the server's own."""
        return addresses.is_local(urlsplit(self.url).hostname or "")


class Fetch(value_types.Section):
    """[fetch]: how often presence is read without a notification, in seconds."""

    safety_interval: Annotated[float, PlainValidator(parsers.real(1, unit="seconds"))] = 600.0
    reconcile_interval: Annotated[float, PlainValidator(parsers.real(1, unit="seconds", zero="never"))] = 3600.0
    heartbeat_interval: Annotated[float, PlainValidator(parsers.real(1, unit="seconds", zero="never"))] = 30.0
    max_parallel: Annotated[int, PlainValidator(parsers.whole(1, 64))] = 4


class Lifecycle(value_types.Section):
    """[lifecycle]: how long things live at the server and when they are renewed (protocol section 2)."""

    endpoint_expires: Annotated[int, PlainValidator(parsers.whole(MIN_EXPIRES, MAX_EXPIRES - 1, unit="seconds"))] = (
        MIN_EXPIRES
    )
    subscription_expires: Annotated[int, PlainValidator(parsers.whole(MIN_EXPIRES, MAX_EXPIRES, unit="seconds"))] = (
        MIN_EXPIRES
    )
    renew_at: Annotated[float, PlainValidator(parsers.real(0.1, 0.95, unit="of the life"))] = 0.8
    stop_timeout: value_types.Seconds = 10.0
    requests_per_second: Annotated[float, PlainValidator(parsers.real(0.1, 10000))] = 20.0


class StateSection(value_types.Section):
    """[state]: where ids that must not be forgotten are kept; without a file nothing is kept."""

    file: Annotated[Path, PlainValidator(parsers.any_file)] | None = None


class CanarySection(value_types.Section):
    """[canary]: an end user of its own, nobody's, whose presence is set anew now and then to measure the way from a
    change to the answer. `contact` is the same one as a watched contact."""

    end_user: Annotated[str, PlainValidator(parsers.text("a user name without spaces"))] = Field(
        description="the name of an end user of its own, in no [[watch]] block"
    )
    contact: Annotated[str, PlainValidator(as_contact)] = Field(
        description="the same end user as a watched contact, such as pws-canary@example.com"
    )
    interval: Annotated[float, PlainValidator(parsers.real(10, 3600, unit="seconds"))] = 300.0


class Watch(value_types.Section):
    """[[watch]]: an end user and the contacts watched in that user's name.

    `contacts` are complete (`user@domain`), those of `contacts_file` included, each once.
    """

    end_user: Annotated[str, PlainValidator(parsers.text("a user name without spaces"))] = Field(
        description="the name of an end user"
    )
    domain: (
        Annotated[str, PlainValidator(parsers.text("a domain such as example.com", pattern=addresses.HOST))] | None
    ) = None
    contacts: value_types.Contacts = ()
    contacts_file: Annotated[Path, PlainValidator(parsers.existing_file)] | None = None
    presence_type: PresenceType = PresenceType.RICH

    @field_validator("presence_type", mode="plain")
    @classmethod
    def _presence_type(cls, value: object) -> PresenceType:
        return PresenceType(parsers.choice(*(kind.value for kind in PresenceType))(value))


class Sections(value_types.Section):
    """Everything that a file can say."""

    server: ServerSection
    application: Application
    callback: CallbackSection
    http: Http = Http()
    fetch: Fetch = Fetch()
    lifecycle: Lifecycle = Lifecycle()
    state: StateSection = StateSection()
    canary: CanarySection | None = None
    access: Access = Access()
    limits: LimitsSection = LimitsSection()
    stream: Stream = Stream()
    history: HistorySection = HistorySection()
    claims: ClaimLimits = ClaimLimits()
    available: Available = Available()
    watch: tuple[Watch, ...] = Field(description="at least one [[watch]] block")
    groups: dict[str, Group] = Field(default_factory=dict)
    keys: dict[str, KeySection] = Field(default_factory=dict)

    @field_validator("watch", mode="after")
    @classmethod
    def _watch(cls, blocks: tuple[Watch, ...]) -> tuple[Watch, ...]:
        if not blocks:
            raise parsers.wrong("at least one [[watch]] block", "none")
        twice = parsers.unique_users(block.end_user for block in blocks)
        if twice is not None:
            raise parsers.wrong("one [[watch]] block for each end user", f"two of {twice!r}")
        return blocks


class Config(Sections):
    """A whole configuration. `file` is where it was read; `warnings` are for the operator, and carry no secret."""

    file: Path | None = None
    warnings: tuple[str, ...] = ()
