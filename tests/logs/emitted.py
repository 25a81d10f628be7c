"""What the service's code can write to its log, as its source says."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

SERVICE: Final = Path(__file__).parents[2] / "service"
_METHODS: Final = {
    "debug": "debug",
    "info": "info",
    "warning": "warning",
    "error": "error",
    "exception": "error",
    "critical": "critical",
}
LOGGERS: Final = ("log", "_log", "_changes", "_events")


@dataclass
class LogEvent:
    """An event by its name: the levels and the fields with which it is written, and the messages."""

    levels: set[str] = field(default_factory=set)
    fields: set[str] = field(default_factory=set)
    messages: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Call:
    """One call of a logger. `event` is None where it names none, `names` those that its message may use."""

    place: str
    level: str
    event: str | None
    message: str
    names: frozenset[str]
    positional: bool
    """Whether it has arguments without names."""


def calls() -> Iterator[Call]:
    """All calls of loggers in the service."""
    for path in sorted(SERVICE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(), str(path))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _METHODS):
                continue
            owner = node.func.value
            if isinstance(owner, ast.Name) and owner.id in LOGGERS:
                yield _call(f"{path.relative_to(SERVICE)}:{node.lineno}", _METHODS[node.func.attr], node)


def _call(place: str, level: str, node: ast.Call) -> Call:
    message, *arguments = node.args
    named = [each for each in arguments if isinstance(each, ast.Dict)]
    names = {key.value for each in named for key in each.keys if isinstance(key, ast.Constant)}
    event = None
    for keyword in node.keywords:
        if keyword.arg == "extra":
            event = str(ast.literal_eval(keyword.value)["event"])
    text = message.value if isinstance(message, ast.Constant) else ""
    return Call(place, level, event, str(text), frozenset(map(str, names)), len(named) != len(arguments))


def events() -> dict[str, LogEvent]:
    """All events."""
    found: dict[str, LogEvent] = {}
    for call in calls():
        event = found.setdefault(str(call.event), LogEvent())
        event.levels.add(call.level)
        event.fields |= {name for name in call.names if not name.startswith("_")}
        event.messages.add(call.message)
    return found
