"""Python's collection of garbage, kept from what stays until the process ends.

A full collection goes through everything that can hold other things, however long it has been there: modules, the
WSDL's types, the tables of a hundred thousand contacts. That is a quarter of the start, and a hold of the event loop of
50 milliseconds and more whenever it comes. So what is made at the start, and what a reload brings, is left out of all
later ones (`gc.freeze`): it is still freed when nothing refers to it any more, as nearly everything is.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:  # it would bring asyncio along, for every command
    from service.core.clock import Clock

_PATIENCE: Final = 300.0
"""Seconds after which what was not filled by then is not waited for any more: the server may be away."""
_NEVER: Final = 1_000_000
"""Collections of what is younger, between two full ones, that never come together."""


@contextmanager
def collection_off() -> Iterator[None]:
    """Collect nothing meanwhile, and never what was made until then."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()


def leave_out_what_stays() -> None:
    """Have no later collection look at what there is now, but for what is garbage already and not old."""
    gc.collect(1)
    gc.freeze()


async def no_full_collection(until: Callable[[], bool], clock: Clock) -> None:
    """While much is made that stays, collect only what is young; then leave out what is there. Asks once a second."""
    young, middle, full = gc.get_threshold()
    gc.set_threshold(young, middle, _NEVER)
    try:
        give_up = clock.monotonic() + _PATIENCE
        while not until() and clock.monotonic() < give_up:
            await clock.sleep(1.0)
        leave_out_what_stays()
    finally:
        gc.set_threshold(young, middle, full)
