"""Writes a whole file or nothing."""

from __future__ import annotations

import os
from pathlib import Path

from service.sync import regular_file


def write(path: Path, text: str, mode: int) -> None:
    """Write a file, in place of one that is there. Raises OSError, also where it would replace no regular file.

    `mode` is set when the file is made: there is no moment in which others can read it.
    """
    if not path.is_symlink():
        regular_file.check(path)
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
            file.write(text)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
