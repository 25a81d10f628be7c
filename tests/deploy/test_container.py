"""The image: what a linter says of its recipe, and whether what is let into the build is enough for the wheel."""

from __future__ import annotations

import json
import re
import shutil
import sys
import zipfile
from pathlib import Path

from service.cli.command_line import COMMANDS
from tests.deploy.files import DEPLOY, ROOT, run, tool

FILE = DEPLOY / "container" / "Containerfile"
ALLOWED = FILE.with_suffix(".dockerignore")


def stages() -> list[str]:
    """What each stage says, comments left out, one instruction a line."""
    text = re.sub(r"^#.*\n", "", FILE.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return re.split(r"^FROM ", text, flags=re.MULTILINE)[1:]


def instruction(stage: str, name: str) -> str:
    """The last one of that name: it is the one that counts."""
    found: list[str] = re.findall(rf"^{name} (.*)$", stage, re.MULTILINE)
    return found[-1]


def test_linter_finds_nothing() -> None:
    done = run([tool("hadolint"), "--failure-threshold", "style", FILE])
    assert (done.returncode, done.stdout) == (0, ""), done.stdout


def test_image_runs_the_service_and_not_as_root() -> None:
    build, image = stages()
    user, _, group = instruction(image, "USER").partition(":")
    assert (int(user), int(group)) > (0, 0)
    assert json.loads(instruction(image, "ENTRYPOINT")) + json.loads(instruction(image, "CMD")) == ["pws", "serve"]
    assert "pip" not in image, "what builds it is not in it"
    assert "COPY . ." in build


def test_health_is_asked_of_the_service() -> None:
    check = instruction(stages()[1], "HEALTHCHECK").partition("CMD ")[2]
    assert json.loads(check) == ["pws", "health"]
    assert "health" in COMMANDS


def test_what_is_let_into_the_build_is_enough_and_holds_no_secret(tmp_path: Path) -> None:
    """A wheel built from it alone has the same files as one that is built from the checkout."""
    lines = ALLOWED.read_text().splitlines()
    assert "*" in lines
    context = tmp_path / "context"
    for name in (line[1:] for line in lines if line.startswith("!")):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, context / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.is_file():
            (context / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, context / name)
    assert files_of_wheel(context, tmp_path / "from-context") == files_of_wheel(ROOT, tmp_path / "from-checkout")


def files_of_wheel(sources: Path, directory: Path) -> dict[str, int]:
    """The names and checksums of what is in the wheel that these sources make."""
    done = run([sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", directory], at=sources)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = directory.glob("*.whl")
    return {each.filename: each.CRC for each in zipfile.ZipFile(wheel).infolist()}
