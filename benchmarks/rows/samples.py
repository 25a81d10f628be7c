"""People who change, and the server's replies about them: the simulator's own texts, never the same twice.

A reply that is to be read anew must be new: `Office.change` gives contacts another state and another note, so that
nothing that is remembered of an earlier reply is right for them.
"""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from typing import Final

from benchmarks.rich import CASES, Carrier, people
from pws_soap.server import messages
from pws_soap.server.soap import pidf_writer, replies
from pws_soap.simulator import Options

OPERATION: Final = "getSubscribedPresence"


class Office:
    """So many people. `changed` names those of the last change."""

    def __init__(self, contacts: int, start: int = 0) -> None:
        """`start` is the number of the first."""
        self.people = people(contacts, start)
        self.changed: list[str] = []
        self._dice = random.Random(1)  # noqa: S311  the same work every time
        self._numbers = itertools.count(1)

    @property
    def contacts(self) -> list[str]:
        """Their URIs."""
        return [person.contact for person in self.people]

    def change(self, count: int | None = None) -> None:
        """Somebody is otherwise than before: state, note and the time of the document; by default everybody."""
        total = len(self.people)
        places = range(total) if count is None else self._dice.sample(range(total), count)
        self.changed = []
        for place in places:
            person, number = self.people[place], next(self._numbers)
            cases = [case for case in CASES if case[0] is not person.state]
            state, activities = self._dice.choice(cases)
            self.people[place] = replace(
                person,
                state=state,
                activities=activities,
                note=f"Note {number} <&>",
                since=1_800_000_000.0 + number,
            )
            self.changed.append(person.contact)

    def documents(self, carrier: Carrier) -> list[str]:
        """Everybody's rich document."""
        options = options_for(carrier)
        return [pidf_writer.document(person, options) for person in self.people]

    def reply(self, carrier: Carrier | None = None, only: list[str] | None = None) -> bytes:
        """The reply to a fetch: rich in that carrier, or basic; of everybody, or of those named."""
        listed = tuple(self.people)
        if only is not None:
            names = set(only)
            listed = tuple(person for person in self.people if person.contact in names)
        kind = messages.PresenceList(OPERATION, "RICH_PRESENCE" if carrier else "BASIC_PRESENCE", listed)
        return replies.write(kind, "1.1", options_for(carrier or "cdata")).body

    def states(self) -> dict[str, str]:
        """How each of them is now."""
        return {person.contact: person.state.value for person in self.people}


def options_for(carrier: Carrier) -> Options:
    """A server with every form of documents, in that carrier."""
    return Options(rich_carrier=carrier, rich_namespaces="mixed", rich_person="mixed")
