"""What the documents promise is so: the configuration loads, the commands and keys are those that there are."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from service.cli.command_line import COMMANDS
from service.config import load

ROOT: Final = Path(__file__).parents[2]


@pytest.fixture
def readme() -> str:
    return (ROOT / "README.md").read_text("utf-8")


def test_the_configuration_in_the_readme_loads(readme: str, tmp_path: Path) -> None:
    """As it stands, with the files that it names; without a warning."""
    found = re.search(r"```toml\n(.*?)```", readme, re.DOTALL)
    assert found
    path = tmp_path / "pws.toml"
    path.write_text(found[1])
    for name in ("cup.pem", "pws-password"):
        (tmp_path / name).write_text("x")
        (tmp_path / name).chmod(0o600)
    config = load(path, {})
    assert config.warnings == ()
    assert config.watch[0].contacts == ("joe@example.com", "rita@example.com", "carlotta@example.org")


def test_the_readme_names_every_command_that_there_is(readme: str) -> None:
    told = re.findall(r"^\| `pws (\w+)", readme, re.MULTILINE)
    assert told == list(COMMANDS)


def test_the_links_lead_somewhere(readme: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", readme):
        assert (ROOT / target).is_file(), target


def test_the_recipes_name_files_that_there_are() -> None:
    """docs/contributing.md; NAME, NOUN and * stand for something."""
    text = (ROOT / "docs" / "contributing.md").read_text("utf-8")
    paths = re.findall(r"`((?:pws_soap|service|tests|docs|benchmarks)/[\w./]*)`", text)
    assert len(paths) > 50
    assert not [path for path in paths if "NAME" not in path and "NOUN" not in path and not (ROOT / path).exists()]


def test_the_page_of_keys_is_that_of_the_settings_model() -> None:
    """docs/configuration.md is what its script writes; `python docs/configuration.py` mends it."""
    script = ROOT / "docs" / "configuration.py"
    done = subprocess.run([sys.executable, str(script), "-"], capture_output=True, check=True, cwd=ROOT)
    assert done.stdout.decode("utf-8") == script.with_suffix(".md").read_text("utf-8")


def test_the_links_of_the_page_of_keys_lead_somewhere() -> None:
    page = ROOT / "docs" / "configuration.md"
    links = re.findall(r"\]\(([\w./-]*)#([\w-]+)\)", page.read_text("utf-8"))
    assert len(links) > 20
    for target, anchor in links:
        headings = re.findall(r"^#+ (.*)$", (page.parent / (target or page.name)).read_text("utf-8"), re.MULTILINE)
        assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}, anchor
