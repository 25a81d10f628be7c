"""What a configuration says, as frozen values with their defaults: the one list of sections and keys.

The description of a required key is what its absence is reported with.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationInfo,
    field_validator,
)

from pws_soap.models import (
    MAX_CONTACTS_PER_SUBSCRIPTION,
    MAX_EXPIRES,
    MIN_EXPIRES,
    SETTABLE_STATES,
    PresenceState,
    PresenceType,
    Secret,
)
from service.access.principal import Principal, Scope
from service.availability import NEVER, Rule
from service.claims.model import Pick
from service.config import addresses, values
from service.config.contacts import as_contact, merged
from service.stream.log import DEFAULT_SIZE

TLS_PORT: Final = 8083
PLAIN_PORT: Final = 8082
"""Where SOAP is (protocol section 1)."""
CALLBACK_PORTS: Final = frozenset({80, 82, 8080})
"""Ports that the server is known to send notifications to; 5000 is known not to work (protocol section 2)."""

_FREE: Final = tuple(state.value for state in PresenceState if state in SETTABLE_STATES)
"""States that can be called free; UNKNOWN is none."""

_Bool = Annotated[bool, PlainValidator(values.boolean)]
_Seconds = Annotated[float, PlainValidator(values.real(0.1, 3600, unit="seconds"))]
_Contacts = Annotated[
    tuple[Annotated[str, PlainValidator(as_contact)], ...],
    BeforeValidator(values.listed('a list of contacts, such as ["joe@example.com"]')),
    AfterValidator(merged),
]


def _scope(value: object) -> Scope:
    return Scope(values.choice(*Scope)(value))


_Scopes = Annotated[
    tuple[Annotated[Scope, PlainValidator(_scope)], ...],
    BeforeValidator(values.listed('a list of scopes, such as ["read", "claim"]')),
]
_GroupNames = Annotated[
    tuple[Annotated[str, PlainValidator(values.text("the name of a group", pattern=".+"))], ...],
    BeforeValidator(values.listed('a list of groups, such as ["support"]')),
]
_Networks = Annotated[
    tuple[Annotated[addresses.Network, PlainValidator(addresses.network)], ...],
    BeforeValidator(values.listed('a list of addresses or networks, such as ["10.0.0.5", "10.1.0.0/16"]')),
]
_Hosts = Annotated[
    tuple[
        Annotated[str, PlainValidator(values.text("a host name such as presence.example.com", pattern=addresses.HOST))],
        ...,
    ],
    BeforeValidator(values.listed('a list of host names, such as ["presence.example.com"]')),
]
_Origins = Annotated[
    tuple[Annotated[str, PlainValidator(addresses.origin)], ...],
    BeforeValidator(values.listed('a list of origins, such as ["https://board.example.com"]')),
]


class Section(BaseModel):
    """Frozen, without unknown keys, and silent about what it was given."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Server(Section):
    """[server]: the nodes of IM&P and how to speak with them. Nothing here switches verification off."""

    nodes: Annotated[
        tuple[Annotated[str, PlainValidator(addresses.node)], ...],
        BeforeValidator(values.listed('a list of nodes, such as ["imp1.example.com"]')),
        AfterValidator(addresses.different),
    ] = Field(description='a list of nodes, such as ["imp1.example.com"]')
    tls: _Bool = True
    ca_file: Annotated[Path, PlainValidator(values.existing_file)] | None = None
    fingerprint: Annotated[str, PlainValidator(addresses.fingerprint)] | None = None
    wsdl: Annotated[str, PlainValidator(values.wsdl)] = "bundled"
    soap: Annotated[Literal["1.1", "1.2"], PlainValidator(values.choice("1.1", "1.2"))] = "1.1"
    connect_timeout: _Seconds = 5.0
    read_timeout: _Seconds = 30.0
    max_reply_bytes: Annotated[int, PlainValidator(values.whole(65536, unit="bytes"))] = 64 * 1024 * 1024

    @field_validator("ca_file", "fingerprint")
    @classmethod
    def _needs_tls(cls, value: Path | str | None, info: ValidationInfo) -> Path | str | None:
        if value is not None and info.data.get("tls") is False:
            raise values.wrong("nothing where server.tls is false", "a value", "there is no certificate to check then")
        if value is not None and info.field_name == "fingerprint" and info.data.get("ca_file") is not None:
            raise values.wrong("either server.ca_file or server.fingerprint", "both", "a pinned certificate is enough")
        return value

    def urls(self) -> tuple[str, ...]:
        """Base URLs of the nodes, the preferred one first: `https://imp1.example.com:8083`."""
        return tuple(self.url_of(node) for node in self.nodes)

    def url_of(self, node: str) -> str:
        """The base URL of a node that is ours or that the server named (a redirect, a backup).

        The server names hosts without ports; one of ours keeps the port that it has here. ValueError: not a node.
        """
        host, port = addresses.split_node(node)
        if port is None:
            known = dict(addresses.split_node(mine) for mine in reversed(self.nodes))
            ports = {name.casefold(): number for name, number in known.items()}
            port = ports.get(host.casefold()) or (TLS_PORT if self.tls else PLAIN_PORT)
        return f"{'https' if self.tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


class Application(Section):
    """[application]: who logs in. `take_over` may end another application's session (code 160)."""

    username: Annotated[str, PlainValidator(values.text("a user name without spaces"))] = Field(
        description="the name of the application user"
    )
    password: Annotated[Secret, PlainValidator(values.secret)] = Field(description="the application user's password")
    take_over: _Bool = False


class Callback(Section):
    """[callback]: this service as the server reaches it."""

    url: Annotated[str, PlainValidator(addresses.callback_url)] = Field(
        description="this service as the server reaches it, such as http://10.0.0.5:8080"
    )
    secret: Annotated[Secret, PlainValidator(values.callback_secret)] | None = None
    listen_host: Annotated[str, PlainValidator(values.text("an address to listen on, such as 10.0.0.5"))] | None = None
    listen_port: Annotated[int, PlainValidator(values.whole(0, 65535))] | None = None
    allow_from: _Networks = ()
    trusted_proxies: _Networks = ()

    @property
    def is_apart(self) -> bool:
        """Whether notifications have a listener of their own."""
        return self.listen_host is not None or self.listen_port is not None

    def address(self, secret: Secret | None) -> Secret:
        """What is registered at the server: the URL with the secret path, or bare when there is no secret."""
        return Secret(f"{self.url}/pws/{secret.reveal()}" if secret else self.url)

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


class Http(Section):
    """[http]: where this service listens, and what a browser may do. Port 0 takes a free one."""

    host: Annotated[str, PlainValidator(values.text("an address to listen on, such as 127.0.0.1"))] = "127.0.0.1"
    port: Annotated[int, PlainValidator(values.whole(0, 65535))] = 8080
    allowed_hosts: _Hosts = ()
    cors_origins: _Origins = ()


class Access(Section):
    """[access]: what needs no key."""

    anonymous_from_anywhere: _Bool = False


class Key(Section):
    """[keys.NAME]: an API key, as `pws key new` prints it. Only its hash is kept."""

    hash: Annotated[str, PlainValidator(values.key_hash)] = Field(
        description="what pws key new printed, such as sha256:..."
    )
    scopes: _Scopes = (Scope.READ,)
    groups: _GroupNames = ()
    details: _Bool = True

    @field_validator("scopes", "groups")
    @classmethod
    def _some(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        """A list from which the last one was taken must not come to mean all."""
        if not value:
            hint = "without this line it sees all contacts" if info.field_name == "groups" else ""
            raise values.wrong(f"at least one of the {info.field_name}", "an empty list", hint)
        return value

    @field_validator("groups", "details")
    @classmethod
    def _admins_see_everything(cls, value: tuple[str, ...] | bool, info: ValidationInfo) -> tuple[str, ...] | bool:
        hides = value if info.field_name == "groups" else value is False
        if hides and Scope.ADMIN in info.data.get("scopes", ()):
            expected = "no groups" if info.field_name == "groups" else "true"
            raise values.wrong(
                f"{expected} for a key with the scope admin",
                "a limit",
                "who changes what is watched sees it; make two keys",
            )
        return value

    def principal(self, name: str) -> Principal:
        """What its owner may do and see."""
        return Principal(name, frozenset(self.scopes), frozenset(self.groups) or None, self.details)


class Limits(Section):
    """[limits]: how much one asker (a key, or an address without one) and all of them may ask."""

    requests_per_second: Annotated[float, PlainValidator(values.real(0.1, 100000, zero="no limit"))] = 100.0
    burst: Annotated[int, PlainValidator(values.whole(1, 1000000))] = 200
    streams: Annotated[int, PlainValidator(values.whole(1, 900))] = 200
    streams_per_client: Annotated[int, PlainValidator(values.whole(1, 900))] = 50
    max_body_bytes: Annotated[int, PlainValidator(values.whole(1024, 64 * 1024 * 1024, unit="bytes"))] = 1024 * 1024


class Stream(Section):
    """[stream]: how events are sent."""

    buffer: Annotated[int, PlainValidator(values.whole(100, 1000000))] = DEFAULT_SIZE
    keep_alive: Annotated[float, PlainValidator(values.real(0.1, 300, unit="seconds"))] = 15.0


class History(Section):
    """[history]: the last transitions of each contact, in memory; 0 of them unless somebody turns it on."""

    per_contact: Annotated[int, PlainValidator(values.whole(0, 1000))] = 0
    max_age: Annotated[float, PlainValidator(values.real(1, 31 * 86400, unit="seconds"))] = 86400.0


class ClaimLimits(Section):
    """[claims]: how long a claim holds. Times in seconds."""

    default_lease: Annotated[float, PlainValidator(values.real(1, 86400, unit="seconds"))] = 120.0
    max_lease: Annotated[float, PlainValidator(values.real(1, 86400, unit="seconds"))] = 3600.0
    max_waiting: Annotated[int, PlainValidator(values.whole(0, 10000))] = 500


class Fetch(Section):
    """[fetch]: how often presence is read without a notification, in seconds."""

    safety_interval: Annotated[float, PlainValidator(values.real(1, unit="seconds"))] = 600.0
    reconcile_interval: Annotated[float, PlainValidator(values.real(1, unit="seconds", zero="never"))] = 3600.0
    heartbeat_interval: Annotated[float, PlainValidator(values.real(1, unit="seconds", zero="never"))] = 30.0
    max_parallel: Annotated[int, PlainValidator(values.whole(1, 64))] = 4


class Lifecycle(Section):
    """[lifecycle]: how long things live at the server and when they are renewed (protocol section 2)."""

    endpoint_expires: Annotated[int, PlainValidator(values.whole(MIN_EXPIRES, MAX_EXPIRES - 1, unit="seconds"))] = (
        MIN_EXPIRES
    )
    subscription_expires: Annotated[int, PlainValidator(values.whole(MIN_EXPIRES, MAX_EXPIRES, unit="seconds"))] = (
        MIN_EXPIRES
    )
    renew_at: Annotated[float, PlainValidator(values.real(0.1, 0.95, unit="of the life"))] = 0.8
    stop_timeout: _Seconds = 10.0
    requests_per_second: Annotated[float, PlainValidator(values.real(0.1, 10000))] = 20.0


class State(Section):
    """[state]: where ids that must not be forgotten are kept; without a file nothing is kept."""

    file: Annotated[Path, PlainValidator(values.any_file)] | None = None


class Watch(Section):
    """[[watch]]: an end user and the contacts watched in that user's name.

    `contacts` are complete (`user@domain`), those of `contacts_file` included, each once.
    """

    end_user: Annotated[str, PlainValidator(values.text("a user name without spaces"))] = Field(
        description="the name of an end user"
    )
    domain: (
        Annotated[str, PlainValidator(values.text("a domain such as example.com", pattern=addresses.HOST))] | None
    ) = None
    contacts: _Contacts = ()
    contacts_file: Annotated[Path, PlainValidator(values.existing_file)] | None = None
    presence_type: PresenceType = PresenceType.RICH

    @field_validator("presence_type", mode="plain")
    @classmethod
    def _presence_type(cls, value: object) -> PresenceType:
        return PresenceType(values.choice(*(kind.value for kind in PresenceType))(value))


def _pick(value: object) -> Pick:
    return Pick(values.choice(*Pick)(value))


def _free_state(value: object) -> PresenceState:
    return PresenceState(values.choice(*_FREE)(value))


_States = Annotated[
    tuple[Annotated[PresenceState, PlainValidator(_free_state)], ...],
    BeforeValidator(values.listed('a list of states, such as ["AVAILABLE", "AWAY"]')),
]
_Activities = Annotated[
    tuple[Annotated[str, PlainValidator(values.text("an activity such as on-the-phone"))], ...],
    BeforeValidator(values.listed('a list of activities, such as ["on-the-phone", "meeting"]')),
]
_Span = Annotated[float, PlainValidator(values.real(0, 86400, unit="seconds"))]
_Idle = Annotated[float, PlainValidator(values.real(1, 86400, unit="seconds", zero="idle does not matter"))]


class Available(Section):
    """[available]: who counts as free for a task; each group may have its own. Times in seconds."""

    free_states: _States = (PresenceState.AVAILABLE,)
    never_activities: _Activities = NEVER
    max_idle: _Idle = 600.0
    dwell: _Span = 0.0
    wrap_up: _Span = 0.0

    def rule(self) -> Rule:
        """The same as the service decides with it."""
        idle = self.max_idle or None
        return Rule(frozenset(self.free_states), frozenset(self.never_activities), idle, self.dwell, self.wrap_up)


class Group(Section):
    """[groups.NAME]: contacts asked for, counted and claimed together, and who of them is free if that differs.

    `pick` is who of several that are free is claimed; `min_free` how few free ones there may be without a warning.
    """

    contacts: _Contacts = ()
    pick: Annotated[Pick, PlainValidator(_pick)] = Pick.LONGEST_AVAILABLE
    min_free: Annotated[int, PlainValidator(values.whole(0, MAX_CONTACTS_PER_SUBSCRIPTION))] = 0
    free_states: _States | None = None
    never_activities: _Activities | None = None
    max_idle: _Idle | None = None
    dwell: _Span | None = None
    wrap_up: _Span | None = None

    def rule(self, common: Available) -> Rule:
        """The group's own rule: what it does not say is as in `common`."""
        own = {key: value for key in Available.model_fields if (value := getattr(self, key)) is not None}
        return common.model_copy(update=own).rule()


class Sections(Section):
    """Everything that a file can say."""

    server: Server
    application: Application
    callback: Callback
    http: Http = Http()
    fetch: Fetch = Fetch()
    lifecycle: Lifecycle = Lifecycle()
    state: State = State()
    access: Access = Access()
    limits: Limits = Limits()
    stream: Stream = Stream()
    history: History = History()
    claims: ClaimLimits = ClaimLimits()
    available: Available = Available()
    watch: tuple[Watch, ...] = Field(description="at least one [[watch]] block")
    groups: dict[str, Group] = {}
    keys: dict[str, Key] = {}

    @field_validator("watch", mode="after")
    @classmethod
    def _watch(cls, blocks: tuple[Watch, ...]) -> tuple[Watch, ...]:
        if not blocks:
            raise values.wrong("at least one [[watch]] block", "none")
        twice = values.unique_users(block.end_user for block in blocks)
        if twice is not None:
            raise values.wrong("one [[watch]] block for each end user", f"two of {twice!r}")
        return blocks


class Config(Sections):
    """A whole configuration. `file` is where it was read; `warnings` are for the operator, and carry no secret."""

    file: Path | None = None
    warnings: tuple[str, ...] = ()
