"""The sections about answering: where, whom, how much, and who counts as free."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PlainValidator, ValidationInfo, field_validator

from pws_soap.models import MAX_CONTACTS_PER_SUBSCRIPTION, PresenceState
from service.access.principal import Principal, Scope
from service.config import addresses, parsers, value_types
from service.core.claims.model import Pick
from service.core.events.log import DEFAULT_SIZE
from service.core.presence.availability import NEVER, Rule


class Http(value_types.Section):
    """[http]: where this service listens, and what a browser may do. Port 0 takes a free one."""

    host: Annotated[str, PlainValidator(parsers.text("an address to listen on, such as 127.0.0.1"))] = "127.0.0.1"
    port: Annotated[int, PlainValidator(parsers.whole(0, 65535))] = 8080
    root_path: Annotated[str, PlainValidator(addresses.root_path)] = ""
    allowed_hosts: value_types.Hosts = ()
    cors_origins: value_types.Origins = ()


class Access(value_types.Section):
    """[access]: what needs no key."""

    anonymous_from_anywhere: value_types.Bool = False


class KeySection(value_types.Section):
    """[keys.NAME]: an API key, as `pws key new` prints it. Only its hash is kept."""

    hash: Annotated[str, PlainValidator(parsers.key_hash)] = Field(
        description="what pws key new printed, such as sha256:..."
    )
    scopes: value_types.Scopes = (Scope.READ,)
    groups: value_types.GroupNames = ()
    details: value_types.Bool = True

    @field_validator("scopes", "groups")
    @classmethod
    def _some(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        """A list from which the last one was taken must not come to mean all."""
        if not value:
            hint = "without this line it sees all contacts" if info.field_name == "groups" else ""
            raise parsers.wrong(f"at least one of the {info.field_name}", "an empty list", hint)
        return value

    @field_validator("groups", "details")
    @classmethod
    def _some_see_everything(cls, value: tuple[str, ...] | bool, info: ValidationInfo) -> tuple[str, ...] | bool:
        hides = value if info.field_name == "groups" else value is False
        seeing = [scope for scope in info.data.get("scopes", ()) if scope.sees_all]
        if hides and seeing:
            expected = "no groups" if info.field_name == "groups" else "true"
            is_admin = Scope.ADMIN in seeing
            why = "who changes what is watched sees it" if is_admin else "the figures are of all groups"
            raise parsers.wrong(
                f"{expected} for a key with the scope {Scope.ADMIN if is_admin else Scope.METRICS}",
                "a limit",
                f"{why}; make two keys",
            )
        return value

    def principal(self, name: str) -> Principal:
        """What its owner may do and see."""
        return Principal(name, frozenset(self.scopes), frozenset(self.groups) or None, self.details)


class LimitsSection(value_types.Section):
    """[limits]: how much one client (a key, or an address without one) and all clients may request."""

    requests_per_second: Annotated[float, PlainValidator(parsers.real(0.1, 100000, zero="no limit"))] = 100.0
    burst: Annotated[int, PlainValidator(parsers.whole(1, 1000000))] = 200
    streams: Annotated[int, PlainValidator(parsers.whole(1, 900))] = 200
    streams_per_client: Annotated[int, PlainValidator(parsers.whole(1, 900))] = 50
    max_body_bytes: Annotated[int, PlainValidator(parsers.whole(1024, 64 * 1024 * 1024, unit="bytes"))] = 1024 * 1024


class Stream(value_types.Section):
    """[stream]: how events are sent."""

    buffer: Annotated[int, PlainValidator(parsers.whole(100, 1000000))] = DEFAULT_SIZE
    keep_alive: Annotated[float, PlainValidator(parsers.real(0.1, 300, unit="seconds"))] = 15.0


class HistorySection(value_types.Section):
    """[history]: the last transitions of each contact, in memory; 0 of them unless somebody turns it on."""

    per_contact: Annotated[int, PlainValidator(parsers.whole(0, 1000))] = 0
    max_age: Annotated[float, PlainValidator(parsers.real(1, 31 * 86400, unit="seconds"))] = 86400.0


class ClaimLimits(value_types.Section):
    """[claims]: how long a claim holds. Times in seconds."""

    default_lease: Annotated[float, PlainValidator(parsers.real(1, 86400, unit="seconds"))] = 120.0
    max_lease: Annotated[float, PlainValidator(parsers.real(1, 86400, unit="seconds"))] = 3600.0
    max_waiting: Annotated[int, PlainValidator(parsers.whole(0, 10000))] = 500
    reserve: Annotated[float, PlainValidator(parsers.real(0, 300, unit="seconds"))] = 5.0


class Available(value_types.Section):
    """[available]: who counts as free for a task; each group may have its own. Times in seconds."""

    free_states: value_types.States = (PresenceState.AVAILABLE,)
    never_activities: value_types.Activities = NEVER
    max_idle: value_types.Idle = 600.0
    dwell: value_types.Span = 0.0
    wrap_up: value_types.Span = 0.0

    def rule(self) -> Rule:
        """The same as the service decides with it."""
        idle = self.max_idle or None
        return Rule(frozenset(self.free_states), frozenset(self.never_activities), idle, self.dwell, self.wrap_up)


class Group(value_types.Section):
    """[groups.NAME]: contacts asked for, counted and claimed together, and who of them is free if that differs.

    `pick` is who of several that are free is claimed; `min_free` how few free ones there may be without a warning.
    """

    contacts: value_types.Contacts = ()
    pick: Annotated[Pick, PlainValidator(value_types.pick)] = Pick.LONGEST_AVAILABLE
    min_free: Annotated[int, PlainValidator(parsers.whole(0, MAX_CONTACTS_PER_SUBSCRIPTION))] = 0
    free_states: value_types.States | None = None
    never_activities: value_types.Activities | None = None
    max_idle: value_types.Idle | None = None
    dwell: value_types.Span | None = None
    wrap_up: value_types.Span | None = None

    def rule(self, common: Available) -> Rule:
        """The group's own rule: what it does not say is as in `common`."""
        own = {key: value for key in Available.model_fields if (value := getattr(self, key)) is not None}
        return common.model_copy(update=own).rule()
