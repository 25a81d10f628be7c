"""`pws migrate`: from the sample scripts' files to pws.toml, with the password in a file of its own."""

from __future__ import annotations

import os
from pathlib import Path

import click

from service.cli.migrate.findings import PASSWORD_FILE
from service.cli.migrate.sample_scripts import Proposal, ScriptsError, read
from service.cli.shared import output, whole_file
from service.cli.shared.options import DEFAULT_FILE, json_option
from service.config import ConfigError, load


@click.command("migrate")
@click.argument("directory", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--domain", help="The presence domain; the scripts took the server's name.")
@click.option("--force", is_flag=True, help="Replace files that are there.")
@click.option(
    "--config",
    "config_path",
    metavar="PATH",
    type=click.Path(path_type=Path, dir_okay=False),
    default=DEFAULT_FILE,
    show_default=True,
    envvar="PWS_CONFIG",
    show_envvar=True,
    help="The file to write.",
)
@json_option
def command(directory: Path, domain: str | None, force: bool, config_path: Path, as_json: bool) -> None:
    """Make a pws.toml from the sample scripts' files.

    The service will listen twice: for the server's notifications on all addresses, at the port of the endpoint's URL,
    and for its API on this machine alone. For others the API takes a key; `pws key new` makes one.

    Reads serverparams.json, appuser.json, enduser.json and contacts.list in DIR, writes pws.toml and, beside it, the
    password into a file that only you may read. Then lists what was insecure in those files and in the scripts, and
    what is done instead. The files in DIR stay as they are.

    \b
    Example:
      pws migrate ~/pws-samples
      pws migrate ~/pws-samples --domain example.com --force
    """
    try:
        proposal = read(directory, domain)
    except ScriptsError as error:
        raise output.Mistake(str(error)) from None
    password_path = config_path.parent / PASSWORD_FILE
    _write(proposal, config_path, password_path, force=force)
    try:
        config = load(config_path, {})
    except ConfigError as error:
        raise output.Mistake(f"{config_path} is written, but is not valid yet; correct it by hand: {error}") from None
    if as_json:
        output.document(
            {
                "config": str(config_path),
                "password_file": str(password_path),
                "findings": [
                    {"where": finding.where, "what": finding.what, "instead": finding.instead}
                    for finding in proposal.findings
                ],
            }
        )
    else:
        click.echo("What was insecure, and what is done instead:")
        for finding in proposal.findings:
            click.echo(output.printable(f"- {finding.where}: {finding.what}\n    now: {finding.instead}"))
    output.note(f"Wrote {config_path} and {password_path}. Look through them, then: pws poll NAME")
    host, port = config.callback.listener(config.http)
    output.note(
        f"The service will listen for notifications on {host} port {port}, and for its API on {config.http.host} "
        f"port {config.http.port} only."
    )
    for warning in config.warnings:
        output.warn(warning)


def _write(proposal: Proposal, config_path: Path, password_path: Path, *, force: bool) -> None:
    there = [str(path) for path in (config_path, password_path) if os.path.lexists(path)]
    if there and not force:
        raise output.Mistake(f"{' and '.join(there)} exists already; --force replaces it")
    # The password first, so that a configuration never points to a file that is not there.
    for path, text, mode in (
        (password_path, proposal.password.reveal() + "\n", 0o600),
        (config_path.resolve(), proposal.text, 0o644),
    ):
        try:
            whole_file.write(path, text, mode)
        except OSError as error:
            raise output.Mistake(f"cannot write {path}: {error.strerror}") from None
