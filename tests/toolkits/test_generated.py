"""Clients that openapi-generator makes of the description of a running `pws demo`, with the settings of `clients/`.

All commands are those of `clients/README.md`.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.processes import Running
from tests.toolkits.following import ENDED, Demo, Follower, shell
from tests.toolkits.recipes import commands

pytestmark = [pytest.mark.toolkits, pytest.mark.long]

CLIENTS: Final = Path(__file__).parents[2] / "clients"
ANNOTATIONS: Final = Path("/usr/share/java/geronimo-annotation-1.3-spec.jar")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A demonstration whose process the tests replace."""
    with closing(Demo(tmp_path_factory.mktemp("demo"))) as made:
        yield made


@pytest.fixture(scope="module")
def folder(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of `clients/` with all that was generated, and what the generator said of it in `generated.log`."""
    if shutil.which("java") is None or shutil.which("openapi-generator-cli") is None:
        pytest.skip("PyPI's openapi-generator-cli, and a Java for it, are not installed")
    made = tmp_path_factory.mktemp("clients")
    shutil.copytree(CLIENTS, made, dirs_exist_ok=True, ignore=shutil.ignore_patterns("build", "openapi.json"))
    (generating,) = commands(CLIENTS / "README.md", "Generate")
    done = shell(made, generating, {"PWS_URL": demo.site.url})
    (made / "generated.log").write_text(done.stdout, "utf-8")
    assert done.returncode == 0, done.stdout[-4000:]
    return made


def libraries() -> str:
    """What generated Java depends on, as a class path."""
    generator = Path(shutil.which("openapi-generator-cli") or "").resolve()
    (jar,) = generator.parents[1].glob("lib/python*/site-packages/openapi_generator_cli/openapi-generator.jar")
    return f"{jar}:{ANNOTATIONS}"


def test_clients_in_four_languages_come_without_a_warning(folder: Path) -> None:
    """The generator logs what it does, and finds nothing to complain of."""
    log = (folder / "generated.log").read_text("utf-8")
    levels = re.findall(r"^\[[^\]]+\] (\w+) ", log, re.MULTILINE)
    assert set(levels) == {"INFO"}, [line for line in log.splitlines() if re.search("WARN|ERROR", line)]
    assert "Inline schema created" not in log
    assert {path.name for path in (folder / "build").iterdir()} == {"java", "csharp", "typescript", "powershell"}
    module = folder / "build/powershell/src/PresenceClient/Api/PresenceClaimsApi.ps1"
    assert "function New-PresenceClaim" in module.read_text("utf-8")
    assert (folder / "build/csharp/src/Presence.Client/Model/ClaimRequest.cs").exists()


@pytest.mark.parametrize("language", ["Java", "TypeScript"])
def test_a_generated_client_claims_somebody_and_follows_the_demo_through_restarts(
    language: str, folder: Path, demo: Demo, tmp_path: Path
) -> None:
    """One restart as an operator makes it, one after a crash: each time it is not sure, and then knows anew."""
    environment = {"JARS": libraries()} if language == "Java" else {}
    (lines,) = commands(CLIENTS / "README.md", language)
    *building, running = lines
    if language == "Java" and (shutil.which("javac") is None or not ANNOTATIONS.exists()):
        pytest.skip("Java: openjdk-17-jdk-headless with libgeronimo-annotation-1.3-spec-java is not installed")
    if language == "TypeScript":
        fetched = shell(folder, building[:1], {}) if shutil.which("npm") is not None else None
        if fetched is None or fetched.returncode != 0:
            pytest.skip("TypeScript: there is no npm, or it cannot reach its registry")
    built = shell(folder, building, environment)
    assert built.returncode == 0, built.stdout

    words = ["bash", "-c", f"cd '{folder}' && exec {running}"]
    with Follower(words, tmp_path, demo.site.url, environment) as follower:
        follower.says(lambda line: line.startswith("claimed: ") and line.endswith("@example.com"))
        follower.says("snapshot: start")
        follower.says(lambda line: line.startswith("free: "))
        for end in (Running.stop, Running.kill):
            end(demo.running)
            follower.says("not sure")
            demo.again()
            follower.says("snapshot: not-kept")
            follower.says(lambda line: line.startswith("free: ") and line.endswith("@example.com"))
        assert follower.interrupt() in {0, 130}
        assert follower.lines(ENDED)
