"""Claims in responses."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from service.api.models import AnyContactView, Time, View
from service.api.problems import ProblemView


class PassedOverView(View):
    """A member of the group who was not picked."""

    model_config = ConfigDict(title="PassedOver")

    contact: str
    reason: str


class ClaimView(View):
    """Some people of a group, held for one purpose."""

    model_config = ConfigDict(title="Claim", serialize_by_alias=True)

    id: str
    group: str = Field(description="whose rule picked them; empty where the key must not see it")
    purpose: str = Field(alias="for", description="what the client said it is for")
    holder: str = Field(description="the name of the key that asked")
    made_at: Time
    expires_at: Time = Field(description="unless it is renewed")
    contacts: list[AnyContactView] = Field(description="those it holds")


class MadeClaimView(ClaimView):
    """A claim that was just made, and why the others of the group were not picked."""

    model_config = ConfigDict(title="MadeClaim", serialize_by_alias=True)

    passed_over: list[PassedOverView]


class ClaimListView(View):
    """The claims that there are."""

    model_config = ConfigDict(title="ClaimList")

    claims: list[ClaimView] = Field(description="in the order in which they were made")
    since: Time = Field(
        description="when the service started: it knows of no claims that are older. Of several "
        "replicas: or when the oldest claim was made, where that was before"
    )


class NotEnoughProblemView(ProblemView):
    """A problem document of a claim that was refused."""

    model_config = ConfigDict(title="NotEnoughProblem")

    free: int | None = Field(default=None, description="how many it could have had; of /problems/not-enough-free")
    passed_over: list[PassedOverView] | None = Field(default=None, description="of /problems/not-enough-free")
