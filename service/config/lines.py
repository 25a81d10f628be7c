"""In which line of a TOML file each key stands. tomllib does not say, and is asked about one statement at a time."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Final

from service.config.raw import Location

_CLOSING: Final = ("]", "}", '"""', "'''")
"""What the last line of a statement of several lines has; the lines before it need not be tried."""


def lines_of(text: str) -> dict[Location, int]:
    """The line, counted from 1, in which each table and each key of a valid TOML text begins."""
    found: dict[Location, int] = {}
    table: Location = ()
    lengths: dict[Location, int] = {}
    for number, statement in _statements(text):
        tree = tomllib.loads(statement)
        if statement.lstrip().startswith("["):
            table = _table(tree, lengths)
            found.setdefault(table, number)
        else:
            for location in _locations(tree, table):
                found.setdefault(location, number)
    return found


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Each statement with the number of its first line. Comments and empty lines are none."""
    begun: list[str] = []
    first = 0
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        if not begun and (not line.strip() or line.lstrip().startswith("#")):
            continue
        if not begun:
            first = number
        begun.append(line)
        if first != number and not any(mark in line for mark in _CLOSING):
            continue
        statement = "\n".join(begun)
        try:
            tomllib.loads(statement)
        except tomllib.TOMLDecodeError:  # it goes on in the next line
            continue
        yield first, statement
        begun = []


def _table(tree: dict[str, object], lengths: dict[Location, int]) -> Location:
    """The location of a table by its header alone; `lengths` counts the blocks of each [[array]] so far."""
    location: Location = ()
    value: object = tree
    while value:
        if isinstance(value, dict):
            key, value = next(iter(value.items()))
            location = (*location, key)
            if isinstance(value, dict) and location in lengths:  # [watch.x]: in the last block of [[watch]]
                location = (*location, lengths[location] - 1)
        elif isinstance(value, list):
            lengths[location] = lengths.get(location, 0) + 1
            location, value = (*location, lengths[location] - 1), value[0]
    return location


def _locations(value: object, location: Location) -> Iterator[Location]:
    """All locations in the value of a statement, the outer ones first."""
    if location:
        yield location
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _locations(inner, (*location, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            if isinstance(inner, dict):
                yield from _locations(inner, (*location, index))
