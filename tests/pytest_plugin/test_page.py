"""docs/pytest.md: its code runs as it stands, and it names every fixture, method and option that there is."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Final

import pytest

import pws_soap.pytest_plugin as plugin
from pws_soap.simulator.observer import ReplyFate
from pws_soap.simulator.options import Options

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs" / "pytest.md").read_text("utf-8")
CODE: Final[list[str]] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
SETTING: Final = """
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
filterwarnings = error
addopts = --strict-markers -p no:schemathesis -p no:cacheprovider -p no:cov
"""
PROGRAM: Final = """
import pytest
from tests.pytest_plugin.program import Program

@pytest.fixture
def program(pws_server):
    with Program([node.base_url for node in pws_server.nodes]) as program:
        yield program
"""


def test_the_first_test_has_ten_lines() -> None:
    """At most; empty ones do not count."""
    assert len([line for line in CODE[0].splitlines() if line]) <= 10


@pytest.mark.parametrize("code", CODE, ids=lambda code: re.findall(r"def (test_\w+)", code)[0])
def test_the_code_runs_as_it_stands(code: str, pytester: pytest.Pytester) -> None:
    """With warnings as errors; where the page leaves out the import of pytest, it is added."""
    pytester.makeini(SETTING)
    pytester.makeconftest(PROGRAM)
    pytester.syspathinsert(ROOT)
    result = pytester.inline_run(pytester.makepyfile(("" if "\nimport" in f"\n{code}" else "import pytest\n") + code))
    result.assertoutcome(passed=len(re.findall(r"^(?:async )?def test_", code, re.MULTILINE)))


def test_the_setting_is_read(pytester: pytest.Pytester) -> None:
    """The block of TOML, in a project."""
    (setting,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    pytester.makepyprojecttoml(setting + 'addopts = "-p no:schemathesis -p no:cacheprovider -p no:cov"\n')
    test = pytester.makepyfile("""
        def test_the_options(pws_server, pws_office):
            assert len(pws_office.contacts) == 5
            assert pws_server.options.rich_carrier == "cdata"
            assert pws_server.options.callback_ports == {80, 82, 8080}
    """)
    pytester.inline_run(test, "-p", "no:asyncio").assertoutcome(passed=1)


def test_the_page_names_all_that_there_is() -> None:
    """Every public attribute of the three fixtures, every fate, the options that are no option of the simulator."""
    for room in (plugin.PwsServer, plugin.PwsOffice, plugin.PwsFaults):
        for name in vars(room):
            if not name.startswith("_") and name not in {"open", "close", "told", "described", "settle"}:
                assert re.search(rf"`{name}\b", PAGE) or re.search(rf", `{name}\b", PAGE), f"{room.__name__}.{name}"
    for name in [*ReplyFate, "contacts", "nodes", "tls", "seed", *(each.name for each in fields(plugin.RecordedCall))]:
        assert f"`{name}`" in PAGE or f"`{name} (" in PAGE, name
    known = {option.name for option in fields(Options)} | {"contacts", "nodes", "tls", "seed"}
    given = {name for call in re.findall(r"pytest\.mark\.pws\((.*)\)", PAGE) for name in re.findall(r"(\w+)=", call)}
    assert given <= known
