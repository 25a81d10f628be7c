"""What the audit says of each request: one call where an answer is given, and nothing where no audit is kept.

A look that finds nothing new (304) is one as well: it says that all is as it was. To read counts of many is none.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final

from service.access.audit import AuditAction, AuditEntry, AuditLog
from service.access.principal import Principal
from service.core.claims.model import ClaimRequest, Granted, Lease, NotEnoughFree, PassedOver, Pick
from service.core.clock import Clock

MOST_NAMED: Final = 100
"""Contacts that one entry names; of more, how many there are."""
_MOST_ASKED: Final = 2000
"""Characters of a request that are kept."""

_NOTHING: Final[Mapping[str, object]] = {}
_UNCHANGED: Final[Mapping[str, object]] = {"unchanged": True}
_Scope = Mapping[str, Any]  # Any: as ASGI has it


class AuditTrail:
    """Makes entries of requests. `log`: where they go; None: nowhere."""

    def __init__(self, log: AuditLog | None, clock: Clock) -> None:
        self._log = log
        self._clock = clock

    def look(self, scope: _Scope, who: Principal, shown: int | None, *, unchanged: bool = False) -> None:
        """An answer shows so many contacts; None: only counts of them. `unchanged`: the client has it already."""
        if self._log is not None and shown is not None:
            self._record(AuditAction.LOOK, scope, who, shown, _UNCHANGED if unchanged else _NOTHING)

    def stream(
        self,
        scope: _Scope,
        who: Principal,
        count: Callable[[], int],
        slot: Callable[[], AbstractContextManager[None]],
    ) -> Callable[[], AbstractContextManager[None]]:
        """`slot`, which is held as long as a stream lasts, so that its beginning and its end are recorded.

        `count`: how many contacts the stream may show.
        """
        if self._log is None:
            return slot
        address, asked = _address(scope), _asked(scope)  # and not the scope, which holds all of the request

        @contextmanager
        def held() -> Iterator[None]:
            with slot():
                began, shown = self._clock.monotonic(), count()
                self._write(AuditAction.STREAM_BEGUN, who.name, address, asked, shown, {"details": who.details})
                try:
                    yield
                finally:
                    lasted = round(self._clock.monotonic() - began, 3)
                    more = {"details": who.details, "seconds": lasted}
                    self._write(AuditAction.STREAM_ENDED, who.name, address, asked, shown, more)

        return held

    def claimed(self, scope: _Scope, who: Principal, granted: Granted, pick: Pick) -> None:
        """Somebody got people: whom, for what, and why them."""
        if self._log is not None:
            lease = granted.lease
            more = _claim(lease) | {"pick": pick, "passed_over": _passed_over(granted.passed_over)}
            self._record(AuditAction.CLAIM_MADE, scope, who, len(lease.people) + len(granted.passed_over), more)

    def not_claimed(self, scope: _Scope, who: Principal, request: ClaimRequest, refused: NotEnoughFree) -> None:
        """Somebody got nobody, and was told why."""
        if self._log is not None:
            more = {
                "group": request.group,
                "for": request.purpose,
                "free": refused.free,
                "passed_over": _passed_over(refused.passed_over),
            }
            self._record(AuditAction.CLAIM_REFUSED, scope, who, len(refused.passed_over), more)

    def renewed(self, scope: _Scope, who: Principal, lease: Lease) -> None:
        """A claim lasts longer."""
        if self._log is not None:
            self._record(AuditAction.CLAIM_RENEWED, scope, who, len(lease.people), _claim(lease))

    def released(self, scope: _Scope, who: Principal, lease: Lease) -> None:
        """A claim was given back."""
        if self._log is not None:
            self._record(AuditAction.CLAIM_RELEASED, scope, who, 0, _claim(lease))

    def changed(self, scope: _Scope, who: Principal, contacts: Sequence[str] | None = None, **more: object) -> None:
        """An admin changed something, about these contacts."""
        if self._log is not None:
            self._record(AuditAction.CHANGE, scope, who, 0, more if contacts is None else _named(contacts) | more)

    def reloaded(self, came: Collection[str], left: Collection[str], keys: Collection[str]) -> None:
        """The configuration was read again: who is watched now, who no longer, and which keys there are."""
        if self._log is not None:
            more = {
                "came": _named(list(came)),
                "left": _named(list(left)),
                "keys": sorted(keys),
            }
            self._write(AuditAction.RELOAD, None, None, "SIGHUP", 0, more)

    # --- inside

    def _record(
        self, action: AuditAction, scope: _Scope, who: Principal, shown: int, more: Mapping[str, object]
    ) -> None:
        self._write(action, who.name, _address(scope), _asked(scope), shown, {"details": who.details, **more})

    def _write(
        self,
        action: AuditAction,
        key: str | None,
        address: str | None,
        asked: str,
        shown: int,
        more: Mapping[str, object],
    ) -> None:
        if self._log is not None:
            self._log.record(AuditEntry(self._clock.now(), action, key, address, asked, shown, more))


def _address(scope: _Scope) -> str | None:
    client = scope.get("client")
    return None if client is None else str(client[0])


def _asked(scope: _Scope) -> str:
    asked = f"{scope['method']} {scope['path']}"
    if query := scope.get("query_string"):
        asked = f"{asked}?{query.decode('latin-1')}"
    return asked if len(asked) <= _MOST_ASKED else f"{asked[:_MOST_ASKED]}..."


def _named(contacts: Sequence[str]) -> dict[str, object]:
    return {"contacts": list(contacts[:MOST_NAMED]), "count": len(contacts)}


def _claim(lease: Lease) -> dict[str, object]:
    return {
        "claim": lease.id,
        "group": lease.group,
        "for": lease.purpose,
        "holder": lease.holder,
        "contacts": [person.contact for person in lease.people],
    }


def _passed_over(passed_over: Sequence[PassedOver]) -> list[dict[str, str]]:
    """Why it was not one of the others: first those who were free as well."""
    ordered = sorted(passed_over, key=lambda each: not each.free)[:MOST_NAMED]
    return [{"contact": each.contact, "reason": each.reason} for each in ordered]
