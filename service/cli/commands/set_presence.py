"""`pws set`: setPresence, basic, and rich where a state alone does not say it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from pws_soap.errors import ArgumentError
from pws_soap.models import MAX_EXPIRES, MIN_EXPIRES, SETTABLE_STATES, PresenceState
from pws_soap.pidf import writer
from service.cli.shared import completion, output
from service.cli.shared.options import config_option, execute, json_option, one_of, settings
from service.cli.shared.ranges import Whole
from service.cli.shared.sessions import NodeSessions
from service.config import Config, completed

_STATES: Final = [state for state in PresenceState if state in SETTABLE_STATES]


@click.command("set")
@click.argument("end_user", shell_complete=completion.end_users)
@click.argument("state", required=False, callback=one_of(_STATES), shell_complete=completion.one_of(_STATES))
@click.option("--override", is_flag=True, help="Over what the person's devices say: DND needs it, AVAILABLE cannot.")
@click.option("--note", help='Rich: a note beside the state, or alone; "" takes it back.')
@click.option("--language", metavar="TAG", help="Rich: the note's language, such as en.")
@click.option(
    "--activity", "activities", metavar="NAME", multiple=True, help="Rich: beside the state, as on-the-phone."
)
@click.option("--device", metavar="ID", help=f"Rich: the device that says so.  [default: {writer.DEVICE_ID}]")
@click.option("--persistent", is_flag=True, help=f"Rich: an override in the tuple {writer.PERSISTENT_ID}.")
@click.option("--clear", is_flag=True, help="Rich: take back what was set, an override or not.")
@click.option("--domain", help="The end user's presence domain, for rich; by default that of the [[watch]] blocks.")
@click.option(
    "--expires",
    type=Whole(MIN_EXPIRES, MAX_EXPIRES),
    default=MIN_EXPIRES,
    show_default=True,
    help="Seconds that it holds.",
)
@config_option
@json_option
def command(
    end_user: str,
    state: str | None,
    override: bool,
    note: str | None,
    language: str | None,
    activities: tuple[str, ...],
    device: str | None,
    persistent: bool,
    clear: bool,
    domain: str | None,
    expires: int,
    config_path: Path,
    as_json: bool,
) -> None:
    """Set the presence of an end user.

    STATE is AVAILABLE, BUSY, DND, AWAY, UNAVAILABLE or VACATION.
    END_USER is a user's name at the server, without domain; it needs no [[watch]] block. Without --override the state
    is one among those of the person's devices, and the server makes one out of them; with it, it stands above them.

    A state alone is set as basic presence. With one of the options marked "Rich" a PIDF document is sent; with --note
    or --clear the state may be left out.

    --clear takes back what was set, an override first, and what was before holds again. It sends what Cisco's
    published collection sends: an empty element "clear", not as an override; the simulator takes it for basic states
    too, what a real server does with one is not known. What is sure: another state of the same kind replaces one, and
    each ends after --expires, an hour at the least. AVAILABLE without --override does not lift an override.

    \b
    Example:
      pws set dispatcher BUSY
      pws set dispatcher DND --override --expires 7200
      pws set dispatcher BUSY --activity on-the-phone --note "Back at three"
      pws set dispatcher --clear
    """
    wanted = PresenceState(state) if state is not None else None
    override = override or persistent
    if wanted is PresenceState.DND and not override:
        raise output.Mistake("DND is only possible as an override: add --override (code 122)")
    if wanted is PresenceState.AVAILABLE and override:
        raise output.Mistake("AVAILABLE cannot be an override: leave --override out (code 121)")
    if wanted is None and note is None and not clear:
        raise output.Mistake("STATE is missing: expected one of " + ", ".join(_STATES))
    if clear and (wanted is not None or note is not None or activities):
        raise output.Mistake("--clear sets nothing: leave out STATE, --note and --activity")
    if wanted is None and activities:
        raise output.Mistake("--activity needs a STATE")
    if device is not None and override:
        raise output.Mistake("--device and --override exclude each other: leave one out")
    if device in writer.OVERRIDE_IDS:
        raise output.Mistake(f"--device {device} is the tuple of an override: use --override or --persistent")
    if language is not None and not note:
        raise output.Mistake("--language is the language of a note: add --note")
    rich = note is not None or clear or bool(activities) or device is not None or persistent
    config = settings(config_path)
    document: writer.RichDocument | None = None
    if rich:
        tuple_id = _tuple(device, override=override, persistent=persistent)
        contact = _contact(config, end_user, domain)
        try:
            document = _document(contact, wanted, tuple_id, note, language, activities, clear=clear)
        except ArgumentError as error:
            raise output.Mistake(str(error)) from None
    execute(_set(config, end_user, wanted, document, override=override, expires=expires))
    if as_json:
        rest = {"document": document.xml.decode()} if document is not None else {}
        sent = override if document is None else document.override
        output.document(
            {"end_user": end_user, "state": wanted and wanted.value, "override": sent, "expires": expires, **rest}
        )
    else:
        place = "above all" if override else "as one of"
        says = f"says {wanted.value} for {expires} s, {place} the devices" if wanted else ""
        what = says or (f"has a note for {expires} s" if note else f"has an empty note for {expires} s")
        done = f"taken back what was set for {end_user}" if clear else f"{end_user} {what}"
        click.echo(f"{done}{' (override)' if override else ''}")


def _tuple(device: str | None, *, override: bool, persistent: bool) -> str:
    if override:
        return writer.PERSISTENT_ID if persistent else writer.OVERRIDE_ID
    return device if device is not None else writer.DEVICE_ID


def _contact(config: Config, end_user: str, domain: str | None) -> str:
    """The end user as a contact, which a document is about."""
    domains = {watch.domain for watch in config.watch if watch.domain}
    if domain is None and len(domains) == 1:
        (domain,) = domains
    contact = completed(end_user, domain)
    if "@" not in contact:
        raise output.Mistake("rich presence needs a domain: add --domain, or set domain in the [[watch]] block")
    return contact


def _document(
    contact: str,
    state: PresenceState | None,
    tuple_id: str,
    note: str | None,
    language: str | None,
    activities: tuple[str, ...],
    *,
    clear: bool,
) -> writer.RichDocument:
    if clear:
        return writer.clear(contact)  # whatever it was set by: the element says it, not the tuple
    if state is None:
        return writer.note(contact, note or "", language=language, device_id=tuple_id)
    if tuple_id in writer.OVERRIDE_IDS:
        persistent = tuple_id == writer.PERSISTENT_ID
        return writer.override(
            contact, state, activities=activities, note=note or None, language=language, persistent=persistent
        )
    return writer.device_state(
        contact, state, activities=activities, note=note or None, language=language, device_id=tuple_id
    )


async def _set(
    config: Config,
    end_user: str,
    state: PresenceState | None,
    document: writer.RichDocument | None,
    *,
    override: bool,
    expires: int,
) -> None:
    async with NodeSessions(config) as nodes:
        seat = await nodes.seat(end_user)
        client, session = seat.node.client, seat.session
        with output.waiting(f"Setting the presence of {end_user}"):
            if document is not None:
                await client.set_rich_presence(session, document.xml, override=document.override, expires=expires)
            elif state is not None:
                await client.set_presence(session, state, override=override, expires=expires)
