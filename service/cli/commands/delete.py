"""`pws delete`: what the sample script pws-delete does, without guessing that the ids are 1 to 4.

Logging out ends all that belongs to the session (protocol section 2), whatever its ids are. It is done on every node,
since a failover may have left something on the second one.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import click

from pws_soap.errors import (
    AlreadyLoggedIn,
    EndpointLost,
    Fault,
    LoginRefused,
    NotLoggedIn,
    Redirected,
    SubscriptionLost,
    Throttled,
    TransportError,
    UntrustedServer,
)
from service.cli.shared import output
from service.cli.shared.hints import message
from service.cli.shared.options import config_option, end_user_option, execute, json_option, settings, watches_of
from service.cli.shared.sessions import EndUserSession, NodeSession, NodeSessions
from service.config import Config, Watch

MAX_SWEEP: Final = 1000
"""Ids of one sweep: the server hands out small numbers, and each costs a request per user."""


def _ids(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[int, ...]:
    """The ids of `1-16`, `3` or `1,4-6`."""
    ids: set[int] = set()
    for part in value.split(",") if value is not None else ():
        match = re.fullmatch(r"\s*(\d{1,9})(?:\s*-\s*(\d{1,9}))?\s*", part, re.ASCII)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if 1 <= first <= last < first + MAX_SWEEP:
            ids.update(range(first, last + 1))
        else:
            ids.clear()
        if not 1 <= len(ids) <= MAX_SWEEP:
            raise click.BadParameter(f"expected ids such as 1-16 or 1,4-6, at most {MAX_SWEEP}, got {value!r}")
    return tuple(sorted(ids))


@dataclass(frozen=True, slots=True)
class Swept:
    """What was found under one id."""

    node: str
    kind: str
    id: int
    user: str
    found: str


@dataclass(slots=True)
class Report:
    """What was removed and logged out, and what failed."""

    swept: list[Swept] = field(default_factory=list)
    logged_out: list[tuple[str, str]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


@click.command("delete")
@click.option("--sweep", callback=_ids, metavar="IDS", help="Try these ids first, such as 1-16.")
@end_user_option
@config_option
@json_option
def command(config_path: Path, end_user: str | None, sweep: tuple[int, ...], as_json: bool) -> None:
    """Remove what was made at the server, and log out.

    Logs out the end users of the [[watch]] blocks and the application user on every node, which ends their
    subscriptions and endpoints. With --sweep the ids are tried one by one before that, and each is reported:
    removed, not there, or another session's, which is left alone. With --end-user only that one is cleaned, and the
    application user stays logged in while there are other [[watch]] blocks.

    A service that runs with the same users loses its sessions too, and makes them anew.

    \b
    Example:
      pws delete
      pws delete --sweep 1-16 --json
    """
    config = settings(config_path)
    watches = watches_of(config, end_user)
    report = execute(_delete(config, watches, sweep, everything=len(watches) == len(config.watch)))
    if as_json:
        output.document(
            {
                "swept": [
                    {"node": row.node, "kind": row.kind, "id": row.id, "user": row.user, "found": row.found}
                    for row in report.swept
                ],
                "logged_out": [{"node": node, "user": user} for node, user in report.logged_out],
                "failures": report.failures,
            }
        )
    else:
        if report.swept:
            rows = [[row.kind, str(row.id), row.node, row.user, row.found] for row in report.swept]
            output.table(["Tried", "Id", "Node", "User", "Found"], rows)
        for node, user in report.logged_out:
            click.echo(output.printable(f"{node}: {user} is logged out, with all endpoints and subscriptions"))
    if report.failures:
        raise output.CommandFailed("not everything could be cleaned: " + "; ".join(report.failures))


async def _delete(config: Config, watches: tuple[Watch, ...], sweep: tuple[int, ...], *, everything: bool) -> Report:
    report = Report()
    waiting = deque(config.server.urls())
    visited: set[str] = set()
    async with NodeSessions(config) as nodes:
        while waiting:
            url = waiting.popleft()
            if url in visited:
                continue
            visited.add(url)
            try:
                node = await nodes.at(url)
                homes = await _clean(nodes, node, watches, sweep, report, everything=everything)
            except UntrustedServer:
                raise
            except (TransportError, Throttled, NotLoggedIn) as error:
                report.failures.append(message(error))  # reported; the other nodes are still cleaned
                continue
            for home in homes:
                try:
                    waiting.append(config.server.url_of(home))
                except ValueError:
                    report.failures.append(f"{home!r} is not a host")
    return report


async def _clean(
    nodes: NodeSessions,
    node: NodeSession,
    watches: tuple[Watch, ...],
    sweep: tuple[int, ...],
    report: Report,
    *,
    everything: bool,
) -> list[str]:
    """Clean one node. Returns the nodes where end users of ours are homed instead."""
    homes: list[str] = []
    seats: list[EndUserSession] = []
    for watch in watches:
        try:
            seats.append(await nodes.seat_at(node, watch.end_user))
        except Redirected as redirect:
            homes += [name for name in (redirect.primary or redirect.backup,) if name]
        except (AlreadyLoggedIn, LoginRefused) as error:
            report.failures.append(f"{watch.end_user}: {message(error)}")
    client = node.client
    with output.waiting(f"Cleaning {node.url}"):
        for seat in seats:
            for number in sweep:
                found = await _try(partial(client.unsubscribe, seat.session, number))
                report.swept.append(Swept(node.url, "subscription", number, seat.session.user, found))
        for number in sweep if everything else ():
            found = await _try(partial(client.unregister_endpoint, node.application, number))
            report.swept.append(Swept(node.url, "endpoint", number, node.application.user, found))
        for session in (*(seat.session for seat in seats), *([node.application] if everything else [])):
            with suppress(NotLoggedIn):  # it ended meanwhile: nothing is left to do
                await client.logout(session)
            report.logged_out.append((node.url, session.user))
    return homes


async def _try(remove: Callable[[], Awaitable[None]]) -> str:
    """Try to remove what has one id, and say what was found."""
    try:
        await remove()
    except (SubscriptionLost, EndpointLost) as lost:
        return "another session's, left alone" if lost.code in {136, 137} else "not there"
    except (NotLoggedIn, Throttled):
        raise
    except Fault as fault:
        return message(fault)
    return "removed"
