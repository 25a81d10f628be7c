"""`pws poll`: getPolledPresence, for any number of contacts."""

from __future__ import annotations

from pathlib import Path

import click

from pws_soap.models import Presence, PresenceType, is_contact, same_contact
from service.cli.shared import completion, output
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
@click.argument("contacts", metavar="CONTACT...", nargs=-1, required=True, shell_complete=completion.contacts)
@click.option(
    "--type",
    "presence_type",
    callback=check_presence_type,
    metavar="TYPE",
    shell_complete=completion.one_of(PresenceType),
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
    _refuse_strangers(asked, found)
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
    told = {same_contact(presence.contact) for presence in found}
    if missing := [contact for contact in asked if same_contact(contact) not in told]:
        raise output.CommandFailed(f"the server said nothing about {_shortened(missing)}")


def _refuse_strangers(asked: tuple[str, ...], found: list[Presence]) -> None:
    """Refuse a reply that is about somebody who was not asked for: what it says of the others may be theirs too."""
    wanted = set(map(same_contact, asked))
    strangers = [each for each in found if not each.contact or same_contact(each.contact) not in wanted]
    if strangers:
        names = [each.contact or f"nobody ({each.problem})" for each in strangers]
        raise output.CommandFailed(f"the server answered about {_shortened(names)}, who was not asked for")


def _shortened(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


async def _poll(config: Config, end_user: str, contacts: tuple[str, ...], *, rich: bool) -> list[Presence]:
    async with NodeSessions(config) as nodes:
        seat = await nodes.seat(end_user)
        with output.waiting(f"Polling {len(contacts)} contacts"):
            return await seat.node.client.get_polled_presence(seat.session, contacts, rich=rich)
