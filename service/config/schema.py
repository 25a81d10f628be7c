"""The JSON Schema (2020-12) of a configuration file, for editors and for checks before the service is there.

It describes a file by itself, but requires no secrets of it, which the environment may add. What takes more than one
key, a file or a name to decide (`ca_file` beside `fingerprint`, groups that exist) is left to `pws config check`.
"""

from __future__ import annotations

from typing import Final

from service.config.errors import NESTED
from service.config.reference import Form, KeyReference, SectionReference, default_text, sections
from service.config.sources import SECRETS

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

Json = dict[str, object]


def schema() -> Json:
    """The schema of pws.toml: every key with its type, its range, its default and what it is for."""
    tables = {section.name: _section(section) for section in sections()}
    for name, (outer, inner) in NESTED.items():
        around = tables[outer]["properties"]
        assert isinstance(around, dict)  # noqa: S101  as `_section` makes it
        around[inner] = tables.pop(name)
    return {
        "$schema": DIALECT,
        "title": "pws.toml",
        "description": "The configuration of pws. Each key can also be set in the environment, as PWS_SECTION__KEY.",
        "type": "object",
        "properties": tables,
        "required": [section.name for section in sections() if section.required],
        "additionalProperties": False,
    }


def _is_secret(section: str, key: KeyReference) -> bool:
    return (section, key.name) in SECRETS


def _section(section: SectionReference) -> Json:
    table: Json = {
        "type": "object",
        "description": section.description,
        "properties": {key.name: _key(key) for key in section.keys},
        "additionalProperties": False,
    }
    required = [key.name for key in section.keys if key.required and not _is_secret(section.name, key)]
    if required:
        table["required"] = required
    both = [[key.file_of, key.name] for key in section.keys if key.file_of]
    if both:
        table["not"] = {"required": both[0]}
    if section.form is Form.BLOCKS:
        blocks: Json = {"type": "array", "description": section.description, "items": table}
        return blocks | {"minItems": 1} if section.required else blocks
    if section.form is Form.NAMED:
        return {"type": "object", "description": section.description, "additionalProperties": table}
    return table


def _key(key: KeyReference) -> Json:
    described: Json = {"description": f"{key.description}\n\nTakes {key.values}. Default: {default_text(key)}."}
    described |= key.schema
    if key.default is not None:
        described["default"] = _plain(key.default)
    if key.example is not None:
        described["examples"] = [_plain(key.example)]
    return described


def _plain(value: object) -> object:
    """A value as JSON has it: it is written as in TOML, or is text."""
    if isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value)
