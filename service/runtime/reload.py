"""What a reload of the configuration changed, for the log: who is watched no longer, who is new, and what looks wrong.

An operator who empties a contacts file by mistake, or saves half of it, must see it at once.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from typing import Final

from service.core.engine import Watched

MOST: Final = 20
"""Contacts that one line names; of more, how many there are."""

log = logging.getLogger("pws.service")


def log_changes(left: Iterable[Watched], came: Iterable[Watched], users: Collection[str]) -> None:
    """Log which contacts left and which came; as a warning where an end user, of whom `users` have some, has none."""
    for user, contacts in _of_users(left).items():
        if user in users:
            log.info(
                "SIGHUP: watched no longer through %(end_user)s: %(names)s",
                {"end_user": user, "names": _named(contacts), "contacts": len(contacts)},
                extra={"event": "reload.contacts-left"},
            )
        else:
            log.warning(
                "SIGHUP: %(end_user)s has no contacts any more; watched no longer: %(names)s",
                {"end_user": user, "names": _named(contacts), "contacts": len(contacts)},
                extra={"event": "reload.end-user-empty"},
            )
    for user, contacts in _of_users(came).items():
        log.info(
            "SIGHUP: watched from now on through %(end_user)s: %(names)s",
            {"end_user": user, "names": _named(contacts), "contacts": len(contacts)},
            extra={"event": "reload.contacts-came"},
        )


def log_warnings(warnings: Iterable[str], known: Collection[str]) -> None:
    """Log the warnings of the configuration that was read again, but for those that are known."""
    for warning in warnings:
        if warning not in known:
            log.warning("SIGHUP: %(warning)s", {"warning": warning}, extra={"event": "configuration.warning"})


def _of_users(changed: Iterable[Watched]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for watched in changed:
        found.setdefault(watched.end_user, []).append(watched.contact)
    return found


def _named(contacts: list[str]) -> str:
    more = f" and {len(contacts) - MOST} more" if len(contacts) > MOST else ""
    return ", ".join(contacts[:MOST]) + more
