"""What webhooks leave for the next run, as files beside the state file: `pws.state.json.webhook-NAME` for each target.

A file is for its owner alone: it says who is how. It is written beside its place and put there in one step.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from service.sync import regular_file

_MARK: Final = ".webhook-"
_NEW: Final = ".new"
_ASIDE: Final = ".broken"
_MOST: Final = 128 * 1024 * 1024
"""Bytes that are read of a file at most; a longer one is none of ours."""


class WebhookFiles:
    """A Shelf (`service.webhooks.leftovers`) beside the state file."""

    def __init__(self, state: Path) -> None:
        self._state = state

    def names(self) -> Sequence[str]:
        """Of which targets there is a file. What a crash left of the writing of one is removed."""
        beginning = f"{self._state.name}{_MARK}"
        found: list[str] = []
        with contextlib.suppress(OSError):
            for path in sorted(self._state.parent.iterdir()):
                if path.name.startswith(f".{beginning}") and path.name.endswith(_NEW):
                    path.unlink()
                elif path.name.startswith(beginning) and "." not in path.name[len(beginning) :]:
                    found.append(path.name[len(beginning) :])
        return found

    def read(self, name: str) -> bytes | None:
        """See Shelf."""
        path = self._path(name)
        if not regular_file.check(path):
            return None
        with os.fdopen(regular_file.open_regular(path, os.O_RDONLY), "rb") as file:
            return file.read(_MOST)

    async def write(self, name: str, document: bytes) -> None:
        """See Shelf. In a thread: a disk may be slow."""
        await asyncio.to_thread(self._write, self._path(name), document)

    def remove(self, name: str) -> None:
        """See Shelf."""
        path = self._path(name)
        if regular_file.check(path):
            path.unlink()

    async def settle(self) -> None:
        """See Shelf: a file that is removed is gone."""

    def put_aside(self, name: str) -> str:
        """See Shelf."""
        path = self._path(name)
        aside = path.with_name(path.name + _ASIDE)
        regular_file.check(aside)
        path.replace(aside)
        return aside.name

    def _path(self, name: str) -> Path:
        return self._state.with_name(f"{self._state.name}{_MARK}{name}")

    @staticmethod
    def _write(path: Path, document: bytes) -> None:
        regular_file.check(path)
        temporary = path.with_name(f".{path.name}{_NEW}")
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(document)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()  # a full disk needs the room
            raise
