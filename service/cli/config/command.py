"""The commands `pws config check`, `show`, `schema` and `init`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from service.cli.shared import output, whole_file
from service.cli.shared.findings import Finding, as_document, show, summary
from service.cli.shared.options import config_file, config_option, json_option
from service.cli.shared.plain_group import PlainGroup
from service.config import ConfigError, example_toml, in_force, schema


@click.group("config", cls=PlainGroup)
def command() -> None:
    """Check, show, describe or begin the configuration.

    \b
    Example:
      pws config init
      pws config check
      pws config show
      pws config schema > pws.schema.json
    """


@command.command("check")
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of lines.")
def check_command(config_path: Path, as_json: bool) -> None:
    """Check the configuration without starting anything.

    Reads all that the service would read (the file, the environment, secrets, contacts, authorities, the WSDL), and
    checks every value, the files that it would write, the addresses that it would listen on, and whether the API would
    be open to others. Asks no server and no name service; `pws doctor` does.

    One line for each check: ok, warning or problem, with the file and the line of a mistake. Exit code 0: no problem;
    2: the service would not start with it, or not work.

    \b
    Example:
      pws config check
      pws config check --config /etc/pws/pws.toml --json
    """
    from service.cli.config import check

    findings: list[Finding] = []

    def tell(finding: Finding) -> None:
        findings.append(finding)
        if not as_json:
            show(finding)

    check.look(config_file(config_path), tell)
    if as_json:
        output.document(as_document(findings))
    else:
        output.note(summary(findings) or "All is well.")
    raise click.exceptions.Exit(max((int(finding.fault) for finding in findings if finding.fault), default=0))


@command.command("show")
@click.option("--changed", is_flag=True, help="Only what is not a default.")
@config_option
@json_option
def show_command(changed: bool, config_path: Path, as_json: bool) -> None:
    """Show what is in force, and where each value comes from.

    Every key, as a service that starts now would have it, with its place: a line of the file, an environment variable,
    a file with a secret or with contacts, or the default. Secrets are hidden, of a key's hash the beginning is shown.
    What is risky is told on standard error, as by every command.

    \b
    Example:
      pws config show
      pws config show --changed
      pws config show --json | jq -r '.settings[] | select(.source == "environment") | .key'
    """
    from service.cli.config import listing

    try:
        config, settings = in_force(config_file(config_path), os.environ)
    except ConfigError as error:
        raise output.Mistake(str(error)) from None
    shown = [listing.completed(config, setting) for setting in settings if not changed or setting.place]
    if as_json:
        output.document(listing.as_document(config, shown))
    else:
        for line in listing.lines(shown):
            click.echo(output.printable(line))
    for warning in config.warnings:
        output.warn(warning)


@command.command("schema")
def schema_command() -> None:
    """Print the JSON Schema of pws.toml, for editors.

    Every key with its type, range, unit, default and description, in JSON Schema 2020-12. An editor that knows TOML
    schemas (Even Better TOML, taplo) finds it by the first line of the file, which `pws config init` writes:

    \b
      #:schema ./pws.schema.json

    \b
    Example:
      pws config schema > pws.schema.json
    """
    output.document(schema())


@command.command("init")
@click.argument("file", metavar="[FILE]", required=False)
@click.option("--force", is_flag=True, help="Replace files that are there.")
@click.option("--no-schema", is_flag=True, help="Write no schema beside the file.")
@config_option
def init_command(file: str | None, force: bool, no_schema: bool, config_path: Path) -> None:
    """Write a commented pws.toml to start from.

    It has every key with its default and what it is for, and goes to FILE, which is that of --config unless given; - is
    standard output. Beside it the schema is written, so that editors show what a key means. Only you may read
    the file: a password may come to stand in it.

    \b
    Example:
      pws config init
      pws config init /etc/pws/pws.toml
      pws config init - | less
    """
    if file == "-":
        click.echo(example_toml(), nl=False)
        return
    path = Path(file) if file is not None else config_path
    if not path.name:
        raise output.Mistake(f"expected the name of a file, got {str(path)!r}")
    described = path.with_suffix(".schema.json")
    texts = {path: (example_toml("" if no_schema else f"./{described.name}"), 0o600)}
    if not no_schema:
        texts[described] = (output.json_text(schema(), indent=2) + "\n", 0o644)
    there = [str(each) for each, (text, _) in texts.items() if os.path.lexists(each) and not _has(each, text)]
    if there and not force:
        raise output.Mistake(f"{' and '.join(there)} exists already; --force replaces it")
    for each, (text, mode) in texts.items():
        try:
            whole_file.write(each, text, mode)
        except OSError as error:
            raise output.Mistake(f"cannot write {each}: {error.strerror}") from None
    written = " and ".join(map(str, texts))
    output.note(f"Wrote {written}. Set nodes, username, password, url and contacts, then: pws config check")


def _has(path: Path, text: str) -> bool:
    """Whether the file is the very one that would be written."""
    try:
        return path.read_bytes() == text.encode("utf-8")
    except OSError:
        return False
