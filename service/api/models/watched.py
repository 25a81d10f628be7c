"""What is watched, and what became of contacts that were to be watched."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from service.api.models.base import View


class WatchedView(View):
    """A contact that is watched."""

    contact: str
    end_user: str | None = Field(description="the end user it is watched through; null for a limited key")
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
