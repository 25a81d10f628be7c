"""The mistakes in a configuration, each with key, value and fix, so that the user need not look anything up.

All mistakes are reported at once, so that ten mistakes do not take ten starts to find.
The value of a secret is never part of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MAX_SHOWN: Final = 80
"""Characters of a wrong value in a message: enough to recognise it, and still one line."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: `key` as it is written in the file, `where` the file or the environment variable it came from."""

    key: str
    expected: str
    found: str
    where: str
    hint: str = ""

    def __str__(self) -> str:
        text = f"{self.key}: " if self.key else ""
        text += f"expected {self.expected}, found {self.found} ({self.where})"
        return f"{text}; {self.hint}" if self.hint else text


class ConfigError(ValueError):
    """A configuration that cannot be used. `problems` are all its mistakes, `str()` is the list of them."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        count = len(self.problems)
        head = "the configuration has a mistake:" if count == 1 else f"the configuration has {count} mistakes:"
        super().__init__("\n".join([head, *(f"  {problem}" for problem in self.problems)]))


def shown(value: object) -> str:
    """A wrong value as a message shows it: short; of a table or a list only that it is one."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    if isinstance(value, str | Path):
        text = repr(str(value))
        return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 4]}...'"
    return str(value)[:MAX_SHOWN]


NESTED: Final = {"facade_users": ("facade", "users")}
"""Sections that stand inside of another in a file, [facade.users.NAME], by their names among the sections."""


def header_of(section: str) -> str:
    """The name of a section as a file writes it."""
    return ".".join(NESTED.get(section, (section,)))


def path_of(location: tuple[str | int, ...]) -> str:
    """A location in the configuration as the file writes it: `watch[0].contacts[3]`."""
    text = ""
    if location:
        location = (*NESTED.get(str(location[0]), location[:1]), *location[1:])
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def variable_of(location: tuple[str | int, ...]) -> str:
    """The environment variable that sets the same key: `PWS_WATCH__0__END_USER`."""
    location = (*NESTED.get(str(location[0]), location[:1]), *location[1:])
    return "PWS_" + "__".join(str(part).upper() for part in location)
