"""What the commands share: options, reading the configuration, and running work with every error as a message."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterable
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from pws_soap.errors import ArgumentError, ContractError, PwsError
from pws_soap.models import PresenceType
from service.cli.shared import completion
from service.cli.shared.config_option import DEFAULT_FILE as DEFAULT_FILE
from service.cli.shared.config_option import Decorated
from service.cli.shared.config_option import config_option as config_option
from service.cli.shared.hints import message
from service.cli.shared.output import CommandFailed, Mistake, warn
from service.config import Config, ConfigError, Watch, load

T = TypeVar("T")


def json_option(function: Decorated) -> Decorated:
    """--json, for every command that prints data."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of a table.")(function)


def end_user_option(function: Decorated) -> Decorated:
    """--end-user, for every command that acts for an end user."""
    return click.option(
        "--end-user",
        metavar="NAME",
        shell_complete=completion.end_users,
        help="The end user, where the configuration has several [[watch]] blocks.",
    )(function)


def one_of(words: Iterable[StrEnum]) -> Callable[[click.Context, click.Parameter, str | None], str | None]:
    """A click callback that takes one of a few words, in any case."""
    allowed = [word.value for word in words]

    def check(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
        if value is None or value.upper() in allowed:
            return value.upper() if value else None
        raise click.BadParameter(f"expected {', '.join(allowed[:-1])} or {allowed[-1]}, got {value!r}")

    return check


check_presence_type = one_of(PresenceType)
"""The callback for BASIC_PRESENCE or RICH_PRESENCE."""


def config_file(path: Path) -> Path | None:
    """The file to load; None where there is none and the environment alone is the configuration. Raises Mistake."""
    given = click.get_current_context().get_parameter_source("config_path") is not ParameterSource.DEFAULT
    if path.exists():
        return path
    if not given and any(name.startswith("PWS_SERVER__") for name in os.environ):
        return None
    raise Mistake(
        f"there is no configuration file {path}: name one with --config or PWS_CONFIG; "
        "`pws config init` writes one to start from, `pws migrate DIR` makes one from the sample scripts' files, and "
        "`pws demo` needs none"
    )


def settings(path: Path, *, quiet: bool = False, callback: bool = False) -> Config:
    """Load the configuration and print its warnings. Without the default file the environment may be enough."""
    try:
        config = load(config_file(path), os.environ)
    except ConfigError as error:
        raise Mistake(str(error)) from None
    for warning in config.warnings:
        # Only commands that register the callback show the warnings about it and about access.
        if not quiet and (callback or not warning.startswith(("callback.", "access."))):
            warn(warning)
    return config


def watch_of(config: Config, end_user: str | None) -> Watch:
    """The one [[watch]] block to work with."""
    blocks = watches_of(config, end_user)
    if len(blocks) > 1:
        names = ", ".join(block.end_user for block in blocks)
        raise Mistake(f"there are several [[watch]] blocks: choose one with --end-user ({names})")
    return blocks[0]


def watches_of(config: Config, end_user: str | None) -> tuple[Watch, ...]:
    """The [[watch]] block of that end user, or all of them."""
    if end_user is None:
        return config.watch
    chosen = tuple(block for block in config.watch if block.end_user.casefold() == end_user.casefold())
    if not chosen:
        names = ", ".join(block.end_user for block in config.watch)
        raise Mistake(f"no [[watch]] block has the end user {end_user!r}; there are: {names}")
    return chosen


def execute(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's work. An error of the library ends it with one line, Ctrl-C without one."""
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        raise click.exceptions.Exit(130) from None
    except (ArgumentError, ContractError) as error:
        raise Mistake(message(error)) from None
    except PwsError as error:
        raise CommandFailed(message(error)) from None
