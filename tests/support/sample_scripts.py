"""The files of the sample scripts, written into a directory."""

from __future__ import annotations

import json
from pathlib import Path

SERVER = {"SERVER": "cup.example.com", "HOST": "10.1.1.1"}
APPLICATION = {"USERNAME": "app", "PASSWD": 'hun"ter2'}
END_USER = {"USERNAME": "dispatcher"}


def samples(
    directory: Path,
    server: object = None,
    application: object = None,
    end_user: object = None,
    contacts: object = ("joe", "rita", "carlotta"),
) -> Path:
    """Write the four files; each may be given another content."""
    for name, parameters in (
        ("serverparams.json", SERVER if server is None else server),
        ("appuser.json", APPLICATION if application is None else application),
        ("enduser.json", END_USER if end_user is None else end_user),
    ):
        (directory / name).write_text(json.dumps({"params": [parameters]}), "utf-8")
    if contacts is not None:
        (directory / "contacts.list").write_text(json.dumps(contacts), "utf-8")
    for path in directory.iterdir():
        path.chmod(0o600)
    return directory
