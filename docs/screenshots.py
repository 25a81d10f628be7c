"""Makes all pictures of the dashboard in `docs/images`: `python docs/screenshots.py`, in the root of a checkout.

The page and the service are the real ones; behind them stands the simulator's office day, played up to 10:20 on a clock
that stands then, so that everybody has been as they are for some minutes and every run makes the same pictures. Needs
the extra `test` and a Chromium (`PWS_CHROMIUM` may name one).
"""

from __future__ import annotations

import asyncio
import base64
import json
import struct
import sys
import urllib.request
import zlib
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page, async_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))

from pws_soap.models import Presence, PresenceState, Secret, SessionKind
from pws_soap.simulator.office.people import people
from pws_soap.simulator.scripts.office_day import DAY_STARTS, HOUR, schedule
from service.access.authentication import AccessRules, Authenticator
from service.access.keys import KeyRing, hash_of, new_key
from service.access.principal import Principal, Scope
from service.api.app import create_app
from service.core.claims.service import ClaimRules
from service.core.clock import ManualClock
from service.core.engine import (
    EndpointStatus,
    EngineState,
    FetchCounters,
    HealthProblem,
    NodeState,
    NodeStatus,
    NotificationCounters,
    SessionStatus,
    Status,
    SubscriptionStatus,
)
from service.core.presence.memory_store import MemoryStore
from service.core.presence.records import Source
from service.core.wiring import Core
from service.runtime.server import listen, serve
from tests.dashboard.conftest import ARGUMENTS, CHROMIUM
from tests.support.fake_engine import FakeEngine

IMAGES = Path(__file__).parent / "images"
SIZES = {"phone": (390, 844), "laptop": (1440, 900), "wall": (1920, 1080)}
NOW = 10 * HOUR + 20 * 60
FEED = "dispatcher"
SEED = 5


class Scene:
    """An office of so many people at 10:20, and the service that watches it."""

    def __init__(self, number: int) -> None:
        clock = self.clock = ManualClock()
        crowd = {one.contact: one.display_name for one in people(number, "example.com")}
        everybody = list(crowd)
        cuts = [0, number // 10, number // 2, number * 17 // 20, number]
        names = ["Reception", "Support", "Sales", "Service desk"]
        groups = {name: everybody[cuts[at] : cuts[at + 1]] for at, name in enumerate(names)}
        floors = {"Reception": max(2, number // 14), "Support": number // 20}
        self.store = MemoryStore(clock)
        self.engine = FakeEngine()
        self.core = Core.of(self.store, clock, 1260.0, groups, rules=ClaimRules(floors=floors))
        self.key = new_key().reveal()
        crm = Principal("crm", frozenset({Scope.CLAIM}))
        self.app = create_app(
            self.engine,
            self.core,
            callback_secret=Secret("only-for-pictures"),
            version="0.2.0",
            authenticator=Authenticator(rules=AccessRules(KeyRing([(hash_of(self.key), crm)]))),
        )
        self.store.watch(everybody, FEED)
        self.store.trust(FEED)
        self._play(crowd)
        self.engine.shown = self._status(number)

    def _play(self, crowd: dict[str, str | None]) -> None:
        at = DAY_STARTS
        for event in schedule(list(crowd), SEED):
            if event.at > NOW:
                break
            self.clock.advance(event.at - at)
            at = event.at
            fields = event.fields
            doing = tuple(fields["activities"])
            state = PresenceState(fields["state"].value)
            if "on-the-phone" in doing or "meeting" in doing:
                state = PresenceState.BUSY
            presence = Presence(
                event.contact,
                state,
                display_name=crowd[event.contact],
                activities=doing,
                on_the_phone="on-the-phone" in doing,
                note=fields["note"],
                idle=fields["idle"],
            )
            self.store.put([presence], self.store.begin(), source=Source.SUBSCRIBED)
        self.clock.advance(NOW - at)
        self.store.confirm(FEED, self.store.begin())
        self.core.log.touch()

    def _status(self, number: int) -> Status:
        now = self.clock.now()
        return Status(
            EngineState.LIVE,
            nodes=(
                NodeStatus("imp1.example.com", NodeState.UP, since=now - 4000),
                NodeStatus("imp2.example.com", NodeState.UNUSED),
            ),
            sessions=(
                SessionStatus("imp1.example.com", "", SessionKind.APPLICATION, "live", now - 4000),
                SessionStatus("imp1.example.com", FEED, SessionKind.END_USER, "live", now - 3999),
            ),
            endpoints=(EndpointStatus("imp1.example.com", 1, "live", now + 2640),),
            subscriptions=(
                SubscriptionStatus(
                    "imp1.example.com", FEED, 1, "live", number, now + 2644, now - 9, now - 9, None, 412, 418
                ),
            ),
            notifications=NotificationCounters(412),
            reading=FetchCounters(418, 26),
        )

    def some_stale(self, contacts: list[str]) -> None:
        """These are in doubt: their subscription's last reply was lost."""
        now = self.clock.now()
        self.store.watch(contacts, "supervisor")
        self.store.doubt("supervisor", "its subscription was lost")
        self.engine.shown = replace(
            self.engine.shown,
            state=EngineState.DEGRADED,
            problems=(
                HealthProblem(now - 14, "the subscription of supervisor was lost at imp1.example.com and is made anew"),
            ),
        )
        self.core.log.touch()

    def all_stale(self) -> None:
        """Neither node answers."""
        now = self.clock.now()
        self.store.doubt(FEED, "the server does not answer")
        reason = "connection refused: nothing listens there"
        self.engine.shown = replace(
            self.engine.shown,
            state=EngineState.DOWN,
            problems=(
                HealthProblem(now - 48, f"imp1.example.com does not answer (7 calls in a row): {reason}"),
                HealthProblem(now - 48, "subscription 1 of dispatcher cannot be fetched"),
            ),
            nodes=(
                NodeStatus("imp1.example.com", NodeState.DOWN, 7, reason, now - 48),
                NodeStatus("imp2.example.com", NodeState.DOWN, 2, reason, now - 30),
            ),
        )
        self.core.log.touch()

    @asynccontextmanager
    async def served(self) -> AsyncIterator[str]:
        """Its address, as long as the `async with` lasts."""
        listening = listen("127.0.0.1", 0)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        stop = asyncio.Event()
        claim_service = asyncio.create_task(self.core.claim_service.run())
        running = asyncio.create_task(serve(self.app, listening, stop, closing=self.core.log.close))
        try:
            yield url
        finally:
            stop.set()
            await running
            claim_service.cancel()
            await asyncio.gather(claim_service, return_exceptions=True)


def _claim(url: str, key: str, group: str, purpose: str) -> None:
    body = json.dumps({"group": group, "for": purpose, "lease_seconds": 300}).encode()
    request = urllib.request.Request(f"{url}/v1/claims", body, {"Content-Type": "application/json", "X-API-Key": key})  # noqa: S310
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10).close()


_PIXELS = """
async (png) => {
  const bitmap = await createImageBitmap(await (await fetch(`data:image/png;base64,${png}`)).blob());
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d");
  context.drawImage(bitmap, 0, 0);
  const pixels = context.getImageData(0, 0, bitmap.width, bitmap.height).data;
  const parts = [];
  for (let at = 0; at < pixels.length; at += 32768) parts.push(String.fromCharCode(...pixels.subarray(at, at + 32768)));
  return [bitmap.width, bitmap.height, btoa(parts.join(""))];
}
"""


def _small(width: int, height: int, rgba: bytes) -> bytes:
    """A PNG of the 256 colours that occur most: half the size, and nobody sees a difference in flat colours."""
    pixels = memoryview(rgba).cast("I")
    counted = Counter(pixels)
    colours = [colour for colour, _ in counted.most_common(256)]
    parts = [colour.to_bytes(4, sys.byteorder)[:3] for colour in colours]

    def nearest(colour: int) -> int:
        red, green, blue = colour.to_bytes(4, sys.byteorder)[:3]
        return min(
            range(len(parts)),
            key=lambda at: (parts[at][0] - red) ** 2 + (parts[at][1] - green) ** 2 + (parts[at][2] - blue) ** 2,
        )

    places = {colour: at for at, colour in enumerate(colours)}
    places |= {colour: nearest(colour) for colour in counted.keys() - places.keys()}
    indexed = bytes(map(places.__getitem__, pixels))
    lines = b"".join(b"\0" + indexed[at : at + width] for at in range(0, width * height, width))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"PLTE", b"".join(parts)) + chunk(b"IDAT", zlib.compress(lines, 9))
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


async def _picture(page: Page, name: str) -> None:
    await page.wait_for_timeout(400)
    shot = await page.screenshot()
    workshop = await page.context.new_page()  # a page of its own: the dashboard's policy lets nothing in
    width, height, pixels = await workshop.evaluate(_PIXELS, base64.b64encode(shot).decode())
    await workshop.close()
    data = _small(width, height, base64.b64decode(pixels))
    (IMAGES / f"{name}.png").write_bytes(data)
    sys.stdout.write(f"docs/images/{name}.png  {len(data) // 1000} kB\n")


async def _open(browser: Browser, url: str, size: str, **options: Any) -> Page:
    width, height = SIZES[size]
    context = await browser.new_context(
        viewport={"width": width, "height": height}, timezone_id="Etc/GMT+1", reduced_motion="reduce", **options
    )
    page = await context.new_page()
    await page.goto(url)
    await page.locator(".row[data-fresh]").first.wait_for()
    await page.locator(".facts .num").first.wait_for(state="attached")
    return page


async def main() -> None:
    """Make them all."""
    IMAGES.mkdir(exist_ok=True)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        office = Scene(36)
        async with office.served() as url:
            pages = {
                f"{size}-{scheme}": await _open(browser, url, size, color_scheme=scheme)
                for size in ("laptop", "phone")
                for scheme in ("light", "dark")
            }
            for group, purpose in (
                ("Support", "ticket 4711"),
                ("Sales", "call back Lindqvist"),
                ("Support", "ticket 4713"),
            ):
                await asyncio.to_thread(_claim, url, office.key, group, purpose)
            for name, page in pages.items():
                await _picture(page, name)
            office.all_stale()
            await pages["laptop-light"].locator(".banner").wait_for()
            await _picture(pages["laptop-light"], "laptop-outage-light")
            await _picture(pages["phone-dark"], "phone-outage-dark")
        crowd = Scene(200)
        async with crowd.served() as url:
            for _ in range(7):
                await asyncio.to_thread(_claim, url, crowd.key, "Support", "a call")
            crowd.some_stale([one.contact for one in people(200, "example.com")][24:190:23])
            for scheme in ("light", "dark"):
                page = await _open(browser, url, "wall", color_scheme=scheme)
                await page.locator(".banner").wait_for()
                await _picture(page, f"wall-{scheme}")
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
