"""`pws set`: setPresence, basic."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from pws_soap.models import MAX_EXPIRES, MIN_EXPIRES, SETTABLE_STATES, PresenceState
from service.cli import output
from service.cli.common import config_option, execute, json_option, one_of, settings
from service.cli.nodes import Nodes
from service.config import Config

_STATES: Final = [state for state in PresenceState if state in SETTABLE_STATES]


@click.command("set")
@click.argument("end_user")
@click.argument("state", callback=one_of(_STATES))
@click.option("--override", is_flag=True, help="Over what the person's devices say: DND needs it, AVAILABLE cannot.")
@click.option(
    "--expires",
    type=click.IntRange(MIN_EXPIRES, MAX_EXPIRES),
    default=MIN_EXPIRES,
    show_default=True,
    help="Seconds that it holds.",
)
@config_option
@json_option
def command(end_user: str, state: str, override: bool, expires: int, config_path: Path, as_json: bool) -> None:
    """Set the presence of an end user.

    STATE is AVAILABLE, BUSY, DND, AWAY, UNAVAILABLE or VACATION.
    END_USER is a user's name at the server, without domain; it needs no [[watch]] block. Without --override the state
    is one among those of the person's devices, and the server makes one out of them; with it, it stands above them.

    \b
    Example:
      pws set dispatcher BUSY
      pws set dispatcher DND --override --expires 7200
    """
    wanted = PresenceState(state)
    if wanted is PresenceState.DND and not override:
        raise output.Mistake("DND is an override: add --override (code 122)")
    if wanted is PresenceState.AVAILABLE and override:
        raise output.Mistake("AVAILABLE cannot be an override: leave --override out (code 121)")
    config = settings(config_path)
    execute(_set(config, end_user, wanted, override=override, expires=expires))
    if as_json:
        output.document({"end_user": end_user, "state": wanted.value, "override": override, "expires": expires})
    else:
        click.echo(f"{end_user} is {wanted.value} for {expires} s{' (override)' if override else ''}")


async def _set(config: Config, end_user: str, state: PresenceState, *, override: bool, expires: int) -> None:
    async with Nodes(config) as nodes:
        seat = await nodes.seat(end_user)
        with output.waiting(f"Setting the presence of {end_user}"):
            await seat.node.client.set_presence(seat.session, state, override=override, expires=expires)
