"""What was undelivered when the process ended, kept for the next one: a document for each target.

A document holds messages as they would have been sent. It is kept until the next run has delivered all of it, and gone
before that run sends anything newer to the target: whatever is sent twice after a crash, no older message comes behind
a newer one of the same contact. A document for another view of the target (its filter, its groups, its limits have
changed) is not sent: it may say what the target must not see any more.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Final, Literal, Protocol

import msgspec

from service.webhooks.message import WebhookMessage, lost

MOST_BYTES: Final = 64 * 1024 * 1024
"""Bytes of one document. What has no room in it is lost with the process."""

log = logging.getLogger("pws.webhooks")


class Shelf(Protocol):
    """Where documents are kept, by the names of targets. All but `names` raise OSError."""

    def names(self) -> Sequence[str]:
        """Of which targets there is one."""
        ...

    def read(self, name: str) -> bytes | None:
        """A document; None where there is none."""
        ...

    async def write(self, name: str, document: bytes) -> None:
        """Keep it in the place of an older one, whole or not at all. For its owner alone to read."""
        ...

    def remove(self, name: str) -> None:
        """Let it go, if it is there."""
        ...

    async def settle(self) -> None:
        """Wait until what was let go is gone for good."""
        ...

    def put_aside(self, name: str) -> str:
        """Keep it under another name, which is returned, where it is never read again."""
        ...


class LeftoverDocument(msgspec.Struct, frozen=True):
    """What is undelivered of one target. `view` stands for what the target could see."""

    version: Literal[1]
    view: str
    messages: list[WebhookMessage]


class Leftovers:
    """What an earlier run left of each target, and what this one leaves. `shelf` None: nothing is kept.

    `most`: bytes of one document. Where contacts are left out, the next run has to tell of all of them anew.
    """

    def __init__(self, shelf: Shelf | None, *, most: int = MOST_BYTES, has_contacts: bool = True) -> None:
        self._shelf = shelf
        self._most = most
        self._has_contacts = has_contacts

    @property
    def is_kept(self) -> bool:
        """Whether anything outlives the process."""
        return self._shelf is not None

    def clear(self, targets: Iterable[str]) -> None:
        """Let go of what is kept for others than these targets."""
        if self._shelf is None:
            return
        known = frozenset(targets)
        for name in self._shelf.names():
            if name not in known:
                log.warning(
                    "webhook %(target)s is no longer configured: what was undelivered is let go",
                    {"target": name},
                    extra={"event": "webhook.target-gone"},
                )
                self.forget(name)

    def of(self, name: str, view: str) -> list[WebhookMessage]:
        """The messages that an earlier run left for a target, in their order. They are kept until `forget`."""
        if self._shelf is None:
            return []
        try:
            found = self._shelf.read(name)
        except OSError as error:
            log.warning(
                "what was undelivered to webhook %(target)s cannot be read (%(error)s): it is left out",
                {"target": name, "error": error.strerror or type(error).__name__},
                extra={"event": "webhook.leftovers-unreadable"},
            )
            return []
        if found is None:
            return []
        document = self._decoded(name, found)
        if document is None:
            return []
        if document.view != view:
            log.warning(
                "webhook %(target)s sees something else than before: %(messages)d undelivered messages are let go",
                {"target": name, "messages": len(document.messages)},
                extra={"event": "webhook.view-changed"},
            )
            self.forget(name)
            return []
        return document.messages

    def forget(self, name: str) -> None:
        """Nothing of it is undelivered any more."""
        if self._shelf is None:
            return
        try:
            self._shelf.remove(name)
        except OSError as error:
            log.warning(
                "what is kept for webhook %(target)s cannot be removed (%(error)s): after a crash it is sent again",
                {"target": name, "error": error.strerror or type(error).__name__},
                extra={"event": "webhook.leftovers-stay"},
            )

    async def settle(self) -> None:
        """Wait until what was forgotten is gone, whatever happens from now on."""
        if self._shelf is not None:
            await self._shelf.settle()

    async def keep(self, name: str, view: str, messages: Sequence[WebhookMessage]) -> int:
        """Keep messages for the next run; how many of them, the first ones, it will find. Where others have no room,
        the target is told how many."""
        if self._shelf is None:
            return 0
        wanted = [each for each in messages if self._has_contacts or each.contact is None]
        kept = _that_fit(wanted, self._most)
        if not kept:
            self.forget(name)
            return 0
        last, missing = wanted[-1], len(wanted) - len(kept)
        told = [lost(last.id, last.at, missing)] if missing else []
        try:
            await self._shelf.write(name, msgspec.json.encode(LeftoverDocument(1, view, kept + told)))
        except OSError as error:
            log.warning(
                "what is undelivered to webhook %(target)s cannot be kept: %(error)s",
                {"target": name, "error": error.strerror or type(error).__name__},
                extra={"event": "webhook.leftovers-lost"},
            )
            return 0
        return len(kept)

    def _decoded(self, name: str, found: bytes) -> LeftoverDocument | None:
        assert self._shelf is not None  # noqa: S101  callers have looked
        try:
            document = msgspec.json.decode(found, type=LeftoverDocument)
        except (ValueError, RecursionError) as error:  # msgspec's are ValueErrors
            try:
                aside = self._shelf.put_aside(name)
            except OSError as problem:
                aside = f"nothing ({problem.strerror})"
            log.warning(
                "what was undelivered to webhook %(target)s is damaged, or not ours (%(error)s): renamed to "
                "%(renamed_to)s, starting without it",
                {"target": name, "error": type(error).__name__, "renamed_to": aside},
                extra={"event": "webhook.leftovers-damaged"},
            )
            return None
        return document


def _that_fit(messages: Sequence[WebhookMessage], most: int) -> list[WebhookMessage]:
    """The first of them, as many as a document has room for."""
    size = 0
    for count, message in enumerate(messages):
        size += len(bytes(message.data)) + 6 * len(message.contact or message.subject or "") + 200
        if size > most:
            return list(messages[:count])
    return list(messages)
