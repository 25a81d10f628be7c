"""The façade in the status: its programs, who goes silent, and what it has answered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from pydantic import Field

from service.api.models.base import Time, View
from service.core.facade import FacadeStatus, ProgramStatus

_SUBSCRIPTIONS: Final = 10
"""Subscriptions of a program that are shown by themselves; those in trouble come first."""
_NAMED: Final = 3
"""Programs that one problem names; of more it says how many there are."""


class FacadeLimitsView(View):
    """How many there may be of each."""

    sessions: int
    endpoints: int
    subscriptions: int


class FacadeSubscriptionView(View):
    """A subscription that a program has at the façade."""

    id: int
    contacts: int
    pending: int = Field(description="contacts that have changed and that the program has not fetched")
    endpoint: str | None = Field(description="scheme, host and port; null where the endpoint has ended")
    expires_at: Time
    notified_at: Time | None = Field(description="none follows before the program has fetched")
    fetched_at: Time | None
    notifications: int
    failed: int = Field(description="notifications")
    failing_since: Time | None = Field(description="null where the last notification was answered")
    last_error: str | None
    silent: bool = Field(description="notified long ago and not fetched since: the program hears of nothing any more")


class FacadeProgramView(View):
    """A program: who is logged in by the name of one user of the façade, in the name of one end user."""

    user: str
    end_user: str | None = Field(description="null: it has logged in as an application user alone")
    address: str | None = Field(description="of its last request")
    agent: str | None = Field(description="what it calls itself, User-Agent")
    since: Time
    last_request_at: Time
    last_fetch_at: Time | None
    endpoints: int
    contacts: int = Field(description="in all of its subscriptions")
    notifications: int = Field(description="made for it since it has logged in")
    failed: int = Field(description="of those")
    silent: bool
    subscriptions: list[FacadeSubscriptionView] = Field(description="at most 10, those in trouble first")
    subscriptions_in_all: int

    @classmethod
    def of(cls, program: ProgramStatus) -> FacadeProgramView:
        some = sorted(program.subscriptions, key=lambda each: (not each.silent, each.failing_since is None))
        return cls(
            user=program.user,
            end_user=program.end_user,
            address=program.address,
            agent=program.agent,
            since=program.since,
            last_request_at=program.last_request_at,
            last_fetch_at=program.last_fetch_at,
            endpoints=program.endpoints,
            contacts=sum(each.contacts for each in program.subscriptions),
            notifications=program.notifications,
            failed=program.failed,
            silent=program.silent,
            subscriptions=[FacadeSubscriptionView.model_validate(each) for each in some[:_SUBSCRIPTIONS]],
            subscriptions_in_all=len(program.subscriptions),
        )


class FacadeView(View):
    """The façade: the Presence Web Service for programs that were written for the presence server."""

    address: str = Field(description="as programs reach it")
    sessions: int
    endpoints: int
    subscriptions: int
    silent: int = Field(description="subscriptions that were notified long ago and have not been fetched since")
    withheld: int = Field(description="contacts that are not live just now, and of which some program waits to hear")
    limits: FacadeLimitsView
    requests: dict[str, int] = Field(description="by operation, since the start, as the next three")
    faults: dict[int, int] = Field(description="by code")
    notifications: dict[str, int] = Field(description="sent, failed, and refused: nowhere they may be sent")
    read_through: int = Field(description="polls for which the presence server had to be asked")
    programs: list[FacadeProgramView] = Field(description="at most 200, those in trouble first")
    programs_in_all: int

    @classmethod
    def of(cls, status: FacadeStatus) -> FacadeView:
        return cls(
            address=status.address,
            sessions=status.sessions,
            endpoints=status.endpoints,
            subscriptions=status.subscriptions,
            silent=status.silent,
            withheld=status.withheld,
            limits=FacadeLimitsView.model_validate(status.limits),
            requests=dict(status.requests),
            faults=dict(status.faults),
            notifications=dict(status.notifications),
            read_through=status.read_through,
            programs=[FacadeProgramView.of(program) for program in status.programs],
            programs_in_all=status.programs_in_all,
        )


def problems_of(status: FacadeStatus) -> Iterator[tuple[float, str]]:
    """What is wrong with its programs, and since when."""
    silent: dict[str, float] = {}
    failing: dict[str, float] = {}
    reasons: dict[str, str | None] = {}
    for program in status.programs:
        name = _name(program)
        for each in program.subscriptions:
            if each.silent and each.notified_at is not None:
                silent[name] = min(each.notified_at, silent.get(name, each.notified_at))
            if each.failing_since is not None:
                failing[name] = min(each.failing_since, failing.get(name, each.failing_since))
                reasons[name] = each.last_error
    if silent:
        have = "has" if len(silent) == 1 else "have"
        what = f"façade: {_listed(list(silent))} {have} gone silent: notified, and no fetch since"
        cure = "no notification follows before there is one; does the program run, and listen at its endpoint?"
        yield min(silent.values()), f"{what}; {cure}"
    if failing:
        named = [f"{name} ({reasons[name]})" if reasons[name] else name for name in failing]
        what = f"façade: notifications of {_listed(named)} fail"
        cure = "does the program listen at its endpoint, and may this machine connect to it?"
        yield min(failing.values()), f"{what}; {cure}"


def _name(program: ProgramStatus) -> str:
    whose = program.user if program.end_user is None else f"{program.user} as {program.end_user}"
    return whose if program.address is None else f"{whose} at {program.address}"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    if more > 0:
        return f"{', '.join(names[:_NAMED])} and {more} more"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
