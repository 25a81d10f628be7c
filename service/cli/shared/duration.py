"""A duration on the command line, such as 30s or 5m."""

from __future__ import annotations

import re
from typing import Any, Final

import click

_UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3600}


class Duration(click.ParamType[float]):
    """30s, 2m, 1h, or plain seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:  # as click has it
        """Seconds."""
        if isinstance(value, float):
            return value
        found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,3})?)\s*([smh]?)", str(value).strip().lower())
        if not found or float(found[1]) == 0:
            self.fail(f"expected a time such as 30s, 2m, 1h, or seconds as a plain number, got {value!r}", param, ctx)
        return float(found[1]) * _UNITS[found[2]]
