"""The sections about the presence server and what is watched there, as frozen values with their defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, ValidationInfo, field_validator

from pws_soap import hosts
from pws_soap.models import MAX_EXPIRES, MIN_EXPIRES, PresenceType, Secret
from service.config import addresses, parsers, value_types
from service.config.api_sections import Http
from service.config.contacts import as_contact
from service.core import callback_url

TLS_PORT: Final = 8083
PLAIN_PORT: Final = 8082
"""Where SOAP is (protocol section 1)."""
CALLBACK_PORTS: Final = frozenset({80, 82, 8080})
"""Ports that the server is known to send notifications to; 5000 is known not to work (protocol section 2)."""


class ServerSection(value_types.Section):
    """[server]: the nodes of IM&P, and how the service speaks with them. Nothing here switches verification off."""

    nodes: Annotated[
        tuple[Annotated[str, PlainValidator(addresses.node)], ...],
        BeforeValidator(parsers.listed('a list of nodes, such as ["imp1.example.com"]')),
        AfterValidator(addresses.different),
    ] = Field(
        title='a list of nodes, such as ["imp1.example.com"]',
        description="The nodes of the server. The first is preferred, the others are used when it fails. The port is "
        "8083 unless given, 8082 without TLS.",
        examples=[["imp1.example.com", "imp2.example.com"]],
    )
    redirect_to: Annotated[tuple[str, ...], PlainValidator(addresses.redirect_to)] = Field(
        default=(),
        description="Hosts, beside those of `nodes`, that the server may name as an end user's home or as a backup; "
        '"any": all. A server that is named gets the application user\'s password; a redirect elsewhere is a problem, '
        "and nothing is sent there. On a host that may be named, the port is free; a dot at the end of a name makes no "
        "difference.",
        examples=[["imp3.example.com"]],
    )
    tls: value_types.Bool = Field(
        default=True,
        description="Whether the service speaks TLS with the server. Without it, plain HTTP on port 8082, the "
        "application user's password travels in the clear.",
    )
    ca_file: Annotated[Path, PlainValidator(parsers.existing_file)] | None = Field(
        default=None,
        description="PEM file of what to trust: the authority that signed the server's certificate (`cup`, not "
        "`tomcat`), also one that another has signed, or that certificate itself. Without it, the system's "
        "authorities.",
        examples=["cup.pem"],
    )
    fingerprint: Annotated[str, PlainValidator(addresses.fingerprint)] | None = Field(
        default=None,
        description="SHA-256 of the server's certificate, instead of `ca_file`; "
        "`openssl x509 -noout -fingerprint -sha256 -in FILE` prints it.",
        examples=["AB:CD:..."],
    )
    wsdl: Annotated[str, PlainValidator(parsers.wsdl)] = Field(
        default="bundled",
        description="Where the contract comes from: the service's own, the server's, or a file.",
    )
    soap: Annotated[Literal["1.1", "1.2"], PlainValidator(parsers.choice("1.1", "1.2"))] = Field(
        default="1.1", description="The version of SOAP that requests are written in."
    )
    connect_timeout: value_types.Seconds = Field(
        default=5.0, description="Seconds after which a connection that does not come about is given up."
    )
    read_timeout: value_types.Seconds = Field(
        default=30.0, description="Seconds without a byte of the reply after which a request is given up."
    )
    max_reply_bytes: Annotated[int, PlainValidator(parsers.whole(65536, unit="bytes"))] = Field(
        default=32 * 1024 * 1024,
        description="A longer reply is refused. Reading one takes up to ten times its size in memory.",
    )

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
    """[application]: the application user that logs in."""

    username: Annotated[str, PlainValidator(parsers.text("a user name without spaces"))] = Field(
        title="the name of the application user",
        description='The application user, in the group "Admin-3rd Party API" of the server.',
        examples=["pwsapp"],
    )
    password: Annotated[Secret, PlainValidator(parsers.secret)] = Field(
        title="the application user's password",
        description="The application user's password. Better: put it into a file, and name that file.",
        examples=["change me"],
    )
    take_over: value_types.Bool = Field(
        default=False,
        description="Whether the session of another application that holds the end user is ended (code 160).",
    )


class CallbackSection(value_types.Section):
    """[callback]: this service as the server reaches it for notifications."""

    url: Annotated[str, PlainValidator(addresses.callback_url)] = Field(
        title="this service as the server reaches it, such as http://10.0.0.5:8080",
        description="This service as the server reaches it; `/pws/SECRET` is appended. Servers are known that notify "
        "the ports 80, 82 and 8080 only.",
        examples=["http://10.0.0.5:8080"],
    )
    secret: Annotated[Secret, PlainValidator(parsers.callback_secret)] | None = Field(
        default=None,
        description="The part of the callback's path that nobody can guess. Without it, a new one at each start.",
        examples=["a-path-nobody-can-guess"],
    )
    listen_host: Annotated[str, PlainValidator(parsers.text("an address to listen on, such as 10.0.0.5"))] | None = (
        Field(
            default=None,
            description="Address of a listener for notifications alone, apart from the API; that of `http.host` where "
            "only `listen_port` is given. Without both, notifications come in with the API's requests.",
            examples=["0.0.0.0"],  # noqa: S104  an example
        )
    )
    listen_port: Annotated[int, PlainValidator(parsers.whole(0, 65535))] | None = Field(
        default=None,
        description="Port of that listener; that of `url` where only `listen_host` is given.",
        examples=[8080],
    )
    allow_from: value_types.Networks = Field(
        default=(),
        description="Addresses or networks that notifications may come from. Without it, all.",
        examples=[["10.0.0.11", "10.1.0.0/16"]],
    )
    trusted_proxies: value_types.Networks = Field(
        default=(),
        description="Proxies whose `X-Forwarded-For` says where a notification came from.",
        examples=[["10.0.0.2"]],
    )

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
    """[fetch]: how often presence is read without a notification."""

    safety_interval: Annotated[float, PlainValidator(parsers.real(1, unit="seconds"))] = Field(
        default=600.0,
        description="Seconds between reads without a notification: one that was lost is noticed after this.",
    )
    reconcile_interval: Annotated[float, PlainValidator(parsers.real(1, unit="seconds", zero="never"))] = Field(
        default=3600.0, description="Seconds between sweeps that compare everything."
    )
    heartbeat_interval: Annotated[float, PlainValidator(parsers.real(1, unit="seconds", zero="never"))] = Field(
        default=30.0,
        description="Seconds without an answer of the server after which one contact is polled, to notice an outage.",
    )
    max_parallel: Annotated[int, PlainValidator(parsers.whole(1, 64))] = Field(
        default=4, description="Requests for presence that may be under way at once."
    )


class Lifecycle(value_types.Section):
    """[lifecycle]: how long endpoint and subscriptions live at the server, and when they are renewed."""

    endpoint_expires: Annotated[int, PlainValidator(parsers.whole(MIN_EXPIRES, MAX_EXPIRES - 1, unit="seconds"))] = (
        Field(default=MIN_EXPIRES, description="Seconds that the endpoint lives without a renewal.")
    )
    subscription_expires: Annotated[int, PlainValidator(parsers.whole(MIN_EXPIRES, MAX_EXPIRES, unit="seconds"))] = (
        Field(default=MIN_EXPIRES, description="Seconds that a subscription lives without a renewal.")
    )
    renew_at: Annotated[float, PlainValidator(parsers.real(0.1, 0.95, unit="of the life"))] = Field(
        default=0.8,
        description="Part of the life after which both are renewed, or up to a tenth of it earlier.",
    )
    stop_timeout: value_types.Seconds = Field(
        default=10.0, description="Seconds that cleaning up at the server may take when the service stops."
    )
    requests_per_second: Annotated[float, PlainValidator(parsers.real(0.1, 10000))] = Field(
        default=20.0,
        description="Requests a second that one node gets at most; renewals go before fetches, fetches before polls.",
    )


class StateSection(value_types.Section):
    """[state]: the file with what must outlive a crash, so that nothing is left behind at the server."""

    file: Annotated[Path, PlainValidator(parsers.any_file)] | None = Field(
        default=None,
        description="Path of the file. Without it, `NAME.state.json` beside the configuration `NAME.toml`; none where "
        "the environment alone is the configuration.",
        examples=["pws.state.json"],
    )


class CanarySection(value_types.Section):
    """[canary]: an end user of its own, nobody's, whose presence is set anew now and then, to measure how long a change
    takes from the server to the answers. Off without `end_user`.
    """

    end_user: Annotated[str, PlainValidator(parsers.text("a user name without spaces"))] | None = Field(
        default=None,
        description="The end user whose presence is set: in no [[watch]] block, and used for nothing else.",
        examples=["pws-canary"],
    )
    contact: Annotated[str, PlainValidator(as_contact)] | None = Field(
        default=None,
        description="The same end user as a contact: of a [[watch]] block, and of no group.",
        examples=["pws-canary@example.com"],
    )
    interval: Annotated[float, PlainValidator(parsers.real(10, 3600, unit="seconds"))] = Field(
        default=300.0, description="Seconds between two rounds."
    )


class Watch(value_types.Section):
    """[[watch]]: an end user, and the contacts watched in that user's name. One block for each end user.

    `contacts` are complete (`user@domain`), those of `contacts_file` included, each once.
    """

    end_user: Annotated[str, PlainValidator(parsers.text("a user name without spaces"))] = Field(
        title="the name of an end user",
        description="The end user of the server in whose name the contacts are watched.",
        examples=["dispatcher"],
    )
    domain: (
        Annotated[str, PlainValidator(parsers.text("a domain such as example.com", pattern=addresses.HOST))] | None
    ) = Field(
        default=None,
        description="Completes bare names: `joe` becomes `joe@example.com`.",
        examples=["example.com"],
    )
    contacts: value_types.Contacts = Field(
        default=(),
        description="The contacts: `user@domain`, or bare names with `domain`; also as SIP URIs with port, parameters "
        "or display name. A contact in two blocks is watched through the first.",
        examples=[["joe", "rita@example.com"]],
    )
    contacts_file: Annotated[Path, PlainValidator(parsers.existing_file)] | None = Field(
        default=None,
        description="File with more contacts: a JSON array, or one per line, where # begins a comment. A line that "
        "cannot be used is left out with a warning; it is a mistake only where none can.",
        examples=["contacts.list"],
    )
    presence_type: Annotated[PresenceType, PlainValidator(parsers.choice(*PresenceType))] = Field(
        default=PresenceType.RICH,
        description='What is fetched. "BASIC_PRESENCE" has states only: no "on the phone", and nothing about '
        "federated contacts.",
    )
