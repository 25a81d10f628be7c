"""What an owner that ends leaves to the replica that it names, in the form in which it lies in the engine.

No key of a session lies there: only digests, made with the secret of the replicas, which tell whether the server gives
the successor the very sessions that were handed over. What is registered at the server names the address to which it
sends notifications, so that it is of use to a replica with the same `callback.url` alone.
"""

from __future__ import annotations

import hashlib
import hmac
import math

from pws_soap.lifecycle import HandedOver, Key, Kind, Resource
from pws_soap.models import Secret
from service.cluster.wire import AdoptableResource, HandOver
from service.sync.session_memory import Inheritance, Released


class SessionDigests:
    """Makes digests with a key of the replicas. `callback` is where the server sends notifications to this replica."""

    def __init__(self, key: bytes, callback: Secret) -> None:
        self._key = key
        self.callback = self._made("callback", callback)

    def of(self, key: Key, session: Secret) -> bytes:
        """That of a session's key."""
        return self._made(f"session\n{_name_of(key)}", session)

    def _made(self, purpose: str, secret: Secret) -> bytes:
        return hmac.new(self._key, f"{purpose}\n{secret.reveal()}".encode(), hashlib.sha256).digest()


def _name_of(key: Key) -> str:
    """The name of a session in `HandOver.keys`; a node's address has no space in it."""
    return f"{key.node} {key.user}".rstrip()


def handover_of(released: Released, digests: SessionDigests, now: float) -> HandOver:
    """What is left, at the moment `now` of our clock."""
    resources = tuple(
        AdoptableResource(
            str(each.key.kind),
            each.key.node,
            each.key.user,
            each.key.slot,
            each.id or 0,
            tuple(sorted(each.contacts)),
            (each.expires_at or now) - now,
        )
        for each in released.left.resources
    )
    keys = {_name_of(key): digests.of(key, session) for key, session in released.sessions.items()}
    return HandOver(resources, dict(released.left.homes), keys, digests.callback)


def inheritance_of(handover: HandOver, digests: SessionDigests, released_at: float) -> Inheritance | None:
    """What this replica may go on with; it was released at `released_at` of our clock, or later. None: nothing."""
    if not handover.resources or handover.callback != digests.callback or released_at == -math.inf:
        return None
    resources = tuple(
        Resource(
            Key(Kind(each.kind), each.node, each.user, each.slot),
            id=each.id,
            contacts=frozenset(each.contacts),
            expires_at=released_at + each.remaining,
        )
        for each in handover.resources
    )

    def is_session(key: Key, session: Secret) -> bool:
        return hmac.compare_digest(handover.keys.get(_name_of(key), b""), digests.of(key, session))

    return Inheritance(HandedOver(resources, dict(handover.homes)), is_session)
