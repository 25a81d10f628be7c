"""What may be done to the simulator behind a demonstration: change somebody's presence, break something, mend it.

Only `pws demo` hands a `Playground` over; without one there are no such routes. Bodies must be JSON, which no form and
no page of another origin can send here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol

from fastapi import APIRouter, Body, Depends, Path
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from pws_soap.models import PresenceState
from service.access.principal import Scope
from service.api.context import Context
from service.api.etags import plain
from service.api.parameters.checks import no_query, path_contact
from service.api.paths import CONTACT
from service.api.problems import ContactNotWatched, InvalidParameters, WrongParameter


@dataclass(frozen=True, slots=True)
class Trick:
    """A fault that can be injected: its name, a few words for a button, and what one will see."""

    name: str
    title: str
    expect: str


class Playground(Protocol):
    """The simulator, as far as visitors may play with it."""

    @property
    def tricks(self) -> Sequence[Trick]:
        """The faults that can be injected."""
        ...

    async def change(self, contact: str, state: PresenceState, *, on_the_phone: bool, note: str | None) -> bool:
        """Make somebody's presence this one. False: there is nobody of this name."""
        ...

    async def play(self, name: str) -> None:
        """Inject a fault of `tricks`."""
        ...

    async def mend(self) -> None:
        """Undo all faults."""
        ...


class TrickView(BaseModel):
    """A fault that can be injected."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    title: str
    expect: str


class PlaygroundView(BaseModel):
    """What can be done."""

    states: list[PresenceState]
    tricks: list[TrickView]


class ChangeBody(BaseModel):
    """How somebody is to be."""

    model_config = ConfigDict(extra="forbid")

    state: PresenceState
    on_the_phone: bool = False
    note: Annotated[str, Field(max_length=200)] | None = None


class TrickBody(BaseModel):
    """What is to happen."""

    model_config = ConfigDict(extra="forbid")

    fault: str = Field(min_length=1, max_length=100)


def router(context: Context, playground: Playground) -> APIRouter:
    """`/demo` and what is below it."""
    routes = APIRouter(prefix="/demo", include_in_schema=False, dependencies=[Depends(no_query)])
    may_change = [Depends(context.authenticator.require(Scope.ADMIN))]

    @routes.get("", dependencies=[Depends(context.authenticator.require(Scope.READ))])
    async def index() -> Response:
        tricks = [TrickView.model_validate(each) for each in playground.tricks]
        return plain(PlaygroundView(states=list(PresenceState), tricks=tricks).model_dump_json().encode())

    @routes.post(f"/contacts/{CONTACT}", status_code=204, dependencies=may_change)
    async def change(contact: Annotated[str, Path()], body: Annotated[ChangeBody, Body()]) -> Response:
        uri = path_contact(contact)
        note = (body.note or "").strip() or None
        if not await playground.change(uri, body.state, on_the_phone=body.on_the_phone, note=note):
            raise ContactNotWatched([uri])
        return Response(status_code=204)

    @routes.post("/faults", status_code=204, dependencies=may_change)
    async def fault(body: Annotated[TrickBody, Body()]) -> Response:
        names = [each.name for each in playground.tricks]
        if body.fault not in names:
            raise InvalidParameters(WrongParameter("body", "fault", f"one of {', '.join(names)}"))
        await playground.play(body.fault)
        return Response(status_code=204)

    @routes.delete("/faults", status_code=204, dependencies=may_change)
    async def mend() -> Response:
        await playground.mend()
        return Response(status_code=204)

    return routes
