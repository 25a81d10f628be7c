"""What one process costs without replicas, in process: a change, a query, a claim with its release.

    python benchmarks/rows/programs/single_mode.py CHECKOUT '{"contacts": 1000, "group": 50}'

    {"do": "change" | "query" | "claim", "times": N}   the CPU time of one, in seconds

Run as a file, so that the code is that of any checkout; programs of two checkouts take turns.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import sys
import time
from typing import Any

if __name__ == "__main__":
    sys.path[0] = sys.argv[1]  # before the package that is installed

from benchmarks.rows.programs import control
from benchmarks.rows.programs.service import Filled
from tests.support.asgi import call

_CLAIM = {"group": "support", "count": 1, "lease_seconds": 60}


async def main() -> None:
    """Measure when told to."""
    settings = json.loads(sys.argv[2])
    filled = Filled(settings["contacts"])
    free = Filled(settings["contacts"], settings["group"])  # where nobody changes: there is always somebody to claim
    followed: list[int] = []
    filled.core.log.follow(lambda events: followed.append(len(events)))
    living = [asyncio.create_task(work()) for work in (filled.core.log.run, free.core.claim_service.run)]
    gc.collect()
    gc.freeze()

    async def change(words: dict[str, Any]) -> object:  # Any: JSON
        followed.clear()
        began = time.process_time()
        await filled.change(words)
        took = time.process_time() - began
        assert sum(followed) == words["times"]
        return took / words["times"]

    async def query(words: dict[str, Any]) -> object:
        names = filled.names
        began = time.process_time()
        for number in range(words["times"]):
            answer = await call(filled.app, "GET", f"/v1/presence/{names[number % len(names)]}")
            assert answer.status == 200
        return (time.process_time() - began) / words["times"]

    async def claim(words: dict[str, Any]) -> object:
        began = time.process_time()
        for _ in range(words["times"]):
            made = await call(free.app, "POST", "/v1/claims", json_body=_CLAIM)
            assert made.status == 201, made.body
            gone = await call(free.app, "DELETE", f"/v1/claims/{json.loads(made.body)['id']}")
            assert gone.status == 204
        return (time.process_time() - began) / words["times"]

    try:
        await control.obey({"change": change, "query": query, "claim": claim}, {"code": sys.path[0]})
    finally:
        free.core.claim_service.close()
        for task in living:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


if __name__ == "__main__":
    control.run(main())
