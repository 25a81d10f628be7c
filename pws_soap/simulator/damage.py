"""What the faults of `pws_soap.simulator.faults` do to a reply that is written already. Pure: bytes in, bytes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pws_soap.simulator.entries import emptied, renamed
from pws_soap.simulator.faults import Fault
from pws_soap.simulator.replies import Written

_PAGE = b"<html><head><title>Sign in</title></head><body><p>Please sign in<br></body></html>"


@dataclass(frozen=True, slots=True)
class Damaged:
    """A reply and what happens to it: closed after it, so slow, or cut off after so many bytes.

    `age` is how many seconds ago it was made, where a cache says so; `again` after how many seconds it is sent again.
    """

    written: Written
    close: bool = False
    seconds: float = 0.0
    cut: int | None = None
    age: int | None = None
    again: float | None = None


def damage(reply: Damaged, hits: Mapping[str, Fault]) -> Damaged:
    """Apply the faults that hit a reply, by kind."""
    written = reply.written
    if "rename-entry" in hits:
        written = replace(written, body=renamed(written.body, hits["rename-entry"].form))
    if "empty-state" in hits:
        written = replace(written, body=emptied(written.body, hits["empty-state"].form))
    reply = replace(reply, written=written)
    if "empty-reply" in hits:
        reply = replace(reply, written=replace(written, body=b""))
    elif "html-reply" in hits:
        reply = replace(reply, written=Written(200, "text/html", _PAGE))
    elif "garble-reply" in hits:
        reply = replace(reply, written=replace(written, body=_garbled(written.body)))
    if "close-after-reply" in hits:
        reply = replace(reply, close=True)
    if "slow-reply" in hits:
        reply = replace(reply, seconds=hits["slow-reply"].seconds)
    if "truncate-reply" in hits:
        reply = replace(reply, cut=int(len(reply.written.body) * hits["truncate-reply"].fraction), close=True)
    if "double-reply" in hits:
        reply = replace(reply, again=hits["double-reply"].seconds)
    return reply


def _garbled(body: bytes) -> bytes:
    """The same length, and not well-formed any more: every angle bracket from the middle on is something else."""
    middle = len(body) // 2
    return body[:middle] + body[middle:].replace(b"<", b"\x00").replace(b">", b"\xff")
