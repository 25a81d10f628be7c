"""An extension of ASGI, for answers that last: what a connection does without the steps of `send` and `receive`.

`scope["extensions"][EXTENSION]` has two functions. `WRITE` takes a part of a body that has begun and goes on, and says
whether it was written: not where the connection is full, is closed, or wants another form of it; then `send` is the
way. What wraps `send` does not see that part: it is for callers that know that nothing of it would change it. `GONE`
takes what is to be called when the client has gone, and says whether it will be: not where more of the request may
come; then `receive` is the way, in a task of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from starlette.types import Scope

EXTENSION: Final = "pws.at_once"
WRITE: Final = "write"
GONE: Final = "gone"

WriteAtOnce = Callable[[bytes], bool]
CallWhenGone = Callable[[Callable[[], object]], bool]


def taken_from(scope: Scope) -> tuple[WriteAtOnce, CallWhenGone]:
    """Both of a request, which has them no longer; where its server has no such extension, two that say no."""
    found = scope.get("extensions", {}).pop(EXTENSION, {})
    return found.get(WRITE, _never), found.get(GONE, _never)


def _never(_of_what: object) -> bool:
    return False
