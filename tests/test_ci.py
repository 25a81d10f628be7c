"""Which versions of Python `.ci/run` tests with: the oldest and the newest that are supported and here."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]


def interpreter(path: Path, version: str) -> str:
    """A program that says it is that version of Python."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho {version}\n" if version else "#!/bin/sh\nexit 127\n")
    path.chmod(0o755)
    return str(path)


def supported(path: Path, pyenv: Path) -> list[str]:
    environment = {"PATH": f"{path}:{os.defpath}", "PYENV_ROOT": str(pyenv), "HOME": str(pyenv)}
    done = subprocess.run([ROOT / ".ci" / "supported_pythons"], env=environment, capture_output=True, check=True)
    return done.stdout.decode().splitlines()


def test_oldest_comes_first_and_pyenv_fills_in_what_the_path_lacks(tmp_path: Path) -> None:
    """A shim that fails is none, and a version that is not supported is not taken."""
    on_path, pyenv = tmp_path / "bin", tmp_path / "pyenv"
    first = interpreter(on_path / "python3.11", "3.11")
    interpreter(on_path / "python3", "3.11")
    interpreter(on_path / "python3.12", "")
    interpreter(on_path / "python3.13", "")
    second = interpreter(pyenv / "versions" / "3.12.1" / "bin" / "python3", "3.12")
    third = interpreter(pyenv / "versions" / "3.13.0" / "bin" / "python3", "3.13")
    interpreter(pyenv / "versions" / "3.10.9" / "bin" / "python3", "3.10")
    assert supported(on_path, pyenv) == [first, second, third]


def test_machine_with_one_python_has_one(tmp_path: Path) -> None:
    on_path = tmp_path / "bin"
    for name in ("python3.11", "python3.12", "python3.13"):
        interpreter(on_path / name, "")
    only = interpreter(on_path / "python3", "3.12")
    assert supported(on_path, tmp_path) == [only]
