"""`pws watch`: a running service's contacts, live: a table in a terminal, lines elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pws_soap.models import PresenceState
from service.cli.shared import completion, output
from service.cli.shared.config_option import config_option
from service.cli.shared.duration import Duration
from service.cli.shared.service_url import DEFAULT_URL
from service.cli.shared.signals import stop_at_signals, until
from service.cli.watch.address import address_of
from service.core.presence.freshness import Level

if TYPE_CHECKING:
    from service.cli.shared.api import Query, ServiceAddress


@click.command("watch")
@click.option(
    "--url",
    envvar="PWS_URL",
    show_envvar=True,
    help=f"The service.  [default: [http] of the configuration, else {DEFAULT_URL}]",
)
@click.option(
    "--key-file",
    type=click.Path(path_type=Path),
    envvar="PWS_KEY_FILE",
    show_envvar=True,
    help="A file with the API key. Without one PWS_KEY holds it; it is never an argument.",
)
@click.option(
    "--ca-file", type=click.Path(path_type=Path), help="A private authority, PEM, where the address is https."
)
@click.option(
    "--group",
    "groups",
    metavar="GROUP",
    multiple=True,
    shell_complete=completion.groups,
    help="Contacts of this group; its rule says who is free.",
)
@click.option(
    "--state",
    "states",
    metavar="STATE",
    multiple=True,
    shell_complete=completion.one_of(PresenceState),
    help="Contacts in this state.",
)
@click.option("--available", is_flag=True, help="Contacts that are free.")
@click.option(
    "--freshness",
    "levels",
    metavar="FRESHNESS",
    multiple=True,
    shell_complete=completion.one_of(Level),
    help="live, stale or unknown.",
)
@click.option("--search", "text", metavar="TEXT", help="A part of the contact or the display name.")
@click.option("--json", "as_json", is_flag=True, help="Print each change as a line of JSON.")
@click.option("--plain", is_flag=True, help="Print lines, in a terminal too.")
@click.option("--for", "seconds", type=Duration(), metavar="TIME", help="End after 30s, 2m, 1h or plain seconds.")
@click.option("--wait", is_flag=True, help="Wait for a service that cannot be reached yet.")
@config_option
def command(
    url: str | None,
    key_file: Path | None,
    ca_file: Path | None,
    groups: tuple[str, ...],
    states: tuple[str, ...],
    available: bool,
    levels: tuple[str, ...],
    text: str | None,
    as_json: bool,
    plain: bool,
    seconds: float | None,
    wait: bool,
    config_path: Path,
) -> None:
    """Watch the contacts of a running service, live.

    Follows its stream of events and comes back by itself when the connection breaks. Until then nothing is sure, and
    it says so. In a terminal it shows a table (`?` lists its keys), elsewhere a line for each change. --group, --state
    and --freshness may be given several times: any of the values will do.

    --json prints first a line for each contact, {"event": "snapshot", "id": 59, "contact": "ann@example.com", ...}, and
    then a line for each event, by its name: "change" with the whole contact; "removed", no longer watched, or with
    "watched": true no longer among those asked for; "subscription.lost", "claim.made" and the others of the API's
    stream. "disconnected" and "connected" are its own: in between, nothing told before is sure. After changes that were
    missed the lines of a snapshot come again. So the last line of each contact is what is known of it.

    Ends with exit code 0 by Ctrl-C, SIGTERM or --for; with 1 where the service cannot be reached at the start or does
    not take the key.

    \b
    Example:
      pws watch
      pws watch --group support --available
      pws watch --json --group support | jq -r 'select(.contact) | "\\(.contact) \\(.available)"'
      PWS_KEY=$(cat key) pws watch --url https://presence.example.com --ca-file ca.pem
    """
    query = [
        *(("group", each) for each in groups),
        *(("state", _word("--state", each.upper(), list(PresenceState))) for each in states),
        *(("freshness", _word("--freshness", each.lower(), list(Level))) for each in levels),
        *([("available", "true")] if available else []),
        *([("q", text)] if text else []),
    ]
    address = address_of(url, key_file, ca_file, config_path)
    interactive = not (as_json or plain) and output.is_interactive()
    asyncio.run(_watch(address, query, seconds, interactive=interactive, as_json=as_json, patient=wait))


def _word(option: str, word: str, allowed: Sequence[str]) -> str:
    """The word, where it is allowed. Raises Mistake."""
    if word not in allowed:
        raise output.Mistake(f"{option}: expected {', '.join(allowed[:-1])} or {allowed[-1]}, got {word!r}")
    return word


async def _watch(
    address: ServiceAddress, query: Query, seconds: float | None, *, interactive: bool, as_json: bool, patient: bool
) -> None:
    from service.cli.shared.api import Api, NoAnswer, ServiceRefused
    from service.cli.terminal import view
    from service.cli.terminal.bars import Caption
    from service.cli.terminal.picture import Picture
    from service.core.clock import SystemClock

    picture = Picture(SystemClock())
    try:
        api = Api(address)
        try:
            with stop_at_signals() as stop:
                if seconds is not None:
                    asyncio.get_running_loop().call_later(seconds, stop.set)
                if interactive:
                    shown = view.show_screen(api, query, picture, Caption(), patient=patient)
                else:
                    shown = view.show_lines(api, query, picture, as_json=as_json, patient=patient)
                await until(stop, shown)
        finally:
            await api.close()
    except ServiceRefused as error:
        raise (output.Mistake if error.is_mistake else output.CommandFailed)(error.reason) from None
    except NoAnswer as error:
        raise output.CommandFailed(
            f"{address.url} cannot be reached: {error.reason}. Is the service running there? --wait waits for it"
        ) from None
