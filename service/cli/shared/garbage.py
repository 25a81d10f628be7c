"""Python's collection of garbage, left off while modules are imported and a program is put together.

All that is made then stays until the process ends. Going through it again and again, at the start and at each later
collection, costs a quarter of the start, and would hold up answers for as long as there are any.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


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
