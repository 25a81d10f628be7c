"""How many files and connections this process may have open: enough for the programs of a façade, and not all for them.

Each program has a connection to us, and we have one to its endpoint. A common limit of 1024 is a soft one, which a
process may raise by itself up to the hard one.
"""

from __future__ import annotations

import resource
from typing import Final

WANTED: Final = 65_536
"""Descriptors that the limit is raised to, where that is allowed."""
OWN: Final = 256
"""Descriptors that are left to everything else: the presence server, the API, files."""


def raise_limit() -> int:
    """Raise the soft limit as far as it is useful; what it is then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = WANTED if hard == resource.RLIM_INFINITY else min(WANTED, hard)
    if soft == resource.RLIM_INFINITY or soft >= most:
        return WANTED if soft == resource.RLIM_INFINITY else soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    except (OSError, ValueError):  # some systems have a lower limit still
        return soft
    return most


def for_programs(limit: int) -> int:
    """Connections of programs that a process with that limit may have: half of what it does not need itself."""
    return max(64, (limit - OWN) // 2)
