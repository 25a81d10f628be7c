"""What answers look like in the description of the API, with the nulls that FastAPI would drop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from service.api.models import CONTACT_EXAMPLE, BriefContactView

_SUPPORT: Final = {
    "total": 2,
    "by_state": {"AVAILABLE": 1, "BUSY": 1, "DND": 0, "AWAY": 0, "UNAVAILABLE": 0, "UNKNOWN": 0, "VACATION": 0},
    "by_freshness": {"live": 2, "stale": 0, "unknown": 0},
    "on_the_phone": 1,
    "available": 1,
}
_BRIEF: Final = {name: CONTACT_EXAMPLE[name] for name in BriefContactView.model_fields}

EXAMPLES: Final[Mapping[str, object]] = {
    "ContactView": CONTACT_EXAMPLE,
    "ContactListView": {"contacts": [CONTACT_EXAMPLE], "next_cursor": None, "revision": 4711},
    "ChosenListView": {
        "contacts": [{"contact": "ann@example.com", "state": "BUSY", "available": False}],
        "next_cursor": None,
        "revision": 4711,
    },
    "BriefContactView": _BRIEF,
    "BriefListView": {"contacts": [_BRIEF], "next_cursor": None, "revision": 4711},
    "SummaryView": {**_SUPPORT, "groups": {"support": {**_SUPPORT, "min_free": 2}}, "revision": 4711},
    "HistoryView": {
        "contact": "ann@example.com",
        "transitions": [
            {
                "at": "2026-11-21T09:58:40.201Z",
                "state": "BUSY",
                "activities": ["busy", "on-the-phone"],
                "on_the_phone": True,
                "freshness": "live",
                "available": False,
                "revision": 4711,
            },
            {
                "at": "2026-11-21T09:31:07.880Z",
                "state": "AVAILABLE",
                "activities": [],
                "on_the_phone": False,
                "freshness": "live",
                "available": True,
                "revision": 4602,
            },
        ],
        "complete": False,
    },
}
"""By the name of the schema."""
