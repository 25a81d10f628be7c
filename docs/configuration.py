"""Writes docs/configuration.md from the settings model. `python docs/configuration.py -` prints it instead.

What is said of a key stands in `service/config`; here are only the words around the tables.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from service.config.reference import KeyReference, SectionReference, default_text, sections

PAGE: Final = Path(__file__).with_suffix(".md")

INTRODUCTION: Final = """\
# Configuration

<!-- Written by docs/configuration.py from the settings model in service/config. Do not edit. -->

Every section and key of `pws.toml`. `pws config init` writes a commented file to start from.

## Where it is read from

A TOML file: `pws.toml` in the current directory unless `--config` or `PWS_CONFIG` name another. Relative paths in it
start from its directory.

Each key can also be set in the environment, which beats the file:

| key | variable |
|---|---|
| `server.nodes` | `PWS_SERVER__NODES="imp1.example.com,imp2.example.com"` |
| `http.port` | `PWS_HTTP__PORT=8000` |
| the first block's `end_user` | `PWS_WATCH__0__END_USER=dispatcher` |
| a group's `contacts` | `PWS_GROUPS__SUPPORT__CONTACTS=ann@example.com,joe@example.com` |
| the first target's `secret_file` | `PWS_WEBHOOKS__0__SECRET_FILE=/run/secrets/crm` |
| a whole section | `PWS_WATCH='[{"end_user": "dispatcher", "contacts": ["ann@example.com"]}]'`, as JSON |

Lists are written with commas or as JSON. An empty variable counts as not set. A warning tells of a value in quotes, as
they count as a part of it (a shell takes them off, a file of variables does not), and of a group or key that only the
environment has, beside a file: its name may be mistyped. Without a file the environment alone will do.

Secrets are better kept in files of their own: `password_file` and `secret_file` name them, also in the environment
(`PWS_APPLICATION__PASSWORD_FILE`).

## Checking it

| command | does |
|---|---|
| `pws config check` | reads all that the service would read, and says what is wrong and in which line; starts nothing |
| `pws config show` | prints each key that is in force, and where its value comes from; secrets are hidden |
| `pws config schema` | prints the JSON Schema of the file, for editors |
| `pws config init` | writes a commented `pws.toml`, and the schema beside it |
| `pws doctor` | checks the network too: names, certificates, logins, and whether the server reaches the callback |

Every mistake is reported at once, each with its key, what was expected and what was found. At SIGHUP `pws serve` reads
contacts and keys again; everything else takes a restart.

Editors that know TOML schemas (Even Better TOML, taplo) show each key's description and mark mistakes while you type.
They find the schema by the first line of the file, which `pws config init` writes:

```toml
#:schema ./pws.schema.json
```

For a file that is there already: `pws config schema > pws.schema.json`, and add that line.
"""
SEE_ALSO: Final = {
    "server": "[Before the first start](service.md#before-the-first-start)",
    "callback": "[Notifications on a listener of their own](callback.md)",
    "http": "[Below a proxy's path](proxy.md)",
    "state": "[The state file](service.md#what-is-left-at-the-server-and-the-state-file)",
    "access": "[Access](access.md)",
    "stream": "[Events](events.md)",
    "history": "[History](events.md#history)",
    "claims": "[Claims](claims.md)",
    "available": "[Availability](availability.md)",
    "keys": "[Access](access.md)",
    "webhooks": "[Webhooks](webhooks.md)",
}
"""Where what a section is about is explained."""


def page() -> str:
    """The text of docs/configuration.md."""
    index = "\n".join(f"- [`{section.header}`](#{_anchor(section)}): {section.description}" for section in sections())
    return "\n".join([INTRODUCTION, "## Sections", "", index, *map(_section, sections())]) + "\n"


def _anchor(section: SectionReference) -> str:
    """The address of a heading as GitHub makes it of `[groups.NAME]`."""
    return "".join(char for char in section.header.lower() if char.isalnum() or char in "-_")


def _section(section: SectionReference) -> str:
    also = SEE_ALSO.get(section.name)
    text = section.description + (f" More: {also}." if also else "")
    rows = "\n".join(map(_row, section.keys))
    return f"\n### `{section.header}`\n\n{text}\n\n| key | takes | default | |\n|---|---|---|---|\n{rows}"


def _row(key: KeyReference) -> str:
    default = default_text(key) if key.required or key.default is None else f"`{default_text(key)}`"
    cells = (f"`{key.name}`", _values(key), default, key.description)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _values(key: KeyReference) -> str:
    """What a key takes; words that stand for themselves as code."""
    words = key.schema.get("enum")
    if isinstance(words, list):
        return ", ".join(f'`"{word}"`' for word in words)
    return "`true`, `false`" if key.schema.get("type") == "boolean" else key.values


if __name__ == "__main__":
    if sys.argv[1:] == ["-"]:
        sys.stdout.write(page())
    else:
        PAGE.write_text(page(), "utf-8")
