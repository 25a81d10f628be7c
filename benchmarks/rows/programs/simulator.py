"""The simulator on sockets, with so many people, who all have names.

    {"do": "change", "states": {CONTACT: STATE}}   people change, and subscribers are notified; `at`: the clock before
    {"do": "requests"}                             how many came so far, by operation

Settings: `contacts`.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from benchmarks.rows.programs import control
from pws_soap.simulator import Options, Presence, SimulatorServer, State


async def main() -> None:
    """Serve, and obey."""
    settings = json.loads(sys.argv[1])
    async with SimulatorServer(Options(), control_port=None, seed=1) as server:

        async def change(words: dict[str, Any]) -> object:  # Any: JSON
            at = time.monotonic()
            changes = {name: {"state": State(state)} for name, state in words["states"].items()}
            return {"changed": server.simulator.change_many(changes), "at": at}  # type: ignore[arg-type]

        async def requests(_words: dict[str, Any]) -> object:
            return dict(server.simulator.counters.requests)

        server.simulator.put(
            Presence(f"p{number:06d}@example.com", State.AVAILABLE, f"Person {number}")
            for number in range(settings["contacts"])
        )
        await control.obey({"change": change, "requests": requests}, {"port": server.nodes[0].port})


if __name__ == "__main__":
    control.run(main())
