"""Who may log in at the façade, and how often somebody may try who does not know the password.

Wrong passwords are counted for each name at each address: beyond some, that name has to wait at that address, ever
longer, and is not even compared. Others are not held up: neither another name there, nor the same name elsewhere. Only
where many different names have failed, all have to wait that have not logged in there before: such an address guesses.
"""

from __future__ import annotations

import hmac
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from hashlib import sha256
from ipaddress import IPv6Address, IPv6Network
from typing import Final, TypeVar

from service.access.networks import address as parsed
from service.core.clock import Clock
from service.facade.settings import FacadeUser

FREE: Final = 5
"""Wrong passwords in a row for one name at one address after which each further one costs a wait."""
FREE_NAMES: Final = 50
"""Different names that have failed at one address after which each further one costs a wait for all others there."""
LONGEST: Final = 60.0
"""Seconds that one has to wait at most."""
FORGOTTEN: Final = 3600.0
"""Seconds without a wrong password after which the earlier ones do not count any more."""
_KEPT: Final = 10_000
"""Pairs of name and address that are remembered; beyond, the one that failed longest ago goes."""
_NETWORK: Final = 64
"""Bits of an IPv6 address that count as one address: a client that has one has all that begin with them."""


class UserAccounts:
    """The users of the configuration (`pws_soap.server.Accounts`)."""

    def __init__(self, users: Mapping[str, FacadeUser]) -> None:
        self._salt = secrets.token_bytes(16)
        self._nobody = self._digest(secrets.token_hex(16))
        self.users = users

    @property
    def users(self) -> Mapping[str, FacadeUser]:
        """By name; may be replaced at any time."""
        return self._users

    @users.setter
    def users(self, users: Mapping[str, FacadeUser]) -> None:
        self._users = users
        self._digests = {name: self._digest(user.password.reveal()) for name, user in users.items()}

    def may_log_in(self, user: str, password: str) -> bool:
        """Whether it is this user's password. An unknown name takes as long as a known one."""
        known = self._digests.get(user)
        is_same = hmac.compare_digest(self._digest(password), self._nobody if known is None else known)
        return is_same and known is not None

    def is_end_user(self, user: str, application_user: str) -> bool:
        """Whether a façade user may log in in this name."""
        known = self._users.get(application_user)
        return known is not None and known.may_be(user)

    def _digest(self, password: str) -> bytes:
        """Of one length for all, and different for each start of the service."""
        return hmac.digest(self._salt, password.encode(errors="surrogatepass"), sha256)


class WrongPasswords:
    """Counts wrong passwords, and says how long one has to wait for the next try."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures: OrderedDict[tuple[str, str], Failures] = OrderedDict()
        """By name and address: how many in a row, and when the last of them came."""
        self._names: OrderedDict[str, Failures] = OrderedDict()
        """By address: how many different names have failed there, and when the last of them did."""
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()
        """Names and addresses at which they have logged in."""

    def wait(self, user: str, address: str) -> float:
        """Seconds that this name has to wait at this address; 0: it may try."""
        now, place = self._clock.monotonic(), _place(address)
        key = user, place
        own = _wait(self._failures.get(key), FREE, now)
        if key in self._known or key in self._failures:
            return own
        return _wait(self._names.get(place), FREE_NAMES, now)

    def failed(self, user: str, address: str) -> None:
        """A wrong password came."""
        now, place = self._clock.monotonic(), _place(address)
        if (user, place) not in self._failures:
            _count(self._names, place, now)
        _count(self._failures, (user, place), now)

    def succeeded(self, user: str, address: str) -> None:
        """The right one came."""
        key = user, _place(address)
        self._failures.pop(key, None)
        self._known[key] = None
        self._known.move_to_end(key)
        if len(self._known) > _KEPT:
            self._known.popitem(last=False)


Failures = tuple[int, float]
"""How many there were, and when the last of them was."""
K = TypeVar("K")


def _count(failures: OrderedDict[K, Failures], key: K, now: float) -> None:
    count, last = failures.pop(key, (0, now))
    failures[key] = (1 if now - last > FORGOTTEN else count + 1), now
    if len(failures) > _KEPT:
        failures.popitem(last=False)


def _wait(failures: Failures | None, free: int, now: float) -> float:
    if failures is None or failures[0] < free:
        return 0.0
    count, last = failures
    return max(0.0, last + min(LONGEST, 2.0 ** min(count - free, 10)) - now)


def _place(text: str) -> str:
    """What counts as one address."""
    found = parsed(text)
    if isinstance(found, IPv6Address):
        return str(IPv6Network((found, _NETWORK), strict=False))
    return text
