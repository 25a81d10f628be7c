"""What kind of server a test gets: the lines of the setting `pws_options`, and the marker `pws` above them.

Every wrong name or value is a ValueError that says what was expected.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType, NoneType
from typing import Any, Final, Literal, Protocol, TypeVar, get_args, get_origin, get_type_hints

from pws_soap.server.presence import State
from pws_soap.simulator.bounds import shown
from pws_soap.simulator.option_values import options_from
from pws_soap.simulator.options import Options, User
from pws_soap.simulator.scripts.contact_values import valid_contact

MOST_NODES: Final = 16
MOST_INVENTED: Final = 100_000
"""At most so many nodes, and so many invented contacts, can be asked for."""
INVENTED: Final = 24
"""How many contacts are invented where nobody says: as many as `pws simulate` has."""
_NODE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_Value = TypeVar("_Value")
_OWN: Final = ("contacts", "nodes", "tls", "seed")
"""What is no option of the simulator, but of the server around it."""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """A server as a test wants it.

    `contacts` are those who are there from the start, each with its state; `invented` is how many more are made up.
    """

    options: Options = field(default_factory=Options)
    nodes: tuple[str, ...] = ("imp1",)
    contacts: Mapping[str, State] = field(default_factory=dict)
    invented: int = INVENTED
    tls: bool = False
    seed: int | None = None


class OptionMark(Protocol):
    """A marker: what stands in its brackets."""

    @property
    def args(self) -> tuple[object, ...]:
        """What was given without a name."""

    @property
    def kwargs(self) -> Mapping[str, object]:
        """What was given by name."""


def settings_from(
    lines: Iterable[str], marks: Iterable[OptionMark] = (), options: Mapping[str, object] = MappingProxyType({})
) -> ServerSettings:
    """Settings from lines `name = value`, then from markers and options, of which later ones count more.

    Raises ValueError that names the line or marker, the option and what was expected.
    """
    texts: dict[str, str] = {}
    for line in lines:
        name, equals, text = (part.strip() for part in line.partition("="))
        if not equals:
            raise ValueError(f"pws_options: expected name = value, got {line!r}")
        texts[name] = text
    try:
        _known(texts)
        settings = replace(ServerSettings(options=options_from(_without_own(texts))), **_own_from_texts(texts))
    except ValueError as error:
        raise ValueError(f"pws_options: {error}") from None
    for mark in marks:
        if mark.args:
            raise ValueError(f"@pytest.mark.pws: expected options by name, got {shown(mark.args[0])}")
        try:
            settings = _with(settings, mark.kwargs)
        except ValueError as error:
            raise ValueError(f"@pytest.mark.pws: {error}") from None
    return _with(settings, options)


def _with(settings: ServerSettings, values: Mapping[str, object]) -> ServerSettings:
    _known(values)
    given: dict[str, Any] = {name: _typed(name, value) for name, value in _without_own(values).items()}
    return replace(settings, options=replace(settings.options, **given), **_own_from(values))


def _known(names: Iterable[str]) -> None:
    known = [*_OWN, *(option.name for option in fields(Options))]
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise ValueError(f"{name}: no such option{hint}, expected one of {', '.join(known)}")


def _without_own(values: Mapping[str, _Value]) -> dict[str, _Value]:
    return {name: value for name, value in values.items() if name not in _OWN}


# What is the server's own


def _own_from_texts(texts: Mapping[str, str]) -> dict[str, Any]:
    """The values of lines; their types are checked by `_own_from`."""
    values: dict[str, object] = {}
    for name in _OWN:
        if name not in texts:
            continue
        text = texts[name]
        if name == "tls":
            values[name] = {"true": True, "false": False}.get(text.lower(), text)
        elif re.fullmatch(r"-?[0-9]{1,20}", text):
            values[name] = int(text)
        elif name == "seed":
            values[name] = None if text.lower() == "none" else text
        else:
            values[name] = [each.strip() for each in text.split(",")]
    return _own_from(values)


def _own_from(values: Mapping[str, object]) -> dict[str, Any]:
    """The fields of `ServerSettings` that values of the server's own options give."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        match name:
            case "contacts":
                found["contacts"], found["invented"] = _contacts(value)
            case "nodes":
                found["nodes"] = _nodes(value)
            case "tls":
                if not isinstance(value, bool):
                    raise ValueError(f"tls: expected true or false, got {shown(value)}")  # noqa: TRY004 - named as others
                found["tls"] = value
            case "seed":
                if value is not None and not _is_whole(value):
                    raise ValueError(f"seed: expected a whole number or none, got {shown(value)}")
                found["seed"] = value
    return found


def _contacts(value: object) -> tuple[dict[str, State], int]:
    if isinstance(value, int) and _is_whole(value):
        if not 0 <= value <= MOST_INVENTED:
            raise ValueError(f"contacts: expected 0 to {MOST_INVENTED}, got {shown(value)}")
        return {}, value
    if isinstance(value, Mapping):
        for state in value.values():
            if state not in list(State):
                raise ValueError(f"contacts: expected one of {', '.join(State)}, got {shown(state)}")
        return {_contact(contact): State(state) for contact, state in value.items()}, 0
    if isinstance(value, list | tuple):
        return {_contact(contact): State.UNAVAILABLE for contact in value}, 0
    raise ValueError(f"contacts: expected a number, contacts, or contacts with their states, got {shown(value)}")


def _contact(value: object) -> str:
    try:
        return valid_contact(value)
    except ValueError as error:
        raise ValueError(f"contacts: {str(error).removeprefix('contact: ')}") from None


def _nodes(value: object) -> tuple[str, ...]:
    if isinstance(value, int) and _is_whole(value) and 1 <= value <= MOST_NODES:
        return tuple(f"imp{number}" for number in range(1, value + 1))
    names = value if isinstance(value, list | tuple) else ()
    different = 1 <= len(names) <= MOST_NODES and len({*map(str, names)}) == len(names)
    if different and all(isinstance(name, str) and _NODE.fullmatch(name) for name in names):
        return tuple(names)
    raise ValueError(f"nodes: expected 1 to {MOST_NODES}, or as many different names, got {shown(value)}")


# Options of the simulator


def _typed(name: str, value: object) -> object:
    """The value of an option, which must be of the option's type. What it may be within that, `Options` checks."""
    hint: Any = get_type_hints(Options)[name]  # types as values, of which typing says nothing better
    kinds = get_args(hint) if NoneType in get_args(hint) else (hint,)
    if value is None and NoneType in kinds:
        return None
    kind = kinds[0]
    origin = get_origin(kind)
    if origin is Literal:
        return value
    if origin is frozenset:
        if isinstance(value, set | frozenset | list | tuple) and all(map(_is_whole, value)):
            return frozenset(value)
        expected = "ports"
    elif origin is tuple:
        if isinstance(value, list | tuple) and all(isinstance(user, User) for user in value):
            return tuple(value)
        expected = "a list of pws_soap.simulator.User"
    else:
        fits, expected = {
            bool: (isinstance(value, bool), "true or false"),
            int: (_is_whole(value), "a whole number"),
            float: (_is_whole(value) or isinstance(value, float), "a number"),
            str: (isinstance(value, str), "text"),
        }[kind]
        if fits:
            return value
    raise ValueError(f"{name}: expected {expected}{' or none' if NoneType in kinds else ''}, got {shown(value)}")


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
