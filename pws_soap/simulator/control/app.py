"""The control interface: what a tester does to a running simulator, as JSON over HTTP on a port of its own.

It has no authentication and is meant for loopback. `GET /control` lists everything; so does `docs/simulator.md`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pws_soap.simulator.cluster.simulator import Simulator
from pws_soap.simulator.control import views
from pws_soap.simulator.control.values import Json, integer, json_object, number, query_number, whole_body
from pws_soap.simulator.scripts import scenario
from pws_soap.simulator.scripts.actions import KINDS, inject
from pws_soap.simulator.scripts.contact_values import fields_from, plain, valid_contact
from pws_soap.simulator.scripts.office_day import DAY_ENDS, DAY_STARTS, HOUR, MAX_SPEED, MIN_SPEED, OfficeDay

ROUTES: Final = (
    ("GET", "/control", "index", "this list, and all faults"),
    ("GET", "/control/options", "options", "what kind of server this is"),
    ("GET", "/control/nodes", "nodes", "nodes: state, load, what they carry"),
    ("POST", "/control/nodes/{node}/{state}", "node", "down, hang, up or restart; {\"for\": seconds} brings it back"),
    ("GET", "/control/contacts", "contacts", "contacts and their presence; ?offset= and ?limit="),
    ("POST", "/control/contacts", "add", "{\"count\": 500} invented people, or {\"contacts\": [{\"contact\": ...}]}"),
    ("GET", "/control/contacts/{contact}", "contact", "one contact"),
    ("PUT", "/control/contacts/{contact}", "change", "change some of state, activities, idle, note, display_name, "
     "devices, federated"),
    ("DELETE", "/control/contacts/{contact}", "remove", "take a contact out of the world"),
    ("GET", "/control/sessions", "sessions", "sessions, their keys shortened"),
    ("POST", "/control/sessions/kill", "kill", "end sessions: of {\"user\": ...}, at {\"node\": ...}, or all"),
    ("GET", "/control/endpoints", "endpoints", "endpoints, their urls without the path"),
    ("GET", "/control/subscriptions", "subscriptions", "subscriptions: latch, pending contacts, expiry"),
    ("POST", "/control/forget", "forget", "{\"what\": \"endpoints\", \"subscriptions\" or \"everything\"}"),
    ("GET", "/control/counters", "counters", "requests, replies, faults by code, notifications"),
    ("DELETE", "/control/counters", "reset", "count from zero"),
    ("GET", "/control/faults", "faults", "the faults that are switched on"),
    ("POST", "/control/faults", "inject", "inject a fault: {\"fault\": \"lose-reply\", \"count\": 1}"),
    ("DELETE", "/control/faults", "clear", "switch all faults off"),
    ("DELETE", "/control/faults/{number}", "switch_off", "switch one fault off"),
    ("POST", "/control/scenario", "play", "play a scenario, its TOML as the body"),
    ("GET", "/control/scenario", "playing", "whether a scenario is being played"),
    ("DELETE", "/control/scenario", "stop_playing", "stop it"),
    ("GET", "/control/clock", "clock", "the simulator's time"),
    ("POST", "/control/clock", "move", "{\"move\": seconds}"),
    ("GET", "/control/office", "office", "whether an office day is played, and its time"),
    ("POST", "/control/office", "open_office", "play: {\"speed\": 60, \"seed\": 1, \"start\": 9, \"repeat\": true}"),
    ("DELETE", "/control/office", "close_office", "stop it"),
)  # fmt: skip
"""Method, path, name and what it does."""


class Control:
    """The answers, one method for each name in `ROUTES`. A ValueError becomes 422, see `control_app`."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._office: OfficeDay | None = None
        self._playing: asyncio.Task[int] | None = None

    async def index(self, request: Request) -> Json:
        """All routes and faults."""
        routes = [{"method": method, "path": path, "does": does} for method, path, _, does in ROUTES]
        return {"routes": routes, "faults": KINDS}

    async def options(self, request: Request) -> Json:
        """The options."""
        return self._simulator.options.shown()

    async def nodes(self, request: Request) -> Json:
        """The nodes."""
        return {"nodes": views.nodes(self._simulator)}

    async def node(self, request: Request) -> Json:
        """Take a node down, let it hang, bring it back or restart it."""
        name, state = request.path_params["node"], request.path_params["state"]
        if name not in self._simulator.places:
            raise HTTPException(404, f"no node {name}")
        fault = {"down": "node-down", "hang": "node-hang", "up": "node-up", "restart": "restart"}.get(state)
        if fault is None:
            raise HTTPException(404, f"{state}: expected down, hang, up or restart")
        inject(self._simulator, await json_object(request) | {"fault": fault, "node": name})
        return {"nodes": views.nodes(self._simulator)}

    async def contacts(self, request: Request) -> Json:
        """Contacts, a page of them."""
        offset, limit = query_number(request, "offset", 0), query_number(request, "limit", 1000)
        contacts = list(self._simulator.world)
        return {"total": len(contacts), "contacts": [plain(each) for each in contacts[offset : offset + limit]]}

    async def add(self, request: Request) -> Json:
        """Add invented people or given contacts; contacts that exist are changed."""
        values = await json_object(request, "count", "seed", "contacts")
        if "contacts" in values:
            given = values["contacts"]
            if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
                raise ValueError("contacts: expected a list of objects")
            changes = {valid_contact(each.get("contact")): fields_from(_without_contact(each)) for each in given}
            return {"changed": self._simulator.change_many(changes), "contacts": list(changes)}
        count = integer(values, "count", None, 1, 100_000)
        return {"contacts": self._simulator.populate(count, seed=integer(values, "seed", 1, 0, 2**31))}

    async def contact(self, request: Request) -> Json:
        """One contact."""
        return plain(self._simulator.world.get(self._known(request)))

    async def change(self, request: Request) -> Json:
        """Change a contact; a new one is made."""
        contact = valid_contact(request.path_params["contact"])
        self._simulator.change_many({contact: fields_from(await json_object(request))})
        return plain(self._simulator.world.get(contact))

    async def remove(self, request: Request) -> Json:
        """Take a contact out of the world."""
        self._simulator.remove(self._known(request))
        return {"removed": request.path_params["contact"]}

    async def sessions(self, request: Request) -> Json:
        """The sessions."""
        return {"sessions": views.sessions(self._simulator)}

    async def kill(self, request: Request) -> Json:
        """End sessions."""
        return {"killed": inject(self._simulator, await json_object(request) | {"fault": "kill-sessions"}).affected}

    async def endpoints(self, request: Request) -> Json:
        """The endpoints."""
        return {"endpoints": views.endpoints(self._simulator)}

    async def subscriptions(self, request: Request) -> Json:
        """The subscriptions."""
        return {"subscriptions": views.subscriptions(self._simulator)}

    async def forget(self, request: Request) -> Json:
        """Lose endpoints, subscriptions, or everything."""
        values = await json_object(request, "what", "node")
        return {"forgotten": self._simulator.forget(str(values.get("what")), node=values.get("node"))}

    async def counters(self, request: Request) -> Json:
        """The counters."""
        return views.counters(self._simulator)

    async def reset(self, request: Request) -> Json:
        """Count from zero."""
        views.reset_counters(self._simulator)
        return views.counters(self._simulator)

    async def faults(self, request: Request) -> Json:
        """The faults that are switched on."""
        return {"faults": views.faults(self._simulator)}

    async def inject(self, request: Request) -> Json:
        """Inject a fault."""
        injected = inject(self._simulator, await json_object(request))
        return {"id": injected.number} if injected.number is not None else {"affected": injected.affected}

    async def clear(self, request: Request) -> Json:
        """Switch all faults off."""
        return {"cleared": self._simulator.faults.clear()}

    async def switch_off(self, request: Request) -> Json:
        """Switch one fault off."""
        number = request.path_params["number"]
        if not number.isdigit() or not self._simulator.faults.remove(int(number)):
            raise HTTPException(404, f"no fault {number} is switched on")
        return {"cleared": 1}

    async def play(self, request: Request) -> Json:
        """Play a scenario in the background; the one before is stopped."""
        try:
            steps = scenario.parse((await whole_body(request)).decode())
        except UnicodeDecodeError:
            raise HTTPException(400, "the body is not UTF-8") from None
        for step in steps:
            node = step.values.get("node")
            if node is not None and node not in self._simulator.places:
                known = ", ".join(self._simulator.places)
                raise ValueError(f"the step at {step.at:g} s: node: expected one of {known}, got {node!r}")
        await self.stop_playing(request)
        self._playing = asyncio.get_running_loop().create_task(scenario.play(self._simulator, steps))
        return {"steps": len(steps), "seconds": steps[-1].at if steps else 0.0}

    async def playing(self, request: Request) -> Json:
        """Whether a scenario is being played."""
        return {"playing": self._playing is not None and not self._playing.done()}

    async def stop_playing(self, request: Request) -> Json:
        """Stop the scenario."""
        await _end(self._playing)
        return {"playing": False}

    async def clock(self, request: Request) -> Json:
        """The time."""
        return {"now": self._simulator.now(), "moved": self._simulator.moved}

    async def move(self, request: Request) -> Json:
        """Move the clock."""
        values = await json_object(request, "move")
        seconds = number(values, "move", None)
        try:
            self._simulator.move_clock(seconds)
        except ValueError as error:
            raise ValueError(str(error).replace("seconds:", "move:", 1)) from None
        return await self.clock(request)

    async def office(self, request: Request) -> Json:
        """The office day."""
        if self._office is None:
            return {"running": False}
        day = self._office
        return {"running": day.running, "time": day.time, "speed": day.speed, "seed": day.seed, "changes": day.changes}

    async def open_office(self, request: Request) -> Json:
        """Play an office day with everybody; the one before is stopped."""
        values = await json_object(request, "speed", "seed", "start", "repeat")
        repeat = values.get("repeat", True)
        if not isinstance(repeat, bool):
            raise ValueError(f"repeat: expected true or false, got {repeat!r}")  # noqa: TRY004 - becomes 422
        start = number(values, "start", 9.0)
        if not DAY_STARTS <= start * HOUR < DAY_ENDS:
            first, last = DAY_STARTS / HOUR, DAY_ENDS / HOUR
            raise ValueError(f"start: expected an hour from {first:g} to below {last:g}, got {start:g}")
        day = OfficeDay(
            self._simulator,
            speed=number(values, "speed", 60.0, MIN_SPEED, MAX_SPEED),
            seed=integer(values, "seed", 1, 0, 2**31),
            start=start * HOUR,
            repeat=repeat,
        )
        await self.close_office(request)
        self._office = day
        day.begin()
        return await self.office(request)

    async def close_office(self, request: Request) -> Json:
        """Stop the office day."""
        if self._office is not None:
            await self._office.stop()
        return {"running": False}

    async def aclose(self) -> None:
        """Stop the scenario and the office day."""
        await _end(self._playing)
        if self._office is not None:
            await self._office.stop()

    def _known(self, request: Request) -> str:
        contact: str = request.path_params["contact"]
        if contact not in self._simulator.world:
            raise HTTPException(404, f"no contact {contact}")
        return contact


def control_app(control: Control) -> Starlette:
    """The control interface as an ASGI program; `Control.aclose` ends what it has started."""
    return Starlette(
        routes=[
            # A user's name may have a slash in it, plain or as %2F.
            Route(
                path.replace("{contact}", "{contact:path}"),
                _answered(getattr(control, name)),
                methods=[method],
                name=name,
            )
            for method, path, name, _ in ROUTES
        ],
        exception_handlers={HTTPException: _on_http_error},
    )


def _answered(method: Callable[[Request], Awaitable[Json]]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            return JSONResponse(await method(request))
        except ValueError as error:
            return _error(422, str(error))

    return answer


async def _on_http_error(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        return _error(error.status_code, error.detail)
    raise error


def _error(status: int, message: str) -> Response:
    return JSONResponse({"error": {"status": status, "message": message}}, status)


def _without_contact(values: Json) -> Json:
    return {key: value for key, value in values.items() if key != "contact"}


async def _end(task: asyncio.Task[int] | None) -> None:
    if task is not None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
