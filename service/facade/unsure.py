"""The contacts that are not live and that some program waits for, until it is told something of them again."""

from __future__ import annotations

from dataclasses import dataclass, field

from service.core.presence.records import Record


@dataclass(slots=True)
class _OfFeed:
    waiting: dict[str, None] = field(default_factory=dict)
    given_up: dict[str, None] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.waiting or self.given_up)


class Unsure:
    """Contacts by feed and key: those that are not told, and those that are given up, which means told as UNKNOWN.

    By feed, since nobody of a feed in doubt can be live: an outage is not looked at contact by contact.
    """

    def __init__(self) -> None:
        self._of_feed: dict[str, _OfFeed] = {}
        self._told_unknown: dict[str, None] = {}

    def __len__(self) -> int:
        return sum(len(each.waiting) for each in self._of_feed.values())

    def feeds(self) -> list[str]:
        """The feeds that have some."""
        return list(self._of_feed)

    def waiting(self, feed: str) -> list[str]:
        """The keys of those of a feed that are not told."""
        found = self._of_feed.get(feed)
        return [] if found is None else list(found.waiting)

    def given_up(self, feed: str) -> list[str]:
        """The keys of those of a feed that are told as UNKNOWN, as all who wait for them know."""
        found = self._of_feed.get(feed)
        return [] if found is None else list(found.given_up)

    def is_given_up(self, feed: str, key: str) -> bool:
        """Whether it is one of those."""
        found = self._of_feed.get(feed)
        return found is not None and key in found.given_up

    def was_unknown(self, key: str) -> bool:
        """Whether somebody was told that it is UNKNOWN since it is not live."""
        return key in self._told_unknown

    def wait_for(self, record: Record) -> None:
        """It is not told now, and somebody waits for it."""
        found = self._of_feed.setdefault(record.feed, _OfFeed())
        found.given_up.pop(record.key, None)
        found.waiting[record.key] = None

    def tell_unknown(self, record: Record) -> None:
        """Somebody is told that it is UNKNOWN. Who else waits for it, is still to hear of that."""
        self._told_unknown[record.key] = None
        found = self._of_feed.setdefault(record.feed, _OfFeed())
        if record.key not in found.waiting:
            found.given_up[record.key] = None

    def give_up(self, record: Record) -> None:
        """All who wait for it are told now that it is UNKNOWN."""
        found = self._of_feed.setdefault(record.feed, _OfFeed())
        found.waiting.pop(record.key, None)
        found.given_up[record.key] = None
        self._told_unknown[record.key] = None

    def leave(self, feed: str, key: str) -> None:
        """It need not be looked at any more."""
        found = self._of_feed.get(feed)
        if found is not None:
            found.waiting.pop(key, None)
            found.given_up.pop(key, None)
            if not found:
                del self._of_feed[feed]

    def is_sure(self, key: str) -> None:
        """It is live, or watched no longer: what was said of it before does not matter any more."""
        self._told_unknown.pop(key, None)
