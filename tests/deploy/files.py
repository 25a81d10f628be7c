"""Where the files of deploy/ lie, and the programs that check them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
DEPLOY: Final = ROOT / "deploy"


def tool(name: str) -> str:
    """The path of a program. A test is skipped where the program that it wants is not installed."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def run(words: Sequence[str | Path], stdin: str = "", at: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, in the folder `at`."""
    return subprocess.run(words, input=stdin, cwd=at, capture_output=True, text=True, timeout=120, check=False)
