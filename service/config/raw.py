"""A configuration in the making: raw values, where each came from, and what is wrong with them so far.

It is the one thing here that changes; everything that reads a source writes into it.
"""

from __future__ import annotations

from pathlib import Path

from service.config.errors import Problem, path_of

Location = tuple[str | int, ...]
"""A location in the configuration: ("watch", 0, "end_user")."""


class Draft:
    """Raw values as a tree of tables and lists. Relative paths start at `base`, the directory of the file."""

    def __init__(self, file: Path | None) -> None:
        self.file = file
        self.base = (file.parent if file else Path()).absolute()
        self.tree: dict[str, object] = {}
        self.written: frozenset[str] = frozenset()
        """The sections that the file has."""
        self.files: dict[str, Path] = {}
        """The files that were read besides, by the keys that name them."""
        self.given: frozenset[Location] = frozenset()
        """The keys that a source sets, secrets under their own key wherever they were read from."""
        self.problems: list[Problem] = []
        self.warnings: list[str] = []
        self.reported: set[Location] = set()
        """Required locations that are missing, and whose mistake is among the problems already."""
        self.quoted: set[str] = set()
        """Environment variables whose value stands in quotes."""
        self._variables: dict[Location, str] = {}

    def add(self, location: Location, expected: str, found: str, hint: str = "") -> None:
        """Note a mistake at `location`."""
        self.problems.append(Problem(path_of(location), expected, found, self.where(location), hint))

    def where(self, location: Location) -> str:
        """The file or the environment variable that `location` came from, or would be looked for in."""
        variable = self.variable(location)
        if variable:
            return f"environment variable {variable}"
        return str(self.file) if self.file else "no file given"

    def variable(self, location: Location) -> str | None:
        """The environment variable that set `location`, or a table around it, or first set something in it."""
        for length in range(len(location), 0, -1):
            if location[:length] in self._variables:
                return self._variables[location[:length]]
        if location[0] not in self.written:
            return next((name for at, name in self._variables.items() if at[: len(location)] == location), None)
        return None

    def put(self, location: Location, value: object, variable: str) -> None:
        """Set `location` from an environment variable, making the tables on the way.

        Where the file has something else than a table on the way, nothing is set: the file's mistake comes first.
        """
        table: object = self.tree
        spelled: list[str | int] = []
        for depth, part in enumerate(location):
            following = location[depth + 1] if depth + 1 < len(location) else None
            new = value if following is None else [] if isinstance(following, int) else {}
            if isinstance(table, list) and isinstance(part, int):
                if part == len(table):
                    table.append(new)
                elif following is None:
                    table[part] = new
                table = table[part]
            elif isinstance(table, dict):
                part = next((key for key in table if key.lower() == part), part)  # groups have case
                table[part] = new if following is None else table.get(part, new)
                table = table[part]
            else:
                return
            spelled.append(part)
        self._variables[tuple(spelled)] = variable

    def move(self, source: Location, target: Location) -> None:
        """Remember that `target` was read by way of `source`."""
        variable = self.variable(source)
        if variable:
            self._variables[target] = variable
