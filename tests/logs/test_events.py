"""Each line that the service logs has a name and named fields, and docs/logs.md lists them all."""

from __future__ import annotations

import re
from pathlib import Path

from service.logs.formatters import MEMBERS, OTHERS
from tests.logs import emitted

PAGE = (Path(__file__).parents[2] / "docs/logs.md").read_text()


def documented() -> dict[str, tuple[set[str], set[str]]]:
    """The levels and fields of each event, as the page has them."""
    table = PAGE.partition("\n## Events\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([a-z.-]+)` \| ([a-z, ]+) \|(.*?)\| [^|]+ \|$", table, re.MULTILINE)
    return {name: (set(levels.split(", ")), set(re.findall(r"`(\w+)`", fields))) for name, levels, fields in rows}


def test_the_page_lists_what_the_code_can_write() -> None:
    written = {name: (event.levels, event.fields) for name, event in emitted.events().items()}
    assert documented() == written
    assert list(documented()) == sorted(documented())
    assert f"`{OTHERS}`" in PAGE


def test_every_line_has_a_name_and_named_fields() -> None:
    """A message takes nothing by its place: the fields of the JSON form are the names in it."""
    for call in emitted.calls():
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*\.[a-z]+(-[a-z]+)*", call.event or ""), call.place
        assert call.message, f"{call.place}: the message is no literal"
        assert not call.positional, call.place
        assert set(re.findall(r"%\((\w+)\)", call.message)) <= call.names, call.place
        assert not re.search(r"%(?!\(|%)", call.message), call.place
        assert call.names.isdisjoint({*MEMBERS, "exception", "stack"}), call.place


def test_loggers_have_the_names_that_these_tests_look_for() -> None:
    found = set()
    for path in emitted.SERVICE.rglob("*.py"):
        found |= set(re.findall(r"^\s*(\w+)(?:: \w+)? = logging\.getLogger\(\"pws", path.read_text(), re.MULTILINE))
    assert found == set(emitted.LOGGERS)
