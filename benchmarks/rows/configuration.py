"""The configuration of `pws serve`, for rows that start it: on the loopback interface, of a server without TLS."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

_CONFIG: Final = """\
[server]
nodes = ["127.0.0.1:{node}"]
tls = false
[application]
username = "pwsapp"
password = "secret"
[callback]
url = "http://127.0.0.1:{port}"
[http]
port = {port}
"""


def write(file: Path, *, port: int, node: int, more: str = "", **watched: str) -> None:
    """Write it: the service's port, the server's, and what there is of `more`.

    `watched`: by end user, the contacts as the rest of a `[[watch]]`, see `contacts` and `contacts_file`.
    """
    blocks = [_CONFIG.format(port=port, node=node), more]
    blocks += [f'[[watch]]\nend_user = "{user}"\n{contacts}\n' for user, contacts in watched.items()]
    file.write_text("\n".join(blocks), "utf-8")


def contacts(*names: str) -> str:
    """These contacts, for a `[[watch]]`."""
    return f"contacts = {json.dumps(names)}"


def contacts_file(file: Path) -> str:
    """The contacts of a file beside the configuration, whose presence is basic."""
    return f'contacts_file = "{file.name}"\npresence_type = "BASIC_PRESENCE"'
