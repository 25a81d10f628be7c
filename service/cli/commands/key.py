"""`pws key new`: makes a key for the HTTP API, shown once, and the section of pws.toml that makes it valid."""

from __future__ import annotations

import json
import re
import secrets

import click

from service.access.principal import ANYBODY, Scope
from service.cli.shared import completion, output
from service.cli.shared.options import json_option
from service.cli.shared.plain_group import PlainGroup


@click.group("key", cls=PlainGroup)
def command() -> None:
    """Make a key for the HTTP API.

    \b
    Example:
      pws key new --name wallboard --group support --no-details
    """


def _name(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str:
    if value is None:
        return f"key-{secrets.token_hex(3)}"
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", value):
        raise click.BadParameter("expected 1 to 64 letters, digits, '-' or '_'")
    if value == ANYBODY.name:
        raise click.BadParameter("expected another name: this one stands for clients without a key")
    return value


@command.command("new")
@click.option("--name", metavar="NAME", callback=_name, help="What the key is for: its name in logs and claims.")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice([scope.value for scope in Scope], case_sensitive=False),
    multiple=True,
    default=[Scope.READ.value],
    show_default=True,
    help="What it may do; may be given several times. None implies another.",
)
@click.option(
    "--group",
    "groups",
    metavar="GROUP",
    multiple=True,
    shell_complete=completion.groups,
    help="It sees this group only; may be given several times.",
)
@click.option("--no-details", is_flag=True, help="It sees who is available, and nothing else.")
@json_option
def new(name: str, scopes: tuple[str, ...], groups: tuple[str, ...], no_details: bool, as_json: bool) -> None:
    """Make a key, and the section of pws.toml that makes it valid.

    The key itself is shown this once: the section has only its hash, from which nobody gets it back. Add the section
    to pws.toml and send the service SIGHUP, or restart it. To replace a key make a new one, give it to its users, and
    then remove the old section.

    \b
    Scopes:
      read     presence, summary, events, history, the status
      claim    claim who is free, renew and release
      admin    change what is watched, refresh, failover
      metrics  the figures of /metrics, of all groups

    \b
    Example:
      pws key new --name wallboard --group support --no-details
      pws key new --name router --scope read --scope claim
    """
    from service.access.keys import hash_of, new_key  # the web framework takes a moment

    scopes, groups = tuple(dict.fromkeys(scopes)), tuple(dict.fromkeys(group.strip() for group in groups))
    if not all(groups):
        raise output.Mistake("--group: expected the name of a group, got an empty one")
    if (groups or no_details) and (seeing := [scope for scope in map(Scope, scopes) if scope.sees_all]):
        raise output.Mistake(f"a key with the scope {seeing[0]} sees everything: make two keys, one with the limits")
    key = new_key().reveal()
    section = _section(name, hash_of(key), scopes, groups, details=not no_details)
    if as_json:
        output.document(
            {
                "name": name,
                "key": key,
                "hash": hash_of(key),
                "scopes": list(scopes),
                "groups": list(groups),
                "details": not no_details,
                "section": section,
            }
        )
    else:
        click.echo("The key, shown this once. Send it as Authorization: Bearer KEY, or as X-API-Key: KEY")
        click.echo(f"\n    {key}\n")
        click.echo("For pws.toml, which has only its hash:")
        click.echo(f"\n{section}")
    output.note("Add the section to pws.toml, then send the service SIGHUP or restart it.")


def _section(name: str, hashed: str, scopes: tuple[str, ...], groups: tuple[str, ...], *, details: bool) -> str:
    lines = [f"[keys.{name}]", f'hash = "{hashed}"', f"scopes = {json.dumps(scopes)}"]
    if groups:
        # TOML has JSON's escapes, and also wants DEL escaped, which JSON does not.
        lines.append("groups = " + json.dumps(groups, ensure_ascii=False).replace("\x7f", "\\u007f"))
    if not details:
        lines.append("details = false")
    return "\n".join(lines) + "\n"
