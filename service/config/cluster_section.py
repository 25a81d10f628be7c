"""The section of several replicas, and how its values are read: where the engine is, and where this replica is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field, PlainValidator, ValidationInfo, field_validator

from pws_soap.models import Secret
from service.config import parsers, value_types
from service.config.errors import shown
from service.config.parsers import takes, wrong
from service.core import engine_address
from service.core.engine_address import EngineAddress

MIN_SECRET: Final = 16
"""Characters of the shared secret: it proves that a request was passed on by a replica."""
MAX_SECRET: Final = 512

_ENGINE: Final = "a URL such as redis://10.0.0.20:6379/0"


@takes(_ENGINE, {"type": "string", "pattern": r"^[Rr][Ee][Dd][Ii][Ss]{1,2}(\+[Ss][Ee][Nn][Tt][Ii][Nn][Ee][Ll])?://"})
def engine_url(value: object) -> str:
    """Where Redis or Valkey is, as it is written. What is found wrong is told without what may be a password."""
    if not isinstance(value, str):
        raise wrong(_ENGINE, shown(value))
    given = value.strip()
    try:
        engine_address.parse(given)
    except ValueError as error:
        head, separator, rest = given.partition("://")
        harmless = head + separator + rest.rpartition("@")[2] if separator else given.rpartition("@")[2]
        raise wrong(_ENGINE, shown(harmless), str(error)) from None
    return str(given)


_ADVERTISED: Final = "a URL such as http://10.0.0.5:8080"


@takes(_ADVERTISED, {"type": "string", "format": "uri", "pattern": "^[Hh][Tt][Tt][Pp][Ss]?://"})
def advertised_url(value: object) -> str:
    """The API of this replica as the others reach it, without a slash at its end."""
    if not isinstance(value, str):
        raise wrong(_ADVERTISED, shown(value))
    given = value.strip()
    try:
        url = urlsplit(given)
        port = url.port
    except ValueError:  # a broken IPv6 address, a port that is no number
        raise wrong(_ADVERTISED, "something that is no URL") from None
    harmless = f"{url.scheme}://{url.hostname or ''}" if url.scheme else given.rpartition("@")[2]
    if url.scheme.lower() not in {"http", "https"} or not url.hostname or port == 0:
        raise wrong(_ADVERTISED, shown(harmless), "it begins with http:// or https:// and names a host")
    if url.username is not None or url.password is not None:
        raise wrong(_ADVERTISED, shown(harmless), "it has no user name and no password")
    if url.query or url.fragment or given[-1] in "?#":
        raise wrong(_ADVERTISED, shown(harmless), "it has no query and no fragment")
    if not given.isascii() or not given.isprintable() or " " in given or set(given) & set("<>\"'\\"):
        raise wrong(_ADVERTISED, shown(harmless), "percent-encode what a URL does not have")
    return f"{url.scheme.lower()}://{url.netloc}{url.path}".rstrip("/")


_SECRET: Final = f"a secret of one line with {MIN_SECRET} to {MAX_SECRET} characters"


@takes(_SECRET, {"type": "string", "minLength": MIN_SECRET, "maxLength": MAX_SECRET})
def shared_secret(value: object) -> Secret:
    """What only the replicas know. No mistake shows it."""
    plain = value.reveal() if isinstance(value, Secret) else value
    hint = "make one: openssl rand -base64 32"
    if not isinstance(plain, str):
        raise wrong(_SECRET, "something else than text")
    if any(ord(char) < 0x20 for char in plain):
        raise wrong(_SECRET, "control characters in it", hint)
    if not MIN_SECRET <= len(plain) <= MAX_SECRET:
        raise wrong(_SECRET, f"{len(plain)} of them", hint)
    return Secret(plain)


_UNIT: Final = "a name of at most 64 letters, digits, '-', '_' and '.'"


@takes(_UNIT, {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"})
def unit_name(value: object) -> str:
    """The name by which replicas of one service find each other in the engine."""
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", value.strip()):
        raise wrong(_UNIT, shown(value))
    return str(value.strip())


class ClusterSection(value_types.Section):
    """[cluster]: several replicas of this service on one Redis 7 or Valkey. Without this section there is one process.

    docs/cluster.md says when it is needed, and what happens when something fails.
    """

    url: Annotated[str, PlainValidator(engine_url)] = Field(
        title="where Redis or Valkey is, such as redis://10.0.0.20:6379/0",
        description="Where Redis or Valkey is. `rediss://` is TLS; with sentinels "
        "`redis+sentinel://one:26379,two:26379/mymaster/0`. A user's name may stand before `@`, a password may not.",
        examples=["redis://10.0.0.20:6379/0"],
    )
    password_file: Annotated[Path, PlainValidator(parsers.existing_file)] | None = Field(
        default=None,
        description="A file with the password for Redis or Valkey. It is read for each new connection, so that it can "
        "be replaced while the service runs.",
        examples=["/run/secrets/pws-engine-password"],
    )
    ca_file: Annotated[Path, PlainValidator(parsers.existing_file)] | None = Field(
        default=None,
        description="PEM file of the authority that signed the certificate of Redis or Valkey, for `rediss://`. "
        "Without it, the system's authorities.",
        examples=["engine-ca.pem"],
    )
    unit: Annotated[str, PlainValidator(unit_name)] = Field(
        default="pws",
        description="The name of this service in Redis or Valkey: the same at all its replicas, another one for each "
        "other application user. All keys begin with `{pws:UNIT}`.",
    )
    advertise: Annotated[str, PlainValidator(advertised_url)] = Field(
        title="this replica's API as the others reach it, such as http://10.0.0.5:8080",
        description="The API of this replica as the other replicas reach it, which pass claims and changes on to the "
        "one that owns the sessions. Each replica has its own.",
        examples=["http://10.0.0.5:8080"],
    )
    peers_ca_file: Annotated[Path, PlainValidator(parsers.existing_file)] | None = Field(
        default=None,
        description="PEM file of the authority that signed the certificates of the replicas, where `cluster.advertise` "
        "begins with `https://`. Without it, the system's authorities.",
        examples=["replicas-ca.pem"],
    )
    secret: Annotated[Secret, PlainValidator(shared_secret)] = Field(
        title="the secret that the replicas share",
        description="A secret that the replicas share, and nobody else: it signs requests that one passes on to "
        "another, and the callback's path is made from it. Better: put it into a file, and name that file.",
        examples=["openssl rand -base64 32 makes one"],
    )
    durability: Annotated[Literal["local", "replica"], PlainValidator(parsers.choice("local", "replica"))] = Field(
        default="local",
        description='When a claim counts: once the engine has it ("local"), or once a copy of the engine has it too, '
        "so that none is lost at a fail-over of the engine.",
    )

    @field_validator("ca_file")
    @classmethod
    def _needs_tls(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        url = info.data.get("url")
        if value is not None and url is not None and not engine_address.parse(url).tls:
            raise wrong("nothing where cluster.url is without TLS", "a value", "write rediss:// before the host")
        return value

    @field_validator("peers_ca_file")
    @classmethod
    def _needs_https(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        advertise = info.data.get("advertise")
        if value is not None and advertise is not None and not advertise.startswith("https://"):
            raise wrong("nothing where cluster.advertise is without TLS", "a value", "write https:// before the host")
        return value

    @property
    def address(self) -> EngineAddress:
        """Where the engine is, as a value."""
        return engine_address.parse(self.url)
