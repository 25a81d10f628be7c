"""Checks whether the server knows the contacts: it calls one that it does not know UNKNOWN, and says no more.

Some of each end user's contacts are polled, which changes nothing at the server. Where the service is running it is
asked instead (`running`), since it has read them all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import chain, zip_longest
from typing import Final

from pws_soap.contact import same_contact
from pws_soap.errors import PwsError
from pws_soap.models import Presence, PresenceState, PresenceType
from service.cli.doctor.logins import CheckedEndUser
from service.cli.shared import hints
from service.cli.shared.findings import Notebook, Tell

MOST: Final = 100
"""Contacts of an end user that are polled at most: one request's."""
_SHOWN: Final = 3


async def look(seats: Iterable[CheckedEndUser], tell: Tell) -> None:
    """Check the contacts of every end user who is logged in."""
    for seat in seats:
        if seat.watch.contacts:
            note = Notebook(f"contacts of {seat.watch.end_user}", tell)
            try:
                await _look(seat, note)
            except PwsError as error:
                note.warning(f"not polled: {hints.message(error)}")


async def _look(seat: CheckedEndUser, note: Notebook) -> None:
    """Poll with the type that the service fetches, then with the other one who is UNKNOWN: basic presence does not know
    contacts of other systems, and a rich document may say nothing about a contact who is known."""
    asked = _some(seat.watch.contacts)
    rich = seat.watch.presence_type is PresenceType.RICH
    unknown = await _unknown(seat, asked, rich=rich)
    still = await _unknown(seat, unknown, rich=not rich) if unknown else []
    federated = [] if rich else [contact for contact in unknown if contact not in still]
    if federated:
        note.warning(
            f"known with RICH_PRESENCE only: {_names(federated)}, as contacts of other systems are",
            'set presence_type = "RICH_PRESENCE" in that [[watch]]',
        )
    report(note, asked, still)
    if not federated and not still:
        of = f" that were tried, of {len(seat.watch.contacts)}" if len(asked) < len(seat.watch.contacts) else ""
        note.ok(f"the server knows {_counted(len(asked))}{of}")


def report(note: Notebook, asked: Iterable[str], unknown: Collection[str]) -> None:
    """Report which contacts the server does not know, one line for each domain."""
    strangers = {same_contact(contact) for contact in unknown}
    for domain, contacts in _by_domain(asked).items():
        found = [contact for contact in contacts if same_contact(contact) in strangers]
        if not found:
            continue
        if len(found) == len(contacts):
            fix = (
                "correct the domain or the names in [[watch]]; if they are of another system, check the server's "
                "federation with it"
            )
            note.warning(f"the server knows none of the contacts of {domain} ({_names(found)})", fix)
        else:
            what = f"the server does not know {len(found)} of {_counted(len(contacts))} of {domain} ({_names(found)})"
            note.warning(what, "correct the names in [[watch]], or add the users at the server")


async def _unknown(seat: CheckedEndUser, contacts: Sequence[str], *, rich: bool) -> list[str]:
    """Those whom the server calls UNKNOWN."""
    presences = await seat.at.client.get_polled_presence(seat.session, contacts, rich=rich)
    strangers = {same_contact(presence.contact) for presence in presences if _is_unknown(presence)}
    return [contact for contact in contacts if same_contact(contact) in strangers]


def _is_unknown(presence: Presence) -> bool:
    return presence.state is PresenceState.UNKNOWN and presence.problem is None


def _some(contacts: Iterable[str]) -> list[str]:
    """At most `MOST` contacts, of every domain as many."""
    turns = zip_longest(*_by_domain(contacts).values())
    return [contact for contact in chain.from_iterable(turns) if contact is not None][:MOST]


def _by_domain(contacts: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for contact in contacts:
        found.setdefault(contact.rpartition("@")[2].casefold(), []).append(contact)
    return found


def _names(contacts: Sequence[str]) -> str:
    more = f" and {len(contacts) - _SHOWN} more" if len(contacts) > _SHOWN else ""
    return ", ".join(contacts[:_SHOWN]) + more


def _counted(number: int) -> str:
    return "1 contact" if number == 1 else f"{number} contacts"
