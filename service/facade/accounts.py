"""Who may log in at the façade, and how often somebody may try who does not know the password.

Wrong passwords are counted for each name at each address: beyond some, that name has to wait at that address, ever
longer, and is not even compared. Others are not held up: neither another name there, nor the same name elsewhere.
"""

from __future__ import annotations

import hmac
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from hashlib import sha256
from typing import Final

from service.core.clock import Clock
from service.facade.settings import FacadeUser

FREE: Final = 5
"""Wrong passwords in a row for one name at one address after which each further one costs a wait."""
FREE_AT_ADDRESS: Final = 50
"""The same for all names together at one address."""
LONGEST: Final = 60.0
"""Seconds that one has to wait at most."""
FORGOTTEN: Final = 3600.0
"""Seconds without a wrong password after which the earlier ones do not count any more."""
_KEPT: Final = 10_000
"""Pairs of name and address that are remembered; beyond, the one that failed longest ago goes."""


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
        self._failures: OrderedDict[tuple[str, str], tuple[int, float]] = OrderedDict()
        """By name and address: how many in a row, and when the last of them came."""

    def wait(self, user: str, address: str) -> float:
        """Seconds that this name has to wait at this address; 0: it may try."""
        now = self._clock.monotonic()
        return max(self._wait(key, free, now) for key, free in self._keys(user, address))

    def failed(self, user: str, address: str) -> None:
        """A wrong password came."""
        now = self._clock.monotonic()
        for key, _ in self._keys(user, address):
            count, last = self._failures.pop(key, (0, now))
            self._failures[key] = (1 if now - last > FORGOTTEN else count + 1), now
        while len(self._failures) > _KEPT:
            self._failures.popitem(last=False)

    def succeeded(self, user: str, address: str) -> None:
        """The right one came."""
        self._failures.pop((user, address), None)

    def _wait(self, key: tuple[str, str], free: int, now: float) -> float:
        count, last = self._failures.get(key, (0, now))
        if count < free:
            return 0.0
        pause = min(LONGEST, 2.0 ** min(count - free, 10))
        return max(0.0, last + pause - now)

    @staticmethod
    def _keys(user: str, address: str) -> tuple[tuple[tuple[str, str], int], ...]:
        return ((user, address), FREE), (("", address), FREE_AT_ADDRESS)
