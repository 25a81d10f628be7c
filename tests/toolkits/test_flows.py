"""The flow of Node-RED in `examples/`, run as it stands, and the Power Query, read by Microsoft's parser."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.processes import PWS, Running, eventually
from tests.e2e.simulated import Server, Service, configure
from tests.toolkits.recipes import PATIENCE

pytestmark = [pytest.mark.toolkits, pytest.mark.long]

EXAMPLES: Final = Path(__file__).parents[2] / "examples"
PACKAGES: Final = ("node-red@4", "@microsoft/powerquery-parser@0")
SETTINGS: Final = "module.exports = { uiHost: '127.0.0.1', httpAdminRoot: false, httpNodeRoot: false };"
PARSE: Final = """
const { DefaultSettings, TaskUtils } = require("@microsoft/powerquery-parser");
const text = require("fs").readFileSync(process.argv[2], "utf-8");
TaskUtils.tryLexParse(DefaultSettings, text).then((task) => {
    if (!TaskUtils.isParseStageOk(task)) throw task.error;
    console.log("parsed");
});
"""


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the packages of npm."""
    if shutil.which("npm") is None:
        pytest.skip("Node 20 or later with npm is not installed")
    place = tmp_path_factory.mktemp("npm")
    words = [
        "npm",
        "install",
        "--no-audit",
        "--no-fund",
        "--omit=optional",
        "--ignore-scripts",
        "--prefix",
        str(place),
        *PACKAGES,
    ]
    try:
        done = subprocess.run(words, cwd=place, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm: {' '.join(PACKAGES)} not installed within {PATIENCE} s")
    if done.returncode != 0:
        pytest.skip(f"npm: this failed: {' '.join(words)}: {done.stderr.strip()[-300:]}")
    return place


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A simulator with two contacts who are in."""
    with Server(tmp_path_factory.mktemp("server")) as server:
        server.ready()
        server.put("ann@example.com", state="BUSY", activities=[])
        server.put("joe@example.com", state="AVAILABLE", activities=[])
        yield server
        assert server.stop() == 0


def told(program: Running) -> list[dict[str, str] | None]:
    """What the flow has told so far: the state of each contact, or None for not known."""
    found: list[dict[str, str] | None] = []
    for part in program.output.split("[debug:contacts]")[1:]:
        states = dict(re.findall(r"contact: '([^']*)',\s*state: '(\w+)'", part))
        found.append(states or None)
    return found


def test_the_flow_of_node_red_follows_a_group_through_a_restart(modules: Path, server: Server, tmp_path: Path) -> None:
    """With a key; each change is told at once, and so is that nothing is known, once."""
    made = subprocess.run([PWS, "key", "new", "--json"], capture_output=True, check=True, timeout=PATIENCE)
    key = json.loads(made.stdout)
    site = configure(tmp_path, server.port)
    with (tmp_path / "pws.toml").open("a") as config:
        config.write(f"\n{key['section']}")
    (tmp_path / "settings.js").write_text(SETTINGS)
    node_red = [*("node", str(modules / "node_modules" / "node-red" / "red.js")), "-u", str(tmp_path / "user")]
    words = [*node_red, "-s", str(tmp_path / "settings.js"), str(EXAMPLES / "node-red.json")]
    environment = ["env", f"PWS_URL={site.url}", f"PWS_KEY={key['key']}", f"HOME={tmp_path}"]

    def last(*, ann: str, joe: str) -> None:
        assert told(program)[-1:] == [{"ann@example.com": ann, "joe@example.com": joe}]

    with Service(tmp_path, site) as service:
        service.ready()
        with Running([*environment, *words], tmp_path, "node-red.log") as program:
            eventually(lambda: last(ann="BUSY", joe="AVAILABLE"))
            server.put("ann@example.com", state="AWAY")
            eventually(lambda: last(ann="AWAY", joe="AVAILABLE"))
            assert None not in told(program)
            assert service.stop() == 0

            def not_known() -> None:
                assert told(program)[-1:] == [None]

            eventually(not_known)
            server.put("joe@example.com", state="DND")
            with Service(tmp_path, site) as again:
                again.ready()
                eventually(lambda: last(ann="AWAY", joe="DND"))
                assert again.stop() == 0


def test_the_power_query_is_power_query(modules: Path) -> None:
    """Read by the parser that Microsoft's own tools use."""
    (modules / "parse.js").write_text(PARSE)
    words = ["node", str(modules / "parse.js"), str(EXAMPLES / "presence.pq")]
    done = subprocess.run(
        words, cwd=modules, env=os.environ, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "parsed"), done.stderr
