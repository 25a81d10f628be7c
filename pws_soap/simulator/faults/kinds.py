"""Faults that can be switched on while the simulator runs: what they are, and whom they hit.

A fault is data (`Fault`); `FaultBox` decides, with a seeded random source, whom it hits. `requests` and `notifications`
carry it out.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Literal

from pws_soap.server.codes import TEXTS
from pws_soap.server.messages import OPERATIONS
from pws_soap.simulator.bounds import MAX_COUNT, MAX_SECONDS, bounded, shown, type_words

FORMS: Final[dict[str, tuple[str, ...]]] = {
    "replace-reply": ("fault", "fault-1.2", "fault-code", "half-fault", "html-502", "html-503", "html-504", "json-502",
                      "json-503", "empty-502", "empty-503"),
    "rename-entry": ("percent", "port", "dot", "brackets", "sips", "params", "upper", "mangled", "nameless", "latin-1",
                     "unreadable"),
    "empty-state": ("empty", "missing", "unknown-word"),
    "stale-reply": ("plain", "age"),
}  # fmt: skip
"""The kinds that have a `form`, each with its forms; the first is the default."""

_PRESENCE_OPERATIONS: Final = ("getPolledPresence", "getSubscribedPresence")
"""The operations whose replies hold presence."""
_SECONDS: Final = {"double-reply": 0.03}
"""The default of `seconds`; for every other kind it is 1."""


def _forms(kind: str) -> str:
    return ", ".join(FORMS[kind])


REQUEST_FAULTS: Final[dict[str, str]] = {
    "refuse": "answer with the fault `code` instead of doing anything",
    "http-503": "answer HTTP 503 with the `body` envelope, bare or empty, instead of doing anything",
    "delay-request": "wait `seconds` before doing anything; then do it even if the client has gone",
    "abort-request": "reset the connection instead of doing anything",
    "lose-reply": "do it, then reset the connection without a byte of the reply",
    "truncate-reply": "do it, then send `fraction` of the reply and close the connection",
    "garble-reply": "do it, then send a reply that is not XML any more",
    "empty-reply": "do it, then send HTTP 200 without a body",
    "html-reply": "do it, then send a page of HTML, as a proxy would",
    "delay-reply": "do it, then wait `seconds` before the reply",
    "slow-reply": "do it, then send the reply in small pieces over `seconds`",
    "close-after-reply": "do it, reply, and close the connection",
    "replace-reply": f"do it, then answer as something between would; `form`: {_forms('replace-reply')}; `code`",
    "double-reply": "do it, reply, and send the same bytes again after `seconds` on the same connection (0: together)",
    "stale-reply": f"do it, then send the node's previous reply to this operation; `form`: {_forms('stale-reply')}",
    "rename-entry": f"do it, then name the first contact differently; `form`: {_forms('rename-entry')}",
    "double-entry": "do it, then list the first contact twice, the second time with another state",
    "empty-state": f"do it, then list the first contact without a valid state; `form`: {_forms('empty-state')}",
}
"""What can happen to a request."""

ENTRY_FAULTS: Final = frozenset({"rename-entry", "double-entry", "empty-state"})
"""Those that hit only a reply of presence with an entry."""
PRESENCE_FAULTS: Final = ENTRY_FAULTS | {"stale-reply"}
"""Those that hit only a reply of presence."""

NOTIFICATION_FAULTS: Final[dict[str, str]] = {
    "drop-notification": "do not send it; the latch closes all the same",
    "delay-notification": "send it `seconds` later",
    "duplicate-notification": "send it twice",
    "reorder-notification": "send it after the next one, or after `seconds` if none comes",
}
"""What can happen to a notification."""


_EVERY: Final = frozenset({"kind", "node", "count", "probability"})
"""What every fault of requests and notifications takes."""
_OWN: Final[dict[str, frozenset[str]]] = {
    "refuse": frozenset({"code"}),
    "http-503": frozenset({"body", "code"}),
    "truncate-reply": frozenset({"fraction"}),
    "replace-reply": frozenset({"form", "code"}),
    **dict.fromkeys(("stale-reply", "rename-entry", "empty-state"), frozenset({"form"})),
    **dict.fromkeys(
        ("delay-request", "delay-reply", "slow-reply", "double-reply", "delay-notification", "reorder-notification"),
        frozenset({"seconds"}),
    ),
}
"""What a kind takes beside that; faults of requests take an `operation` as well."""


def keys_of(kind: str) -> frozenset[str]:
    """The keys that a kind of fault takes."""
    operation = frozenset({"operation"}) if kind in REQUEST_FAULTS else frozenset[str]()
    return _EVERY | operation | _OWN.get(kind, frozenset())


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault to inject.

    It hits requests of `operation` (None: any) at `node` (None: any), `count` times (None: until it is cleared), each
    time with `probability`. `seconds`, `code`, `body`, `fraction` and `form` are for the kinds that name them. Without
    `seconds` it is 1 second, for double-reply 0.03; without `form` it is the first of the kind's `FORMS`, and empty
    for the kinds that have none.
    """

    kind: str
    operation: str | None = None
    node: str | None = None
    count: int | None = None
    probability: float = 1.0
    seconds: float = math.nan
    code: int = 200
    body: Literal["envelope", "bare", "empty"] = "empty"
    fraction: float = 0.5
    form: str = ""

    def __post_init__(self) -> None:
        """Check the values; raises ValueError that names the key."""
        if self.kind not in REQUEST_FAULTS and self.kind not in NOTIFICATION_FAULTS:
            known = ", ".join((*REQUEST_FAULTS, *NOTIFICATION_FAULTS))
            raise ValueError(f"fault: expected one of {known}, got {self.kind!r}")
        forms = FORMS.get(self.kind, ())
        if math.isnan(self.seconds):
            object.__setattr__(self, "seconds", _SECONDS.get(self.kind, 1.0))
        if not self.form and forms:
            object.__setattr__(self, "form", forms[0])
        if self.form and not forms:
            raise ValueError(f"form: {self.kind} has no forms, got {self.form!r}")
        if forms and self.form not in forms:
            raise ValueError(f"form: {self.kind} expects one of {', '.join(forms)}, got {self.form!r}")
        operations = sorted(_PRESENCE_OPERATIONS if self.kind in PRESENCE_FAULTS else OPERATIONS)
        if self.operation is not None and self.operation not in operations:
            expected = ", ".join(operations)
            raise ValueError(f"operation: {self.kind} expects one of {expected}, got {shown(self.operation)}")
        if self.kind in ("refuse", "http-503") and self.code not in TEXTS:
            raise ValueError(f"code: {self.kind} expects a code of the server, such as 200, got {shown(self.code)}")
        if self.count is not None and self.count < 1:
            raise ValueError(f"count: expected at least 1, got {self.count!r}")
        if not 0 <= self.probability <= 1:
            raise ValueError(f"probability: expected 0 to 1, got {self.probability!r}")
        if self.code < 0:
            raise ValueError(f"code: expected 0 or more, got {shown(self.code)}")
        if self.seconds < 0:
            raise ValueError(f"seconds: expected 0 or more, got {self.seconds!r}")
        bounded("seconds", self.seconds, 0, MAX_SECONDS)
        if self.body not in ("envelope", "bare", "empty"):
            raise ValueError(f"body: expected envelope, bare or empty, got {self.body!r}")
        if not 0 <= self.fraction < 1:
            raise ValueError(f"fraction: expected 0 up to 1, got {self.fraction!r}")

    def shown(self) -> dict[str, Any]:
        """The fault as plain values, those that its kind does not take (`keys_of`) included."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @staticmethod
    def of(values: Mapping[str, Any]) -> Fault:
        """A fault from plain values, as in JSON or TOML. Raises ValueError that names the key that is wrong."""
        return Fault(**_checked(values))


_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "kind": (str,),
    "operation": (str, type(None)),
    "node": (str, type(None)),
    "count": (int, type(None)),
    "probability": (int, float),
    "seconds": (int, float),
    "code": (int,),
    "body": (str,),
    "fraction": (int, float),
    "form": (str,),
}


_MOST: Final[dict[str, float]] = {"count": MAX_COUNT, "seconds": MAX_SECONDS, "code": 9999}
"""The greatest value of a number for which `Fault` itself has no greatest."""


def _checked(values: Mapping[str, Any]) -> dict[str, Any]:
    kind = values.get("kind")
    known = keys_of(kind) if isinstance(kind, str) else frozenset(_TYPES)
    for key, value in values.items():
        if key not in _TYPES or key not in known:
            raise ValueError(f"{key}: {kind} takes no such key, only {', '.join(sorted(known - {'kind'}))}")
        if not isinstance(value, _TYPES[key]) or isinstance(value, bool):
            expected = type_words(_TYPES[key])
            raise ValueError(f"{key}: expected {expected}, got {shown(value)}")  # noqa: TRY004 - a value from a file
        if key in _MOST and isinstance(value, int | float) and not value < 0:  # what is below 0 `Fault` refuses
            bounded(key, value, 0, _MOST[key])
    if "kind" not in values:
        raise ValueError("kind: missing")
    return dict(values)


class FaultBox:
    """The faults that are switched on, oldest first."""

    def __init__(self, seed: int | None = None) -> None:
        self._random = random.Random(seed)  # noqa: S311 - dice for tests, which a seed makes repeatable
        self._last = 0
        self._active: dict[int, tuple[Fault, int | None]] = {}
        self.hits: Counter[str] = Counter()
        """How often each kind has hit."""

    def add(self, fault: Fault) -> int:
        """Switch a fault on; its number."""
        self._last += 1
        self._active[self._last] = (fault, fault.count)
        return self._last

    def remove(self, number: int) -> bool:
        """Switch a fault off. Whether it was on."""
        return self._active.pop(number, None) is not None

    def clear(self, kind: str | None = None) -> int:
        """Switch off all faults, or those of a kind; how many there were."""
        numbers = [number for number, (fault, _) in self._active.items() if kind in (None, fault.kind)]
        for number in numbers:
            del self._active[number]
        return len(numbers)

    def active(self) -> dict[int, tuple[Fault, int | None]]:
        """The faults by number, each with how many hits are left."""
        return dict(self._active)

    def for_request(self, node: str, operation: str) -> list[Fault]:
        """The faults that hit a request, whatever the reply to it is."""
        return self._hitting(REQUEST_FAULTS.keys() - PRESENCE_FAULTS, node, operation)

    def for_presence(self, node: str, operation: str, possible: Collection[str]) -> list[Fault]:
        """The faults of `PRESENCE_FAULTS` that hit a reply; those that are not `possible` with it are kept."""
        return self._hitting(PRESENCE_FAULTS.intersection(possible), node, operation)

    def for_notification(self, node: str) -> list[Fault]:
        """The faults that hit a notification."""
        return self._hitting(NOTIFICATION_FAULTS, node, None)

    def _hitting(self, kinds: Collection[str], node: str, operation: str | None) -> list[Fault]:
        if not self._active:
            return []
        hits = []
        for number, (fault, left) in list(self._active.items()):
            if fault.kind not in kinds or fault.node not in (None, node) or fault.operation not in (None, operation):
                continue
            if fault.probability < 1 and self._random.random() >= fault.probability:
                continue
            if left == 1:
                del self._active[number]
            elif left is not None:
                self._active[number] = (fault, left - 1)
            self.hits[fault.kind] += 1
            hits.append(fault)
        return hits
