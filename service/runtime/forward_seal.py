"""What proves that a request was passed on by a replica, and that a replica has answered it.

Only those who share the secret can make either. The header of a request holds its client's address, for the limits and
the audit of the replica that answers; the moment, told by the owner's beats and so without any clock; and a number that
no other request has. It is signed together with the method and the target, so that it serves no other request. The
answer's header signs the request's: who cannot make it is no replica, whatever listens at the address.

Neither hides anything, and the body is not signed: between replicas in a network that others can read or write in, TLS
is needed (`cluster.advertise` with https://).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Final, NamedTuple

from pws_soap.models import Secret

HEADER: Final = b"pws-forwarded"
MOST_BEATS: Final = 10
"""Beats, one a second, for which a request that was passed on is taken."""
_MAX: Final = 400
"""Characters of a header's value."""


class BeatMoment(NamedTuple):
    """A moment as all replicas know it: the owner's beat that was the newest."""

    epoch: int = 0
    number: int = 0

    def is_near(self, other: BeatMoment) -> bool:
        """Whether the other one is of the same tenure, and at most `MOST_BEATS` away."""
        return self.epoch == other.epoch and abs(self.number - other.number) <= MOST_BEATS


class SealedRequest(NamedTuple):
    """What the header of a request says. `client` is its address; None: it is not known."""

    client: str | None
    moment: BeatMoment


class Seal:
    """Makes and checks the headers, with the secret that the replicas share."""

    def __init__(self, secret: Secret) -> None:
        self._requests = derived_key(secret, "forwarded requests")
        self._answers = derived_key(secret, "answers to forwarded requests")

    def request(self, method: str, target: str, client: str | None, moment: BeatMoment) -> bytes:
        """The header of a request. `target`: its path and query, as `read` is given them."""
        said = f"{moment.epoch}.{moment.number};{client or ''};{secrets.token_hex(8)}"
        return f"{said};{self._code(said, method, target)}".encode("ascii")

    def read(self, value: bytes, method: str, target: str) -> SealedRequest | None:
        """What such a header says; None: no replica has made it for this request."""
        if len(value) > _MAX:
            return None
        said, _, code = value.decode("latin-1").rpartition(";")
        if not hmac.compare_digest(self._code(said, method, target).encode(), code.encode()):
            return None
        moment, client, _ = said.split(";")
        epoch, _, number = moment.partition(".")
        return SealedRequest(client or None, BeatMoment(int(epoch), int(number)))

    def answer(self, value: bytes) -> bytes:
        """The header of the answer to a request with this header."""
        return hmac.new(self._answers, value, hashlib.sha256).hexdigest().encode()

    def _code(self, said: str, method: str, target: str) -> str:
        return hmac.new(self._requests, f"{said};{method};{target}".encode(), hashlib.sha256).hexdigest()


def derived_key(secret: Secret, purpose: str) -> bytes:
    """A key of its own for each purpose, from the secret that the replicas share."""
    return hmac.new(secret.reveal().encode(), purpose.encode(), hashlib.sha256).digest()
