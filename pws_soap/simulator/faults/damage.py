"""What faults do to the bytes of a written reply. Pure: a reply in, a reply out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pws_soap.simulator.faults.entries import emptied, renamed
from pws_soap.simulator.faults.kinds import Fault
from pws_soap.simulator.faults.reply import SimReply

_PAGE = b"<html><head><title>Sign in</title></head><body><p>Please sign in<br></body></html>"


def damage(reply: SimReply, hits: Mapping[str, Fault]) -> SimReply:
    """Apply the faults that hit a reply, by kind."""
    if "rename-entry" in hits:
        reply = replace(reply, body=renamed(reply.body, hits["rename-entry"].form))
    if "empty-state" in hits:
        reply = replace(reply, body=emptied(reply.body, hits["empty-state"].form))
    if "empty-reply" in hits:
        reply = replace(reply, body=b"")
    elif "html-reply" in hits:
        reply = replace(reply, status=200, content_type="text/html", body=_PAGE)
    elif "garble-reply" in hits:
        reply = replace(reply, body=_garbled(reply.body))
    if "close-after-reply" in hits:
        reply = replace(reply, close=True)
    if "slow-reply" in hits:
        reply = replace(reply, seconds=hits["slow-reply"].seconds)
    if "truncate-reply" in hits:
        reply = replace(reply, cut=int(len(reply.body) * hits["truncate-reply"].fraction), close=True)
    if "double-reply" in hits:
        reply = replace(reply, again=hits["double-reply"].seconds)
    return reply


def _garbled(body: bytes) -> bytes:
    """The body at the same length, no longer well-formed: from the middle on no angle bracket is left."""
    middle = len(body) // 2
    return body[:middle] + body[middle:].replace(b"<", b"\x00").replace(b">", b"\xff")
