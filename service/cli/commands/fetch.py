"""`pws fetch`: what the sample script get_subscribed_presence does, more readably."""

from __future__ import annotations

from pathlib import Path

import click

from pws_soap.errors import OutcomeUnknown
from pws_soap.models import Presence, PresenceType
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
from service.cli.shared.ranges import Whole
from service.cli.shared.sessions import NodeSessions
from service.config import Config


@click.command("fetch")
@click.argument("subscription", metavar="ID", type=Whole(min=1, max=2**31 - 1))
@click.argument(
    "presence_type",
    metavar="[BASIC_PRESENCE|RICH_PRESENCE]",
    required=False,
    callback=check_presence_type,
    shell_complete=completion.one_of(PresenceType),
)
@end_user_option
@config_option
@json_option
def command(
    subscription: int, presence_type: str | None, config_path: Path, end_user: str | None, as_json: bool
) -> None:
    """Fetch what changed in a subscription.

    ID is the subscription's, as `pws create` or a notification names it. The first fetch brings all contacts, a later
    one those that have changed since; `pws poll` reads the present state of any contact. Rich presence adds
    activities, the phone and the devices; without the word, the [[watch]] block's presence_type is used.

    A fetch takes the changes away from a service that runs with the same users.

    \b
    Example:
      pws fetch 1
      pws fetch 1 BASIC_PRESENCE --json
    """
    config = settings(config_path)
    watch = watch_of(config, end_user)
    kind = PresenceType(presence_type) if presence_type else watch.presence_type
    found = execute(_fetch(config, watch.end_user, subscription, rich=kind is PresenceType.RICH))
    if as_json:
        output.document(
            {
                "subscription": subscription,
                "end_user": watch.end_user,
                "presence_type": kind.value,
                "contacts": [output.as_json(presence) for presence in found],
            }
        )
    elif found:
        output.presences(found, rich=kind is PresenceType.RICH)
    else:
        output.note(f"Nothing has changed in subscription {subscription} since the last fetch.")
    output.unknown(watch.end_user, found)


async def _fetch(config: Config, end_user: str, subscription: int, *, rich: bool) -> list[Presence]:
    async with NodeSessions(config) as nodes:
        seat = await nodes.seat(end_user)
        with output.waiting(f"Fetching subscription {subscription}"):
            try:
                return await seat.node.client.get_subscribed_presence(seat.session, subscription, rich=rich)
            except OutcomeUnknown:
                output.note(
                    "Note: the reply was lost, and changes may be lost with it; `pws poll` reads the present state."
                )
                raise
