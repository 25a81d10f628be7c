"""Events: the table of their kinds, and those beside the contacts as JSON.

`EVENTS` is the table of what a stream can send; the description of `GET /v1/events` is made of it. An event beside the
contacts says what became of claims, of a group's coverage, of subscriptions, of targets of webhooks. What one client
gets of it depends on the limits of its key: of its own groups all, with the contacts as it sees them; of other groups
and of webhooks nothing; of subscriptions, and of claims where it sees no details, only that something happened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Any, Final, Literal, NamedTuple, Union

from pydantic import BaseModel, ConfigDict, Field, create_model
from typing_extensions import TypeAliasType

from service.access.principal import Principal
from service.api.models import AnyContactView, rfc3339
from service.api.models.event import (
    ClaimChangeView,
    CoverageChangeView,
    HappenedView,
    RemovedView,
    SnapshotView,
    SubscriptionChangeView,
    SubscriptionMoveView,
    WebhookChangeView,
)
from service.api.writers.claim import lease_members
from service.api.writers.compact import compact
from service.core.claims.coverage import CoverageChange
from service.core.claims.model import ClaimEvent, ClaimEventKind
from service.core.events.event import (
    CHANGE,
    REMOVED,
    WEBHOOK_PARKED,
    WEBHOOK_RECOVERED,
    Event,
    SubscriptionChange,
    WebhookChange,
)
from service.core.presence.snapshot import GroupedSnapshot

SNAPSHOT: Final = "snapshot"
MAX_ID: Final = 64
"""Characters of an id."""

WriteContacts = Callable[[Iterable[GroupedSnapshot]], bytes]
"""Writes the contacts that a client may see, as it sees them, with commas between."""


class EventKind(NamedTuple):
    """A kind of events: its name on the stream, the model of its `data`, and when it comes."""

    name: str
    data: Any
    """A model, or a named union of models."""
    when: str

    @property
    def title(self) -> str:
        """The name of its schema: `ClaimMadeEvent` of `claim.made`."""
        return "".join(word.capitalize() for word in self.name.replace("-", ".").split(".")) + "Event"


EVENTS: Final = (
    EventKind(SNAPSHOT, SnapshotView, "Everybody who passes the filters; it replaces all that was known"),
    EventKind(CHANGE, AnyContactView, "A contact as it is now"),
    EventKind(REMOVED, RemovedView, "A contact is no longer watched, or no longer passes the filters"),
    EventKind(
        "subscription.lost", SubscriptionChangeView, "One that worked is gone: its contacts are stale until it is back"
    ),
    EventKind("subscription.renewed", SubscriptionChangeView, "Its life was prolonged"),
    EventKind("subscription.recreated", SubscriptionChangeView, "It works again, after a loss or on another node"),
    EventKind("subscription.failed-over", SubscriptionMoveView, "Its end user moves to another node"),
    EventKind(
        "subscription.missed",
        SubscriptionChangeView,
        "A change came without a notification; once, until notifications come again",
    ),
    EventKind(ClaimEventKind.MADE, ClaimChangeView, "Somebody is held"),
    EventKind(ClaimEventKind.RENEWED, ClaimChangeView, "A claim lasts longer"),
    EventKind(ClaimEventKind.RELEASED, ClaimChangeView, "A claim was given back"),
    EventKind(ClaimEventKind.EXPIRED, ClaimChangeView, "A claim's time is over"),
    EventKind(ClaimEventKind.UNAVAILABLE, ClaimChangeView, "Somebody who is held can no longer take the task"),
    EventKind("coverage.low", CoverageChangeView, "Fewer people of a group are free than its configuration asks for"),
    EventKind("coverage.restored", CoverageChangeView, "Enough people of the group are free again"),
    EventKind(WEBHOOK_PARKED, WebhookChangeView, "A target of webhooks failed for too long: nothing is sent to it"),
    EventKind(WEBHOOK_RECOVERED, WebhookChangeView, "A target that was parked takes messages again"),
)
"""All kinds of events: those of `core.events.names`, and the snapshot. A new one also has a case in `event_json`."""


def _described(kind: EventKind) -> type[BaseModel]:
    """The model of a whole event, for the description."""
    fields: dict[str, Any] = {
        "event": (Literal[str(kind.name)], Field(description="the kind of event")),
        "id": (str, Field(max_length=MAX_ID, description="to be sent as Last-Event-ID, to go on behind it")),
        "data": (kind.data, Field(description="the JSON in the event's line `data`")),
    }
    return create_model(
        kind.title, __config__=ConfigDict(title=kind.title), __doc__=f"{kind.when}.", __module__=__name__, **fields
    )


StreamEvent: Final = TypeAliasType(
    "StreamEvent",
    Annotated[Union[tuple(map(_described, EVENTS))], Field(discriminator="event")],  # noqa: UP007  # of many
)
"""Any event of a stream, as the description has it: the fields of its lines, its data read as JSON."""


def event_json(event: Event, who: Principal, contacts: WriteContacts) -> bytes | None:
    """The event as `who` may see it; None where it may not know of it."""
    at, revision = event.at.wall, event.id
    match event.data:
        case ClaimEvent(lease=lease) as change:
            if change.kind is ClaimEventKind.UNAVAILABLE and not who.details:  # it says that a presence changed
                return None
            if not _may_see(lease.group, who):
                return None
            head = _happened(at, revision)
            return b"%b,%b}" % (head[:-1], _claim(change, contacts)) if who.details else head
        case CoverageChange(group=group, free=free, min_free=min_free):
            if not _may_see(group, who):
                return None
            return _written(CoverageChangeView(at=at, revision=revision, group=group, free=free, min_free=min_free))
        case WebhookChange(target=target, reason=reason):
            if who.limited:
                return None
            return _written(WebhookChangeView(at=at, revision=revision, target=target, reason=reason))
        case SubscriptionChange() as change if not who.limited:
            return _written(_subscription(at, revision, change))
        case SubscriptionChange() | None:
            return _happened(at, revision)
        case unknown:
            raise TypeError(f"an event whose data is {type(unknown).__name__} has no form for clients")


def _may_see(group: str, who: Principal) -> bool:
    return who.groups is None or group in who.groups


def _happened(at: float, revision: int) -> bytes:
    """A `HappenedView`: of claims there may be hundreds a second."""
    return b'{"at":%b,"revision":%d}' % (compact(rfc3339(at)), revision)


def _written(view: HappenedView) -> bytes:
    """What was said of an event, in the words and the order of its model."""
    return compact(view.model_dump(mode="json", exclude_unset=True))


def _claim(change: ClaimEvent, contacts: WriteContacts) -> bytes:
    """What a `ClaimChangeView` has beside its head. The claim's contacts are written already."""
    claim = b'"claim":{%b}' % lease_members(change.lease, contacts(change.contacts))
    about: dict[str, str] = {}
    if change.person is not None:
        about["contact"] = change.person.contact
    if change.reason is not None:
        about["reason"] = change.reason
    return b"%b,%b" % (claim, compact(about)[1:-1]) if about else claim


def _subscription(at: float, revision: int, change: SubscriptionChange) -> SubscriptionChangeView:
    members: dict[str, Any] = {
        "at": at,
        "revision": revision,
        "end_user": change.end_user,
        "node": change.node,
        "reason": change.reason,
    }
    if change.origin is None:
        return SubscriptionChangeView.model_validate(members)
    return SubscriptionMoveView.model_validate(members | {"from": change.origin, "to": change.node})
