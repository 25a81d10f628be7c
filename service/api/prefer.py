"""How long a client is ready to wait: the `wait` preference of the header `Prefer` (RFC 7240).

What cannot be read and what is not known is ignored, as that document asks for; of several the first counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

MAX_WAIT: Final = 300
"""Seconds. A client that asks for more waits this long, as `Preference-Applied` says; an answer at once would make it
ask again and again."""

_MOST: Final = 1000
"""Characters that are looked at: nobody has that many preferences."""
_WORD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PREFERENCE: Final = re.compile(rf'\s*({_WORD})\s*(?:=\s*("(?:[^"\\]|\\.)*"|{_WORD})?)?\s*(?:;.*)?', re.DOTALL)
_PARTS: Final = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*")+')


def seconds_to_wait(headers: Iterable[str], longest: int = MAX_WAIT) -> int | None:
    """Seconds, 1 to `longest`; None where nobody asked to wait. `headers` are the values of each `Prefer`."""
    for part in _PARTS.findall(",".join(headers)[:_MOST]):
        found = _PREFERENCE.fullmatch(part)
        if found is None or found[1].lower() != "wait":
            continue
        value = (found[2] or "").strip('"')
        if not (value.isascii() and value.isdigit()) or len(value) > 9 or int(value) == 0:
            return None
        return min(int(value), longest)
    return None
