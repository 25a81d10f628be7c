"""What is in force: every key with its value and the place that it comes from.

A place is a line of the file, an environment variable, a secret's own file, or the default.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from service.config.errors import path_of
from service.config.lines import lines_of
from service.config.load import load_with_draft
from service.config.raw import Draft, Location
from service.config.reference import Form, SectionReference, sections
from service.config.sections import Config
from service.config.sources import is_secret, unnested


class SettingSource(StrEnum):
    """The kind of place that a value comes from."""

    DEFAULT = "default"
    FILE = "file"
    ENVIRONMENT = "environment"
    SECRET_FILE = "secret file"  # noqa: S105  a word


@dataclass(frozen=True, slots=True)
class Setting:
    """One key of one section. `place` is `pws.toml:12`, `PWS_HTTP__PORT` or a path, and empty for a default."""

    location: Location
    value: object
    source: SettingSource
    place: str

    @property
    def key(self) -> str:
        """The location as messages write it: `watch[0].end_user`."""
        return path_of(self.location)


def in_force(path: Path | None, environ: Mapping[str, str]) -> tuple[Config, tuple[Setting, ...]]:
    """The configuration, and each key of it in the order of the reference. Raises ConfigError."""
    config, draft = load_with_draft(path, environ)
    origins = _Origins(draft, lines_in(path))
    return config, tuple(
        Setting((*at, key.name), getattr(block, key.name), *origins.of((*at, key.name)))
        for section in sections()
        for at, block in _blocks(config, section)
        for key in section.keys
        if not key.file_of
    )


def lines_in(path: Path | None) -> dict[Location, int]:
    """The line of each key in a file that can be loaded."""
    found = lines_of(path.read_bytes().decode("utf-8-sig")) if path is not None else {}
    return {unnested(location): number for location, number in found.items()}


def _blocks(config: Config, section: SectionReference) -> Iterator[tuple[Location, object]]:
    """The tables of a section with their locations."""
    value = getattr(config, section.name)
    match section.form:
        case Form.TABLE if value is not None:
            yield (section.name,), value
        case Form.BLOCKS:
            yield from (((section.name, index), block) for index, block in enumerate(value))
        case Form.NAMED:
            yield from (((section.name, name), block) for name, block in value.items())


class _Origins:
    """Where the values of a draft come from."""

    def __init__(self, draft: Draft, lines: Mapping[Location, int]) -> None:
        self._draft = draft
        self._lines = lines

    def of(self, location: Location) -> tuple[SettingSource, str]:
        """The source and the place of a key."""
        listing = (*location[:-1], f"{location[-1]}_file")  # of a secret, or with more contacts
        file = self._draft.files.get(path_of(listing))
        if file is not None and is_secret(location):
            return SettingSource.SECRET_FILE, f"{file}, named by {self._place(listing)[1]}"
        if location not in self._draft.given:
            return (SettingSource.DEFAULT, "") if file is None else (SettingSource.FILE, str(file))
        source, place = self._place(location)
        return source, place if file is None else f"{place}, and {file}"

    def _place(self, location: Location) -> tuple[SettingSource, str]:
        variable = self._draft.variable(location)
        if variable is not None:
            return SettingSource.ENVIRONMENT, variable
        line = self._lines.get(location)
        return SettingSource.FILE, f"{self._draft.file}{'' if line is None else f':{line}'}"
