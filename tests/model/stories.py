"""Counterexamples as data: how a wrong state came to be called live while one rule was as before.

Found by the explorer; `test_stories` replays them.
"""

from __future__ import annotations

from typing import Final

_SUBSCRIBED: Final = (
    "the client sends: log in",
    "the server executes: log in",
    "the client receives the reply to 'log in': ok",
    "the client sends: subscribe ann",
    "the server executes: subscribe ann",
    "the client receives the reply to 'subscribe ann': subscription 1",
)
_LOGGED_IN_AGAIN: Final = _SUBSCRIBED[:3]
_SUBSCRIBED_AGAIN: Final = _SUBSCRIBED[3:]
_READ: Final = (
    "the client sends: fetch subscription 1",
    "the server executes: fetch subscription 1",
    "the client receives the reply to 'fetch subscription 1': ann=0",
)
_BOTH_SUBSCRIBED: Final = (
    *_LOGGED_IN_AGAIN,
    "the client sends: subscribe ann and bob",
    "the server executes: subscribe ann and bob",
    "the client receives the reply to 'subscribe ann and bob': subscription 1",
)
_BOTH_READ: Final = (*_READ[:2], "the client receives the reply to 'fetch subscription 1': ann=0, bob=0")
_REMOVED: Final = (
    "the client sends: remove subscription 1",
    "the server executes: remove subscription 1",
    "the client receives the reply to 'remove subscription 1': ok",
)
_NOTHING_NEW: Final = (
    "the client sends: fetch subscription 1",
    "the server executes: fetch subscription 1",
    "the client receives the reply to 'fetch subscription 1': nothing",
)
_TAKEN_BY_A_LATE_FETCH: Final = (
    "ann changes to 1",
    "the server executes an abandoned request: fetch subscription 1 (consumes ann=1)",
    *_NOTHING_NEW,
)

STORIES: Final[dict[str, tuple[str, ...]]] = {
    "1, clean up": (
        *_SUBSCRIBED,
        "the client sends: fetch subscription 1",
        "the process is killed; its successor will remove the remembered ids under the same key",
        *_LOGGED_IN_AGAIN,
        *_REMOVED,
        *_SUBSCRIBED_AGAIN,
        *_READ,
        *_TAKEN_BY_A_LATE_FETCH,
    ),
    "1, adopt": (
        *_SUBSCRIBED,
        "the client sends: fetch subscription 1",
        "the process is killed; its successor will use the remembered subscription",
        *_LOGGED_IN_AGAIN,
        *_READ,
        *_TAKEN_BY_A_LATE_FETCH,
    ),
    "1, forget": (
        *_SUBSCRIBED,
        "the client sends: fetch subscription 1",
        "the process is killed; its successor will start as if nothing were left",
        *_LOGGED_IN_AGAIN,
        "the server forgets subscription 1",
        *_SUBSCRIBED_AGAIN,
        *_READ,
        *_TAKEN_BY_A_LATE_FETCH,
    ),
    "2": (
        *_SUBSCRIBED,
        *_READ,
        "ann changes to 1",
        "the client sends: fetch subscription 1",
        "the server executes: fetch subscription 1",
        "the reply to 'fetch subscription 1': ann=1 arrives with an entry for ann that cannot be attributed",
        "the client receives the reply to 'fetch subscription 1': somebody=1",
    ),
    "3": (
        *_SUBSCRIBED,
        *_READ,
        "ann changes to 1",
        "the client sends: fetch subscription 1",
        "the server executes: fetch subscription 1",
        "a gateway answers with its own page: fetch subscription 1 (already executed)",
        *_NOTHING_NEW,
    ),
    "4": (
        *_SUBSCRIBED,
        "the client sends: fetch subscription 1",
        "the server executes: fetch subscription 1",
        "the reply to 'fetch subscription 1': ann=0 is duplicated on the connection",
        "the client receives the reply to 'fetch subscription 1': ann=0",
        "ann changes to 1",
        "the client sends: fetch subscription 1 (and receives the copy of an earlier reply)",
        "the client receives the reply to 'fetch subscription 1': ann=0",
    ),
    "5": (
        *_SUBSCRIBED,
        "the client sends: fetch subscription 1",
        "the server executes: fetch subscription 1",
        "the reply to 'fetch subscription 1': ann=0 arrives with two entries for ann, the second with a wrong state",
        "the client receives the reply to 'fetch subscription 1': ann=0, ann=-1",
    ),
    "6, window": (
        *_SUBSCRIBED,
        "the client sends: fetch subscription 1",
        "time-out: fetch subscription 1",
        *_READ,
        "the assumed window for late execution ends",
        *_TAKEN_BY_A_LATE_FETCH,
    ),
    "6, resubscribe": (
        *_SUBSCRIBED,
        "the client sends: fetch subscription 1",
        "time-out: fetch subscription 1",
        *_REMOVED,
        *_SUBSCRIBED_AGAIN,
        *_READ,
        *_TAKEN_BY_A_LATE_FETCH,
    ),
    "alter": (
        *_BOTH_SUBSCRIBED,
        "the operator stops watching bob",
        "the client sends: drop bob from subscription 1",
        "time-out: drop bob from subscription 1",
        "the operator watches bob again",
        "the client sends: add bob to subscription 1",
        "the server executes: add bob to subscription 1",
        "the client receives the reply to 'add bob to subscription 1': ok",
        *_BOTH_READ,
        "the server executes an abandoned request: drop bob from subscription 1",
        "bob changes to 1",
        *_NOTHING_NEW,
    ),
    "older fetch": (
        *_SUBSCRIBED,
        "the client sends: fetch subscription 1",
        "the server forgets subscription 1",
        "a renewal reports that subscription 1 is gone",
        *_SUBSCRIBED_AGAIN,
        *_READ,
        "ann changes to 1",
        "the server executes: fetch subscription 1 (of before)",
        *_NOTHING_NEW,
    ),
    "older alteration": (
        *_BOTH_SUBSCRIBED,
        "the operator stops watching bob",
        "the client sends: drop bob from subscription 1",
        "the operator watches bob again",
        "the server forgets subscription 1",
        "a renewal reports that subscription 1 is gone",
        *_BOTH_SUBSCRIBED[3:],
        *_BOTH_READ,
        "the server executes an abandoned request: drop bob from subscription 1",
        "bob changes to 1",
        *_NOTHING_NEW,
    ),
    "carried": (
        *_BOTH_SUBSCRIBED,
        "the operator stops watching bob",
        "the client sends: drop bob from subscription 1",
        "the operator watches bob again",
        *_BOTH_READ,
        "the server executes: drop bob from subscription 1",
        "bob changes to 1",
        *_NOTHING_NEW,
    ),
}
"""The keys are those of KINDS in `cases`, which says which rule was as before."""

A_STALE_REFUSAL: Final = (
    *_SUBSCRIBED,
    *_READ,
    "the client sends: poll ann",
    "the server forgets the session",
    "the server executes: poll ann",
    "a renewal reports that the session is gone",
    *_LOGGED_IN_AGAIN,
    *_SUBSCRIBED_AGAIN,
    "the client sends: fetch subscription 1",
    "time-out: fetch subscription 1",
    "the client receives the reply to 'poll ann': 101, no such session",
    *_LOGGED_IN_AGAIN,
    "the server forgets subscription 1",
    *_SUBSCRIBED_AGAIN,
    *_READ,
    *_TAKEN_BY_A_LATE_FETCH,
)
"""Three faults: fault 101 for an older session key ended the present session, whose reset was pending."""
