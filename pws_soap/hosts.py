"""Which hosts may get the application user's password: those of our own nodes, and those that the settings name."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit


def bare(host: str) -> str:
    """A host name in the one form in which two are compared: in lower case, without the dot that may end it."""
    return host.lower().removesuffix(".")


def host_of(url: str) -> str | None:
    """The host of a URL, as `bare` has it; None where there is none, or what is given is no URL."""
    try:
        host = urlsplit(url).hostname
    except ValueError:  # brackets around no address
        return None
    return bare(host) if host else None


def may_go_to(url: str, nodes: Iterable[str], redirect_to: frozenset[str] | None) -> bool:
    """Whether the node at `url` may get the password: its host is that of one of `nodes` or in `redirect_to`.

    `nodes` are base URLs; `redirect_to` None means any host. The port is free: one host is one machine.
    """
    if redirect_to is None:
        return True
    host = host_of(url)
    return host is not None and host in {*map(host_of, nodes), *map(bare, redirect_to)}
