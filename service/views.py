"""What answers look like: one model for each, which is both the JSON and its description in OpenAPI.

Contacts come by the thousand, so that `service.contact_json` writes them; these models say what it must write.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema

from pws_soap.models import PresenceState, SessionKind
from service.claims.model import Claim
from service.engine import EngineState, NodeState, RefreshReport, Status
from service.freshness import Level
from service.query import Known, Summary
from service.records import Record, Source, StoreSummary

_EXAMPLE_TIME: Final = "2026-11-21T10:00:03.120Z"
CONTACT_EXAMPLE: Final[dict[str, object]] = {
    "contact": "ann@example.com",
    "state": "BUSY",
    "activities": ["busy", "on-the-phone"],
    "on_the_phone": True,
    "display_name": "Ann Example",
    "note": None,
    "idle": False,
    "devices": [{"id": "cmp-8001-162", "open": True, "audio": True, "video": False, "text": False}],
    "freshness": "live",
    "as_of": _EXAMPLE_TIME,
    "changed_at": "2026-11-21T09:58:40.001Z",
    "source": "subscribed",
    "revision": 4711,
    "available": False,
    "reason": "on the phone",
    "claim": None,
}
"""What a contact looks like; pydantic would sort its keys, FastAPI would drop its nulls."""


@lru_cache(maxsize=4096)
def rfc3339(wall: float) -> str:
    """Seconds since the epoch as the API shows time: UTC, milliseconds, Z."""
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Time = Annotated[
    float,
    PlainSerializer(rfc3339, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": [_EXAMPLE_TIME]}),
]
"""Wall time inside, RFC 3339 outside."""


class View(BaseModel):
    """An answer."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class DeviceView(View):
    """A soft phone, a line of a desk phone, or a state set by a program. What nobody said is null."""

    id: str
    open: bool
    audio: bool | None
    video: bool | None
    text: bool | None


class HeldView(View):
    """The claim that holds a contact."""

    model_config = ConfigDict(title="Held", serialize_by_alias=True)

    id: str
    group: str = Field(description="the group for which it was picked")
    purpose: str = Field(alias="for", description="what the asker said it is for")
    holder: str = Field(description="the name of the key that asked")
    expires_at: Time = Field(description="unless it is renewed")

    @classmethod
    def of(cls, claim: Claim) -> HeldView:
        return cls.model_validate(claim_shown(claim) | {"expires_at": claim.expires.wall})


class ContactView(View):
    """A contact and its presence, the same in every answer."""

    model_config = ConfigDict(title="Contact")

    contact: str = Field(description="the contact's URI, as it was first watched")
    state: PresenceState = Field(description="the last known state; see freshness for whether it still holds")
    activities: list[str] = Field(description="several at once are possible; empty with basic presence")
    on_the_phone: bool | None = Field(description="null when nobody said")
    display_name: str | None
    note: str | None
    idle: bool | None
    devices: list[DeviceView]
    freshness: Level = Field(description="live: true within its bound; stale: was true at as_of; unknown: never read")
    as_of: Time | None = Field(description="the last moment for which the state is known to have been true")
    changed_at: Time | None
    source: Source | None = Field(description="how it was last read")
    revision: int = Field(description="the number of its last change, in the order of all changes")
    available: bool = Field(description="whether it is free by the rules of its groups; never when it is not live")
    reason: str = Field(description="why it is available or not; against it, with the group whose rule says so")
    claim: HeldView | None = Field(description="who holds it; a contact that is held is not available to others")

    @classmethod
    def of(cls, known: Known) -> ContactView:
        """The plain way to make one."""
        record, (level, as_of, _), verdict, claim = known
        return cls.model_validate(
            lasting(record)
            | {
                "freshness": level,
                "as_of": as_of and as_of.wall,
                "changed_at": record.changed_at and record.changed_at.wall,
                "source": record.source,
                "revision": record.revision,
                "available": verdict.available,
                "reason": verdict.reason,
                "claim": HeldView.of(claim) if claim is not None else None,
            }
        )


class ContactListView(View):
    """A page of contacts, ordered by contact."""

    model_config = ConfigDict(title="ContactList")

    contacts: list[ContactView]
    next_cursor: str | None = Field(description="the `cursor` of the next page; null on the last one")
    revision: int = Field(description="the number of the newest change of all")


class CountsView(View):
    """Numbers of contacts. `by_state` counts last known states, whatever their freshness."""

    model_config = ConfigDict(title="Counts")

    total: int
    by_state: dict[PresenceState, int]
    by_freshness: dict[Level, int]
    on_the_phone: int
    available: int = Field(description="free now: by the group's rule, in all by the rules of each contact's groups")


class SummaryView(CountsView):
    """Numbers of all contacts and of each group."""

    model_config = ConfigDict(title="Summary")

    groups: dict[str, CountsView]
    revision: int

    @classmethod
    def of(cls, summary: Summary) -> SummaryView:
        groups = {name: CountsView.model_validate(counts) for name, counts in summary.groups.items()}
        whole = summary.counts
        return cls(
            total=whole.total,
            by_state=dict(whole.by_state),
            by_freshness=dict(whole.by_freshness),
            on_the_phone=whole.on_the_phone,
            available=whole.available,
            groups=groups,
            revision=summary.revision,
        )


class TroubleView(View):
    """Something that is wrong, and since when."""

    since: Time
    what: str


class NodeView(View):
    """A node of the server."""

    node: str
    state: NodeState
    failures: int = Field(description="in a row")
    last_error: str | None
    since: Time | None


class SessionView(View):
    """A login on a node."""

    node: str
    user: str
    kind: SessionKind
    state: str
    since: Time | None
    last_error: str | None


class EndpointView(View):
    """Where a node sends its notifications."""

    node: str
    id: int | None
    state: str
    expires_at: Time | None
    last_error: str | None


class SubscriptionView(View):
    """A subscription of an end user."""

    node: str
    end_user: str
    id: int | None
    state: str
    contacts: int
    expires_at: Time | None
    last_notification_at: Time | None
    last_fetch_at: Time | None
    last_error: str | None
    notifications: int
    fetches: int


class NotificationsView(View):
    """What came in on the callback."""

    received: int
    unknown_id: int
    rejected: int


class ReadingView(View):
    """What reading from the server was like since the start."""

    fetches: int = Field(description="getSubscribedPresence")
    polls: int = Field(description="getPolledPresence")
    failures: int
    unknown_outcomes: int = Field(description="replies that were lost; what they may have told was read again")
    missed_notifications: int = Field(description="changes that came without one")
    drift: int = Field(description="contacts that the reconciling sweep found different")


class StoreView(View):
    """Contacts watched and read, and what was odd since the start."""

    contacts: int
    read: int
    revision: int
    strangers: int = Field(description="presences of contacts that are not watched")
    contested: int = Field(description="readings that overlapped and disagreed, and were read again")
    unreadable: int = Field(description="rich documents that could not be read")


class StatusView(View):
    """How the service is doing, in words and numbers."""

    model_config = ConfigDict(title="Status")

    state: EngineState
    problems: list[TroubleView]
    nodes: list[NodeView]
    sessions: list[SessionView]
    endpoints: list[EndpointView]
    subscriptions: list[SubscriptionView]
    notifications: NotificationsView
    reading: ReadingView
    store: StoreView
    version: str
    now: Time

    @classmethod
    def of(cls, status: Status, store: StoreSummary, version: str, now: float) -> StatusView:
        return cls(
            state=status.state,
            problems=[TroubleView.model_validate(each) for each in status.problems],
            nodes=[NodeView.model_validate(each) for each in status.nodes],
            sessions=[SessionView.model_validate(each) for each in status.sessions],
            endpoints=[EndpointView.model_validate(each) for each in status.endpoints],
            subscriptions=[SubscriptionView.model_validate(each) for each in status.subscriptions],
            notifications=NotificationsView.model_validate(status.notifications),
            reading=ReadingView.model_validate(status.reading),
            store=StoreView.model_validate(store),
            version=version,
            now=now,
        )


class FailureView(View):
    """A part of a refresh that failed."""

    what: str
    reason: str


class RefreshView(View):
    """What a refresh did. What the server did not name has not changed."""

    model_config = ConfigDict(title="Refresh")

    contacts: int = Field(description="how many contacts the server told of")
    changed: int = Field(description="how many of them had changed")
    failures: list[FailureView]
    revision: int

    @classmethod
    def of(cls, report: RefreshReport, revision: int) -> RefreshView:
        failures = [FailureView.model_validate(failure) for failure in report.failures]
        return cls(contacts=report.contacts, changed=report.changed, failures=failures, revision=revision)


class WatchedView(View):
    """A contact that is watched."""

    contact: str
    end_user: str = Field(description="the end user it is watched through")
    configured: bool = Field(description="whether the configuration names it")


class WatchedListView(View):
    """All contacts that are watched."""

    model_config = ConfigDict(title="WatchedContacts")

    contacts: list[WatchedView]
    total: int


class AddedView(View):
    """What became of contacts that were to be watched."""

    model_config = ConfigDict(title="AddedContacts")

    added: list[str]
    known: list[str] = Field(description="those that were watched already")


class FailoverView(View):
    """Where end users were taken."""

    model_config = ConfigDict(title="Failover")

    node: str
    end_user: str | None = Field(description="null: all of them")


class ReadyView(View):
    """Whether answers would be live, and why not."""

    model_config = ConfigDict(title="Ready")

    ready: bool
    reason: str


class AliveView(View):
    """The process answers."""

    model_config = ConfigDict(title="Alive")

    alive: bool = True


def claim_shown(claim: Claim) -> dict[str, object]:
    """A claim in the JSON of the contact it holds."""
    return {
        "id": claim.id,
        "group": claim.group,
        "for": claim.purpose,
        "holder": claim.holder,
        "expires_at": rfc3339(claim.expires.wall),
    }


def lasting(record: Record) -> dict[str, object]:
    """The part of a contact's JSON that changes only with its revision, up to `devices`."""
    presence = record.presence
    return {
        "contact": record.contact,
        "state": record.state,
        "activities": presence.activities if presence else (),
        "on_the_phone": presence.on_the_phone if presence else None,
        "display_name": presence.display_name if presence else None,
        "note": presence.note if presence else None,
        "idle": presence.idle if presence else None,
        "devices": [
            {"id": each.id, "open": each.open, "audio": each.audio, "video": each.video, "text": each.text}
            for each in (presence.devices if presence else ())
        ],
    }


class IndexView(View):
    """Where things are."""

    model_config = ConfigDict(title="Index")

    service: str = "pws-presence"
    version: str
    docs: str = "/docs"
    presence: str = "/v1/presence"
    summary: str = "/v1/summary"
    status: str = "/v1/status"
