"""The bill of materials in the wheel: it is where PEP 770 says, it is CycloneDX, and it is true."""

from __future__ import annotations

import json
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from service import __version__
from tests.deploy.files import ROOT, run

Json = dict[str, Any]  # as CycloneDX describes it


def built(directory: Path) -> Path:
    """A wheel, built as every build does, without a network."""
    done = run([sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", directory], at=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = directory.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def text(wheel: Path) -> str:
    """The document, read from the place where tools look for it."""
    name = f"pws_presence-{__version__}.dist-info/sboms/pws-presence.cdx.json"
    return zipfile.ZipFile(wheel).read(name).decode()


@pytest.fixture(scope="module")
def sbom(text: str) -> Json:
    found: Json = json.loads(text)
    return found


def test_it_is_what_the_standard_describes(text: str) -> None:
    # Imported here: it takes seconds, which every run of any test would spend.
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    assert JsonStrictValidator(SchemaVersion.V1_7).validate_str(text) is None


def test_it_names_what_the_project_declares_with_the_oldest_versions_that_will_do(sbom: Json) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {"": project["dependencies"], **project["optional-dependencies"]}
    del declared["test"]
    expected = set()
    for extra, lines in declared.items():
        for requirement in map(Requirement, lines):
            (limit,) = requirement.specifier
            scope = "optional" if extra else "required"
            expected.add((requirement.name, f"vers:pypi/{limit}", scope, extra, str(requirement.marker or "")))
    found = set()
    for component in sbom["components"]:
        properties = {each["name"]: each["value"] for each in component.get("properties", [])}
        more = properties.get("python:extra", ""), properties.get("python:marker", "")
        found.add((component["name"], component["versionRange"], component["scope"], *more))
    assert found == expected
    assert sbom["metadata"]["component"]["version"] == __version__


def test_nothing_of_others_is_said_to_be_inside(sbom: Json, wheel: Path) -> None:
    """Nor is it: a wheel with a folder of somebody else's would have to name it."""
    assert all(component["isExternal"] and "version" not in component for component in sbom["components"])
    folders = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert folders == {"pws_soap", "service", f"pws_presence-{__version__}.dist-info"}


def test_two_builds_are_the_same_to_the_byte(wheel: Path, tmp_path: Path) -> None:
    assert built(tmp_path).read_bytes() == wheel.read_bytes()
