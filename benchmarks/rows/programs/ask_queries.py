"""A client that asks one server for one contact after the other, on eight connections.

    {"do": "ask", "seconds": S}   ask for so long; how many were answered, and the seconds that took

Settings: `port`; `names`, the contacts.
"""

from __future__ import annotations

import json
import random
import sys
import time
from typing import Any

from benchmarks.rows.http_load import connections, get, load
from benchmarks.rows.programs import control

_BATCH = 80


async def main() -> None:
    """Ask when told to."""
    settings = json.loads(sys.argv[1])
    dice = random.Random(settings["port"])  # noqa: S311  any will do
    requests = [get(f"/v1/presence/{name}") for name in settings["names"]]

    async def ask(words: dict[str, Any]) -> object:  # Any: JSON
        count, began = 0, time.monotonic()
        with connections(settings["port"]) as opened:
            while time.monotonic() < began + words["seconds"]:
                load(opened, dice.choices(requests, k=_BATCH), b"200")
                count += _BATCH
        return [count, time.monotonic() - began]

    await control.obey({"ask": ask}, {"port": settings["port"]})


if __name__ == "__main__":
    control.run(main())
