"""The wheel as a user gets it: built, installed in an environment that has nothing else, run away from the checkout.

Marked `long`, since it builds, and installs every dependency from the package index: `pytest -m long tests/e2e`.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from service import __version__

pytestmark = [pytest.mark.long(ci=True), pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]


def run(words: Sequence[str | Path], directory: Path, timeout: float) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, with nothing of this test run in its environment."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PWS_", "COVERAGE_")) and name not in {"PYTHONPATH", "PYTEST_ADDOPTS", "VIRTUAL_ENV"}
    }
    return subprocess.run(
        words,
        cwd=directory,
        env=clean,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


@dataclass(frozen=True)
class Installed:
    """The wheel, and an environment that holds it and its dependencies."""

    wheel: Path
    python: Path
    elsewhere: Path

    @property
    def pws(self) -> Path:
        return self.python.with_name("pws")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built once."""
    place = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--outdir", str(place)]
    if importlib.util.find_spec("hatchling"):
        build.append("--no-isolation")  # quicker, where the builder is at hand
    built = run([*build, str(ROOT)], place, 300)
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = place.glob("*.whl")
    return wheel


def install(wheel: Path, place: Path, extra: str = "") -> Installed:
    """A new environment with the wheel, and an extra such as `[pytest]`."""
    environment = place / "environment"
    made = run([sys.executable, "-m", "venv", "--without-pip", environment], place, 60)
    assert made.returncode == 0, made.stderr
    python = environment / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check", "install", "--quiet"]
    pip.append("--no-compile")  # what is imported is compiled then
    done = run([*pip, f"{wheel}{extra}"], place, 500)
    assert done.returncode == 0, done.stdout + done.stderr
    elsewhere = place / "elsewhere"
    elsewhere.mkdir()
    return Installed(wheel, python, elsewhere)


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Installed once."""
    return install(built, tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def with_pytest(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Installed once, with the extra `pytest` and no other."""
    return install(built, tmp_path_factory.mktemp("pytest"), "[pytest]")


def test_the_wheel_carries_what_it_needs_and_no_more(installed: Installed) -> None:
    names = set(zipfile.ZipFile(installed.wheel).namelist())
    assert {"pws_soap/wsdl/presence.wsdl", "pws_soap/py.typed", "service/py.typed"} <= names
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"pws_soap", "service"}


def test_what_was_installed_is_what_the_bill_of_materials_wants(installed: Installed) -> None:
    """Each package that it names, in a version that it allows; the pins of a release name all of them exactly."""
    frozen = run([sys.executable, "-m", "pip", "--python", installed.python, "freeze"], installed.elsewhere, 60)
    lines = [line for line in frozen.stdout.splitlines() if not line.startswith("pws-presence")]
    pins = {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines)}
    assert all(pins.values()), lines
    with zipfile.ZipFile(installed.wheel) as wheel:
        (name,) = [each for each in wheel.namelist() if "/sboms/" in each]
        sbom = json.loads(wheel.read(name))
    for component in sbom["components"]:
        if component["scope"] == "required":
            limit = component["versionRange"].removeprefix("vers:pypi/")
            assert pins[component["name"]] in SpecifierSet(limit), component


def test_the_wsdl_is_found_without_the_checkout(installed: Installed) -> None:
    code = (
        "import sys; from pws_soap import contract;"
        " assert contract.__file__.startswith(sys.prefix), contract.__file__;"
        " print(contract.bundled())"
    )
    told = run([installed.python, "-c", code], installed.elsewhere, 60)
    assert (told.returncode, told.stdout.startswith("Contract(")) == (0, True), told.stdout + told.stderr


def test_it_tells_its_version(installed: Installed) -> None:
    told = run([installed.pws, "--version"], installed.elsewhere, 60)
    assert (told.returncode, told.stdout) == (0, f"pws {__version__}\n")


def test_the_demo_shows_changes_and_ends_by_itself(installed: Installed) -> None:
    """`pws demo` where no checkout is: real sockets, an office day, and a clean end after ten seconds."""
    shown = run([installed.pws, "demo", "--for", "10s", "--port", "0"], installed.elsewhere, 60)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "Traceback" not in shown.stdout + shown.stderr
    assert "/v1/presence" in shown.stdout + shown.stderr
    assert "@example.com" in shown.stdout


FIRST: Final = next(
    iter(re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "pytest.md").read_text("utf-8"), re.DOTALL))
)
"""The first test of the page about the pytest plugin."""


def pytest_over(installed: Installed, code: str, *words: str) -> subprocess.CompletedProcess[str]:
    """A run of pytest over one file, with warnings as errors and a test that asks for TLS beside it."""
    (installed.elsewhere / "test_ann.py").write_text(code)
    return run([installed.python, "-m", "pytest", "-W", "error", *words], installed.elsewhere, 120)


def test_the_pytest_plugin_alone_runs_the_first_test_of_its_page(with_pytest: Installed) -> None:
    """As it stands; TLS needs nothing else either."""
    tls = ["import pytest", "@pytest.mark.pws(tls=True)", "def test_tls(pws_server): assert pws_server.ca_file"]
    done = pytest_over(with_pytest, "\n".join([FIRST, *tls, ""]), "--strict-markers")
    assert (done.returncode, " 2 passed in " in done.stdout) == (0, True), done.stdout + done.stderr


def test_the_pytest_plugin_tells_why_a_test_fails(with_pytest: Installed) -> None:
    """What was compared, and what the server was asked."""
    assert FIRST.rstrip().endswith('== "BUSY"')
    done = pytest_over(with_pytest, FIRST.rstrip().removesuffix('"BUSY"') + '"AWAY"\n')
    assert done.returncode == 1, done.stdout + done.stderr
    assert "AssertionError: assert 'BUSY' == 'AWAY'" in done.stdout
    assert "  3 getPolledPresence by dispatcher at imp1: answered" in done.stdout
