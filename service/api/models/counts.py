"""Numbers of contacts: by state, by freshness, by group."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ConfigDict, Field
from typing_extensions import TypeAliasType

from pws_soap.models import PresenceState
from service.api.models.base import View
from service.core.presence.freshness import Level
from service.core.presence.query import Summary


class CountsView(View):
    """Numbers of contacts. `by_state` counts last known states, whatever their freshness."""

    model_config = ConfigDict(title="Counts")

    total: int
    by_state: dict[PresenceState, int]
    by_freshness: dict[Level, int]
    on_the_phone: int
    available: int = Field(description="free now: by the group's rule, in all by the rules of each contact's groups")


class GroupCountsView(CountsView):
    """Numbers of a group's contacts."""

    model_config = ConfigDict(title="GroupCounts")

    min_free: int = Field(description="its floor: fewer that are available raise `coverage.low`; 0: it has none")


class SummaryView(CountsView):
    """Numbers of all contacts and of each group."""

    model_config = ConfigDict(title="Summary")

    groups: dict[str, GroupCountsView]
    revision: int

    @classmethod
    def of(cls, summary: Summary, floors: Mapping[str, int]) -> SummaryView:
        groups = {
            name: GroupCountsView(
                **CountsView.model_validate(counts).model_dump(mode="python"), min_free=floors.get(name, 0)
            )
            for name, counts in summary.groups.items()
        }
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


class BriefCountsView(View):
    """Numbers of contacts for a key that may see who is available, and no more."""

    model_config = ConfigDict(title="CountsBrief")

    total: int
    by_freshness: dict[Level, int]
    available: int


class BriefSummaryView(BriefCountsView):
    """Numbers of all contacts and of each group, for such a key."""

    model_config = ConfigDict(title="SummaryBrief")

    groups: dict[str, BriefCountsView]

    @classmethod
    def of(cls, summary: Summary, _floors: Mapping[str, int]) -> BriefSummaryView:
        groups = {name: BriefCountsView.model_validate(counts) for name, counts in summary.groups.items()}
        whole = summary.counts
        return cls(total=whole.total, by_freshness=dict(whole.by_freshness), available=whole.available, groups=groups)


AnySummaryView = TypeAliasType("AnySummaryView", SummaryView | BriefSummaryView)
"""Numbers of contacts as the key may see them."""
