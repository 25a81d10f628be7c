"""Claims as JSON: what they look like, and what each client may see of them.

The contacts in a claim are those of every other answer, with the claim that holds them. A client that is limited to
groups sees the contacts of these, and of a claim for another group no more than that it holds them; one that must not
see details sees its own claims, with the short form of contacts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from service.access.principal import Principal
from service.api.models import rfc3339
from service.api.writers.compact import compact
from service.api.writers.contact import ContactJson
from service.core.claims.model import Lease, PassedOver
from service.core.events.log import EventLog
from service.core.presence import brief
from service.core.presence.query import Reader
from service.core.presence.snapshot import ContactSnapshot

_MOST_WRITTEN: Final = 20_000
"""Reasons whose JSON is kept, some 300 bytes each; when there are so many, all are let go."""


class _WrittenReasons(dict[PassedOver, bytes]):
    """Reasons as JSON, each written once: of a group mostly the same is said from one claim to the next."""

    def __init__(self, *, details: bool) -> None:
        super().__init__()
        self._details = details

    def __missing__(self, passed_over: PassedOver) -> bytes:
        if len(self) >= _MOST_WRITTEN:
            self.clear()
        written = self[passed_over] = compact(_why(passed_over, details=self._details))
        return written


class ClaimJson:
    """Writes claims for clients, within the limits of their keys."""

    def __init__(self, reader: Reader, contacts: ContactJson, log: EventLog) -> None:
        self._reader = reader
        self._contacts = contacts
        self._log = log
        self._reasons = {details: _WrittenReasons(details=details) for details in (False, True)}

    def shows(self, lease: Lease, who: Principal) -> bool:
        """Whether `who` may know of it."""
        if lease.holder == who.name:
            return True
        return who.details and any(self._reader.is_visible(person.key, who.groups) for person in lease.people)

    def one(self, lease: Lease, who: Principal) -> bytes:
        """A `ClaimView`."""
        return b"{%b}" % self._members(lease, who)

    def made(self, lease: Lease, passed_over: Iterable[PassedOver], who: Principal) -> bytes:
        """A `MadeClaimView`."""
        why = b",".join(map(self._reasons[who.details].__getitem__, passed_over))
        return b'{%b,"passed_over":[%b]}' % (self._members(lease, who), why)

    def many(self, leases: Iterable[Lease], since: float, who: Principal) -> bytes:
        """A `ClaimListView`; `since` is wall time."""
        found = b",".join(self.one(lease, who) for lease in leases if self.shows(lease, who))
        return b'{"claims":[%b],"since":%b}' % (found, compact(rfc3339(since)))

    def _members(self, lease: Lease, who: Principal) -> bytes:
        found = (self._reader.one(person.contact, within=who.groups) for person in lease.people)
        contacts = b",".join(self._contact(contact, who) for contact in found if contact is not None)
        return lease_members(lease.limited_to(who.groups), contacts)

    def _contact(self, contact: ContactSnapshot, who: Principal) -> bytes:
        if who.details:
            return self._contacts.one(contact)
        return self._contacts.brief(brief.of(contact, self._log.snapshot(contact.record.key), who.groups))


def lease_members(lease: Lease, contacts: bytes) -> bytes:
    """The members of a `ClaimView`; `contacts` are its contacts as JSON, with commas between."""
    head = {
        "id": lease.id,
        "group": lease.group,
        "for": lease.purpose,
        "holder": lease.holder,
        "made_at": rfc3339(lease.made.wall),
        "expires_at": rfc3339(lease.expires.wall),
    }
    return b'%b,"contacts":[%b]' % (compact(head)[1:-1], contacts)


def reasons(passed_over: Iterable[PassedOver], who: Principal) -> list[dict[str, str]]:
    """Why the others were not picked; to a key that sees no details, only whether they were available."""
    return [_why(each, details=who.details) for each in passed_over]


def _why(passed_over: PassedOver, *, details: bool) -> dict[str, str]:
    told = "available, and not picked" if passed_over.free else "not available"
    return {"contact": passed_over.contact, "reason": passed_over.reason if details else told}
