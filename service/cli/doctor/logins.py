"""Logs in each end user at its home node. Logs nobody out: the session may be that of a running service."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

from pws_soap.errors import AlreadyLoggedIn, LoginRefused, PwsError, Redirected
from pws_soap.models import Session
from service.cli.doctor.node import Reached
from service.cli.shared.findings import Blame, Notebook, Tell
from service.cli.shared.sessions import client_of
from service.config import Config, Watch

NO_SUCH_END_USER: Final = (
    "set end_user of [[watch]] to the user's id at the server (often without a domain); it must be an end user, not an "
    "application user, and enabled for IM and Presence"
)


@dataclass(frozen=True, slots=True)
class CheckedEndUser:
    """An end user who is logged in at a node."""

    watch: Watch
    at: Reached
    session: Session


async def look(
    config: Config, reached: Mapping[str, Reached], tell: Tell, stack: AsyncExitStack
) -> list[CheckedEndUser]:
    """Log in every end user; return those that were accepted."""
    seats = []
    first = next(iter(reached.values()))
    for watch in config.watch:
        seat = await _seat(config, watch, first, reached, Notebook(f"end user {watch.end_user}", tell), stack)
        if seat is not None:
            seats.append(seat)
    return seats


async def _seat(
    config: Config,
    watch: Watch,
    at: Reached,
    reached: Mapping[str, Reached],
    note: Notebook,
    stack: AsyncExitStack,
) -> CheckedEndUser | None:
    try:
        try:
            session = await at.client.login_end_user(at.application, watch.end_user)
        except Redirected as redirect:
            home = await _home(config, redirect, reached, note, stack)
            if home is None:
                return None
            at = home
            session = await at.client.login_end_user(at.application, watch.end_user)
    except AlreadyLoggedIn as error:
        if config.application.take_over:
            note.warning(
                "another application holds this user (code 160), and pws serve will end its session",
                "application.take_over = false leaves it alone",
            )
        else:
            note.error(error)
        return None
    except LoginRefused as error:
        what = f"login refused with code {error.code} ({error.meaning})"
        note.problem(what, NO_SUCH_END_USER)
        return None
    except PwsError as error:
        note.error(error)
        return None
    note.ok(f"can log in at {at.url}")
    if not watch.contacts:
        note.warning("has no contacts", "set watch.contacts or watch.contacts_file")
    return CheckedEndUser(watch, at, session)


async def _home(
    config: Config, redirect: Redirected, reached: Mapping[str, Reached], note: Notebook, stack: AsyncExitStack
) -> Reached | None:
    """The node that a redirect names; None where it cannot be used."""
    name = redirect.primary or redirect.backup
    if name is None:
        note.error(redirect)
        return None
    try:
        url = config.server.url_of(name)
    except ValueError:
        note.problem(f"is homed on {name!r}, which is not a host", "ask the server's administrator")
        return None
    if url in reached:
        return reached[url]
    if url in config.server.urls():
        note.problem(f"is homed on {name}, whose check failed (see above)")
        return None
    if not config.server.may_go_to(url):
        what = f"is homed on {name}, which server.nodes and server.redirect_to do not name; nothing was sent there"
        note.problem(what, "add it to one of them if it is a node of yours", fault=Blame.CONFIGURATION)
        return None
    note.warning(f"is homed on {name}, which is not in server.nodes", f"put {name} into server.nodes")
    application = config.application
    client = await stack.enter_async_context(client_of(config, url, within_budget=True))
    return Reached(url, client, await client.login(application.username, application.password))
