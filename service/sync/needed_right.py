"""Which right a request needs, and the error of one that is not sent for want of it.

The transport asks, as it is the last to see a request before it leaves. It cannot tell a renewal from the making of
what is renewed, as both have one name at the server; so the code that renews says so, in a context variable.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from pws_soap.errors import PwsError
from service.core.rights import Rights

_READS: Final = frozenset({"getSubscribedPresence", "getPolledPresence"})
_renews: ContextVar[bool] = ContextVar("renews", default=False)


class RightLost(PwsError):
    """Nothing was sent: another replica owns the sessions at the server, or may do so by now."""

    def __init__(self, operation: str) -> None:
        super().__init__(f"{operation} was not sent: this replica does not own the sessions at the server any more")


@contextmanager
def renewing() -> Iterator[None]:
    """What is sent meanwhile only prolongs what is there: the right to read is enough."""
    token = _renews.set(True)
    try:
        yield
    finally:
        _renews.reset(token)


def require(rights: Rights, operation: str) -> None:
    """Raises RightLost."""
    is_enough_to_read = operation in _READS or _renews.get()
    if not (rights.may_read() if is_enough_to_read else rights.may_make()):
        raise RightLost(operation)
