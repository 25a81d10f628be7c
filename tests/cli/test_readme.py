"""What the documents promise is so: the configuration loads, the commands and keys are those that there are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from service.cli.command_line import COMMANDS
from service.config import load
from service.config.sections import BLOCKS

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


def test_the_table_of_keys_is_that_of_the_configuration() -> None:
    """Every key of every section in docs/service.md, with the default that it has."""
    text = (ROOT / "docs" / "service.md").read_text("utf-8")
    table = text.partition("## Configuration")[2].partition("\n## ")[0]
    told: dict[str, dict[str, str]] = {}
    for first, default in re.findall(r"^\| (\S+) \| (.*?) \|", table, re.MULTILINE):
        if section := re.fullmatch(r"\*\*`\[+(\w+).*?`\*\*", first):
            keys = told.setdefault(section[1], {})
        elif first.startswith("`"):
            keys[first.strip("`")] = default.strip("`")
    assert {name: set(keys) for name, keys in told.items()} == {
        name: set(block.model_fields) for name, block in BLOCKS.items()
    }
    for name, block in BLOCKS.items():
        for key, field in block.model_fields.items():
            default = told[name][key]
            if field.is_required():
                assert default == "required", key
            elif isinstance(field.default, bool):
                assert default == str(field.default).lower(), key
            elif isinstance(field.default, int | float):
                assert float(default) == float(field.default), key
            elif isinstance(field.default, str):
                assert default == f'"{field.default}"', key
