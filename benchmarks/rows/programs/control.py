"""How a program is told what to do: one JSON object a line in, one a line out, until its standard input ends."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

Command = Callable[[dict[str, Any]], Awaitable[object]]  # Any: JSON


async def obey(commands: Mapping[str, Command], ready: object) -> None:
    """Say `ready`, then carry out commands, which name themselves in `do`, until the standard input ends."""
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader(limit=2**26)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    print(json.dumps(ready), flush=True)
    while line := await lines.readline():
        asked = json.loads(line)
        print(json.dumps(await commands[asked.pop("do")](asked)), flush=True)


def resident() -> float:
    """The resident set of this process in bytes, garbage collected."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * float(os.sysconf("SC_PAGE_SIZE"))


def run(main: Coroutine[Any, Any, None]) -> None:  # Any: what coroutines are made of
    """Run a program on the event loop that `pws serve` takes."""
    with asyncio.Runner(loop_factory=_fast_loop()) as runner:
        runner.run(main)


def _fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
