"""--config, apart from what reads the file: commands that must be quick need the option alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

Decorated = TypeVar("Decorated", bound=Callable[..., Any])  # click's own decorators are typed so

DEFAULT_FILE: Final = "pws.toml"


def config_option(function: Decorated) -> Decorated:
    """--config, for every command."""
    return click.option(
        "--config",
        "config_path",
        type=click.Path(path_type=Path),
        default=DEFAULT_FILE,
        show_default=True,
        envvar="PWS_CONFIG",
        show_envvar=True,
        help="The configuration file.",
    )(function)
