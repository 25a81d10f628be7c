"""The Java and the C# program of `examples/`, against a service that goes away and comes back."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.simulated import Server, Service, configure
from tests.toolkits.following import ENDED, RELEASED, Follower, cable, shell

pytestmark = [pytest.mark.toolkits, pytest.mark.long]

EXAMPLES: Final = Path(__file__).parents[2] / "examples"
JACKSON: Final = [Path(f"/usr/share/java/jackson-{part}.jar") for part in ("databind", "core", "annotations")]
ANN, JOE = "ann@example.com", "joe@example.com"
WORDS: Final = ("support", "ticket 4711")


@dataclass(frozen=True)
class Program:
    """A program, ready to run. `end` ends it as a user does."""

    words: Sequence[str]
    end: Callable[[Follower], int]


@pytest.fixture(scope="module", params=["Java", "C#"])
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Program:
    """Each of them, as its first lines say that it is compiled and run."""
    directory = tmp_path_factory.mktemp("followers")
    if request.param == "Java":
        if shutil.which("javac") is None or not all(jar.exists() for jar in JACKSON):
            pytest.skip("Java: openjdk-17-jdk-headless with libjackson2-databind-java is not installed")
        classes = ":".join(map(str, JACKSON))
        return Program(["java", "-cp", classes, str(EXAMPLES / "FollowPresence.java"), *WORDS], Follower.interrupt)
    if shutil.which("mcs") is None or shutil.which("mono") is None:
        pytest.skip("C#: mono-devel is not installed")
    shutil.copy(EXAMPLES / "FollowPresence.cs", directory)
    built = shell(directory, ["mcs -warnaserror -r:System.Web.Extensions FollowPresence.cs"], {})
    assert built.returncode == 0, built.stdout
    return Program(["mono", str(directory / "FollowPresence.exe"), *WORDS], Follower.enter)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> object:
    """A simulated server for both."""
    with Server(tmp_path_factory.mktemp("server")) as made:
        yield made.ready()
        assert made.stop() == 0


def test_it_claims_somebody_and_follows_the_stream_through_restarts(
    program: Program, server: Server, tmp_path: Path
) -> None:
    """A cut connection costs nothing; a restart is a new snapshot; what is not live is not called free."""
    server.node("up")
    server.forget()
    for name in (ANN, JOE):
        server.put(name, state="AVAILABLE", activities=[])
    site = configure(tmp_path, server.port)
    with cable(site.port) as line, Service(tmp_path, site) as service:
        service.ready()
        with Follower(program.words, tmp_path, line.url, {}) as brief:
            brief.says(f"claimed: {ANN}")
            brief.says("snapshot: start")
            assert program.end(brief) in {0, 130}
            assert brief.lines(RELEASED)
        assert site.get("/v1/claims").json["claims"] == []

        with Follower(program.words, tmp_path, line.url, {}) as follower:
            follower.says(f"claimed: {JOE}")  # who has been free for longer: Ann was held until now
            follower.says("snapshot: start")
            follower.says(f"free: {ANN}")
            line.cut()
            server.put(ANN, state="BUSY")
            follower.says("not sure")
            follower.says("free: ")
            assert follower.lines("snapshot") == ["snapshot: start"], "it has resumed"
            assert b"Last-Event-ID: " in line.sent

            assert service.stop() == 0
            follower.says("not sure")
            server.put(ANN, state="AVAILABLE")
            with Service(tmp_path, site) as second:
                follower.says("snapshot: not-kept")
                follower.says(f"free: {ANN}, {JOE}")
                server.node("down")
                second.kill()
                follower.says("not sure")
            with Service(tmp_path, site) as third:
                follower.says("snapshot: not-kept")
                follower.says(f"free: ; not live: {ANN}, {JOE}")
                server.node("up")
                follower.says(f"free: {ANN}, {JOE}")
                assert program.end(follower) in {0, 130}
                assert follower.lines(ENDED)
                assert third.stop() == 0


def test_it_ends_where_trying_again_is_no_use(program: Program, server: Server, tmp_path: Path) -> None:
    """A group that there is not."""
    site = configure(tmp_path, server.port)
    with Service(tmp_path, site) as service:
        service.ready()
        words = [word if word != "support" else "nobody" for word in program.words]
        with Follower(words, tmp_path, site.url, {}) as follower:
            assert follower.ended() == 1
            assert "expected one of support" in follower.output
        assert service.stop() == 0
