"""Options from the command line: texts become `Options`, and an error names the option that is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

from pws_soap.simulator.options import Options

_NOT_TYPED: Final = frozenset({"users"})
_BOOLEANS: Final = {"true": True, "false": False}


def options_from(texts: Mapping[str, str]) -> Options:
    """Options from texts: numbers, true or false, words, ports with commas, `none`.

    Raises ValueError that names the option.
    """
    hints = get_type_hints(Options)
    values = {}
    for name, text in texts.items():
        if name not in hints or name in _NOT_TYPED:
            known = ", ".join(hint for hint in hints if hint not in _NOT_TYPED)
            raise ValueError(f"{name}: no such option, expected one of {known}")
        values[name] = _value(name, text.strip(), hints[name])
    return Options(**values)


def _value(name: str, text: str, hint: Any) -> Any:  # types as values, of which typing says nothing better
    kinds = get_args(hint) if NoneType in get_args(hint) else (hint,)
    if NoneType in kinds and text.lower() == "none":
        return None
    kind = kinds[0]
    try:
        if get_origin(kind) is Literal:
            return next((allowed for allowed in get_args(kind) if str(allowed) == text), text)
        if kind is bool:
            return _BOOLEANS[text.lower()]
        if get_origin(kind) is frozenset:
            return frozenset(int(port) for port in text.split(","))
        return kind(text)
    except (ValueError, KeyError):
        expected = {bool: "true or false", int: "a whole number", float: "a number"}.get(kind, "numbers with commas")
        more = " or none" if NoneType in kinds else ""
        raise ValueError(f"{name}: expected {expected}{more}, got {text!r}") from None
