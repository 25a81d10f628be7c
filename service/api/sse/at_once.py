"""An extension of ASGI: a part of a response's body is written without the steps that `send` takes.

`scope["extensions"][EXTENSION][WRITE](body)` writes a part of a body that has begun and goes on, and says whether it
did: not where the connection is full, is closed, or wants another form of it; then `send` is the way. What wraps `send`
does not see that part: whoever uses it must know that nothing of it would have a say.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from starlette.types import Scope

EXTENSION: Final = "pws.at_once"
WRITE: Final = "write"

WriteAtOnce = Callable[[bytes], bool]


def of(scope: Scope) -> WriteAtOnce:
    """That of a request; where its server has no such extension, one that never writes."""
    found: WriteAtOnce = scope.get("extensions", {}).get(EXTENSION, {}).get(WRITE, _never)
    return found


def _never(_body: bytes) -> bool:
    return False
