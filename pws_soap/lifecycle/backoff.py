"""How long to wait after a failure, and when to renew: pure, with a jitter that depends on the history alone.

Exponential, with a cap by the kind of failure; the jitter takes away up to half, so that many clients that failed
together do not come back together.
"""

from __future__ import annotations

import hashlib

from pws_soap.lifecycle.values import FailureKind, Key, Settings

_DOUBLINGS = 16


def chance(settings: Settings, *parts: object) -> float:
    """A number from 0 to 1, the same for the same parts."""
    text = repr((settings.seed, *parts)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=7).digest(), "big") / 2**56


def pause(settings: Settings, kind: FailureKind, failures: int, key: Key, seq: int) -> float:
    """Seconds to wait after the `failures`-th failure in a row."""
    first, most = settings.retry_first, settings.retry_most
    if kind is FailureKind.THROTTLED:
        first, most = 2 * settings.retry_first, settings.throttle_most
    elif kind in {FailureKind.REFUSED, FailureKind.EXHAUSTED, FailureKind.HELD}:
        first, most = settings.refused_first, settings.refused_most
    full = min(most, first * 2.0 ** min(failures - 1, _DOUBLINGS))
    return full * (0.5 + 0.5 * chance(settings, key, seq))


def renewal(settings: Settings, expires: int, key: Key, seq: int) -> float:
    """Seconds of a life of `expires` after which it is renewed."""
    return expires * settings.renew_at * (1 - 0.1 * chance(settings, key, seq, "renewal"))
