"""How `pws config show` prints what is in force: as a configuration with a place behind each value, or as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from service.config import Config, Setting
from service.config.errors import header_of
from service.config.toml_text import is_hidden, toml_text
from service.config.webhook_section import WebhookUrl

_SHOWN: Final = 4
"""Items of a list that are printed; JSON has them all."""
_WIDTH: Final = 60
"""Characters before the place, where the value is not longer."""


def lines(settings: Sequence[Setting]) -> Iterator[str]:
    """Each section with its keys, as TOML but for what is hidden or shortened."""
    header = ""
    for setting in settings:
        found = _header(setting)
        if found != header:
            if header:
                yield ""
            yield found
            header = found
        name = setting.location[-1]
        text = f"#{name} =" if setting.value is None else f"{name} = {_text(setting)}"
        yield f"{text:<{_WIDTH}}  # {setting.place or setting.source}"


def completed(config: Config, setting: Setting) -> Setting:
    """The setting with the value that is in force where none is set: the state file lies beside the configuration."""
    if setting.location == ("state", "file") and setting.value is None:
        return replace(setting, value=config.state_path)
    return setting


def _header(setting: Setting) -> str:
    section, *inner = setting.location[:-1]
    section = header_of(str(section))
    if not inner:
        return f"[{section}]"
    if isinstance(inner[0], int):
        return f"[[{section}]]  # {inner[0]}"
    name = inner[0] if inner[0].isascii() and inner[0].replace("-", "").isalnum() else toml_text(inner[0])
    return f"[{section}.{name}]"


def _text(setting: Setting) -> str:
    value = setting.value
    if setting.location[0] == "keys" and setting.location[-1] == "hash":
        return toml_text(f"{str(value)[:15]}...")
    if isinstance(value, tuple) and len(value) > _SHOWN and not is_hidden(value):
        return f"{toml_text(value[:_SHOWN])[:-1]}, ... {len(value)} in all]"
    return toml_text(value)


def as_document(config: Config, settings: Sequence[Setting]) -> dict[str, object]:
    """The same as JSON, with whole lists; a secret's value is null."""
    return {
        "file": None if config.file is None else str(config.file),
        "settings": [
            {
                "key": setting.key,
                "value": _json(setting),
                "hidden": is_hidden(setting.value),
                "source": setting.source.value,
                "place": setting.place or None,
            }
            for setting in settings
        ],
        "warnings": list(config.warnings),
    }


def _json(setting: Setting) -> object:
    value = setting.value
    if value is None or is_hidden(value):
        return None
    if setting.location[0] == "keys" and setting.location[-1] == "hash":
        return f"{str(value)[:15]}..."
    if isinstance(value, tuple):
        return [str(item) for item in value]
    return str(value) if isinstance(value, Path | WebhookUrl) else value
