"""The last transitions of a contact."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from pws_soap.models import PresenceState
from service.api.models.base import Time, View
from service.core.events.history import Transition
from service.core.presence.freshness import Level


class TransitionView(View):
    """What a contact became."""

    model_config = ConfigDict(title="Transition")

    at: Time = Field(description="when the service learned of it")
    state: PresenceState
    activities: list[str]
    on_the_phone: bool | None
    freshness: Level
    available: bool
    revision: int = Field(description="of the event, in the order of all changes")

    @classmethod
    def of(cls, transition: Transition) -> TransitionView:
        return cls.model_validate(transition._asdict() | {"at": transition.at.wall})


class HistoryView(View):
    """The last transitions of a contact, the newest first."""

    model_config = ConfigDict(title="History")

    contact: str
    transitions: list[TransitionView]
    complete: bool = Field(description="false: there were older ones since the contact was watched")
