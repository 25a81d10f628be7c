"""What every route may use: made once, when the program is put together."""

from __future__ import annotations

from dataclasses import dataclass

from service.clock import Clock
from service.contact_json import ContactJson
from service.engine import Engine
from service.query import Reader
from service.store import Store


@dataclass(frozen=True, slots=True)
class Context:
    """The parts of the service as the routes see them."""

    engine: Engine
    store: Store
    reader: Reader
    json: ContactJson
    clock: Clock
    version: str
