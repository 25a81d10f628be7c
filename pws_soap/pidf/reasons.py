"""Says why a document means what it means, element by element: made when somebody asks, from the values alone."""

from __future__ import annotations

from pws_soap.models import Presence
from pws_soap.pidf.model import Reading
from pws_soap.pidf.rule import RANK, Statement, Weight, decide, statements


def explain(reading: Reading) -> tuple[str, ...]:
    """Why the reading has its state, one line per element that bears on it; the first names the one that decided.

    The last lines name what does not count because of its times.
    """
    if reading.problem is not None:
        return (f"{reading.state}: the document could not be read: {reading.problem}",)
    return _lines(reading, reading.said)


def explanation(presence: Presence) -> tuple[str, ...]:
    """The same for a presence that was made of a reading; empty for any other, and for one with a problem."""
    return () if presence.said is None else _lines(presence, presence.said)


def _lines(read: Reading | Presence, said: tuple[str, ...]) -> tuple[str, ...]:
    found = statements(said, read.phone_status, read.im_status, read.devices, read.basic)
    state, by = decide(found)
    if by is None:
        return (f"{state}: neither the person nor a device says anything about the state", *read.times)
    lines = [f"{state}: decided by {by.where} ({by.weight.value})"]
    lines += [f"{one.where} says {one.state}: {_against(one, by)}" for one in found if one is not by]
    return (*lines, *read.times)


def _against(one: Statement, by: Statement) -> str:
    """Why `one` did not decide."""
    if one.state is by.state:
        return "agrees"
    if one.weight in (Weight.CLOSED, Weight.OLD):
        return one.weight.value
    if RANK[one.state] > RANK[by.state]:
        return "more available, so it does not count"
    return one.weight.value
