"""API keys: how they are made, read from a request, and found among those of the configuration.

A key is 256 random bits. That is why its hash is a fast one, SHA-256 without salt: a slow hash protects what people
choose, and no speed helps to guess this. Only the hash is kept: reading the configuration gives nobody a key.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from pws_soap.models import Secret
from service.access.access_headers import AccessHeaders
from service.access.errors import KeyRequired
from service.access.principal import Principal

PREFIX: Final = "pws_"
"""So that people, and programs that search repositories for secrets, recognise a key."""
_BITS: Final = 256
_KEY: Final = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}")
_HASH: Final = "sha256:"

HOW: Final = "send it as Authorization: Bearer pws_... or as X-API-Key: pws_..., never in the URL"


def new_key() -> Secret:
    """A new random key."""
    return Secret(PREFIX + secrets.token_urlsafe(_BITS // 8))


def hash_of(key: str) -> str:
    """What the configuration keeps of a key."""
    return _HASH + _digest(key).hex()


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "replace")).digest()


@dataclass(frozen=True, slots=True)
class Admission:
    """The principal that was let in, and the digest of its key: empty where it came without one."""

    principal: Principal
    digest: bytes = field(default=b"", repr=False)


class KeyRing:
    """The keys of the configuration."""

    def __init__(self, keys: Iterable[tuple[str, Principal]] = ()) -> None:
        """`keys`: the hash of each, as `hash_of` gives it, and who it belongs to."""
        self._known = tuple(
            Admission(principal, bytes.fromhex(written.removeprefix(_HASH))) for written, principal in keys
        )

    def __len__(self) -> int:
        return len(self._known)

    def __repr__(self) -> str:
        return f"<KeyRing of {len(self)}>"

    def __contains__(self, admission: Admission) -> bool:
        """Whether the key still belongs to the same principal."""
        return admission in self._known

    def find(self, key: str) -> Admission | None:
        """The admission of a key; None for an unknown one. Takes the same time for every key."""
        digest = _digest(key)
        found = None
        for admission in self._known:
            if hmac.compare_digest(admission.digest, digest):
                found = admission
        return found


def presented(headers: AccessHeaders) -> str | None:
    """The key that a request brings, None where it brings none. Raises KeyRequired for what is no key."""
    given = {value.strip() for value in headers.api_keys}
    for value in headers.authorizations:
        scheme, _, rest = value.strip().partition(" ")
        if scheme.lower() != "bearer":
            raise KeyRequired(f"Authorization is of another kind than Bearer: leave it out, or {HOW}")
        given.add(rest.strip())
    if not given:
        return None
    if len(given) > 1:
        raise KeyRequired("There are several keys, and they differ: send one")
    (key,) = given
    if not _KEY.fullmatch(key):
        raise KeyRequired("What was sent is no key: one is pws_ and 43 letters, digits, '-' or '_'")
    return key
