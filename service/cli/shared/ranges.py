"""Number types of options, whose limits appear in words in the help and in messages."""

from __future__ import annotations

from typing import Any

import click


class Whole(click.IntRange):
    """A whole number between limits, both included."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # as click has it
        """The number."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"expected a whole number {_limits(self)}, got {value!r}", param, ctx)

    def _describe_range(self) -> str:
        return _limits(self)


class Real(click.FloatRange):
    """Any number between limits."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # as click has it
        """The number."""
        try:
            found = super().convert(value, param, ctx)
        except click.BadParameter:
            found = None
        if found is None or found != found:  # NaN passes click's comparison with the limits
            self.fail(f"expected a number {_limits(self)}, got {value!r}", param, ctx)
        return found

    def _describe_range(self) -> str:
        return _limits(self)


def _limits(kind: click.IntRange | click.FloatRange) -> str:
    """`from 0 to 65535`, `above 0, up to 600`."""
    least = None if kind.min is None else f"{'above' if kind.min_open else 'from'} {kind.min:,}".replace(",", "")
    most = None if kind.max is None else f"{'below' if kind.max_open else 'to'} {kind.max:.15g}"
    if least and most:
        return f"{least}, up {most}" if kind.min_open else f"{least} {most}"
    return least or (f"up {most}" if most else "")
