"""Where a notification may come from: an allow-list of networks, and proxies whose word counts.

`X-Forwarded-For` is what anybody may write, so it is read only when the peer is a trusted proxy, and from its end: each
proxy appends the address it was called from. The first one that is no trusted proxy is the source. What cannot be read
is allowed nothing.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def address(text: str | None) -> Address | None:
    """An address as a socket or a proxy writes it; an IPv4-mapped IPv6 address is given as IPv4."""
    try:
        found = ipaddress.ip_address((text or "").strip())
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address):
        if found.scope_id:  # fe80::1%eth0: which of our interfaces it is on is no part of a network
            found = ipaddress.IPv6Address(int(found))
        return found.ipv4_mapped or found
    return found


def _forwarded(text: str) -> Address | None:
    """One entry of X-Forwarded-For; some proxies add the port."""
    text = text.strip().strip('"')
    if with_port := re.fullmatch(r"\[([^\]]*)\](?::[0-9]{1,5})?|([0-9.]+):[0-9]{1,5}", text):
        text = with_port[1] or with_port[2]
    return address(text)


class Sources:
    """The networks that may send notifications. Without `allow`, all."""

    def __init__(self, allow: Iterable[Network] = (), proxies: Iterable[Network] = ()) -> None:
        self._allow = tuple(allow)
        self._proxies = tuple(proxies)

    def __repr__(self) -> str:
        return f"<Sources: {', '.join(map(str, self._allow)) or 'all'}>"

    def of(self, peer: str | None, forwarded: Sequence[str]) -> Address | None:
        """Where a request comes from: its peer, or who a trusted proxy says. None: that is not known.

        `forwarded` are the values of X-Forwarded-For in their order.
        """
        source = address(peer)
        if not _in(source, self._proxies):
            return source
        for text in reversed(",".join(forwarded).split(",") if forwarded else []):
            source = _forwarded(text)
            if not _in(source, self._proxies):
                break
        return source

    def allow(self, source: Address | None) -> bool:
        """Whether notifications from there are taken."""
        return not self._allow or _in(source, self._allow)


def _in(source: Address | None, networks: Iterable[Network]) -> bool:
    # An address is never in a network of the other family.
    return source is not None and any(source in network for network in networks)
