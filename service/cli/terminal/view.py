"""Shows a running service until it is cancelled: on a screen in a terminal, line by line elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from service.cli.shared import output
from service.cli.shared.api import Api, Query
from service.cli.terminal import lines
from service.cli.terminal.bars import Caption
from service.cli.terminal.follow import Health, StreamFollower, Update
from service.cli.terminal.picture import Picture


async def show_lines(api: Api, query: Query, picture: Picture, *, as_json: bool, patient: bool = False) -> None:
    """Write each contact and then each event to standard output, and the service's health to standard error.

    Ends when the reader of standard output has gone. Raises ServiceRefused, and NoAnswer unless it is `patient`.
    """
    writer = lines.JsonLines() if as_json else lines.TextLines(picture)
    shown = ""
    async with aclosing(StreamFollower(api, query, picture.clock, patient=patient).updates()) as updates:
        async for update in updates:
            if not lines.is_read():  # as after `| head -1`, where the next update may be far off
                return
            changes = picture.take(update)
            if isinstance(update, Health) and (news := lines.news(update)) != shown:
                shown = news
                output.note(lines.health(update))
            written = list(writer.of(update, changes))
            if written:
                await asyncio.to_thread(lines.write, written)


async def show_screen(api: Api, query: Query, picture: Picture, caption: Caption, *, patient: bool = False) -> None:
    """Show the screen until a key ends it. Raises ServiceRefused, and NoAnswer unless it is `patient`."""
    from service.cli.terminal.screen import WatchApp  # textual takes a moment

    given = [value for name, value in query if name == "group"]
    others = [pair for pair in query if pair[0] != "group"]

    def follow(group: str | None) -> AsyncGenerator[Update, None]:
        chosen = given if group is None else [group]
        return StreamFollower(
            api, [*others, *(("group", each) for each in chosen)], picture.clock, patient=True
        ).updates()

    first = StreamFollower(api, query, picture.clock, patient=patient).updates()
    async with aclosing(first):
        begin = await anext(first)  # an error at the start is shown without a screen
        app = WatchApp(api.place.url, picture, follow, (begin, first), caption, fixed=others, groups=given)
        await app.run_async()
        if app.failure is not None:
            raise app.failure
