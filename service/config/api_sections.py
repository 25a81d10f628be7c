"""The sections about answering: where, whom, how much, and who counts as free."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field, PlainValidator, ValidationInfo, field_validator

from pws_soap.models import MAX_CONTACTS_PER_SUBSCRIPTION, PresenceState
from service.access.principal import Principal, Scope
from service.config import addresses, parsers, value_types
from service.core.claims.model import Pick
from service.core.events.log import DEFAULT_SIZE
from service.core.presence.availability import NEVER, Rule


class Http(value_types.Section):
    """[http]: where the API and the dashboard listen, and what a browser may do."""

    host: Annotated[str, PlainValidator(parsers.text("an address to listen on, such as 127.0.0.1"))] = Field(
        default="127.0.0.1", description="Address to listen on. Any but a loopback address takes a key ([keys.NAME])."
    )
    port: Annotated[int, PlainValidator(parsers.whole(0, 65535))] = Field(
        default=8080, description="Port to listen on; 0: any free one."
    )
    root_path: Annotated[str, PlainValidator(addresses.root_path)] = Field(
        default="", description="Path of a proxy that has this service below it.", examples=["/presence"]
    )
    allowed_hosts: value_types.Hosts = Field(
        default=(),
        description="Host names under which the API answers where it needs no key, beside this machine's own.",
        examples=[["presence.example.com"]],
    )
    cors_origins: value_types.Origins = Field(
        default=(),
        description="Origins whose pages may use the API from a browser.",
        examples=[["https://board.example.com"]],
    )


class Access(value_types.Section):
    """[access]: what needs no key."""

    anonymous_from_anywhere: value_types.Bool = Field(
        default=False,
        description="Whether every client that reaches this service may ask without a key: to read, and where there "
        "is no key at all also to change what is watched.",
    )


class KeySection(value_types.Section):
    """[keys.NAME]: an API key, as `pws key new` prints it. Only its hash is kept."""

    hash: Annotated[str, PlainValidator(parsers.key_hash)] = Field(
        title="what pws key new printed, such as sha256:...",
        description="Hash of the key; `pws key new` makes a key and prints this section.",
        examples=["sha256:..."],
    )
    scopes: value_types.Scopes = Field(
        default=(Scope.READ,), description="What the key may do; no scope implies another."
    )
    groups: value_types.GroupNames = Field(
        default=(),
        description="The groups whose contacts the key sees. Without it, all contacts.",
        examples=[["support"]],
    )
    details: value_types.Bool = Field(default=True, description="Whether the key sees more than who is available.")

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

    requests_per_second: Annotated[float, PlainValidator(parsers.real(0.1, 100000, zero="no limit"))] = Field(
        default=100.0, description="Requests a second of one client."
    )
    burst: Annotated[int, PlainValidator(parsers.whole(1, 1000000))] = Field(
        default=200, description="Requests of one client that may come at once."
    )
    streams: Annotated[int, PlainValidator(parsers.whole(1, 900))] = Field(
        default=200, description="Open streams and waiting requests of all clients."
    )
    streams_per_client: Annotated[int, PlainValidator(parsers.whole(1, 900))] = Field(
        default=50, description="Open streams and waiting requests of one client."
    )
    max_body_bytes: Annotated[int, PlainValidator(parsers.whole(1024, 64 * 1024 * 1024, unit="bytes"))] = Field(
        default=1024 * 1024, description="A longer request body is refused."
    )


class Stream(value_types.Section):
    """[stream]: how events are sent."""

    buffer: Annotated[int, PlainValidator(parsers.whole(100, 1000000))] = Field(
        default=DEFAULT_SIZE, description="Events kept for clients that come back."
    )
    keep_alive: Annotated[float, PlainValidator(parsers.real(0.1, 300, unit="seconds"))] = Field(
        default=15.0, description="Seconds between signs of life on a stream without events."
    )


class HistorySection(value_types.Section):
    """[history]: the last transitions of each contact, kept in memory; none unless turned on."""

    per_contact: Annotated[int, PlainValidator(parsers.whole(0, 1000))] = Field(
        default=0, description="Transitions kept of each contact; 0: none, for privacy."
    )
    max_age: Annotated[float, PlainValidator(parsers.real(1, 31 * 86400, unit="seconds"))] = Field(
        default=86400.0, description="Seconds after which a transition is forgotten."
    )


class ClaimLimits(value_types.Section):
    """[claims]: how long a claim holds somebody, and who may wait for one."""

    default_lease: Annotated[float, PlainValidator(parsers.real(1, 86400, unit="seconds"))] = Field(
        default=120.0, description="Seconds that a claim holds where the client does not say."
    )
    max_lease: Annotated[float, PlainValidator(parsers.real(1, 86400, unit="seconds"))] = Field(
        default=3600.0, description="Seconds that a claim holds at most without a renewal."
    )
    max_waiting: Annotated[int, PlainValidator(parsers.whole(0, 10000))] = Field(
        default=500, description="Requests that may wait for somebody to be free."
    )
    reserve: Annotated[float, PlainValidator(parsers.real(0, 300, unit="seconds"))] = Field(
        default=5.0,
        description="Seconds that free people are kept for a request that waits for more than are free; 0: never.",
    )


class Available(value_types.Section):
    """[available]: who counts as free for a task (`available` in the answers); each group may have its own rule."""

    free_states: value_types.States = Field(default=(PresenceState.AVAILABLE,), description="States that are free.")
    never_activities: value_types.Activities = Field(
        default=NEVER, description="Activities that are not free, whatever the state."
    )
    max_idle: value_types.Idle = Field(default=600.0, description="Seconds; who is idle for longer is not free.")
    dwell: value_types.Span = Field(
        default=0.0, description="Seconds that somebody must have been free, against flapping."
    )
    wrap_up: value_types.Span = Field(default=0.0, description="Seconds after a call during which nobody is free.")

    def rule(self) -> Rule:
        """The same as the service decides with it."""
        idle = self.max_idle or None
        return Rule(frozenset(self.free_states), frozenset(self.never_activities), idle, self.dwell, self.wrap_up)


_COMMON: Final = " Without it, as in [available]."


class Group(value_types.Section):
    """[groups.NAME]: contacts asked for, counted and claimed together, and who of them is free if that differs."""

    contacts: value_types.Contacts = Field(
        default=(),
        description="The contacts of the group, as in [[watch]]. Bare names need the same `domain` in all blocks.",
        examples=[["joe@example.com", "rita@example.com"]],
    )
    pick: Annotated[Pick, PlainValidator(parsers.choice(*Pick))] = Field(
        default=Pick.LONGEST_AVAILABLE, description="Who of several that are free is claimed."
    )
    min_free: Annotated[int, PlainValidator(parsers.whole(0, MAX_CONTACTS_PER_SUBSCRIPTION))] = Field(
        default=0, description="Fewer free contacts than this raise the event `coverage.low`."
    )
    free_states: value_types.States | None = Field(
        default=None, description=f"States that are free in this group.{_COMMON}", examples=[["AVAILABLE", "AWAY"]]
    )
    never_activities: value_types.Activities | None = Field(
        default=None, description=f"Activities that are not free, whatever the state.{_COMMON}", examples=[["meeting"]]
    )
    max_idle: value_types.Idle | None = Field(
        default=None, description=f"Seconds; who is idle for longer is not free.{_COMMON}", examples=[300]
    )
    dwell: value_types.Span | None = Field(
        default=None,
        description=f"Seconds that somebody must have been free, against flapping.{_COMMON}",
        examples=[5],
    )
    wrap_up: value_types.Span | None = Field(
        default=None, description=f"Seconds after a call during which nobody is free.{_COMMON}", examples=[30]
    )

    def rule(self, common: Available) -> Rule:
        """The group's own rule: what it does not say is as in `common`."""
        own = {key: value for key in Available.model_fields if (value := getattr(self, key)) is not None}
        return common.model_copy(update=own).rule()
