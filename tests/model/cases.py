"""The explorations: all rules mended, one rule as before, one assumption dropped."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from tests.model.explorer import Explored, explore
from tests.model.protocol import Protocol
from tests.model.rules import AfterUnknown, AtStart, Bounds, Fault, OlderAlteration, OlderFetch, Rules, Server

_SERIOUS: Final = frozenset({Fault.LOST, Fault.PAGE, Fault.FORGOTTEN})
_ALTERED: Final = Bounds(contacts=2, alterations=2, sweeps=False)


@dataclass(frozen=True)
class Case:
    """One exploration."""

    about: str
    protocol: Protocol

    def __str__(self) -> str:
        return self.about

    def explore(self) -> Explored:
        """Explore until a state is wrong, or completely."""
        protocol = self.protocol
        return explore(protocol.start(), protocol.moves, protocol.wrong, healed=protocol.healed)


def _mended(about: str, bounds: Bounds, server: Server = Server()) -> Case:  # noqa: B008  # frozen
    return Case(about, Protocol(Rules(), server, bounds))


def _without(about: str, bounds: Bounds, server: Server = Server(), **rules: object) -> Case:  # noqa: B008  # frozen
    changed = replace(Rules(), **rules)  # type: ignore[arg-type]  # names and types are those of Rules
    return Case(about, Protocol(changed, server, bounds))


MENDED: Final = (
    _mended("one contact, two serious faults", Bounds(faults=2, crashes=1, kinds=_SERIOUS)),
    _mended("one contact, two changes", Bounds(changes=2)),
    _mended("two contacts", Bounds(contacts=2, crashes=1)),
    _mended("one of two contacts is dropped and added", replace(_ALTERED, kinds=_SERIOUS)),
    _mended("the same with a crash instead of a fault", replace(_ALTERED, faults=0, crashes=1)),
    _mended("the first fetch returns nothing", Bounds(crashes=1), Server(tells_new_contacts=False)),
)
"""Complete, with no finding; every state heals."""

MENDED_LONG: Final = (
    _mended("two changes, two faults, two crashes", Bounds(changes=2, faults=2, crashes=2)),
    _mended("three faults", Bounds(faults=3, crashes=1)),
    _mended("two contacts, two changes", Bounds(contacts=2, changes=2, crashes=1)),
    _mended("two contacts, two faults", Bounds(contacts=2, faults=2, crashes=1)),
    _mended("dropped and added, with a fault and a crash", replace(_ALTERED, crashes=1, sweeps=True)),
    _mended("dropped and added, two faults", replace(_ALTERED, faults=2)),
    _mended(
        "dropped and added, new contacts are not returned",
        replace(_ALTERED, crashes=1),
        Server(tells_new_contacts=False),
    ),
    _without("no subscribe while an older alteration is pending", _ALTERED, older_alteration=OlderAlteration.WAIT),
)
"""The same within larger bounds."""

_ONE: Final = Bounds(crashes=1)

KINDS: Final = {
    "1, clean up": _without("a restart removes leftovers under the same key", _ONE, at_start=AtStart.CLEAN_UP),
    "1, adopt": _without("a restart uses the remembered subscription", _ONE, at_start=AtStart.ADOPT),
    "1, forget": _without("a restart trusts a missing state file", _ONE, at_start=AtStart.FORGET),
    "2": _without("an unattributed entry is skipped", _ONE, attributed_wholly=False),
    "3": _without("a gateway's page means that nothing was consumed", _ONE, fault_is_unknown=False),
    "4": _without("a duplicated reply is read as the next reply", _ONE, each_operation_once=False),
    "5": _without("the last entry for a contact counts", _ONE, named_once=False),
    "6, window": _without(
        "after a time-out fetches confirm nothing for some time", _ONE, after_unknown_fetch=AfterUnknown.WINDOW
    ),
    "6, resubscribe": _without(
        "after a time-out it resubscribes under the same key", _ONE, after_unknown_fetch=AfterUnknown.RESUBSCRIBE
    ),
    "alter": _without(
        "an alteration of unknown outcome is repeated",
        replace(_ALTERED, kinds=frozenset({Fault.LOST})),
        reset_after_unknown_change=False,
    ),
    "older fetch": _without("a fetch of a lost subscription is ignored", _ONE, older_fetch=OlderFetch.IGNORE),
    "older alteration": _without(
        "an alteration of a lost subscription is forgotten",
        replace(_ALTERED, kinds=frozenset({Fault.FORGOTTEN})),
        older_alteration=OlderAlteration.FORGET,
    ),
    "carried": _without(
        "a contact counts as subscribed while it is being dropped",
        replace(_ALTERED, faults=0),
        altered_are_not_carried=False,
    ),
}
"""One rule as before in each, by the kind of wrong answer that it prevents."""

OTHERS: Final = {
    "moment": _without("`as_of` is when the reply came", _ONE, count_from_the_beginning=False),
    "disagree": _without("of overlapping readings the last reply counts", _ONE, readings_may_disagree=False),
    "anew": _without("readings before a subscribe count on", _ONE, Server(tells_new_contacts=False), begin_anew=False),
}
"""Older rules of the store."""

DROPPED: Final = {
    "logout": _mended("after a logout the same key is given again", _ONE, Server(logout_ends_all=False)),
    "once": _mended("a request is executed twice", _ONE, Server(carried_out_once=False)),
    "alone": _mended("another program fetches with our session key", _ONE, Server(nobody_else_fetches=False)),
    "codes": _mended("a gateway sends PWS codes", _ONE, Server(gateways_know_no_codes=False)),
}
"""One assumption dropped in each; no rule of ours replaces it."""

EQUIVALENT: Final = (
    _without("no subscribe while an older fetch is pending", _ONE, older_fetch=OlderFetch.WAIT_TO_SUBSCRIBE),
    _without("no confirmation while an older fetch is pending", _ONE, older_fetch=OlderFetch.CONFIRM_NOTHING),
)
"""Complete as well, with no finding."""
