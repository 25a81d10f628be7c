"""The demonstration elsewhere than in a terminal: one line for each change, as text or as JSON.

Whoever reads the lines may be slow or gone. Writing happens in a thread, so that the service never waits for the
reader; and a reader who is gone is told to the caller as BrokenPipeError.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence

from service.cli.demo.scene import Scene
from service.cli.shared import output, wording
from service.cli.shared.wording import CONTACT, STATE, time
from service.core.presence.records import Change


async def follow(scene: Scene, *, as_json: bool) -> None:
    """Write changes to standard output until cancelled, and to standard error how the service is."""
    state = ""
    while True:
        await write(scene, as_json=as_json)
        status = scene.engine.status()
        if scene.begun and status.state != state:
            state = status.state
            why = f": {status.problems[0].what}" if status.problems else ""
            output.note(f"{time(scene.clock.now())}  the service is {state}{why}")
        await scene.news()


async def write(scene: Scene, *, as_json: bool) -> None:
    """Write what waits to be written."""
    changes = scene.take()
    written: Callable[[Change], str] = scene.as_json if as_json else line
    if changes:
        await asyncio.to_thread(_write, [written(each) for each in changes])


def _write(lines: Sequence[str]) -> None:
    encoding = sys.stdout.encoding or "utf-8"
    text = "".join(f"{each}\n" for each in lines)
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding))  # not every encoding has a name's letters
    sys.stdout.flush()


def line(change: Change) -> str:
    """`10:00:03.120  ann@example.com  Ann Example  BUSY  on the phone; was AVAILABLE`, in columns."""
    record = change.record
    at = time(record.changed_at.wall) if record.changed_at is not None else ""
    contact = output.printable(record.contact)
    return f"{at}  {contact:<{CONTACT}}  {record.state.value:<{STATE}}  {wording.change(change)}".rstrip()
