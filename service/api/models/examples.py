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

_TARGET: Final = {
    "name": "crm",
    "address": "https://crm.example.com/presence",
    "state": "retrying",
    "since": "2026-11-21T09:59:12.004Z",
    "events": ["change", "removed"],
    "queued": 3,
    "oldest_queued_at": "2026-11-21T09:59:11.950Z",
    "delivered": 1841,
    "failed": 2,
    "coalesced": 40,
    "dropped": 0,
    "last_success_at": "2026-11-21T09:58:40.201Z",
    "next_attempt_at": "2026-11-21T10:00:21.700Z",
    "last_error": "answered 503",
    "attempts": [
        {
            "at": "2026-11-21T09:59:52.310Z",
            "message": "crm-1795254000000042",
            "event": "change",
            "contact": "ann@example.com",
            "number": 2,
            "seconds": 0.041,
            "succeeded": False,
            "status": 503,
            "error": "answered 503",
        },
    ],
}

_PROGRAM: Final = {
    "user": "attendant",
    "end_user": "dispatcher",
    "address": "10.1.2.3",
    "agent": "Axis/1.4",
    "since": "2026-11-21T08:00:00.000Z",
    "last_request_at": "2026-11-21T09:41:07.330Z",
    "last_fetch_at": "2026-11-21T09:41:07.330Z",
    "endpoints": 1,
    "contacts": 120,
    "notifications": 41,
    "failed": 0,
    "silent": True,
    "subscriptions": [
        {
            "id": 7,
            "contacts": 120,
            "pending": 3,
            "endpoint": "http://10.1.2.3:9000",
            "expires_at": "2026-11-21T10:30:00.000Z",
            "notified_at": "2026-11-21T09:43:10.012Z",
            "fetched_at": "2026-11-21T09:41:07.330Z",
            "notifications": 41,
            "failed": 0,
            "failing_since": None,
            "last_error": None,
            "silent": True,
        },
    ],
    "subscriptions_in_all": 1,
}

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
    "WebhookListView": {"webhooks": [_TARGET], "revision": 1795254000000044},
    "FacadeView": {
        "address": "https://presence.example.com:8083",
        "sessions": 2,
        "endpoints": 1,
        "subscriptions": 1,
        "silent": 1,
        "withheld": 0,
        "limits": {"sessions": 10000, "endpoints": 10000, "subscriptions": 20000},
        "requests": {"login": 2, "registerEndPoint": 1, "subscribe": 1, "getSubscribedPresence": 41},
        "faults": {"210": 1},
        "notifications": {"sent": 41},
        "read_through": 0,
        "programs": [_PROGRAM],
        "programs_in_all": 1,
    },
    "ReplayView": {"webhook": "crm", "after": 1795254000000041, "queued": 2},
}
"""By the name of the schema."""
