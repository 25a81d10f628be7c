"""The states of the model: frozen, hashable, and without clocks.

A presence state is a version number that grows with each change. `as_of` holds the version at that moment, so a live
answer is wrong if it shows a smaller one. Sets of contacts are bit masks. Requests carry no session key: those with an
old key are refused, so they are removed from the model when the session ends.

The store compares when readings began. Instead of an order of events, each pending reading carries masks of contacts.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

NEVER: Final = -2
"""Never read."""
BAD: Final = -1
"""A state that the contact never had."""
EMPTY: Final = -3
"""An entry without a state."""
STRANGER: Final = -1
"""Stands for the contact in an entry that cannot be attributed."""


class Kind(IntEnum):
    """What a request asks for."""

    LOGIN = 0
    LOGOUT = 1
    SUBSCRIBE = 2
    ADD = 3
    DROP = 4
    REMOVE = 5
    FETCH = 6
    POLL = 7


class Answer(IntEnum):
    """How the server answered."""

    DONE = 0
    NO_SESSION = 1
    NO_SUBSCRIPTION = 2
    REFUSED = 3
    """With a code that is given before execution, such as 212."""


class Reply(NamedTuple):
    """A reply. `id` answers SUBSCRIBE; `entries` are contacts with their versions."""

    answer: Answer = Answer.DONE
    id: int = 0
    entries: tuple[tuple[int, int], ...] = ()


class Request(NamedTuple):
    """A pending request of the client, sent with its present session key.

    `began` holds the versions when it was sent. Masks of contacts: `older`, the last stored reading began later than
    this one; `overtaken`, a reading was stored since this one began; `stale`, in doubt since then. `second`: the other
    pending reading began earlier.
    """

    kind: Kind
    id: int = 0
    contacts: int = 0
    began: tuple[int, ...] = ()
    older: int = 0
    overtaken: int = 0
    stale: int = 0
    second: bool = False
    reply: Reply | None = None


class Late(NamedTuple):
    """An abandoned request, which the server may still execute."""

    kind: Kind
    id: int
    contacts: int


class Sub(NamedTuple):
    """A subscription at the server. `untold`: contacts that the next fetch returns."""

    id: int
    contacts: int
    untold: int


class Record(NamedTuple):
    """What the store holds for a contact."""

    shown: int = NEVER
    as_of: int = NEVER
    doubt: bool = True


class Key(IntEnum):
    """The client's session key."""

    NONE = 0
    VALID = 1
    DEAD = 2
    """No longer valid; the client does not know that yet."""


class Client(NamedTuple):
    """A process. `left`: ids to remove. `reset`: log out before anything else. `adopt`: a remembered subscription."""

    records: tuple[Record, ...]
    want: int
    key: Key = Key.NONE
    reset: bool = False
    left: tuple[int, ...] = ()
    adopt: tuple[int, int] | None = None
    sub: int = 0
    has: int = 0
    """The contacts of the subscription, as far as known."""
    unsure: int = 0
    """Contacts that a request, pending or of unknown outcome, adds or drops."""
    fetched: bool = False
    doubted: bool = True
    """The whole feed is in doubt."""
    shaky: bool = False
    """Within the window that is assumed for the late execution of a fetch; fetches confirm nothing."""
    control: Request | None = None
    fetch: Request | None = None
    poll: Request | None = None
    older_fetch: Request | None = None
    """A pending fetch of a subscription that was lost meanwhile."""
    stray: tuple[Kind, Reply] | None = None
    """The copy of a duplicated reply, not yet read."""


class World(NamedTuple):
    """Everything: the true states, the server, abandoned requests, the process, and what may still happen."""

    truth: tuple[int, ...]
    session: bool
    subs: tuple[Sub, ...]
    late: tuple[Late, ...]
    client: Client
    changes: int
    faults: int
    crashes: int
    alterations: int
