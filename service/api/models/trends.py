"""The picture of the last hours: numbers of contacts over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from pydantic import ConfigDict, Field
from typing_extensions import TypeAliasType

from service.api.models.base import Time, View
from service.core.events.trends import Mark, Sample


class MarkView(View):
    """An event of a subscription."""

    model_config = ConfigDict(title="Mark")

    at: Time
    event: str = Field(description="its name, as on the stream", examples=["subscription.lost"])


class BriefSampleView(View):
    """Numbers of contacts at one moment, for a key that may see who is available, and no more."""

    model_config = ConfigDict(title="SampleBrief")

    at: Time
    total: int
    free: int = Field(description="available, claimed by nobody")
    unsure: int = Field(description="stale, or never read")

    @classmethod
    def of(cls, sample: Sample) -> Self:
        total = sum(sample.counts.values())
        counts = {activity.value: number for activity, number in sample.counts.items()}
        return cls.model_validate({"at": sample.at.wall, "total": total, "lag": sample.lag} | counts)


class SampleView(BriefSampleView):
    """Numbers of contacts at one moment. Each contact counts once, as the first of these that fits."""

    model_config = ConfigDict(title="Sample")

    on_the_phone: int
    claimed: int
    busy: int = Field(description="there, and not free: busy, do not disturb, in a meeting, wrapping up, idle")
    away: int
    lag: float | None = Field(
        description="the longest time from a notification to what it was about, in seconds, since the sample before"
    )


class BriefTrendsView(View):
    """Numbers of contacts over time, for such a key."""

    model_config = ConfigDict(title="TrendsBrief")

    group: str | None = Field(description="whose contacts are counted; null: all")
    interval: float = Field(description="seconds between two samples; a longer gap: the service did not run")
    samples: list[BriefSampleView] = Field(description="the oldest first; none of fewer than three contacts")
    marks: list[MarkView] = Field(description="what happened to subscriptions, the oldest first")


class TrendsView(View):
    """Numbers of contacts over time."""

    model_config = ConfigDict(title="Trends")

    group: str | None = Field(description="whose contacts are counted; null: all")
    interval: float = Field(description="seconds between two samples; a longer gap: the service did not run")
    samples: list[SampleView] = Field(description="the oldest first; none of fewer than three contacts")
    marks: list[MarkView] = Field(description="what happened to subscriptions, the oldest first")


def trends_view(
    group: str | None, interval: float, samples: Sequence[Sample], marks: Sequence[Mark], *, details: bool
) -> TrendsView | BriefTrendsView:
    """The answer for a key with or without details."""
    marked = [MarkView(at=mark.at.wall, event=mark.name) for mark in marks]
    if details:
        return TrendsView(
            group=group, interval=interval, samples=[SampleView.of(each) for each in samples], marks=marked
        )
    return BriefTrendsView(
        group=group, interval=interval, samples=[BriefSampleView.of(each) for each in samples], marks=marked
    )


AnyTrendsView = TypeAliasType("AnyTrendsView", TrendsView | BriefTrendsView)
"""Numbers of contacts over time as the key may see them."""
