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


def test_the_page_of_commands_names_every_one_that_there_is() -> None:
    page = (ROOT / "docs" / "commands.md").read_text("utf-8")
    told = re.findall(r"^\| `pws (\w+)", page, re.MULTILINE)
    assert told == list(COMMANDS)


PAGES: Final = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted(ROOT.glob("*/README.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_links_lead_somewhere(page: Path) -> None:
    """Files that there are, and headings in them."""
    text = re.sub(r"(?ms)^ *```.*?^ *```|`[^`\n]*`", "", page.read_text("utf-8"))
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([\w-]+))?\)", text):
        there = page.parent / target if target else page
        assert there.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", there.read_text("utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}, anchor


def test_every_page_is_found_from_the_readme(readme: str) -> None:
    """By the table at its end, or by the page about running the service."""
    told = readme + (ROOT / "docs" / "service.md").read_text("utf-8")
    assert [page.name for page in (ROOT / "docs").glob("*.md") if f"{page.name})" not in told] == []


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
