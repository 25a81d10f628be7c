"""A configuration in the making: raw values, where each came from, and what is wrong with them so far.

It is the one thing here that changes; everything that reads a source writes into it.
"""

from __future__ import annotations

from pathlib import Path

from service.config.errors import Problem, path_of

Location = tuple[str | int, ...]
"""A place in the configuration: ("watch", 0, "end_user")."""


class Draft:
    """Raw values as a tree of tables and lists. Relative paths start at `base`, the directory of the file."""

    def __init__(self, file: Path | None) -> None:
        self.file = file
        self.base = (file.parent if file else Path()).absolute()
        self.tree: dict[str, object] = {}
        self.written: frozenset[str] = frozenset()
        """The sections that the file has."""
        self.problems: list[Problem] = []
        self.warnings: list[str] = []
        self.reported: set[Location] = set()
        """Required places that are missing for a reason that has been told."""
        self._variables: dict[Location, str] = {}

    def add(self, place: Location, expected: str, found: str, hint: str = "") -> None:
        """Note a mistake at `place`."""
        self.problems.append(Problem(path_of(place), expected, found, self.where(place), hint))

    def where(self, place: Location) -> str:
        """The file or the environment variable that `place` came from, or would be looked for in."""
        variable = self.variable(place)
        if variable:
            return f"environment variable {variable}"
        return str(self.file) if self.file else "no file given"

    def variable(self, place: Location) -> str | None:
        """The environment variable that set `place`, or a table around it, or first set something in it."""
        for length in range(len(place), 0, -1):
            if place[:length] in self._variables:
                return self._variables[place[:length]]
        if place[0] not in self.written:
            return next((name for at, name in self._variables.items() if at[: len(place)] == place), None)
        return None

    def put(self, place: Location, value: object, variable: str) -> None:
        """Set `place` from an environment variable, making the tables on the way.

        Where the file has something else than a table on the way, nothing is set: the file's mistake comes first.
        """
        table: object = self.tree
        spelled: list[str | int] = []
        for depth, part in enumerate(place):
            following = place[depth + 1] if depth + 1 < len(place) else None
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
