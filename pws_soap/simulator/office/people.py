"""Invented people for the simulated office: the same for the same seed, with phones and soft clients.

The names are invented; any resemblance to a person is by chance.
"""

from __future__ import annotations

import random
from typing import Final

from pws_soap.server.presence import Device, Presence, State

_FIRST: Final = (
    "Ann", "Joe", "Rita", "Carlotta", "Bela", "Mara", "Yusuf", "Ingrid", "Tomas", "Noor", "Edda", "Kofi", "Lian",
    "Petra", "Sami", "Oda", "Ruben", "Tilda", "Ivo", "Zora", "Henk", "Amara", "Nils", "Pilar", "Dario", "Femke",
    "Goran", "Hanne", "Jonas", "Kaja", "Leila", "Matteo", "Nadia", "Otis", "Paula", "Quirin", "Rosa", "Stellan",
    "Uma", "Viggo",
)  # fmt: skip
_LAST: Final = (
    "Abendrot", "Birkholt", "Castellane", "Dunmore", "Eschbach", "Farnworth", "Grelland", "Hallström", "Ibarra",
    "Jokela", "Kestrel", "Lindqvist", "Marchetti", "Nakuru", "Okonjo", "Pellerin", "Quennell", "Rosendahl",
    "Silverbrook", "Tennant", "Ulvestad", "Varga", "Westerbeek", "Yilmaz", "Zelenka",
)  # fmt: skip
_PLAIN: Final = str.maketrans({"ö": "o"})


def people(count: int, domain: str, *, seed: int = 1, start: int = 0) -> list[Presence]:
    """Invented people who are not in yet. The first have simple user names (`ann`), later ones a number too."""
    dice = random.Random(f"people {seed}")  # noqa: S311 - an office that a seed makes repeatable
    found = []
    for number in range(start, start + count):
        first = _FIRST[number % len(_FIRST)]
        last = dice.choice(_LAST)
        user = first.lower() if number < len(_FIRST) else f"{first}.{last}{number}".lower().translate(_PLAIN)
        contact = f"{user}@{domain}"
        found.append(Presence(contact, State.UNAVAILABLE, f"{first} {last}", devices=devices(number)))
    return found


def devices(number: int) -> tuple[Device, ...]:
    """The devices of a person: a soft client, and for most a desk phone, which stays open over night."""
    soft = Device("cisco-upc" if number % 3 else f"Jabber{1000 + number}", audio=True, video=True, text=True)
    if number % 4 == 3:
        return (soft,)
    line = 8000 + number % 1000
    address = f"sip:{line}@198.51.100.{1 + number % 250}:5060"
    return (soft, Device(f"cmp-{line}-{160 + number % 9}", open=True, audio=True, address=address, priority="0.8"))
