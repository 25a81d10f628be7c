"""Where the configuration comes from: the file, the environment over it, and the files that hold secrets.

Environment variables: `PWS_SECTION__KEY`; an empty one counts as not set. Names without two underscores are not ours
(an orchestrator sets `PWS_PORT` and the like), but for a whole section as JSON, such as `PWS_WATCH`.
"""

from __future__ import annotations

import difflib
import json
import os
import stat
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from service.config.errors import NESTED, ConfigError, Problem, path_of, shown, variable_of
from service.config.parsers import EnvText, path_of_file
from service.config.raw import Draft, Location

PREFIX: Final = "PWS_"
QUOTED: Final = "its value stands in quotes, which count as a part of it: leave them out"
SECRETS: Final[tuple[tuple[str, str], ...]] = (
    ("application", "password"),
    ("callback", "secret"),
    ("webhooks", "secret"),
    ("cluster", "secret"),
    ("facade_users", "password"),
)
"""Keys that are never shown, and that may stand in a file of their own (`password_file`)."""
NUMBERED: Final = frozenset({"watch", "webhooks"})
"""Sections that are written as [[blocks]], which the environment counts from 0."""
_FIRST_KEYS: Final[Mapping[str, Location]] = {
    "watch": ("watch", 0, "end_user"),
    "webhooks": ("webhooks", 0, "url"),
    "groups": ("groups", "name", "contacts"),
    "keys": ("keys", "name", "hash"),
    "facade_users": ("facade_users", "name", "end_users"),
}
"""A key of each section that has more than keys in it, as an example of its variable."""


_NAMED: Final = frozenset(_FIRST_KEYS) - NUMBERED
"""Sections of which there is one for each name."""


def unnested(location: Location) -> Location:
    """A location as it is known here, where sections do not stand in each other."""
    for section, inside in NESTED.items():
        if location[: len(inside)] == inside:
            return (section, *location[len(inside) :])
    return location


def _unnest(tree: dict[str, object]) -> None:
    """Take sections out of those around them."""
    for section, (outer, inner) in NESTED.items():
        table = tree.get(outer)
        if isinstance(table, dict) and inner in table:
            tree[section] = table.pop(inner)


def is_secret(location: Location) -> bool:
    """Whether a key is never shown, in whichever block it stands."""
    return (location[0], location[-1]) in SECRETS


def read(path: Path | None, environ: Mapping[str, str], sections: frozenset[str]) -> Draft:
    """The raw values of all sources. ConfigError when the file cannot be read at all."""
    draft = Draft(path)
    if path is not None:
        draft.tree = _toml(path)
        _unnest(draft.tree)
        draft.written = frozenset(draft.tree)
    written = {section: set(table) for section, table in draft.tree.items() if isinstance(table, dict)}
    for location, name in _variables(environ, sections):
        _tell_of_new_table(draft, location, name, written.get(str(location[0]), set()))
        _tell_of_quotes(draft, name, environ[name])
        _overlay(draft, location, name, environ[name])
    _unnest(draft.tree)
    for section, key in SECRETS:
        for at, table in _tables(draft, section):
            _secret(draft, at, table, key)
    draft.given = frozenset(_keys(draft.tree, ()))
    return draft


def _tables(draft: Draft, section: str) -> list[tuple[Location, dict[str, object]]]:
    """The tables of a section, which may stand several times."""
    found = draft.tree.get(section)
    tables: list[tuple[Location, object]]
    if section in _NAMED and isinstance(found, dict):
        tables = [((section, str(name)), table) for name, table in found.items()]
    elif isinstance(found, list):
        tables = [((section, number), table) for number, table in enumerate(found)]
    else:
        tables = [((section,), found)]
    return [(at, table) for at, table in tables if isinstance(table, dict)]


def _keys(value: object, location: Location) -> Iterator[Location]:
    """The locations of all values that are no tables."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _keys(inner, (*location, str(key)))
    elif len(location) == 1 and location[0] in NUMBERED and isinstance(value, list):
        for index, block in enumerate(value):
            yield from _keys(block, (*location, index))
    else:
        yield location


def _toml(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        problem = Problem("", "a configuration file", "none", str(path))
    except OSError as error:
        problem = Problem("", "a readable file", error.strerror or "an error", str(path))
    except UnicodeDecodeError as error:
        problem = Problem("", "UTF-8 text", f"other bytes at position {error.start}", str(path))
    except tomllib.TOMLDecodeError as error:
        problem = Problem("", "a TOML file", f"a mistake: {error}", str(path), "text stands in quotes")
    raise ConfigError([problem])  # outside of the handlers: the causes carry the file's text, secrets included


def _variables(environ: Mapping[str, str], sections: frozenset[str]) -> list[tuple[Location, str]]:
    """The locations that the environment sets, a table before its keys and a block before the next one."""
    found: list[tuple[Location, str]] = []
    for name, value in environ.items():
        first, *rest = name[len(PREFIX) :].lower().split("__")
        if not name.startswith(PREFIX) or not value.strip() or not first or not (rest or first in sections):
            continue
        numbered = first in NUMBERED
        parts = (int(part) if numbered and part.isdecimal() else part for part in rest)
        found.append((unnested((first, *parts)), name))
    return sorted(found, key=lambda item: [(part, "") if isinstance(part, int) else (-1, part) for part in item[0]])


def _tell_of_new_table(draft: Draft, location: Location, name: str, written: set[str]) -> None:
    """Warn of a group or key that only the environment has, beside a file: its name may be mistyped."""
    if draft.file is None or location[0] not in _NAMED or len(location) < 2:
        return
    if any(known.lower() == location[1] for known in written):
        return
    near = difflib.get_close_matches(str(location[1]), {known.lower(): known for known in written}, n=1)
    hint = f"; did you mean {variable_of((location[0], near[0], *location[2:]))}?" if near else ""
    table = path_of(location[:2])
    warning = f"environment variable {name} makes {table}, which {draft.file} does not have{hint}"
    first = f" makes {table}, which "
    if not any(first in told for told in draft.warnings):
        draft.warnings.append(warning)


def _tell_of_quotes(draft: Draft, name: str, text: str) -> None:
    """Warn of a value in quotes. A shell takes them off; files of variables, such as Docker's, leave them there."""
    value = text.strip()
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        draft.quoted.add(name)
        draft.warnings.append(f"environment variable {name}: {QUOTED}")


def _overlay(draft: Draft, location: Location, name: str, text: str) -> None:
    def refuse(expected: str, found: str, hint: str = "") -> None:
        draft.problems.append(Problem(path_of(location), expected, found, f"environment variable {name}", hint))

    section = str(location[0])
    if section in NUMBERED and len(location) > 1:
        blocks = draft.tree.get(section, [])
        known = len(blocks) if isinstance(blocks, list) else 0
        if not isinstance(location[1], int) or location[1] > known:
            refuse(f"a block's number from 0 to {known}", shown(location[1]), "they are numbered without a gap")
            return
    if len(location) > 1 + (section in _FIRST_KEYS):
        draft.put(location, EnvText(text), name)
        return
    try:
        draft.put(location, json.loads(text), name)
    except ValueError:
        draft.reported.add(location)
        example = variable_of(_FIRST_KEYS.get(section, (*location, "key")))
        is_list = len(location) == 1 and section in NUMBERED
        refuse("a JSON array of objects" if is_list else "a JSON object", "something else",
               f"single keys are set as {example}")  # fmt: skip


def _secret(draft: Draft, at: Location, table: dict[str, object], key: str) -> None:
    """Put the content of `key_file` in place of `key`, so that the model knows one key only."""
    location, pointer = (*at, key), (*at, f"{key}_file")
    if pointer[-1] not in table:
        if key in table and draft.variable(location) is None:
            draft.warnings.append(
                f"{path_of(location)} is in clear text in {draft.file}; {key}_file names a separate file"
            )
        return
    name = table.pop(f"{key}_file")
    if key in table:
        origins = draft.variable(location) is not None, draft.variable(pointer) is not None
        if origins == (True, False):
            return  # the environment beats the file
        if origins[0] == origins[1]:
            draft.add(pointer, f"either {key} or {key}_file", "both")
            return
    table.pop(key, None)
    content = _content(draft, pointer, key, name)
    if content:
        table[key] = content
        draft.move(pointer, location)
    else:
        draft.reported.add(location)


def is_readable_by_all(path: Path) -> bool:
    """Whether everybody on this machine may read the file, which holds a secret."""
    try:
        return os.name == "posix" and bool(path.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False


def _content(draft: Draft, pointer: Location, key: str, name: object) -> str | None:
    """What a secret's file holds, without the line end; None when that is a mistake, which is noted."""
    if not isinstance(name, str):
        draft.add(pointer, "the path of a file", shown(name))
        return None
    try:
        path = path_of_file(draft.base, name)
    except ValueError as error:
        draft.add(pointer, f"a file with the {key}", shown(name), str(error))
        return None
    draft.files[path_of(pointer)] = path
    try:
        content = path.read_bytes().decode("utf-8-sig").rstrip("\r\n")
        readable_by_all = is_readable_by_all(path)
    except OSError as error:
        draft.add(pointer, f"a file with the {key}", f"{shown(path)}: {error.strerror or 'not readable'}")
        return None
    except UnicodeDecodeError:
        draft.add(pointer, f"a file with the {key}", f"bytes that are no UTF-8 in {shown(path)}")
        return None
    if not content:
        draft.add(pointer, f"a file with the {key}", f"an empty one at {shown(path)}")
    if readable_by_all:
        draft.warnings.append(f"{path_of(pointer)}: everybody on this machine may read {path}; chmod 600 it")
    return content
