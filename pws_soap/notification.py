"""Parses the query of a notification strictly, since anybody may send one; errors repeat nothing of it.

`?id=<subscription>&eventType=PRESENCE_NOTIFICATION`; one Cisco article calls the second parameter `etype`, and both are
taken (protocol section 2, Notifications).
"""

from __future__ import annotations

from datetime import datetime
from typing import Final
from urllib.parse import parse_qsl

from pws_soap.models import Notification

EVENT_TYPE: Final = "PRESENCE_NOTIFICATION"
MAX_QUERY: Final = 256
"""Longest query that is parsed, in characters; the server's own have about 50."""
MAX_ID: Final = 2**31 - 1
"""Subscription ids are xsd:int."""


class NotANotification(ValueError):
    """A malformed notification. The message names the fault and never repeats the query."""


def read(query: str | bytes, received: datetime | None = None) -> Notification:
    """Read the query part of a callback URL, without the question mark.

    Raises NotANotification, and nothing else, whatever the query holds.
    """
    text = query.decode("ascii", "replace") if isinstance(query, bytes) else query
    if len(text) > MAX_QUERY:
        raise NotANotification(f"the query has more than {MAX_QUERY} characters")
    pairs = parse_qsl(text, keep_blank_values=True)
    ids = [value for name, value in pairs if name == "id"]
    if len(ids) != 1:
        raise NotANotification("expected one id" if not ids else "more than one id")
    number = ids[0]
    if not (number.isascii() and number.isdigit() and len(number) <= 10 and 0 < int(number) <= MAX_ID):
        raise NotANotification("id is not a positive whole number")
    types = {value for name, value in pairs if name in {"eventType", "etype"}}
    if types != {EVENT_TYPE}:
        raise NotANotification(f"expected eventType={EVENT_TYPE}")
    return Notification(int(number), EVENT_TYPE, received)
