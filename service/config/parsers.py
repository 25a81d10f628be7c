"""How one value is read: what is taken, what it becomes, and the words for what was expected.

A value comes from TOML with a type of its own or from an environment variable as text. The text is marked (`EnvText`),
so that only there `8080` may stand for a number and `a,b` for a list, and a quoted number in the file stays a mistake.
What each parser takes is noted with `takes`; the reference and the schema are made from it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from pydantic import ValidationInfo
from pydantic_core import PydanticCustomError

from pws_soap.models import Secret
from service.config.errors import shown
from service.core.callback_url import MAX_SECRET

PROBLEM: Final = "pws"
"""The type under which pydantic hands our own mistakes back."""


Schema = Mapping[str, object]
"""A piece of JSON Schema."""
Parser = TypeVar("Parser", bound=Callable[..., object])
Word = TypeVar("Word", bound=str)


@dataclass(frozen=True, slots=True)
class Accepted:
    """What a parser takes: in the words that messages use, and in JSON Schema."""

    words: str
    schema: Schema


ACCEPTED: Final[dict[Callable[..., object], Accepted]] = {}
"""What each parser takes."""

STRING: Final[Schema] = {"type": "string"}


def takes(words: str, schema: Schema = STRING) -> Callable[[Parser], Parser]:
    """Note what the decorated parser takes."""

    def note(parser: Parser) -> Parser:
        ACCEPTED[parser] = Accepted(words, schema)
        return parser

    return note


class EnvText(str):
    """A value of an environment variable: text that may stand for something else."""

    __slots__ = ()


def wrong(expected: str, found: str, hint: str = "") -> PydanticCustomError:
    """A mistake that pydantic collects with the others; `found` must already be fit to be shown."""
    return PydanticCustomError(PROBLEM, "expected {expected}", {"expected": expected, "found": found, "hint": hint})


def text(expected: str, *, pattern: str = r"\S+") -> Callable[[object], str]:
    """A string that matches `pattern` as a whole."""
    whole = re.compile(pattern)

    @takes(expected, {"type": "string", "pattern": f"^(?:{pattern})$"})
    def read(value: object) -> str:
        if isinstance(value, str) and whole.fullmatch(value.strip()):
            return str(value.strip())
        raise wrong(expected, shown(value))

    return read


def choice(*allowed: Word) -> Callable[[object], Word]:
    """One of a few words, in any case."""
    expected = " or ".join(f'"{word}"' for word in allowed)

    @takes(expected, {"type": "string", "enum": [str(word) for word in allowed]})
    def read(value: object) -> Word:
        given = str(value).strip() if isinstance(value, str | float) and not isinstance(value, bool) else ""
        for word in allowed:
            if word.casefold() == given.casefold():
                return word
        raise wrong(expected, shown(value))

    return read


@takes("true or false", {"type": "boolean"})
def boolean(value: object) -> bool:
    """true or false; in the environment also 1, 0, yes, no, on, off."""
    if isinstance(value, bool):
        return value
    if isinstance(value, EnvText):
        word = value.strip().casefold()
        if word in {"true", "1", "yes", "on"}:
            return True
        if word in {"false", "0", "no", "off"}:
            return False
    raise wrong("true or false", shown(value))


def real(low: float, high: float = math.inf, *, unit: str = "", zero: str = "") -> Callable[[object], float]:
    """A number from `low` to `high`; where `zero` is given, 0 is taken too and means that."""
    expected = _range("a number", low, high, unit, zero)

    @takes(expected, _number_schema("number", low, high, unit, zero))
    def read(value: object) -> float:
        number = _number(value, float)
        if number is None or not math.isfinite(number) or not (low <= number <= high or (zero and number == 0)):
            raise wrong(expected, shown(value))
        return number

    return read


def whole(low: int, high: int | None = None, *, unit: str = "") -> Callable[[object], int]:
    """A whole number from `low` to `high`."""
    most = math.inf if high is None else high
    expected = _range("a whole number", low, most, unit, "")

    @takes(expected, _number_schema("integer", low, most, unit, ""))
    def read(value: object) -> int:
        number = None if isinstance(value, float) else _number(value, int)
        if number is None or number < low or (high is not None and number > high):
            raise wrong(expected, shown(value))
        return int(number)

    return read


def _range(kind: str, low: float, high: float, unit: str, zero: str) -> str:
    limits = f"of at least {_plain(low)}" if math.isinf(high) else f"from {_plain(low)} to {_plain(high)}"
    return f"{kind} {limits}{' ' if unit else ''}{unit}{f', or 0 ({zero})' if zero else ''}"


def _plain(number: float) -> str:
    """A number without an exponent where it is a whole one."""
    return f"{number:.0f}" if float(number).is_integer() else f"{number:.10g}"


def _number_schema(kind: str, low: float, high: float, unit: str, zero: str) -> Schema:
    limits: dict[str, object] = {"minimum": low}
    if math.isfinite(high):
        limits["maximum"] = high
    schema: dict[str, object] = {"type": kind}
    if unit:
        schema["x-unit"] = unit
    return {**schema, "anyOf": [limits, {"const": 0}]} if zero else {**schema, **limits}


def _number(value: object, kind: type[int] | type[float]) -> float | None:
    if isinstance(value, EnvText):
        try:
            return kind(value.strip())
        except ValueError:
            return None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def listed(expected: str) -> Callable[[object], list[object]]:
    """A list; in the environment as JSON or with commas."""

    @takes(expected, {"type": "array"})
    def read(value: object) -> list[object]:
        if isinstance(value, list | tuple):
            return list(value)
        if isinstance(value, EnvText):
            items = split_list(value)
            if items is not None:
                return items
        hint = f"write [{shown(value)}]" if isinstance(value, str) and not isinstance(value, EnvText) else ""
        raise wrong(expected, shown(value), hint)

    return read


def split_list(value: str) -> list[object] | None:
    """The items of a list in an environment variable; None when it is broken JSON.

    An IPv6 node (`[::1]:8083`) begins like JSON, hence the look at what follows the bracket.
    """
    if re.match(r'\s*\[\s*["\]]', value):
        try:
            items: list[object] = json.loads(value)
        except ValueError:
            return None
        return items
    return [item.strip() for item in value.split(",") if item.strip()]


@takes("a password of one line", {"type": "string", "minLength": 1})
def secret(value: object) -> Secret:
    """A password: one line, since the server would change any other white space (xsd:normalizedString)."""
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str) or not value:
        raise wrong("a password", "an empty one" if value == "" else "something else than text")
    if any(ord(char) < 0x20 for char in value):
        raise wrong("a password of one line", "control characters in it")
    return Secret(value)


_PATH_PART: Final = "16 to 128 letters, digits, '-' or '_'"


@takes(_PATH_PART, {"type": "string", "pattern": f"^[A-Za-z0-9_-]{{16,{MAX_SECRET}}}$"})
def callback_secret(value: object) -> Secret:
    """The part of the callback's path that nobody can guess; it travels in a URL."""
    expected = _PATH_PART
    plain = value.reveal() if isinstance(value, Secret) else value
    if not isinstance(plain, str):
        raise wrong(expected, "something else than text")
    if not re.fullmatch(r"[A-Za-z0-9_-]*", plain):
        raise wrong(expected, "other characters")
    if not 16 <= len(plain) <= MAX_SECRET:
        raise wrong(expected, f"{len(plain)} of them")
    return Secret(str(plain))


_HASH: Final = "a key's hash, sha256: and 64 hex digits"


@takes(_HASH, {"type": "string", "pattern": "^sha256:[0-9A-Fa-f]{64}$"})
def key_hash(value: object) -> str:
    """The hash of an API key, as `pws key new` prints it. What is no hash may be a key, and is not shown."""
    given = value.strip().lower() if isinstance(value, str) else ""
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", given):
        raise wrong(_HASH, "something else", "pws key new prints one")
    return given


def base_of(info: ValidationInfo) -> Path:
    """The directory that relative paths start from: the configuration file's."""
    context: object = info.context
    base = context.get("base") if isinstance(context, dict) else None
    return base if isinstance(base, Path) else Path.cwd()


@takes("the path of a file that is there")
def existing_file(value: object, info: ValidationInfo) -> Path:
    """A file that is there."""
    path = any_file(value, info)
    if not path.is_file():
        raise wrong("a file", f"no file at {shown(path)}")
    return path


@takes("the path of a file")
def any_file(value: object, info: ValidationInfo) -> Path:
    """The path of a file that may come to be later."""
    if not isinstance(value, str | Path) or not str(value).strip():
        raise wrong("the path of a file", shown(value))
    try:
        return path_of_file(base_of(info), value)
    except ValueError as error:
        raise wrong("the path of a file", shown(value), str(error)) from None


def path_of_file(base: Path, value: str | Path) -> Path:
    """The path of a file that is written relative to `base`, or to a home. ValueError: no file can have it, and why."""
    if "\0" in str(value):
        raise ValueError("a path has no NUL character")
    try:
        path = base / Path(value).expanduser()
    except RuntimeError:
        raise ValueError("there is no such user's home directory") from None
    if path.name in {"", ".."}:
        raise ValueError("this is a directory")
    return path


@takes('"bundled", "live" or the path of a WSDL file')
def wsdl(value: object, info: ValidationInfo) -> str:
    """Where the contract comes from: our own, the server's, or a file (then its full path)."""
    if isinstance(value, str) and value.strip().casefold() in {"bundled", "live"}:
        return value.strip().casefold()
    try:
        return str(existing_file(value, info))
    except PydanticCustomError:
        raise wrong('"bundled", "live" or the path of a WSDL file', shown(value)) from None


def unique_users(names: Iterable[str]) -> str | None:
    """The first name that stands twice, without regard to case; None when all differ."""
    seen: set[str] = set()
    for name in names:
        if name.casefold() in seen:
            return name
        seen.add(name.casefold())
    return None
