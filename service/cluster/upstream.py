"""Whose presence it is that replicas tell each other: the application user, and the nodes at which it is logged in.

Two services may share an engine, and by a mistake a unit: one and its test, say, whose configuration was copied. What
the one commits is true, but of another server. So members and beats say what they read, and no replica mirrors an owner
that reads something else, nor takes over while a replica is there that reads what the last owner did.

An upstream is a set of tags, one for each node. Two are the same with one tag in common, since a node may be added to
the configuration of one replica after the other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

Upstream = frozenset[str]
"""One short hash for each node; empty: nothing is said."""


def upstream_of(application: str, nodes: Iterable[str]) -> Upstream:
    """That of an application user, by its name, at these nodes (`host`, `host:port`)."""
    return frozenset(
        hashlib.sha256(f"{application}\n{node.strip().lower().rstrip('.')}".encode()).hexdigest()[:12] for node in nodes
    )


def is_same(one: Upstream, other: Upstream) -> bool:
    """Whether both read the same server as the same application user, as far as they say."""
    return one == other or not one.isdisjoint(other)
