"""`pws poll`: getPolledPresence, for any number of contacts."""

from __future__ import annotations

from pathlib import Path

import click

from pws_soap.models import Presence, PresenceType, is_contact
from service.cli.shared import output
from service.cli.shared.options import (
    check_presence_type,
    config_option,
    end_user_option,
    execute,
    json_option,
    settings,
    watch_of,
)
from service.cli.shared.sessions import NodeSessions
from service.config import Config, completed, merged


@click.command("poll")
@click.argument("contacts", metavar="CONTACT...", nargs=-1, required=True)
@click.option(
    "--type",
    "presence_type",
    callback=check_presence_type,
    metavar="TYPE",
    help="BASIC_PRESENCE or RICH_PRESENCE; by default the [[watch]] block's.",
)
@end_user_option
@config_option
@json_option
def command(
    contacts: tuple[str, ...], presence_type: str | None, config_path: Path, end_user: str | None, as_json: bool
) -> None:
    """Read the present state of contacts.

    Needs no subscription and disturbs none. A bare name takes the domain of the [[watch]] block. A contact that the
    server does not know comes back as UNKNOWN; a contact of another system is UNKNOWN in basic presence too, and needs
    rich presence.

    \b
    Example:
      pws poll joe rita@example.com
      pws poll joe --type BASIC_PRESENCE --json
    """
    config = settings(config_path)
    watch = watch_of(config, end_user)
    asked = merged(completed(contact, watch.domain) for contact in contacts)
    for contact in asked:
        if not is_contact(contact):
            more = "" if watch.domain or "@" in contact else "; watch.domain completes bare names"
            raise output.Mistake(f"CONTACT: expected user@domain, got {contact!r}{more}")
    kind = PresenceType(presence_type) if presence_type else watch.presence_type
    found = execute(_poll(config, watch.end_user, asked, rich=kind is PresenceType.RICH))
    if as_json:
        output.document(
            {
                "end_user": watch.end_user,
                "presence_type": kind.value,
                "contacts": [output.as_json(presence) for presence in found],
            }
        )
    else:
        output.presences(found, rich=kind is PresenceType.RICH)
    output.unknown(watch.end_user, found)


async def _poll(config: Config, end_user: str, contacts: tuple[str, ...], *, rich: bool) -> list[Presence]:
    async with NodeSessions(config) as nodes:
        seat = await nodes.seat(end_user)
        with output.waiting(f"Polling {len(contacts)} contacts"):
            return await seat.node.client.get_polled_presence(seat.session, contacts, rich=rich)
