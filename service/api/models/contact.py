"""A contact in an answer, in its whole form, in a part of it, and in the brief one for keys that see no details.

Contacts come by the thousand, so that `service.api.writers` writes them; these models say what it must write. A new
field is added to `ContactView` and to its example, to `service.api.writers.fields.TABLE`, and, where keys that see no
details may see it, to `BriefContactView`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic import ConfigDict, Field, create_model
from typing_extensions import TypeAliasType

from pws_soap.models import PresenceState
from service.api.models.base import EXAMPLE_TIME, Time, View
from service.core.presence.freshness import Level
from service.core.presence.records import Source

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
    "as_of": EXAMPLE_TIME,
    "changed_at": "2026-11-21T09:58:40.001Z",
    "source": "subscribed",
    "revision": 4711,
    "available": False,
    "reason": "on the phone",
    "claim": None,
}
"""What a contact looks like; pydantic would sort its keys, FastAPI would drop its nulls."""


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
    purpose: str = Field(alias="for", description="what the client said it is for")
    holder: str = Field(description="the name of the key that asked")
    expires_at: Time = Field(description="unless it is renewed")


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


class ContactListView(View):
    """A page of contacts, ordered by contact."""

    model_config = ConfigDict(title="ContactList")

    contacts: list[ContactView]
    next_cursor: str | None = Field(description="the `cursor` of the next page; null on the last one")
    revision: int = Field(description="the number of the newest change of all")


class _ChosenContact(View):
    """Some fields of a contact, as `fields` names them."""

    model_config = ConfigDict(title="ContactChosen")

    contact: str = Field(description="always there")


if TYPE_CHECKING:
    ChosenContactView = View  # mypy does not follow a model that is made of another one's fields
else:
    ChosenContactView = create_model(
        "ChosenContactView",
        __base__=_ChosenContact,
        __doc__=_ChosenContact.__doc__,
        __module__=__name__,
        **{
            name: (field.annotation | None, None)
            for name, field in ContactView.model_fields.items()
            if name != "contact"
        },
    )


class ChosenListView(View):
    """A page of contacts with some of their fields."""

    model_config = ConfigDict(title="ContactListChosen")

    contacts: list[ChosenContactView]
    next_cursor: str | None
    revision: int


class BriefContactView(View):
    """A contact for a key that may see who is available, and no more."""

    model_config = ConfigDict(title="ContactBrief")

    contact: str
    display_name: str | None
    available: bool
    freshness: Level
    as_of: Time | None
    revision: int


class BriefListView(View):
    """A page of contacts for a key that may see who is available, and no more."""

    model_config = ConfigDict(title="ContactListBrief")

    contacts: list[BriefContactView]
    next_cursor: str | None
    revision: int


AnyContactView = TypeAliasType("AnyContactView", ContactView | BriefContactView)
"""A contact as the key may see it. A union of models has a name, which generators of clients give their class."""
AnyListView = TypeAliasType("AnyListView", ContactListView | ChosenListView | BriefListView)
"""A page of contacts as it was asked for, and as the key may see it."""
