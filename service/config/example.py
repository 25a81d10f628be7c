"""A configuration file to start from: every key, its default, and what it is for. It loads as it is."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Final

from service.config.reference import Form, KeyReference, SectionReference, sections
from service.config.toml_text import toml_text

_INTRODUCTION: Final = """\
The configuration of pws. Lines that begin with # and a space are comments. A setting behind a # without a space has \
the value that is in force anyway, or is an example where there is none: take the # away to change it.

Each key can also be set in the environment, which beats this file: server.nodes is \
PWS_SERVER__NODES="imp1.example.com,imp2.example.com", the first block's end_user is PWS_WATCH__0__END_USER. Paths are \
relative to this file. `pws config check` checks it, `pws config show` prints what is in force."""
_WRITTEN: Final = frozenset({("watch", "domain"), ("watch", "contacts"), ("groups", "contacts")})
"""Keys that are not required, and that the example sets all the same."""
_WIDTH: Final = 100


def example_toml(schema: str = "") -> str:
    """The text of a commented configuration file. `schema` is the address of its JSON Schema, for editors."""
    head = f"#:schema {schema}\n\n" if schema else ""
    introduction = "\n#\n".join(map(_comment, _INTRODUCTION.split("\n\n")))
    return head + "\n\n\n".join([introduction, *map(_section, sections())]) + "\n"


def _section(section: SectionReference) -> str:
    is_written = section.required or any((section.name, key.name) in _WRITTEN for key in section.keys)
    is_shown = (section.form is Form.TABLE and not section.optional) or is_written
    header = ("" if is_shown else "#") + section.header.replace("NAME", section.sample)
    return "\n\n".join([f"{_comment(section.description)}\n{header}", *_keys(section, is_shown=is_shown)])


def _keys(section: SectionReference, *, is_shown: bool) -> Iterator[str]:
    for key in section.keys:
        if key.default is not None:
            line = f"#{key.name} = {toml_text(key.default)}"
        elif is_shown and (key.required or (section.name, key.name) in _WRITTEN):
            line = f"{key.name} = {toml_text(key.example)}"
        else:
            line = f"#{key.name} = {toml_text(key.example)}  # an example"
        yield f"{_comment(_about(key))}\n{line}"


def _about(key: KeyReference) -> str:
    """What a key is for, and what it takes where the line below does not show it."""
    is_plain = "such as" in key.values and "; each" not in key.values
    if key.file_of or is_plain or key.schema.get("type") == "boolean" or key.values.startswith("the path of a file"):
        return key.description
    return f"{key.description} ({key.values})"


def _comment(text: str) -> str:
    return textwrap.fill(
        text,
        _WIDTH,
        initial_indent="# ",
        subsequent_indent="# ",
        break_long_words=False,
        break_on_hyphens=False,
    )
